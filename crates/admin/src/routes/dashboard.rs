//! `/admin/api/dashboard`: how things stand, in one answer.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use sentinel_core::ports::{InterceptBucket, InterceptFilter};
use sentinel_core::time::Timestamp;
use serde::Serialize;

use super::health::check_parts;
use super::logs::InterceptView;
use super::{Access, Route};
use crate::auth::permission::Permission;
use crate::figures::TrafficFigures;
use crate::parts::Admin;
use crate::problem::{PartHealth, Problem};

const HOUR: Duration = Duration::from_hours(1);
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// So many hours the series has, the current one included.
const SERIES_HOURS: u32 = 24;
/// So many of the newest intercepts are shown.
const NEWEST_INTERCEPTS: u32 = 10;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get(
        "/admin/api/dashboard",
        Access::Needs(Permission::DashboardRead),
        dashboard,
    )]
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(dashboard))]
pub(super) struct Documented;

#[derive(Serialize, utoipa::ToSchema)]
struct Dashboard {
    #[schema(format = DateTime)]
    now: String,
    bindings: Bindings,
    /// Since midnight UTC.
    today: Counts,
    /// One entry per hour, oldest first, the current hour last.
    last_24_hours: Vec<Hour>,
    traffic: Traffic,
    newest_intercepts: Vec<InterceptView>,
    health: Vec<PartHealth>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = BindingCounts)]
struct Bindings {
    total: u64,
    active: u64,
    banned: u64,
}

#[derive(Clone, Copy, Default, Serialize, utoipa::ToSchema)]
#[schema(as = InterceptCounts)]
struct Counts {
    refused: u64,
    observed: u64,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = HourOfIntercepts)]
struct Hour {
    #[schema(format = DateTime)]
    from: String,
    #[serde(flatten)]
    counts: Counts,
}

#[derive(Serialize, utoipa::ToSchema)]
struct Traffic {
    requests: u64,
    allowed: u64,
    observed: u64,
    refused: u64,
    refused_by_reason: Vec<Refused>,
    claims: u64,
    upstream_errors: u64,
    live_connections: u64,
    cache_entries: u64,
    lost_records: u64,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = RefusedByReason)]
struct Refused {
    reason: &'static str,
    count: u64,
}

/// `GET /admin/api/dashboard`.
#[utoipa::path(
    get,
    path = "/admin/api/dashboard",
    summary = "Says how things stand, in one answer.",
    responses((status = 200, description = "How things stand.", body = Dashboard))
)]
async fn dashboard(State(admin): State<Arc<Admin>>) -> Result<Json<Dashboard>, Problem> {
    let now = admin.clock.now();
    let since = series_start(now);
    let newest = InterceptFilter {
        limit: NEWEST_INTERCEPTS,
        ..InterceptFilter::default()
    };
    let (counts, buckets, newest, health) = tokio::join!(
        admin.bindings.counts(),
        admin.intercepts.buckets(since, HOUR_MS),
        admin.intercepts.list(newest),
        check_parts(&admin),
    );
    let (counts, buckets) = (counts?, buckets?);
    Ok(Json(Dashboard {
        now: now.rfc3339(),
        bindings: Bindings {
            total: counts.active.saturating_add(counts.banned),
            active: counts.active,
            banned: counts.banned,
        },
        today: today(&buckets, now),
        last_24_hours: series(&buckets, since),
        traffic: admin.figures.traffic().into(),
        newest_intercepts: newest?.into_iter().map(InterceptView::from).collect(),
        health,
    }))
}

/// The full hour at which the series begins.
fn series_start(now: Timestamp) -> Timestamp {
    let this_hour = now.unix_ms().div_euclid(HOUR_MS);
    Timestamp::from_unix_ms((this_hour - i64::from(SERIES_HOURS - 1)) * HOUR_MS)
}

fn today(buckets: &[InterceptBucket], now: Timestamp) -> Counts {
    let midnight = Timestamp::from_unix_ms(now.unix_ms().div_euclid(DAY_MS) * DAY_MS);
    sum(buckets.iter().filter(|bucket| bucket.from >= midnight))
}

/// Every hour, those without intercepts too.
fn series(buckets: &[InterceptBucket], since: Timestamp) -> Vec<Hour> {
    (0..SERIES_HOURS)
        .map(|hour| {
            let from = since.plus(HOUR * hour);
            let until = from.plus(HOUR);
            let within = buckets
                .iter()
                .filter(|bucket| from <= bucket.from && bucket.from < until);
            Hour {
                from: from.rfc3339(),
                counts: sum(within),
            }
        })
        .collect()
}

fn sum<'b>(buckets: impl Iterator<Item = &'b InterceptBucket>) -> Counts {
    buckets.fold(Counts::default(), |sum, bucket| Counts {
        refused: sum.refused.saturating_add(bucket.refused),
        observed: sum.observed.saturating_add(bucket.observed),
    })
}

impl From<TrafficFigures> for Traffic {
    fn from(figures: TrafficFigures) -> Self {
        let refused_by_reason: Vec<Refused> = figures
            .refused
            .iter()
            .map(|&(reason, count)| Refused {
                reason: reason.code(),
                count,
            })
            .collect();
        Self {
            requests: figures.requests,
            allowed: figures.allowed,
            observed: figures.observed,
            refused: refused_by_reason
                .iter()
                .fold(0, |sum, refused| sum.saturating_add(refused.count)),
            refused_by_reason,
            claims: figures.claims,
            upstream_errors: figures.upstream_errors,
            live_connections: figures.live_connections,
            cache_entries: figures.cache_entries,
            lost_records: figures.lost_records,
        }
    }
}

#[cfg(test)]
mod tests;

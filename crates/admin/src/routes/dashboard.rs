//! `/admin/api/dashboard`: how things stand, in one answer.
//!
//! What went through is read as it was added up by hour and day; nothing here counts rows of the audit log, however many there are.

mod series;

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use sentinel_core::alert::ports::{ALERT_PAGE_MAX, AlertFilter};
use sentinel_core::ports::{InterceptFilter, Replica, TopAddress, TopKey, TrafficSpan};
use serde::Serialize;

use super::health::{CheckedPart, check_parts_in_detail};
use super::logs::InterceptView;
use super::{Access, Route};
use crate::auth::permission::Permission;
use crate::figures::{Propagation, TrafficFigures};
use crate::parts::Admin;
use crate::problem::{PartHealth, Problem};
use series::{Counts, Refused, Stretch, by_reason, counts_of, series};

/// So many hours the series has, the current one included.
const SERIES_HOURS: u32 = 48;
/// So many of them are the last day's.
const DAY_HOURS: usize = 24;
/// So many days the series has, today included.
const SERIES_DAYS: u32 = 30;
/// So many keys, and as many addresses, are shown of those refused most.
const TOP_SHOWN: u32 = 10;
/// So many of the newest intercepts are shown.
const NEWEST_INTERCEPTS: u32 = 10;
/// For how many hours a replica is shown that is not heard of any more and did not say that it ends.
const REPLICA_SHOWN_HOURS: u32 = 24;

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
    /// Since midnight UTC, all replicas together.
    today: Counts,
    /// The day before, from midnight to midnight.
    yesterday: Counts,
    /// One entry per hour, oldest first, the current hour last.
    last_24_hours: Vec<Stretch>,
    /// The same of the last 48 hours.
    hours: Vec<Stretch>,
    /// One entry per day in UTC, oldest first, today last: 30.
    days: Vec<Stretch>,
    /// Today's refusals.
    refused_by_reason: Vec<Refused>,
    /// The keys that were refused most today, most first.
    top_keys: Vec<Key>,
    /// The addresses whose requests were refused most today, most first.
    top_addresses: Vec<Address>,
    /// What this replica has counted since its start.
    traffic: Traffic,
    /// What is open at this replica now.
    live: Live,
    newest_intercepts: Vec<InterceptView>,
    health: Vec<PartHealth>,
    /// The same as `health`, each with a sentence.
    parts: Vec<CheckedPart>,
    /// The replicas that run, or were seen lately and did not say that they end.
    replicas: Vec<RunningReplica>,
    /// Alerts that are not over; at most 1000.
    open_alerts: usize,
    propagation: Late,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = BindingCounts)]
struct Bindings {
    total: u64,
    active: u64,
    banned: u64,
    /// Now; where there are so many that counting takes long, up to a minute or two ago.
    #[schema(format = DateTime)]
    counted_at: String,
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
#[schema(as = TopKey)]
struct Key {
    /// The binding that it had then; null for a key without one.
    binding_id: Option<i64>,
    /// What may be shown of it.
    hint: String,
    /// How often at least.
    count: u64,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = TopAddress)]
struct Address {
    client_ip: String,
    /// How often at least.
    count: u64,
}

#[derive(Serialize, utoipa::ToSchema)]
struct Live {
    /// Clients' connections.
    connections: u64,
    /// Tunnels (WebSocket).
    streams: u64,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = RunningReplica)]
struct RunningReplica {
    name: String,
    version: String,
    /// When it was heard of last; every five seconds while it runs.
    #[schema(format = DateTime)]
    seen_at: String,
    /// Of a hundred changes made elsewhere it hears of all but one sooner, lately; null when it heard of none.
    propagation_ms: Option<u32>,
}

/// How late this replica hears of changes made elsewhere, lately; null when it heard of none.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = PropagationDelay)]
struct Late {
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
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
    let (hour, day) = (TrafficSpan::Hour, TrafficSpan::Day);
    let newest = InterceptFilter {
        limit: NEWEST_INTERCEPTS,
        ..InterceptFilter::default()
    };
    let open = AlertFilter {
        is_open: Some(true),
        limit: ALERT_PAGE_MAX,
        ..AlertFilter::default()
    };
    let (counts, hours, days, top, replicas, newest, open, parts) = tokio::join!(
        admin.counts.counts(),
        admin.traffic.traffic(hour, hour.before(now, SERIES_HOURS - 1)),
        admin.traffic.traffic(day, day.before(now, SERIES_DAYS - 1)),
        admin.traffic.top_refused(day, day.start_of(now), TOP_SHOWN),
        admin.traffic.replicas(hour.before(now, REPLICA_SHOWN_HOURS)),
        admin.intercepts.list(newest),
        admin.alerts.list(open),
        check_parts_in_detail(&admin),
    );
    let (counts, days, top) = (counts?, days?, top?);
    let hours = series(&hours?, hour, now, SERIES_HOURS);
    let today = counts_of(&days, day, now, 0);
    let figures = admin.figures.traffic();
    Ok(Json(Dashboard {
        now: now.rfc3339(),
        bindings: Bindings {
            total: counts.counts.total(),
            active: counts.counts.active,
            banned: counts.counts.banned,
            counted_at: counts.at.rfc3339(),
        },
        today: Counts::from(&today),
        yesterday: Counts::from(&counts_of(&days, day, now, 1)),
        last_24_hours: hours[hours.len().saturating_sub(DAY_HOURS)..].to_vec(),
        hours,
        days: series(&days, day, now, SERIES_DAYS),
        refused_by_reason: by_reason(&today)
            .map(|(reason, count)| Refused {
                reason: reason.code(),
                count,
            })
            .collect(),
        top_keys: top.keys.into_iter().map(Key::from).collect(),
        top_addresses: top.addresses.into_iter().map(Address::from).collect(),
        live: Live {
            connections: figures.live_connections,
            streams: figures.live_streams,
        },
        traffic: figures.into(),
        newest_intercepts: newest?.into_iter().map(InterceptView::from).collect(),
        health: parts.iter().map(PartHealth::from).collect(),
        parts,
        replicas: Replica::running(&replicas?)
            .into_iter()
            .map(RunningReplica::from)
            .collect(),
        open_alerts: open?.len(),
        propagation: Late::from(admin.figures.propagation()),
    }))
}

impl From<TopKey> for Key {
    fn from(key: TopKey) -> Self {
        Self {
            binding_id: key.binding.map(|id| id.0),
            hint: key.hint.map(|hint| hint.as_str().to_owned()).unwrap_or_default(),
            count: key.count,
        }
    }
}

impl From<TopAddress> for Address {
    fn from(address: TopAddress) -> Self {
        Self {
            client_ip: address.client_ip.to_string(),
            count: address.count,
        }
    }
}

impl From<Replica> for RunningReplica {
    fn from(replica: Replica) -> Self {
        Self {
            name: replica.name,
            version: replica.version,
            seen_at: replica.seen_at.rfc3339(),
            propagation_ms: replica.propagation_ms,
        }
    }
}

impl From<Option<Propagation>> for Late {
    fn from(propagation: Option<Propagation>) -> Self {
        let milliseconds = |pick: fn(&Propagation) -> Duration| {
            propagation
                .as_ref()
                .map(|late| pick(late).as_secs_f64() * 1_000.0)
        };
        Self {
            p50_ms: milliseconds(|late| late.p50),
            p99_ms: milliseconds(|late| late.p99),
        }
    }
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

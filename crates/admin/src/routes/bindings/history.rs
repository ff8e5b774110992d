//! What a binding went through: operators' changes, refusals by network, its uses, and the bindings that its key had before.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use sentinel_core::network::Network;
use sentinel_core::ports::{ArchivedBinding, EventFilter, InterceptFilter, StoredIntercept};
use sentinel_core::time::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::extract::BindingIdInPath;
use crate::parts::Admin;
use crate::problem::Problem;

/// The most changes that are shown: the last ones.
pub(super) const CHANGES_MAX: u32 = 200;
/// The most rows of the audit log that refusals are added up from: the last ones.
pub(super) const REFUSED_ROWS_MAX: u32 = 1_000;
/// The most networks that refusals are shown of: those of the last ones.
pub(super) const REFUSED_NETWORKS_MAX: usize = 50;
/// The most earlier bindings that are shown: the last ones.
pub(super) const EARLIER_MAX: u32 = 20;
/// How wide the networks are that refusals are added up by: a household's, as a rule.
const REFUSED_PREFIXES: (u8, u8) = (24, 64);

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct BindingHistory {
    /// What operators did, the last first.
    changes: Vec<ChangeView>,
    /// Where the key was refused or observed, the last first.
    refusals: Vec<RefusedFrom>,
    uses: UsesView,
    live: LiveView,
    /// The bindings that the key had before, the last first.
    earlier: Vec<EarlierView>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct ChangeView {
    #[schema(format = DateTime)]
    at: String,
    actor: String,
    client_ip: Option<String>,
    action: String,
    detail: String,
}

#[derive(Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
struct RefusedFrom {
    network: String,
    count: u64,
    #[schema(format = DateTime)]
    first_at: String,
    #[schema(format = DateTime)]
    last_at: String,
}

#[derive(Serialize, utoipa::ToSchema)]
struct UsesView {
    count: u64,
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct EarlierView {
    #[schema(format = DateTime)]
    archived_at: String,
    reason: String,
    networks: Vec<String>,
    #[schema(format = DateTime)]
    bound_at: Option<String>,
}

/// What is under way.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = LiveOfBinding)]
struct LiveView {
    /// Requests and tunnels of the key that are under way on the replica that answers, which a ban ends; those of other replicas are not
    /// among them. None when it was too busy to say.
    streams: Option<u64>,
}

impl From<ArchivedBinding> for EarlierView {
    fn from(archived: ArchivedBinding) -> Self {
        let record: Value = serde_json::from_str(&archived.record).unwrap_or_default();
        let networks = record["networks"].as_array().into_iter().flatten();
        Self {
            archived_at: archived.archived_at.rfc3339(),
            reason: archived.reason,
            networks: networks.filter_map(Value::as_str).map(str::to_owned).collect(),
            bound_at: record["bound_at"]
                .as_i64()
                .map(|at| Timestamp::from_unix_ms(at).rfc3339()),
        }
    }
}

/// Adds up rows that come newest first.
fn refusals(rows: &[StoredIntercept]) -> Vec<RefusedFrom> {
    let (ipv4, ipv6) = REFUSED_PREFIXES;
    let mut order = Vec::new();
    let mut sums: HashMap<Network, (u64, Timestamp, Timestamp)> = HashMap::new();
    for StoredIntercept { intercept, .. } in rows {
        let network = Network::widen(intercept.client_ip, ipv4, ipv6);
        let (count, first, last) = sums.entry(network).or_insert_with(|| {
            order.push(network);
            (0, intercept.at, intercept.last_at)
        });
        *count += u64::from(intercept.count);
        *first = (*first).min(intercept.at);
        *last = (*last).max(intercept.last_at);
    }
    order.truncate(REFUSED_NETWORKS_MAX);
    let refused = |network: Network| {
        let (count, first, last) = sums[&network];
        RefusedFrom {
            network: network.to_string(),
            count,
            first_at: first.rfc3339(),
            last_at: last.rfc3339(),
        }
    };
    order.into_iter().map(refused).collect()
}

/// `GET /admin/api/bindings/{id}/history`.
#[utoipa::path(
    get,
    path = "/admin/api/bindings/{id}/history",
    summary = "Shows what a binding went through.",
    params(("id" = i64, Path)),
    responses((status = 200, description = "Its changes, refusals, uses, and the bindings before it.", body = BindingHistory)),
    extensions(("x-problems" = json!(["binding_not_found"])))
)]
pub(super) async fn history(
    State(admin): State<Arc<Admin>>,
    BindingIdInPath(id): BindingIdInPath,
) -> Result<Json<BindingHistory>, Problem> {
    let record = admin.bindings.show(id).await?;
    let record = record.ok_or_else(Problem::binding_not_found)?;
    let changes = EventFilter {
        binding: Some(id),
        limit: CHANGES_MAX,
        ..EventFilter::default()
    };
    let rows = InterceptFilter {
        binding: Some(id),
        limit: REFUSED_ROWS_MAX,
        ..InterceptFilter::default()
    };
    let changes = admin.audit.events(changes).await?;
    let rows = admin.intercepts.list(rows).await?;
    let earlier = admin
        .bindings
        .earlier(record.binding.fingerprint, EARLIER_MAX)
        .await?;
    let change = |event: sentinel_core::event::AdminEvent| ChangeView {
        at: event.at.rfc3339(),
        actor: event.actor,
        client_ip: event.client_ip.map(|address| address.to_string()),
        action: event.action,
        detail: event.detail,
    };
    Ok(Json(BindingHistory {
        changes: changes.into_iter().map(|stored| change(stored.event)).collect(),
        refusals: refusals(&rows),
        uses: UsesView {
            count: record.use_count,
            last_used_at: record.last_used_at.map(Timestamp::rfc3339),
        },
        live: LiveView {
            streams: admin.live.of(&record.binding.fingerprint).await,
        },
        earlier: earlier.into_iter().map(EarlierView::from).collect(),
    }))
}

#[cfg(test)]
mod tests;

//! `/admin/api/bindings`: looking at bindings and changing them. Every change is written down by the store in the same
//! transaction. A row never carries the key's fingerprint.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use sentinel_core::binding::{BINDING_NETWORKS_MAX, BindingId, BindingRecord, BindingStatus};
use sentinel_core::event::printable;
use sentinel_core::network::Network;
use sentinel_core::policy::PolicyOverride;
use sentinel_core::ports::BindingFilter;
use sentinel_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Access, Route};
use crate::auth::permission::Permission;
use crate::extract::{
    BindingIdInPath, JsonBody, QueryString, SignedIn, check_length, parse_address, parse_number,
};
use crate::page::{self, Page};
use crate::parts::Admin;
use crate::problem::Problem;

/// The longest reason for a ban, in characters.
const BAN_REASON_CHARACTERS_MAX: usize = 500;
/// The longest part of a hint that is looked for, in characters.
const HINT_CHARACTERS_MAX: usize = 64;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/admin/api/bindings",
            Access::Needs(Permission::BindingsRead),
            list,
        ),
        Route::get(
            "/admin/api/bindings/{id}",
            Access::Needs(Permission::BindingsRead),
            show,
        ),
        Route::post(
            "/admin/api/bindings/unbind",
            Access::Needs(Permission::BindingsChange),
            unbind,
        ),
        Route::post(
            "/admin/api/bindings/ban",
            Access::Needs(Permission::BindingsChange),
            ban,
        ),
        Route::post(
            "/admin/api/bindings/unban",
            Access::Needs(Permission::BindingsChange),
            unban,
        ),
        Route::put(
            "/admin/api/bindings/ip",
            Access::Needs(Permission::BindingsChange),
            set_networks,
        ),
    ]
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(list, show, unbind, ban, unban, set_networks))]
pub(super) struct Documented;

/// One binding.
#[derive(Serialize, utoipa::ToSchema)]
struct BindingView {
    id: i64,
    hint: String,
    status: &'static str,
    networks: Vec<String>,
    /// The first network, for clients that know one only.
    bound_ip: Option<String>,
    #[schema(value_type = PolicyOverrideSchema)]
    policy: PolicyOverride,
    #[schema(format = DateTime)]
    bound_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
    use_count: u64,
    ban_reason: String,
    version: i64,
}

/// Where a binding departs from the general rules; what is left out follows them.
#[derive(utoipa::ToSchema)]
#[schema(as = PolicyOverride)]
#[expect(
    dead_code,
    reason = "describes the core's type, which knows nothing of this API"
)]
struct PolicyOverrideSchema {
    #[schema(pattern = "^(enforce|observe)$")]
    mode: Option<String>,
    slots: Option<u16>,
    learning_window_seconds: Option<u64>,
}

impl From<BindingRecord> for BindingView {
    fn from(record: BindingRecord) -> Self {
        let binding = record.binding;
        let networks: Vec<String> = binding.networks.iter().map(ToString::to_string).collect();
        Self {
            id: binding.id.0,
            hint: record.hint.as_str().to_owned(),
            status: binding.status.as_str(),
            bound_ip: networks.first().cloned(),
            networks,
            policy: (*binding.policy).clone(),
            bound_at: binding.bound_at.rfc3339(),
            updated_at: record.updated_at.rfc3339(),
            last_used_at: record.last_used_at.map(Timestamp::rfc3339),
            use_count: record.use_count,
            ban_reason: record.ban_reason,
            version: binding.version.0,
        }
    }
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct BindingQuery {
    status: Option<String>,
    hint: Option<String>,
    address: Option<String>,
    #[param(value_type = Option<i64>)]
    before: Option<String>,
    #[param(value_type = Option<i64>)]
    limit: Option<String>,
}

impl BindingQuery {
    fn filter(self, limit: u32) -> Result<BindingFilter, Problem> {
        if let Some(hint) = &self.hint {
            check_length("hint", hint, HINT_CHARACTERS_MAX)?;
        }
        Ok(BindingFilter {
            status: self.status.as_deref().map(parse_status).transpose()?,
            hint: self.hint,
            address: self
                .address
                .map(|text| parse_address("address", &text))
                .transpose()?,
            before: self
                .before
                .map(|text| parse_number("before", &text))
                .transpose()?
                .map(BindingId),
            limit,
        })
    }
}

fn parse_status(text: &str) -> Result<BindingStatus, Problem> {
    BindingStatus::from_word(text).ok_or_else(|| Problem::field("status", "It must be 'active' or 'banned'."))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct BindingReference {
    id: i64,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Ban {
    id: i64,
    #[serde(default)]
    reason: Option<String>,
}

/// The new networks, one as `bound_ip` or several as `bound_ips`.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct NetworkChange {
    id: i64,
    #[serde(default)]
    bound_ip: Option<String>,
    #[serde(default)]
    bound_ips: Option<Vec<String>>,
}

impl NetworkChange {
    fn networks(&self) -> Result<Vec<Network>, Problem> {
        match (&self.bound_ip, &self.bound_ips) {
            (Some(text), None) => Ok(vec![parse_network("bound_ip", text)?]),
            (None, Some(texts)) => parse_networks(texts),
            (None, None) => Err(Problem::field(
                "bound_ip",
                "It is required, or 'bound_ips' in its place.",
            )),
            (Some(_), Some(_)) => Err(Problem::field("bound_ips", "Give it or 'bound_ip', not both.")),
        }
    }
}

fn parse_networks(texts: &[String]) -> Result<Vec<Network>, Problem> {
    if texts.is_empty() || texts.len() > BINDING_NETWORKS_MAX {
        let detail = format!("It must hold 1 to {BINDING_NETWORKS_MAX} networks.");
        return Err(Problem::field("bound_ips", detail));
    }
    let mut networks = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let network = parse_network(&format!("bound_ips[{index}]"), text)?;
        if !networks.contains(&network) {
            networks.push(network);
        }
    }
    Ok(networks)
}

fn parse_network(field: &str, text: &str) -> Result<Network, Problem> {
    text.trim().parse().map_err(|error| {
        let detail = match error {
            sentinel_core::network::NetworkError::Malformed(_) => {
                "It must be an IP address or a network like 203.0.113.0/24."
            }
            sentinel_core::network::NetworkError::MappedIpv4(_) => {
                "It is an IPv4 network mapped into IPv6: write the IPv4 network."
            }
        };
        Problem::field(field, detail)
    })
}

/// `GET /admin/api/bindings?status=&hint=&address=&before=&limit=`.
#[utoipa::path(
    get,
    path = "/admin/api/bindings",
    summary = "Lists bindings, newest first.",
    params(BindingQuery),
    responses((status = 200, description = "One page.", body = Page<BindingView>))
)]
async fn list(
    State(admin): State<Arc<Admin>>,
    QueryString(query): QueryString<BindingQuery>,
) -> Result<Json<Page<BindingView>>, Problem> {
    let limit = page::limit(query.limit.as_deref())?;
    let filter = query.filter(limit.with_one_more())?;
    let rows = admin.bindings.list(filter).await?;
    Ok(Json(limit.page(rows, |row| row.binding.id.0, BindingView::from)))
}

/// `GET /admin/api/bindings/{id}`.
#[utoipa::path(
    get,
    path = "/admin/api/bindings/{id}",
    summary = "Shows one binding.",
    params(("id" = i64, Path)),
    responses((status = 200, description = "The binding as it is now.", body = BindingView)),
    extensions(("x-problems" = json!(["binding_not_found"])))
)]
async fn show(
    State(admin): State<Arc<Admin>>,
    BindingIdInPath(id): BindingIdInPath,
) -> Result<Json<BindingView>, Problem> {
    answer(admin.bindings.show(id).await?)
}

/// `POST /admin/api/bindings/unbind`: the key's next use binds it again. Answers with the binding as it was.
#[utoipa::path(
    post,
    path = "/admin/api/bindings/unbind",
    summary = "Removes a binding: the key's next use binds it again.",
    request_body = BindingReference,
    responses((status = 200, description = "The binding as it was.", body = BindingView)),
    extensions(("x-problems" = json!(["binding_not_found"])))
)]
async fn unbind(
    State(admin): State<Arc<Admin>>,
    caller: SignedIn,
    JsonBody(body): JsonBody<BindingReference>,
) -> Result<Json<BindingView>, Problem> {
    let actor = caller.actor(admin.clock.now());
    answer(admin.bindings.unbind(BindingId(body.id), actor).await?)
}

/// `POST /admin/api/bindings/ban`.
#[utoipa::path(
    post,
    path = "/admin/api/bindings/ban",
    summary = "Bans a key, and ends its live streams.",
    request_body = Ban,
    responses((status = 200, description = "The binding as it is now.", body = BindingView)),
    extensions(("x-problems" = json!(["binding_not_found"])))
)]
async fn ban(
    State(admin): State<Arc<Admin>>,
    caller: SignedIn,
    JsonBody(body): JsonBody<Ban>,
) -> Result<Json<BindingView>, Problem> {
    let reason = body.reason.as_deref().unwrap_or_default().trim();
    check_length("reason", reason, BAN_REASON_CHARACTERS_MAX)?;
    let reason = printable(reason.as_bytes(), BAN_REASON_CHARACTERS_MAX);
    let actor = caller.actor(admin.clock.now());
    answer(admin.bindings.ban(BindingId(body.id), reason, actor).await?)
}

/// `POST /admin/api/bindings/unban`.
#[utoipa::path(
    post,
    path = "/admin/api/bindings/unban",
    summary = "Takes a ban back.",
    request_body = BindingReference,
    responses((status = 200, description = "The binding as it is now.", body = BindingView)),
    extensions(("x-problems" = json!(["binding_not_found"])))
)]
async fn unban(
    State(admin): State<Arc<Admin>>,
    caller: SignedIn,
    JsonBody(body): JsonBody<BindingReference>,
) -> Result<Json<BindingView>, Problem> {
    let actor = caller.actor(admin.clock.now());
    answer(admin.bindings.unban(BindingId(body.id), actor).await?)
}

/// `PUT /admin/api/bindings/ip`: replaces the networks.
#[utoipa::path(
    put,
    path = "/admin/api/bindings/ip",
    summary = "Replaces the networks of a binding.",
    request_body = NetworkChange,
    responses((status = 200, description = "The binding as it is now.", body = BindingView)),
    extensions(("x-problems" = json!(["binding_not_found"])))
)]
async fn set_networks(
    State(admin): State<Arc<Admin>>,
    caller: SignedIn,
    JsonBody(body): JsonBody<NetworkChange>,
) -> Result<Json<BindingView>, Problem> {
    let networks = body.networks()?;
    let actor = caller.actor(admin.clock.now());
    answer(
        admin
            .bindings
            .set_networks(BindingId(body.id), networks, actor)
            .await?,
    )
}

fn answer(record: Option<BindingRecord>) -> Result<Json<BindingView>, Problem> {
    record
        .map(|record| Json(record.into()))
        .ok_or_else(Problem::binding_not_found)
}

#[cfg(test)]
mod tests;

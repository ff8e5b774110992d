//! `/admin/api/logs`: the audit log of refused and observed requests, newest first.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use sentinel_core::binding::BindingId;
use sentinel_core::decision::RefusalReason;
use sentinel_core::ports::{InterceptFilter, StoredIntercept};
use serde::{Deserialize, Serialize};

use super::{Access, Route};
use crate::auth::permission::Permission;
use crate::extract::{QueryString, check_length, parse_address, parse_moment, parse_number};
use crate::page::{self, Page};
use crate::parts::Admin;
use crate::problem::Problem;

/// The longest reference that is looked for, in characters.
const REFERENCE_CHARACTERS_MAX: usize = 64;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get(
        "/admin/api/logs",
        Access::Needs(Permission::LogsRead),
        list,
    )]
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(list))]
pub(super) struct Documented;

/// One row of the audit log.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct InterceptView {
    id: i64,
    reference: String,
    /// When the first of the requests came that the row stands for, and the last one.
    #[schema(format = DateTime)]
    at: String,
    #[schema(format = DateTime)]
    last_at: String,
    reason: &'static str,
    outcome: &'static str,
    binding_id: Option<i64>,
    /// Those that the binding had at that moment.
    networks: Vec<String>,
    hint: Option<String>,
    client_ip: String,
    method: String,
    path: String,
    user_agent: String,
    count: u32,
    profile: String,
    replica: String,
}

impl From<StoredIntercept> for InterceptView {
    fn from(stored: StoredIntercept) -> Self {
        let intercept = stored.intercept;
        Self {
            id: stored.id,
            reference: intercept.reference.as_str().to_owned(),
            at: intercept.at.rfc3339(),
            last_at: intercept.last_at.rfc3339(),
            reason: intercept.reason.code(),
            outcome: intercept.outcome.as_str(),
            binding_id: intercept.binding.map(|id| id.0),
            networks: intercept.networks.iter().map(ToString::to_string).collect(),
            hint: intercept.hint.map(|hint| hint.as_str().to_owned()),
            client_ip: intercept.client_ip.to_string(),
            method: intercept.method,
            path: intercept.path,
            user_agent: intercept.user_agent,
            count: intercept.count,
            profile: intercept.profile.to_string(),
            replica: intercept.replica.to_string(),
        }
    }
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct LogQuery {
    reason: Option<String>,
    reference: Option<String>,
    #[param(value_type = Option<i64>)]
    binding: Option<String>,
    client_ip: Option<String>,
    since: Option<String>,
    until: Option<String>,
    #[param(value_type = Option<i64>)]
    before: Option<String>,
    #[param(value_type = Option<i64>)]
    limit: Option<String>,
}

impl LogQuery {
    fn filter(self, limit: u32) -> Result<InterceptFilter, Problem> {
        let moment = |name, text: Option<String>| text.map(|text| parse_moment(name, &text)).transpose();
        let number = |name, text: Option<String>| text.map(|text| parse_number(name, &text)).transpose();
        if let Some(reference) = &self.reference {
            check_length("reference", reference, REFERENCE_CHARACTERS_MAX)?;
        }
        Ok(InterceptFilter {
            reason: self.reason.as_deref().map(parse_reason).transpose()?,
            reference: self.reference,
            binding: number("binding", self.binding)?.map(BindingId),
            client_ip: self
                .client_ip
                .map(|text| parse_address("client_ip", &text))
                .transpose()?,
            since: moment("since", self.since)?,
            until: moment("until", self.until)?,
            before: number("before", self.before)?,
            limit,
        })
    }
}

fn parse_reason(text: &str) -> Result<RefusalReason, Problem> {
    RefusalReason::from_code(text).ok_or_else(|| {
        let codes = RefusalReason::ALL.map(RefusalReason::code).join(", ");
        Problem::field("reason", format!("It must be one of {codes}."))
    })
}

/// `GET /admin/api/logs?reason=&reference=&binding=&client_ip=&since=&until=&before=&limit=`.
#[utoipa::path(
    get,
    path = "/admin/api/logs",
    summary = "Lists refused and observed requests, newest first.",
    params(LogQuery),
    responses((status = 200, description = "One page.", body = Page<InterceptView>))
)]
async fn list(
    State(admin): State<Arc<Admin>>,
    QueryString(query): QueryString<LogQuery>,
) -> Result<Json<Page<InterceptView>>, Problem> {
    let limit = page::limit(query.limit.as_deref())?;
    let filter = query.filter(limit.with_one_more())?;
    let rows = admin.intercepts.list(filter).await?;
    Ok(Json(limit.page(rows, |row| row.id, InterceptView::from)))
}

#[cfg(test)]
mod tests;

//! `/admin/api/audit`: what operators did, newest first, and whether nobody has touched the log of it since.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use sentinel_core::ports::{EventFilter, StoredEvent, verify};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Access, Route};
use crate::auth::permission::Permission;
use crate::extract::{QueryString, check_length, parse_moment, parse_number};
use crate::page::{self, Page};
use crate::parts::Admin;
use crate::problem::{Code, Problem};

/// The longest name of an actor or an action that is looked for, in characters.
const WORD_CHARACTERS_MAX: usize = 128;

pub(super) fn routes() -> Vec<Route> {
    let read = Access::Needs(Permission::AuditRead);
    vec![
        Route::get("/admin/api/audit", read, list),
        Route::get("/admin/api/audit/verify", read, verify_chain),
    ]
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(list, verify_chain))]
pub(super) struct Documented;

/// What an operator did, or the server by itself.
#[derive(Serialize, utoipa::ToSchema)]
struct EventView {
    id: i64,
    #[schema(format = DateTime)]
    at: String,
    actor: String,
    client_ip: Option<String>,
    action: String,
    /// On what, where it was on one thing: `binding:7`.
    target: Option<String>,
    detail: String,
    /// What it was before and is after, where the event says so.
    before: Option<Value>,
    after: Option<Value>,
}

impl From<StoredEvent> for EventView {
    fn from(stored: StoredEvent) -> Self {
        let event = stored.event;
        // Details of changes are JSON objects; those of other events are plain text.
        let mut members = match serde_json::from_str(&event.detail) {
            Ok(Value::Object(members)) => members,
            _ => serde_json::Map::new(),
        };
        let mut state = |name| members.remove(name).filter(|value| !value.is_null());
        let (before, after) = (state("before"), state("after"));
        let target = TARGETS.into_iter().find_map(|name| match members.get(name)? {
            Value::String(text) => Some(format!("{name}:{text}")),
            Value::Number(number) => Some(format!("{name}:{number}")),
            _ => None,
        });
        Self {
            id: stored.id,
            at: event.at.rfc3339(),
            actor: event.actor,
            client_ip: event.client_ip.map(|address| address.to_string()),
            action: event.action,
            target,
            detail: event.detail,
            before,
            after,
        }
    }
}

/// The members of a detail that name what an event was on.
const TARGETS: [&str; 5] = ["binding", "administrator", "session", "token", "account"];

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct EventQuery {
    actor: Option<String>,
    action: Option<String>,
    #[param(format = DateTime)]
    since: Option<String>,
    #[param(format = DateTime)]
    until: Option<String>,
    #[param(value_type = Option<i64>)]
    before: Option<String>,
    #[param(value_type = Option<i64>)]
    limit: Option<String>,
}

impl EventQuery {
    fn filter(self, limit: u32) -> Result<EventFilter, Problem> {
        let moment = |name, text: Option<String>| text.map(|text| parse_moment(name, &text)).transpose();
        for (name, text) in [("actor", &self.actor), ("action", &self.action)] {
            check_length(name, text.as_deref().unwrap_or_default(), WORD_CHARACTERS_MAX)?;
        }
        Ok(EventFilter {
            actor: self.actor,
            action: self.action,
            binding: None,
            since: moment("since", self.since)?,
            until: moment("until", self.until)?,
            before: self
                .before
                .map(|text| parse_number("before", &text))
                .transpose()?,
            limit,
        })
    }
}

/// `GET /admin/api/audit?actor=&action=&since=&until=&before=&limit=`.
#[utoipa::path(
    get,
    path = "/admin/api/audit",
    summary = "Lists what operators did, newest first.",
    params(EventQuery),
    responses((status = 200, description = "One page.", body = Page<EventView>))
)]
async fn list(
    State(admin): State<Arc<Admin>>,
    QueryString(query): QueryString<EventQuery>,
) -> Result<Json<Page<EventView>>, Problem> {
    let limit = page::limit(query.limit.as_deref())?;
    let filter = query.filter(limit.with_one_more())?;
    let rows = admin.audit.events(filter).await?;
    Ok(Json(limit.page(rows, |row| row.id, EventView::from)))
}

/// What a look through the chain of events found.
#[derive(Serialize, utoipa::ToSchema)]
struct VerdictView {
    ok: bool,
    /// How many events are as they were written.
    checked: u64,
    /// The id of the first event that was changed or moved, or before which one is gone.
    first_broken: Option<i64>,
}

/// `GET /admin/api/audit/verify`. One at a time: it reads the whole log.
#[utoipa::path(
    get,
    path = "/admin/api/audit/verify",
    summary = "Looks whether the log of what operators did is as it was written.",
    responses((status = 200, description = "What was found.", body = VerdictView))
)]
async fn verify_chain(State(admin): State<Arc<Admin>>) -> Result<Json<VerdictView>, Problem> {
    let Ok(_alone) = admin.verifying.try_acquire() else {
        return Err(Problem::new(
            Code::StoreBusy,
            "Somebody else is looking through it just now.",
        ));
    };
    let verdict = verify(&*admin.audit).await?;
    if let Some(event) = verdict.first_broken {
        tracing::error!(event, "the log of what operators did is not as it was written");
    }
    Ok(Json(VerdictView {
        ok: verdict.first_broken.is_none(),
        checked: verdict.checked,
        first_broken: verdict.first_broken,
    }))
}

#[cfg(test)]
mod tests;

//! `/admin/api/sessions`: the sessions in force. Everybody sees and ends their own, an owner all of them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use sentinel_core::account::session::{AdminSession, SessionId, Whose};
use serde::Serialize;

use super::{Access, Route};
use crate::auth::caller::Identity;
use crate::auth::permission::Permission;
use crate::extract::SignedIn;
use crate::page::Page;
use crate::parts::Admin;
use crate::problem::{Code, Problem};

pub(super) fn routes() -> Vec<Route> {
    let own = Access::Needs(Permission::SessionsOwn);
    vec![
        Route::get("/admin/api/sessions", own, list),
        Route::delete("/admin/api/sessions/{id}", own, end),
    ]
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(list, end))]
pub(super) struct Documented;

/// One session.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = AdminSession)]
struct SessionView {
    id: String,
    account: String,
    client_ip: String,
    user_agent: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    last_seen_at: String,
    #[schema(format = DateTime)]
    expires_at: String,
    is_current: bool,
}

impl SessionView {
    fn new(session: AdminSession, current: Option<SessionId>) -> Self {
        Self {
            id: session.id.to_string(),
            account: session.account,
            client_ip: session.client_ip.to_string(),
            user_agent: session.user_agent,
            created_at: session.created_at.rfc3339(),
            last_seen_at: session.last_seen_at.rfc3339(),
            expires_at: session.expires_at.rfc3339(),
            is_current: Some(session.id) == current,
        }
    }
}

/// The caller's session, and the sessions within reach; a program that is no owner reaches none.
fn reach(caller: &SignedIn) -> (Option<SessionId>, Option<Whose>) {
    let is_owner = Permission::AdministratorsManage.is_given_to(caller.role);
    let everybodys = is_owner.then_some(Whose::Everybodys);
    match caller.identity {
        Identity::Configured { session, .. } => (Some(session), Some(Whose::Everybodys)),
        Identity::Administrator { id, session } => {
            (Some(session), Some(everybodys.unwrap_or(Whose::Of(Some(id)))))
        }
        Identity::Program(_) => (None, everybodys),
    }
}

/// `GET /admin/api/sessions`.
#[utoipa::path(
    get,
    path = "/admin/api/sessions",
    summary = "Lists the sessions in force: one's own, or all for an owner.",
    responses((status = 200, description = "All of them.", body = Page<SessionView>))
)]
async fn list(State(admin): State<Arc<Admin>>, caller: SignedIn) -> Result<Json<Page<SessionView>>, Problem> {
    let (current, whose) = reach(&caller);
    let sessions = match whose {
        Some(whose) => admin.accounts.sessions(whose, admin.clock.now()).await?,
        None => Vec::new(),
    };
    Ok(Json(Page {
        items: sessions
            .into_iter()
            .map(|session| SessionView::new(session, current))
            .collect(),
        next_before: None,
    }))
}

/// `DELETE /admin/api/sessions/{id}`.
#[utoipa::path(
    delete,
    path = "/admin/api/sessions/{id}",
    summary = "Ends a session.",
    params(("id" = String, Path, description = "Its id.")),
    responses((status = 204, description = "Ended.")),
    extensions(("x-problems" = json!(["session_not_found"])))
)]
async fn end(
    State(admin): State<Arc<Admin>>,
    caller: SignedIn,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let not_found = || {
        let detail = "No session within your reach has this id; it may be over already.";
        Problem::new(Code::SessionNotFound, detail)
    };
    let id = SessionId::parse(&id).ok_or_else(not_found)?;
    let whose = reach(&caller).1.ok_or_else(not_found)?;
    let actor = caller.actor(admin.clock.now());
    let ended = admin
        .accounts
        .end_session(id, whose, "end_session", actor)
        .await?;
    admin.sessions.forget();
    ended.map(|_| StatusCode::NO_CONTENT).ok_or_else(not_found)
}

#[cfg(test)]
mod tests;

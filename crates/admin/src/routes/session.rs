//! `/admin/api/session`: the session of who asks. What it is, refreshing it by its cookie, and signing out. A refresh needs a header that no
//! page of another origin can send without being asked for its permission, which nobody gives.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, StatusCode, header};
use sentinel_core::account::Role;
use sentinel_core::account::session::{AdminSession, SessionId, SessionInForce, Whose};
use sentinel_core::time::Timestamp;
use serde::Serialize;

use super::{Access, Route};
use crate::auth::caller::Identity;
use crate::auth::permission::Permission;
use crate::auth::refresh::{RefreshCookies, is_secure};
use crate::auth::token::Subject;
use crate::extract::{CallerIp, SignedIn};
use crate::parts::Admin;
use crate::problem::{Code, Problem};

/// What the console sends with a refresh, and its value.
const CONSOLE_HEADER: (HeaderName, &str) = (HeaderName::from_static("x-sentinel-console"), "1");

pub(super) fn routes() -> Vec<Route> {
    let own = Access::Needs(Permission::SessionsOwn);
    vec![
        Route::get("/admin/api/session", own, show),
        Route::post("/admin/api/session/refresh", Access::Public, refresh),
        Route::post("/admin/api/session/end", own, end),
    ]
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(show, refresh, end))]
pub(super) struct Documented;

/// What a sign-in or a refresh gives.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Granted {
    token: String,
    token_type: &'static str,
    #[schema(format = DateTime)]
    expires_at: String,
    expires_in: i64,
    account: GrantedAccount,
}

#[derive(Serialize, utoipa::ToSchema)]
struct GrantedAccount {
    name: String,
    role: &'static str,
}

/// A session's name that no other has.
pub(super) fn new_session_id() -> Result<SessionId, Problem> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(%error, "no random numbers");
        Problem::internal()
    })?;
    Ok(SessionId::from_bytes(bytes))
}

/// A token for this session, and the cookie that refreshes it.
pub(super) fn grant(
    admin: &Admin,
    session: &AdminSession,
    role: Role,
    headers: &HeaderMap,
    now: Timestamp,
) -> Result<Response, Problem> {
    let subject = Subject {
        name: session.account.clone(),
        role,
        session: session.id,
        is_alone: false,
    };
    let cookie = admin.cookies.set(session, now, is_secure(headers));
    Ok(([(header::SET_COOKIE, cookie)], issue(admin, subject, now)?).into_response())
}

/// A token for the configured account whose session no store knows.
pub(super) fn grant_alone(
    admin: &Admin,
    session: SessionId,
    headers: &HeaderMap,
    now: Timestamp,
) -> Result<impl axum::response::IntoResponse + use<>, Problem> {
    let subject = Subject {
        name: admin.sign_in.configured_name().to_owned(),
        role: Role::Owner,
        session,
        is_alone: true,
    };
    let cookie = RefreshCookies::clear(is_secure(headers));
    Ok(([(header::SET_COOKIE, cookie)], issue(admin, subject, now)?))
}

fn issue(admin: &Admin, subject: Subject, now: Timestamp) -> Result<Json<Granted>, Problem> {
    let issued = admin.tokens.issue(&subject, now).ok_or_else(|| {
        tracing::error!("a token cannot be signed");
        Problem::internal()
    })?;
    Ok(Json(Granted {
        token: issued.token.as_str().to_owned(),
        token_type: "Bearer",
        expires_at: issued.expires_at.rfc3339(),
        expires_in: issued.life_seconds,
        account: GrantedAccount {
            role: subject.role.as_str(),
            name: subject.name,
        },
    }))
}

/// `POST /admin/api/session/refresh`.
#[utoipa::path(
    post,
    path = "/admin/api/session/refresh",
    summary = "Gives a new token for the refresh cookie.",
    params(("X-Sentinel-Console" = String, Header, description = "It must be 1: no form of another site can send it.")),
    responses((status = 200, description = "A new token, and a new cookie.", body = Granted)),
    extensions(("x-problems" = json!(["console_header_required", "sign_in_required", "store_busy", "store_unavailable"])))
)]
async fn refresh(
    State(admin): State<Arc<Admin>>,
    CallerIp(client_ip): CallerIp,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (name, value) = CONSOLE_HEADER;
    if headers.get(&name).is_none_or(|sent| sent != value) {
        let detail = "Send 'X-Sentinel-Console: 1' with it.";
        return Err(Problem::new(Code::ConsoleHeaderRequired, detail));
    }
    let now = admin.clock.now();
    let refreshed = match admin.cookies.check(&headers) {
        Some(right) => admin.sessions.refresh(right, client_ip, now).await?,
        None => None,
    };
    // The configured account may have another name by now, and the provider another address: then the old sessions are nobody's.
    let is_somebodys = |found: &SessionInForce| match &found.administrator {
        Some(administrator) => admin.knows(administrator),
        None => admin.sign_in.is_configured(&found.session.account),
    };
    if let Some(found) = refreshed.filter(is_somebodys) {
        let role = found
            .administrator
            .map_or(Role::Owner, |administrator| administrator.role);
        return grant(&admin, &found.session, role, &headers, now);
    }
    let mut answer = Problem::sign_in_required().into_response();
    let cookie = RefreshCookies::clear(is_secure(&headers));
    answer.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(answer)
}

/// `POST /admin/api/session/end`.
#[utoipa::path(
    post,
    path = "/admin/api/session/end",
    summary = "Ends the caller's session.",
    responses((status = 204, description = "Signed out.")),
    extensions(("x-problems" = json!(["account_not_changeable"])))
)]
async fn end(
    State(admin): State<Arc<Admin>>,
    caller: SignedIn,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let now = admin.clock.now();
    let (session, whose) = match caller.identity {
        Identity::Configured { session, is_alone } => {
            if is_alone {
                admin.sessions.sign_out_alone(session, now);
            }
            (session, Whose::Of(None))
        }
        Identity::Administrator { id, session } => (session, Whose::Of(Some(id))),
        Identity::Program(_) => {
            let detail = "A token has no session: an owner takes it back at DELETE /admin/api/tokens/{id}.";
            return Err(Problem::new(Code::AccountNotChangeable, detail));
        }
    };
    let is_alone = matches!(caller.identity, Identity::Configured { is_alone: true, .. });
    if !is_alone {
        let actor = caller.actor(now);
        admin
            .accounts
            .end_session(session, whose, "logout", actor)
            .await?;
        admin.sessions.forget();
    }
    let cookie = RefreshCookies::clear(is_secure(&headers));
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = CurrentSession)]
struct SessionView {
    account: AccountView,
    session: Option<SessionName>,
    permissions: Vec<&'static str>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = CurrentAccount)]
struct AccountView {
    id: Option<i64>,
    name: String,
    role: &'static str,
    has_second_factor: bool,
    is_configured: bool,
    /// Whether a provider vouches for it; then it has no password and no second factor here.
    is_external: bool,
}

#[derive(Serialize, utoipa::ToSchema)]
struct SessionName {
    id: String,
}

/// `GET /admin/api/session`: who asks, and what they may do.
#[utoipa::path(
    get,
    path = "/admin/api/session",
    summary = "Says who asks and what they may do.",
    responses((status = 200, description = "The caller.", body = SessionView))
)]
async fn show(State(admin): State<Arc<Admin>>, caller: SignedIn) -> Result<Json<SessionView>, Problem> {
    let (id, session) = match caller.identity {
        Identity::Configured { session, .. } => (None, Some(session)),
        Identity::Administrator { id, session } => (Some(id), Some(session)),
        Identity::Program(_) => (None, None),
    };
    let administrator = match id {
        Some(id) => admin.accounts.administrator(id).await?,
        None => None,
    };
    Ok(Json(SessionView {
        account: AccountView {
            id: id.map(|id| id.0),
            name: caller.name,
            role: caller.role.as_str(),
            has_second_factor: administrator
                .as_ref()
                .is_some_and(|administrator| administrator.second_factor.is_some()),
            is_external: administrator.is_some_and(|administrator| administrator.external.is_some()),
            is_configured: matches!(caller.identity, Identity::Configured { .. }),
        },
        session: session.map(|session| SessionName {
            id: session.to_string(),
        }),
        permissions: Permission::names_of(caller.role),
    }))
}

#[cfg(test)]
mod tests;

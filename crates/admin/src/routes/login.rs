//! `/admin/api/login`: a password for a token. Every verdict leaves an admin event; attempts during a lockout leave none, so
//! that nobody can fill the table.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use sentinel_core::event::AdminEvent;
use sentinel_core::network::ClientIp;
use sentinel_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Access, Route};
use crate::auth::password::{PASSWORD_BYTES_MAX, Password};
use crate::auth::sign_in::SignInRefused;
use crate::extract::{CallerIp, JsonBody, check_length};
use crate::parts::{Admin, USERNAME_CHARACTERS_MAX};
use crate::problem::{Code, Problem};

/// When to try again after too many attempts at once.
const BUSY_RETRY_AFTER: Duration = Duration::from_secs(2);

pub(super) fn routes() -> Vec<Route> {
    vec![Route::post("/admin/api/login", Access::Public, login)]
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(login))]
pub(super) struct Documented;

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Credentials {
    username: String,
    #[schema(value_type = String, format = Password)]
    password: Password,
}

#[derive(Serialize, utoipa::ToSchema)]
struct Session {
    token: String,
    token_type: &'static str,
    #[schema(format = DateTime)]
    expires_at: String,
    expires_in: i64,
}

/// `POST /admin/api/login`.
#[utoipa::path(
    post,
    path = "/admin/api/login",
    summary = "Gives a token for a password.",
    request_body = Credentials,
    responses((status = 200, description = "Signed in.", body = Session)),
    extensions(("x-problems" = json!(["credentials_invalid", "login_locked", "login_busy"])))
)]
async fn login(
    State(admin): State<Arc<Admin>>,
    CallerIp(client_ip): CallerIp,
    JsonBody(credentials): JsonBody<Credentials>,
) -> Result<Json<Session>, Problem> {
    let Credentials { username, password } = credentials;
    check_length("username", &username, USERNAME_CHARACTERS_MAX)?;
    if password.expose().len() > PASSWORD_BYTES_MAX {
        let detail = format!("It must not be longer than {PASSWORD_BYTES_MAX} bytes.");
        return Err(Problem::field("password", detail));
    }
    let now = admin.clock.now();
    let verdict = admin.sign_in.attempt(&username, password, client_ip, now).await;
    match verdict {
        Ok(()) => {}
        Err(SignInRefused::Wrong) => {
            leave_event(&admin, "login_failed", &username, client_ip, now).await;
            return Err(Problem::new(
                Code::CredentialsInvalid,
                "Check both and try again.",
            ));
        }
        Err(SignInRefused::LockedOut(wait)) => {
            let detail = "Wait as long as the Retry-After header says; more attempts do not prolong it.";
            return Err(Problem::new(Code::LoginLocked, detail).retry_after(wait));
        }
        Err(SignInRefused::Busy) => {
            return Err(Problem::new(Code::LoginBusy, "Try again in a moment.").retry_after(BUSY_RETRY_AFTER));
        }
    }
    leave_event(&admin, "login", &username, client_ip, now).await;
    let issued = admin.tokens.issue(now).ok_or_else(|| {
        tracing::error!("a token cannot be signed");
        Problem::internal()
    })?;
    Ok(Json(Session {
        token: issued.token.as_str().to_owned(),
        token_type: "Bearer",
        expires_at: issued.expires_at.rfc3339(),
        expires_in: issued.life_seconds,
    }))
}

/// Writes down who tried. A name that is no account's is left out: people type passwords into the wrong field. The verdict
/// stands even when the store is away, for then the operator is needed most.
async fn leave_event(
    admin: &Admin,
    action: &'static str,
    username: &str,
    client_ip: ClientIp,
    now: Timestamp,
) {
    let is_account = admin.sign_in.is_account(username);
    let event = AdminEvent {
        at: now,
        actor: if is_account {
            username.to_owned()
        } else {
            "unknown".to_owned()
        },
        client_ip: Some(client_ip),
        action: action.to_owned(),
        detail: String::new(),
    };
    tracing::info!(action, actor = %event.actor, %client_ip, "sign-in");
    if let Err(error) = admin.events.append(event).await {
        tracing::warn!(action, %error, "a sign-in could not be written down");
    }
}

#[cfg(test)]
mod tests;

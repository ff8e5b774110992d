//! `/admin/api/login`: a password, and a code where one is needed, for a session. Every verdict leaves an admin event; attempts during a
//! lockout leave none, so that nobody can fill the table.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, header};
use sentinel_core::event::AdminEvent;
use sentinel_core::network::ClientIp;
use sentinel_core::ports::StoreError;
use sentinel_core::time::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::session::{grant, grant_alone, new_session_id};
use super::{Access, Route};
use crate::auth::password::{PASSWORD_BYTES_MAX, Password};
use crate::auth::sign_in::{Credentials, Holder, SignInRefused};
use crate::extract::{CallerIp, JsonBody, check_length};
use crate::parts::{Admin, USERNAME_CHARACTERS_MAX};
use crate::problem::{Code, Problem};

/// The most bytes of a code.
const OTP_BYTES_MAX: usize = 64;
/// For so long the store is waited for to begin a session.
const BEGIN_WAIT_MAX: Duration = Duration::from_secs(3);
/// The word for a sign-in in the admin events.
const LOGIN: &str = "login";
/// The word for one that failed.
const LOGIN_FAILED: &str = "login_failed";
/// The word for a recovery code that was spent on a sign-in.
const RECOVERY_CODE_USED: &str = "recovery_code_used";
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
#[schema(as = Credentials)]
struct LoginBody {
    username: String,
    #[schema(value_type = String, format = Password)]
    password: Password,
    #[schema(value_type = Option<String>)]
    otp: Option<Password>,
}

/// `POST /admin/api/login`.
#[utoipa::path(
    post,
    path = "/admin/api/login",
    summary = "Gives a token for a password.",
    request_body = LoginBody,
    responses((status = 200, description = "Signed in.", body = super::session::Granted)),
    extensions(("x-problems" = json!(["credentials_invalid", "second_factor_required", "login_locked", "login_busy"])))
)]
async fn login(
    State(admin): State<Arc<Admin>>,
    CallerIp(client_ip): CallerIp,
    headers: HeaderMap,
    JsonBody(body): JsonBody<LoginBody>,
) -> Result<Response, Problem> {
    let LoginBody {
        username,
        password,
        otp,
    } = body;
    check_length("username", &username, USERNAME_CHARACTERS_MAX)?;
    check_secret("password", &password, PASSWORD_BYTES_MAX)?;
    if let Some(otp) = &otp {
        check_secret("otp", otp, OTP_BYTES_MAX)?;
    }
    let now = admin.clock.now();
    let credentials = Credentials {
        username: username.clone(),
        password,
        otp,
    };
    let tried = |action| SignInEvent {
        action,
        username: &username,
        client_ip,
        now,
    };
    let signed_in = match admin.sign_in.attempt(credentials, client_ip, now).await {
        Ok(signed_in) => signed_in,
        Err(refused) => {
            if refused == SignInRefused::Wrong {
                leave_event(&admin, tried(LOGIN_FAILED), String::new()).await;
            }
            return Err(refused.into());
        }
    };
    // Of its own and at once: the code is gone, whatever becomes of the session.
    if let Some(left) = signed_in.recovery_codes_left {
        let detail = json!({"recovery_codes_left": left}).to_string();
        leave_event(&admin, tried(RECOVERY_CODE_USED), detail).await;
    }
    let holder = signed_in.holder;
    let id = new_session_id()?;
    let user_agent = headers
        .get(header::USER_AGENT)
        .map_or(&b""[..], |value| value.as_bytes());
    let from = (client_ip, user_agent);
    let begin = admin.sessions.begin(id, (&username, &holder), from, now);
    let begun = tokio::time::timeout(BEGIN_WAIT_MAX, begin).await;
    let begun = begun.unwrap_or_else(|_| {
        Err(StoreError::Unavailable(
            "a session was not begun in time".to_owned(),
        ))
    });
    let answer = match (begun, &holder) {
        (Ok(Some(session)), _) => grant(&admin, &session, holder.role(), &headers, now)?,
        (Ok(None), _) => return Err(SignInRefused::Wrong.into()),
        (Err(error), Holder::Configured) => {
            tracing::warn!(%error, "the session lives in its token alone: the store is away");
            grant_alone(&admin, id, &headers, now)?.into_response()
        }
        (Err(error), Holder::Administrator(_)) => return Err(error.into()),
    };
    leave_event(&admin, tried(LOGIN), String::new()).await;
    Ok(answer)
}

/// A secret of at most so many bytes, as a field.
pub(super) fn check_secret(field: &str, secret: &Password, bytes_max: usize) -> Result<(), Problem> {
    if secret.expose().len() > bytes_max {
        let detail = format!("It must not be longer than {bytes_max} bytes.");
        return Err(Problem::field(field, detail));
    }
    Ok(())
}

impl From<SignInRefused> for Problem {
    fn from(refused: SignInRefused) -> Self {
        match refused {
            SignInRefused::Wrong => Self::new(Code::CredentialsInvalid, "Check everything and try again."),
            SignInRefused::SecondFactorRequired => Self::new(
                Code::SecondFactorRequired,
                "Send the code of the authenticator, or a recovery code, as 'otp'.",
            ),
            SignInRefused::LockedOut(wait) => {
                let detail = "Wait as long as the Retry-After header says; more attempts do not prolong it.";
                Self::new(Code::LoginLocked, detail).retry_after(wait)
            }
            SignInRefused::Busy => {
                Self::new(Code::LoginBusy, "Try again in a moment.").retry_after(BUSY_RETRY_AFTER)
            }
            SignInRefused::Store(error) => error.into(),
        }
    }
}

/// Who tried what, from where.
#[derive(Clone, Copy)]
struct SignInEvent<'a> {
    action: &'static str,
    username: &'a str,
    client_ip: ClientIp,
    now: Timestamp,
}

/// Writes down who tried. A name that is no account's is left out: people type passwords into the wrong field. The verdict
/// stands even when the store is away, for then the operator is needed most.
async fn leave_event(admin: &Admin, tried: SignInEvent<'_>, detail: String) {
    let SignInEvent {
        action,
        username,
        client_ip,
        now,
    } = tried;
    let is_account = action != LOGIN_FAILED || admin.sign_in.is_account(username).await;
    let event = AdminEvent {
        at: now,
        actor: if is_account {
            username.to_owned()
        } else {
            "unknown".to_owned()
        },
        client_ip: Some(client_ip),
        action: action.to_owned(),
        detail,
    };
    tracing::info!(action, actor = %event.actor, %client_ip, "sign-in");
    if let Err(error) = admin.events.append(event).await {
        tracing::warn!(action, %error, "a sign-in could not be written down");
    }
}

#[cfg(test)]
mod tests;

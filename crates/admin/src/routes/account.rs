//! `/admin/api/account`: what administrators change about themselves: the password and the second factor. The configured account is changed
//! where it is configured.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use sentinel_core::account::second_factor::SecondFactor;
use sentinel_core::account::session::SessionId;
use sentinel_core::account::{Administrator, AdministratorChange};
use serde::{Deserialize, Serialize};

use super::administrators::{check_is_local, hashed, missing};
use super::login::check_secret;
use super::{Access, Route};
use crate::auth::password::{PASSWORD_BYTES_MAX, Password};
use crate::auth::permission::Permission;
use crate::auth::second_factor::{otpauth_uri, recovery_codes, recovery_digest};
use crate::auth::sign_in::SignInRefused;
use crate::extract::{JsonBody, SignedIn};
use crate::parts::Admin;
use crate::problem::{Code, Problem};

pub(super) fn routes() -> Vec<Route> {
    let own = Access::Needs(Permission::AccountOwn);
    vec![
        Route::put("/admin/api/account/password", own, change_password),
        Route::post("/admin/api/account/second-factor", own, offer),
        Route::post("/admin/api/account/second-factor/confirm", own, confirm),
        Route::delete("/admin/api/account/second-factor", own, remove),
    ]
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(change_password, offer, confirm, remove))]
pub(super) struct Documented;

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordChange {
    #[schema(value_type = String, format = Password)]
    current: Password,
    #[schema(value_type = String, format = Password)]
    new: Password,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SecondFactorConfirmation)]
struct Confirmation {
    #[schema(value_type = String, format = Password)]
    otp: Password,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SecondFactorRemoval)]
struct Removal {
    #[schema(value_type = String, format = Password)]
    password: Password,
}

/// A secret on its way to an authenticator; shown this once.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = SecondFactorOffer)]
struct Offered {
    secret: String,
    otpauth_uri: String,
}

/// Shown this once.
#[derive(Serialize, utoipa::ToSchema)]
struct RecoveryCodes {
    recovery_codes: Vec<String>,
}

async fn own(admin: &Admin, caller: &SignedIn) -> Result<(Administrator, SessionId), Problem> {
    let (id, session) = caller.administrator()?;
    let found = admin.accounts.administrator(id).await?;
    let administrator = found.ok_or_else(missing)?;
    check_is_local(&administrator)?;
    Ok((administrator, session))
}

/// Makes a change of the caller's own account.
async fn change(
    admin: &Admin,
    caller: SignedIn,
    administrator: &Administrator,
    change: AdministratorChange,
) -> Result<(), Problem> {
    let actor = caller.actor(admin.clock.now());
    let changed = admin
        .accounts
        .change_administrator(administrator.id, change, actor)
        .await?;
    admin.sessions.forget();
    changed.map(drop).ok_or_else(missing)
}

/// That it is the caller at the keyboard, and not whoever found it unlocked.
async fn check_password(
    admin: &Admin,
    caller: &SignedIn,
    administrator: &Administrator,
    password: Password,
) -> Result<(), Problem> {
    check_secret("password", &password, PASSWORD_BYTES_MAX)?;
    let now = admin.clock.now();
    let checked = admin
        .sign_in
        .confirm(administrator, password, caller.client_ip, now)
        .await;
    checked.map_err(|refused| match refused {
        SignInRefused::Wrong => Problem::new(
            Code::PasswordWrong,
            "It is your present password that is asked for.",
        ),
        other => other.into(),
    })
}

/// `PUT /admin/api/account/password`: ends one's other sessions.
#[utoipa::path(
    put,
    path = "/admin/api/account/password",
    summary = "Changes the caller's password and ends their other sessions.",
    request_body = PasswordChange,
    responses((status = 204, description = "Changed.")),
    extensions(("x-problems" = json!(["account_not_changeable", "administrator_not_found", "password_wrong", "login_locked", "login_busy"])))
)]
async fn change_password(
    State(admin): State<Arc<Admin>>,
    caller: SignedIn,
    JsonBody(body): JsonBody<PasswordChange>,
) -> Result<StatusCode, Problem> {
    let (administrator, session) = own(&admin, &caller).await?;
    check_password(&admin, &caller, &administrator, body.current).await?;
    let new = AdministratorChange::Password {
        hash: hashed(&admin, "new", body.new).await?,
        keeps: Some(session),
    };
    change(&admin, caller, &administrator, new).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /admin/api/account/second-factor`: a secret that is in use once it is confirmed.
#[utoipa::path(
    post,
    path = "/admin/api/account/second-factor",
    summary = "Gives a secret for an authenticator, in use once it is confirmed.",
    responses((status = 200, description = "The secret; shown this once.", body = Offered)),
    extensions(("x-problems" = json!(["account_not_changeable", "administrator_not_found", "limit_reached"])))
)]
async fn offer(State(admin): State<Arc<Admin>>, caller: SignedIn) -> Result<Json<Offered>, Problem> {
    let (administrator, _) = own(&admin, &caller).await?;
    if administrator.second_factor.is_some() {
        let detail = "There is one already: remove it first.";
        return Err(Problem::new(Code::LimitReached, detail));
    }
    let offer = admin.factors.offer(administrator.id).ok_or_else(no_randomness)?;
    let offered = AdministratorChange::OfferSecondFactor(offer.sealed);
    change(&admin, caller, &administrator, offered).await?;
    Ok(Json(Offered {
        otpauth_uri: otpauth_uri(administrator.name.as_str(), &offer.secret),
        secret: offer.secret.as_str().to_owned(),
    }))
}

/// `POST /admin/api/account/second-factor/confirm`: a code shows that the authenticator has the secret.
#[utoipa::path(
    post,
    path = "/admin/api/account/second-factor/confirm",
    summary = "Takes the second factor into use.",
    request_body = Confirmation,
    responses((status = 200, description = "Codes for the day on which the authenticator is lost; shown this once.", body = RecoveryCodes)),
    extensions(("x-problems" = json!(["account_not_changeable", "administrator_not_found"])))
)]
async fn confirm(
    State(admin): State<Arc<Admin>>,
    caller: SignedIn,
    JsonBody(body): JsonBody<Confirmation>,
) -> Result<Json<RecoveryCodes>, Problem> {
    let (administrator, _) = own(&admin, &caller).await?;
    let Some(pending) = administrator.pending_second_factor.clone() else {
        let detail = "Ask for a secret first, at POST /admin/api/account/second-factor.";
        return Err(Problem::field("otp", detail));
    };
    let now = admin.clock.now();
    let step = admin.factors.step(administrator.id, &pending, &body.otp, now);
    let step = step.ok_or_else(|| {
        Problem::field(
            "otp",
            "It is not the code of now: check the authenticator and its clock.",
        )
    })?;
    let codes = recovery_codes().ok_or_else(no_randomness)?;
    let factor = AdministratorChange::SetSecondFactor(SecondFactor {
        secret: pending,
        last_step: step,
        recovery: codes.iter().map(|code| recovery_digest(code)).collect(),
    });
    change(&admin, caller, &administrator, factor).await?;
    Ok(Json(RecoveryCodes {
        recovery_codes: codes.iter().map(|code| code.as_str().to_owned()).collect(),
    }))
}

/// `DELETE /admin/api/account/second-factor`.
#[utoipa::path(
    delete,
    path = "/admin/api/account/second-factor",
    summary = "Removes the caller's second factor.",
    request_body = Removal,
    responses((status = 204, description = "Removed.")),
    extensions(("x-problems" = json!(["account_not_changeable", "administrator_not_found", "password_wrong", "login_locked", "login_busy"])))
)]
async fn remove(
    State(admin): State<Arc<Admin>>,
    caller: SignedIn,
    JsonBody(body): JsonBody<Removal>,
) -> Result<StatusCode, Problem> {
    let (administrator, _) = own(&admin, &caller).await?;
    check_password(&admin, &caller, &administrator, body.password).await?;
    change(
        &admin,
        caller,
        &administrator,
        AdministratorChange::RemoveSecondFactor,
    )
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn no_randomness() -> Problem {
    tracing::error!("no random numbers");
    Problem::internal()
}

#[cfg(test)]
mod tests;

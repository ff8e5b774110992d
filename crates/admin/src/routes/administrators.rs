//! `/admin/api/administrators`: who may use the API, beside the configured account, which is in the list and is never changed here.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use sentinel_core::account::{
    Administrator, AdministratorChange, AdministratorId, AdministratorName, NewAdministrator, Role,
    StoredPasswordHash,
};
use sentinel_core::ports::AdministratorAdded;
use sentinel_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::login::check_secret;
use super::{Access, Route};
use crate::auth::password::{PASSWORD_BYTES_MAX, PASSWORD_CHARACTERS_MIN, Password};
use crate::auth::permission::Permission;
use crate::auth::sign_in::SignInRefused;
use crate::extract::{JsonBody, NumberInPath, SignedIn};
use crate::page::Page;
use crate::parts::Admin;
use crate::problem::{Code, Problem};

pub(super) fn routes() -> Vec<Route> {
    let manage = Access::Needs(Permission::AdministratorsManage);
    vec![
        Route::get("/admin/api/administrators", manage, list),
        Route::post("/admin/api/administrators", manage, add),
        Route::patch("/admin/api/administrators/{id}", manage, change_access),
        Route::delete("/admin/api/administrators/{id}", manage, remove),
        Route::post(
            "/admin/api/administrators/{id}/reset-password",
            manage,
            reset_password,
        ),
        Route::post(
            "/admin/api/administrators/{id}/reset-second-factor",
            manage,
            reset_second_factor,
        ),
    ]
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(list, add, change_access, reset_password, reset_second_factor, remove))]
pub(super) struct Documented;

/// One administrator.
#[derive(Serialize, utoipa::ToSchema)]
struct AdministratorView {
    /// None for the configured account.
    id: Option<i64>,
    name: String,
    role: &'static str,
    is_configured: bool,
    has_second_factor: bool,
    is_disabled: bool,
    /// Who it is at the provider that vouches for it; null for one that was added here.
    external: Option<ExternalView>,
    #[schema(format = DateTime)]
    created_at: Option<String>,
    #[schema(format = DateTime)]
    last_sign_in_at: Option<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ExternalIdentity)]
struct ExternalView {
    issuer: String,
    subject: String,
}

impl From<Administrator> for AdministratorView {
    fn from(administrator: Administrator) -> Self {
        Self {
            id: Some(administrator.id.0),
            name: administrator.name.as_str().to_owned(),
            role: administrator.role.as_str(),
            is_configured: false,
            has_second_factor: administrator.second_factor.is_some(),
            is_disabled: administrator.is_disabled,
            external: administrator.external.map(|identity| ExternalView {
                issuer: identity.issuer().to_owned(),
                subject: identity.subject().to_owned(),
            }),
            created_at: Some(administrator.created_at.rfc3339()),
            last_sign_in_at: administrator.last_sign_in_at.map(Timestamp::rfc3339),
        }
    }
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AdministratorAddition)]
struct Addition {
    name: String,
    role: String,
    #[schema(value_type = String, format = Password)]
    password: Password,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct AccessChange {
    role: Option<String>,
    is_disabled: Option<bool>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordReset {
    #[schema(value_type = String, format = Password)]
    password: Password,
}

/// `GET /admin/api/administrators`.
#[utoipa::path(
    get,
    path = "/admin/api/administrators",
    summary = "Lists all administrators, the configured account first.",
    responses((status = 200, description = "All of them.", body = Page<AdministratorView>))
)]
async fn list(State(admin): State<Arc<Admin>>) -> Result<Json<Page<AdministratorView>>, Problem> {
    let configured = AdministratorView {
        id: None,
        name: admin.sign_in.configured_name().to_owned(),
        role: Role::Owner.as_str(),
        is_configured: true,
        has_second_factor: false,
        is_disabled: false,
        external: None,
        created_at: None,
        last_sign_in_at: None,
    };
    let others = admin.accounts.administrators().await?;
    Ok(Json(Page {
        items: std::iter::once(configured)
            .chain(others.into_iter().map(AdministratorView::from))
            .collect(),
        next_before: None,
    }))
}

/// `POST /admin/api/administrators`.
#[utoipa::path(
    post,
    path = "/admin/api/administrators",
    summary = "Adds an administrator.",
    request_body = Addition,
    responses((status = 201, description = "Added.", body = AdministratorView)),
    extensions(("x-problems" = json!(["name_taken", "limit_reached", "login_busy"])))
)]
async fn add(
    State(admin): State<Arc<Admin>>,
    caller: SignedIn,
    JsonBody(body): JsonBody<Addition>,
) -> Result<(StatusCode, Json<AdministratorView>), Problem> {
    let name = AdministratorName::new(&body.name).ok_or_else(|| {
        let detail = "It must have 1 to 64 letters or digits or . _ @ - and must not be a word that the audit log uses.";
        Problem::field("name", detail)
    })?;
    let role = parse_role(&body.role)?;
    let taken = || {
        Problem::new(
            Code::NameTaken,
            "Choose another name; its letters' case makes no difference.",
        )
    };
    if admin
        .sign_in
        .configured_name()
        .eq_ignore_ascii_case(name.as_str())
    {
        return Err(taken());
    }
    let password = hashed(&admin, "password", body.password).await?;
    let new = NewAdministrator { name, role, password };
    let actor = caller.actor(admin.clock.now());
    match admin.accounts.add_administrator(new, actor).await? {
        AdministratorAdded::Done(added) => Ok((StatusCode::CREATED, Json((*added).into()))),
        AdministratorAdded::NameTaken => Err(taken()),
        AdministratorAdded::Full => Err(Problem::new(
            Code::LimitReached,
            "Remove one that is not needed any more.",
        )),
    }
}

/// `PATCH /admin/api/administrators/{id}`: another role, or disabling and enabling. Both hold for sessions that run.
#[utoipa::path(
    patch,
    path = "/admin/api/administrators/{id}",
    summary = "Gives another role, disables or enables.",
    params(("id" = i64, Path, description = "Its number.")),
    request_body = AccessChange,
    responses((status = 200, description = "As it is now.", body = AdministratorView)),
    extensions(("x-problems" = json!(["account_not_changeable", "administrator_not_found"])))
)]
async fn change_access(
    State(admin): State<Arc<Admin>>,
    caller: SignedIn,
    NumberInPath(id): NumberInPath,
    JsonBody(body): JsonBody<AccessChange>,
) -> Result<Json<AdministratorView>, Problem> {
    let change = AdministratorChange::Access {
        role: body.role.as_deref().map(parse_role).transpose()?,
        is_disabled: body.is_disabled,
    };
    changed(&admin, caller, id, change).await
}

/// `POST /admin/api/administrators/{id}/reset-password`: ends the administrator's sessions.
#[utoipa::path(
    post,
    path = "/admin/api/administrators/{id}/reset-password",
    summary = "Sets another password and ends the sessions.",
    params(("id" = i64, Path, description = "Its number.")),
    request_body = PasswordReset,
    responses((status = 200, description = "As it is now.", body = AdministratorView)),
    extensions(("x-problems" = json!(["account_not_changeable", "administrator_not_found", "login_busy"])))
)]
async fn reset_password(
    State(admin): State<Arc<Admin>>,
    caller: SignedIn,
    NumberInPath(id): NumberInPath,
    JsonBody(body): JsonBody<PasswordReset>,
) -> Result<Json<AdministratorView>, Problem> {
    let hash = hashed(&admin, "password", body.password).await?;
    changed(&admin, caller, id, AdministratorChange::ResetPassword(hash)).await
}

/// `POST /admin/api/administrators/{id}/reset-second-factor`: ends the administrator's sessions.
#[utoipa::path(
    post,
    path = "/admin/api/administrators/{id}/reset-second-factor",
    summary = "Removes the second factor and ends the sessions.",
    params(("id" = i64, Path, description = "Its number.")),
    responses((status = 200, description = "As it is now.", body = AdministratorView)),
    extensions(("x-problems" = json!(["account_not_changeable", "administrator_not_found"])))
)]
async fn reset_second_factor(
    State(admin): State<Arc<Admin>>,
    caller: SignedIn,
    NumberInPath(id): NumberInPath,
) -> Result<Json<AdministratorView>, Problem> {
    changed(&admin, caller, id, AdministratorChange::ResetSecondFactor).await
}

/// `DELETE /admin/api/administrators/{id}`: ends the administrator's sessions.
#[utoipa::path(
    delete,
    path = "/admin/api/administrators/{id}",
    summary = "Removes an administrator and ends the sessions.",
    params(("id" = i64, Path, description = "Its number.")),
    responses((status = 204, description = "Removed.")),
    extensions(("x-problems" = json!(["administrator_not_found"])))
)]
async fn remove(
    State(admin): State<Arc<Admin>>,
    caller: SignedIn,
    NumberInPath(id): NumberInPath,
) -> Result<StatusCode, Problem> {
    let actor = caller.actor(admin.clock.now());
    let removed = admin
        .accounts
        .remove_administrator(AdministratorId(id), actor)
        .await?;
    admin.sessions.forget();
    removed.map(|_| StatusCode::NO_CONTENT).ok_or_else(missing)
}

async fn changed(
    admin: &Admin,
    caller: SignedIn,
    id: i64,
    change: AdministratorChange,
) -> Result<Json<AdministratorView>, Problem> {
    let is_the_providers = !matches!(change, AdministratorChange::Access { role: None, .. });
    if is_the_providers {
        let found = admin.accounts.administrator(AdministratorId(id)).await?;
        check_is_local(&found.ok_or_else(missing)?)?;
    }
    let actor = caller.actor(admin.clock.now());
    let changed = admin
        .accounts
        .change_administrator(AdministratorId(id), change, actor)
        .await?;
    admin.sessions.forget();
    changed
        .map(|administrator| Json(administrator.into()))
        .ok_or_else(missing)
}

/// What the provider decides is not changed here: that would hold until the next sign-in at most.
pub(super) fn check_is_local(administrator: &Administrator) -> Result<(), Problem> {
    if administrator.external.is_none() {
        return Ok(());
    }
    let detail = "A provider vouches for this account: role, password and second factor are changed there.";
    Err(Problem::new(Code::AccountNotChangeable, detail))
}

/// No administrator has this id.
pub(super) fn missing() -> Problem {
    Problem::new(
        Code::AdministratorNotFound,
        "No administrator has this id; it may have been removed.",
    )
}

/// A role, as a field.
pub(super) fn parse_role(text: &str) -> Result<Role, Problem> {
    Role::from_word(text).ok_or_else(|| {
        let roles = Role::ALL.map(Role::as_str).join(", ");
        Problem::field("role", format!("It must be one of {roles}."))
    })
}

/// The hash of a new password, as a field.
pub(super) async fn hashed(
    admin: &Admin,
    field: &str,
    password: Password,
) -> Result<StoredPasswordHash, Problem> {
    check_secret(field, &password, PASSWORD_BYTES_MAX)?;
    let characters = std::str::from_utf8(password.expose()).map_or(0, |text| text.chars().count());
    if characters < PASSWORD_CHARACTERS_MIN {
        let detail = format!("It must have at least {PASSWORD_CHARACTERS_MIN} characters.");
        return Err(Problem::field(field, detail));
    }
    let hashed = admin
        .verification
        .hash(password)
        .await
        .ok_or(SignInRefused::Busy)?;
    hashed.map_err(|error| {
        tracing::error!(%error, "a password could not be hashed");
        Problem::internal()
    })
}

#[cfg(test)]
mod tests;

//! `/admin/api/settings`: the settings in effect, where each comes from, and changing those that may change while the server
//! runs. Who builds the list leaves secrets out.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;

use super::{Access, Route};
use crate::auth::permission::Permission;
use crate::extract::{JsonBody, SignedIn};
use crate::parts::Admin;
use crate::problem::{Code, Problem};
use crate::settings::{SettingsInEffect, SettingsRefused};

/// The most settings that one request changes.
const CHANGES_MAX: usize = 64;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/admin/api/settings",
            Access::Needs(Permission::SettingsRead),
            list,
        ),
        Route::put(
            "/admin/api/settings",
            Access::Needs(Permission::SettingsChange),
            change,
        ),
    ]
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(list, change))]
pub(super) struct Documented;

/// New values by name; null takes an earlier change back, so that file or default hold again.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct SettingsChange {
    version: i64,
    #[schema(value_type = BTreeMap<String, Value>)]
    values: BTreeMap<String, Option<Value>>,
}

/// `GET /admin/api/settings`.
#[utoipa::path(
    get,
    path = "/admin/api/settings",
    summary = "Shows every setting as it holds now.",
    responses((status = 200, description = "All settings.", body = SettingsInEffect))
)]
async fn list(State(admin): State<Arc<Admin>>) -> Json<SettingsInEffect> {
    Json(admin.settings.in_effect())
}

/// `PUT /admin/api/settings`: changes some, all together or none. Answers with all of them.
#[utoipa::path(
    put,
    path = "/admin/api/settings",
    summary = "Changes settings, all together or none.",
    request_body = SettingsChange,
    responses((status = 200, description = "All settings as they hold now.", body = SettingsInEffect)),
    extensions(("x-problems" = json!(["settings_outdated"])))
)]
async fn change(
    State(admin): State<Arc<Admin>>,
    caller: SignedIn,
    JsonBody(body): JsonBody<SettingsChange>,
) -> Result<Json<SettingsInEffect>, Problem> {
    if body.values.is_empty() || body.values.len() > CHANGES_MAX {
        let detail = format!("It must hold 1 to {CHANGES_MAX} settings.");
        return Err(Problem::field("values", detail));
    }
    let actor = caller.actor(admin.clock.now());
    let changed = admin.settings.change(body.version, body.values, actor).await;
    changed.map(Json).map_err(|refused| match refused {
        SettingsRefused::Outdated => Problem::new(
            Code::SettingsOutdated,
            "Somebody changed them since this version: read them again, and send their new version.",
        ),
        SettingsRefused::Wrong(wrong) => Problem::settings(wrong),
        SettingsRefused::Store(error) => error.into(),
    })
}

#[cfg(test)]
mod tests;

//! `/admin/api/settings`: the settings in effect, where each comes from, changing those that may change while the server runs, what was changed,
//! and the way back. Who builds the lists leaves secrets out.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Access, Route};
use crate::auth::permission::Permission;
use crate::extract::{JsonBody, QueryString, SignedIn, parse_number};
use crate::page::{self, Page};
use crate::parts::Admin;
use crate::problem::{Code, Problem};
use crate::settings::{
    PastChange, SettingsChange as Asked, SettingsInEffect, SettingsOutcome, SettingsRefused,
    StoredDifference, WantedSettings,
};

/// The most settings that one request changes.
const CHANGES_MAX: usize = 64;

pub(super) fn routes() -> Vec<Route> {
    let read = Access::Needs(Permission::SettingsRead);
    let change_them = Access::Needs(Permission::SettingsChange);
    vec![
        Route::get("/admin/api/settings", read, list),
        Route::put("/admin/api/settings", change_them, change),
        Route::get("/admin/api/settings/history", read, history),
        Route::post("/admin/api/settings/rollback", change_them, roll_back),
    ]
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(list, change, history, roll_back))]
pub(super) struct Documented;

/// New values by name; null takes an earlier change back, so that file or default hold again.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct SettingsChange {
    version: i64,
    #[schema(value_type = BTreeMap<String, Value>)]
    values: BTreeMap<String, Option<Value>>,
    /// Only to say what it would do; nothing is changed.
    #[serde(default)]
    dry_run: bool,
}

/// The way back to an earlier version.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct SettingsRollback {
    /// The version that holds.
    version: i64,
    /// The earlier one; 0 for nothing changed at all.
    to: i64,
    /// Only to say what it would do; nothing is changed.
    #[serde(default)]
    dry_run: bool,
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
    summary = "Changes settings, all together or none; or says what a change would do.",
    request_body = SettingsChange,
    responses((status = 200, description = "All settings as they hold now, and what is different.", body = SettingsOutcome)),
    extensions(("x-problems" = json!(["settings_outdated"])))
)]
async fn change(
    State(admin): State<Arc<Admin>>,
    caller: SignedIn,
    JsonBody(body): JsonBody<SettingsChange>,
) -> Result<Json<SettingsOutcome>, Problem> {
    if body.values.is_empty() || body.values.len() > CHANGES_MAX {
        let detail = format!("It must hold 1 to {CHANGES_MAX} settings.");
        return Err(Problem::field("values", detail));
    }
    let asked_for = Asked {
        version: body.version,
        wanted: WantedSettings::Values(body.values),
        is_rehearsal: body.dry_run,
    };
    let actor = caller.actor(admin.clock.now());
    let outcome = admin.settings.change(asked_for, actor).await;
    outcome.map(Json).map_err(Problem::from)
}

/// `POST /admin/api/settings/rollback`: as a change of everything that is different, and itself a change in the history.
#[utoipa::path(
    post,
    path = "/admin/api/settings/rollback",
    summary = "Brings the settings back to an earlier version, all together or none; or says what that would do.",
    description = "The earlier values are judged as they would be in a change. What the environment fixes, secrets, and what may no longer \
        change while the server runs stay as they are.",
    request_body = SettingsRollback,
    responses((status = 200, description = "All settings as they hold now, and what is different.", body = SettingsOutcome)),
    extensions(("x-problems" = json!(["settings_outdated", "settings_version_not_found"])))
)]
async fn roll_back(
    State(admin): State<Arc<Admin>>,
    caller: SignedIn,
    JsonBody(body): JsonBody<SettingsRollback>,
) -> Result<Json<SettingsOutcome>, Problem> {
    let asked_for = Asked {
        version: body.version,
        wanted: WantedSettings::AsInVersion(body.to),
        is_rehearsal: body.dry_run,
    };
    let actor = caller.actor(admin.clock.now());
    let outcome = admin.settings.change(asked_for, actor).await;
    outcome.map(Json).map_err(Problem::from)
}

impl From<SettingsRefused> for Problem {
    fn from(refused: SettingsRefused) -> Self {
        match refused {
            SettingsRefused::Outdated => Self::new(
                Code::SettingsOutdated,
                "Somebody changed them since this version: read them again, and send their new version.",
            ),
            SettingsRefused::NoSuchVersion => Self::new(
                Code::SettingsVersionNotFound,
                "GET /admin/api/settings/history lists the versions that there is a way back to, and 0 is always one.",
            ),
            SettingsRefused::Wrong(wrong) => Self::settings(wrong),
            SettingsRefused::Store(error) => error.into(),
        }
    }
}

/// One change in the history.
#[derive(Serialize, utoipa::ToSchema)]
struct PastChangeView {
    id: i64,
    /// The version that it made.
    version: i64,
    #[schema(format = DateTime)]
    at: String,
    actor: String,
    client_ip: Option<String>,
    /// Empty for the server's own changes, and where the history begins.
    changes: Vec<StoredDifference>,
}

impl From<PastChange> for PastChangeView {
    fn from(change: PastChange) -> Self {
        Self {
            id: change.version,
            version: change.version,
            at: change.at.rfc3339(),
            actor: change.actor,
            client_ip: change.client_ip.map(|address| address.to_string()),
            changes: change.changes,
        }
    }
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct HistoryQuery {
    #[param(value_type = Option<i64>)]
    before: Option<String>,
    #[param(value_type = Option<i64>)]
    limit: Option<String>,
}

/// `GET /admin/api/settings/history?before=&limit=`.
#[utoipa::path(
    get,
    path = "/admin/api/settings/history",
    summary = "Lists who changed which settings when, newest first.",
    params(HistoryQuery),
    responses((status = 200, description = "One page.", body = Page<PastChangeView>))
)]
async fn history(
    State(admin): State<Arc<Admin>>,
    QueryString(query): QueryString<HistoryQuery>,
) -> Result<Json<Page<PastChangeView>>, Problem> {
    let limit = page::limit(query.limit.as_deref())?;
    let before = query
        .before
        .map(|text| parse_number("before", &text))
        .transpose()?;
    let rows = admin.settings.history(before, limit.with_one_more()).await?;
    Ok(Json(limit.page(rows, |row| row.version, PastChangeView::from)))
}

#[cfg(test)]
mod tests;

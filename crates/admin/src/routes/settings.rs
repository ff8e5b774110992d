//! `/admin/api/settings`: the settings in effect and where each comes from. Who builds the list leaves secrets out.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::{Access, Route};
use crate::parts::{Admin, Setting};

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/admin/api/settings", Access::SignedIn, list)]
}

#[derive(Serialize)]
struct Settings {
    items: Vec<Setting>,
}

/// `GET /admin/api/settings`.
async fn list(State(admin): State<Arc<Admin>>) -> Json<Settings> {
    Json(Settings {
        items: admin.settings.clone(),
    })
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use crate::testing::Console;

    #[tokio::test]
    async fn settings_say_where_they_come_from() {
        let answer = Console::new().get("/admin/api/settings").await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(
            answer.body["items"],
            json!([{"name": "policy.slots", "value": 1, "source": "default"}])
        );
    }
}

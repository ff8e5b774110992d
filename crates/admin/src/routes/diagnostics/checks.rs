//! Looking for what is commonly wrong.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use sentinel_core::account::Role;
use serde::Serialize;

use crate::diagnostics::Finding;
use crate::extract::SignedIn;
use crate::parts::Admin;
use crate::problem::{Code, Problem};

/// What was found.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Findings {
    items: Vec<Finding>,
}

/// `GET /admin/api/diagnostics/checks`. One at a time: it asks every part. Which secrets can be guessed is for those alone who could set them.
#[utoipa::path(
    get,
    path = "/admin/api/diagnostics/checks",
    summary = "Looks for what is commonly wrong, and says what to do about it.",
    responses((status = 200, description = "One finding for each thing that was looked at.", body = Findings))
)]
pub(super) async fn checks(
    State(admin): State<Arc<Admin>>,
    caller: SignedIn,
) -> Result<Json<Findings>, Problem> {
    let Ok(_alone) = admin.diagnosing.try_acquire() else {
        return Err(Problem::new(
            Code::StoreBusy,
            "Somebody else is looking just now.",
        ));
    };
    let mut items = admin.diagnostics.checks().await;
    items.retain(|finding| !finding.is_for_owners || caller.role == Role::Owner);
    Ok(Json(Findings { items }))
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};
    use sentinel_core::account::Role;
    use serde_json::{Value, json};

    use crate::testing::Console;

    #[tokio::test]
    async fn findings_are_shown_one_look_at_a_time() {
        let console = Console::new();
        let operator = console.token_of(Role::Operator).await;
        let path = "/admin/api/diagnostics/checks";
        let answer = console
            .call(Method::GET, path, Some(&operator), &Value::Null)
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let expected = json!({"name": "clock", "ok": false, "severity": "warning", "text": "It jumped.", "what_to_do": "Run NTP."});
        assert_eq!(answer.body["items"], json!([expected]));
        let owners = console.get(path).await;
        assert_eq!(owners.body["items"][1]["name"], "secrets", "{owners:?}");
        console.diagnostics.hang();
        let (one, other) = tokio::join!(
            tokio::time::timeout(
                std::time::Duration::from_millis(200),
                console.get("/admin/api/diagnostics/checks")
            ),
            async {
                console.diagnostics.asked().await;
                console.get("/admin/api/diagnostics/checks").await
            }
        );
        assert!(one.is_err(), "it hangs");
        other.is_problem(StatusCode::SERVICE_UNAVAILABLE, "store_busy");
    }
}

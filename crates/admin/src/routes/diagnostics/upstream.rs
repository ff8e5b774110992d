//! Trying every address of the upstream.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::diagnostics::TriedAddress;
use crate::parts::Admin;
use crate::problem::{Code, Problem};

/// How each address did.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct TriedAddresses {
    items: Vec<TriedAddress>,
}

/// `POST /admin/api/diagnostics/upstream`. One at a time: it opens connections.
#[utoipa::path(
    post,
    path = "/admin/api/diagnostics/upstream",
    summary = "Tries every address of the upstream, as the proxy would connect to it.",
    responses((status = 200, description = "How each address did.", body = TriedAddresses))
)]
pub(super) async fn upstream(State(admin): State<Arc<Admin>>) -> Result<Json<TriedAddresses>, Problem> {
    let Ok(_alone) = admin.diagnosing.try_acquire() else {
        return Err(Problem::new(
            Code::StoreBusy,
            "Somebody else is looking just now.",
        ));
    };
    let items = admin.diagnostics.upstream().await;
    Ok(Json(TriedAddresses { items }))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use crate::testing::Console;

    #[tokio::test]
    async fn every_address_says_how_it_did() {
        let console = Console::new();
        let answer = console
            .post("/admin/api/diagnostics/upstream", &json!(null))
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let expected = json!({"address": "10.0.0.7:3000", "ok": true, "latency_ms": 3, "error": null});
        assert_eq!(answer.body["items"], json!([expected]));
    }
}

//! `/admin/api/openapi.json`: the description of this API. Everybody may read it, for it says nothing of this installation.

use std::sync::LazyLock;

use axum::response::IntoResponse;
use http::header;

use super::{Access, Route};
use crate::openapi::openapi_json;

static DOCUMENT: LazyLock<String> = LazyLock::new(openapi_json);

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/admin/api/openapi.json", Access::Public, show)]
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(show))]
pub(super) struct Documented;

/// Describes this API, as OpenAPI 3.1.
#[utoipa::path(get, path = "/admin/api/openapi.json", responses((status = 200, description = "This document.", body = serde_json::Value)))]
async fn show() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str())
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::testing::Console;

    #[tokio::test]
    async fn everybody_may_read_the_description() {
        let answer = Console::new().get_anonymously("/admin/api/openapi.json").await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json");
        assert_eq!(answer.body["openapi"], "3.1.0");
        assert_eq!(answer.text, *DOCUMENT);
    }
}

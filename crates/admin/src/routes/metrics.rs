//! `/metrics`: the figures for a scraper. They are made elsewhere; this only hands them out.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use http::header;

use super::{Access, Route};
use crate::parts::Admin;

/// The text format that [`crate::Figures::metrics_text`] speaks.
const OPENMETRICS_MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/metrics", Access::Public, metrics)]
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(metrics))]
pub(super) struct Documented;

/// `GET /metrics`.
#[utoipa::path(
    get,
    path = "/metrics",
    summary = "Hands out all metrics, for a scraper.",
    responses((status = 200, description = "In the OpenMetrics text format.", body = String, content_type = "application/openmetrics-text"))
)]
async fn metrics(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, OPENMETRICS_MEDIA_TYPE)],
        admin.figures.metrics_text(),
    )
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::testing::{Console, METRICS_TEXT};

    #[tokio::test]
    async fn metrics_come_as_they_were_made() {
        let answer = Console::new().get_anonymously("/metrics").await;
        assert_eq!(
            (answer.status, answer.text.as_str()),
            (StatusCode::OK, METRICS_TEXT)
        );
        assert_eq!(answer.headers[header::CONTENT_TYPE], OPENMETRICS_MEDIA_TYPE);
    }
}

//! Which key a request presents to the demo upstream, and what it hears when that is none the upstream knows.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use sentinel_core::fingerprint::ApiKey;
use serde_json::json;

use crate::demo::keys::DemoKeys;

/// Whose manner of speaking an answer follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    OpenAi,
    Anthropic,
    Gemini,
}

impl Dialect {
    /// Lets a known key in; gives the 401 otherwise.
    pub(super) fn authenticate(self, headers: &HeaderMap, keys: &DemoKeys) -> Result<(), Rejection> {
        let message = match self.key(headers) {
            Some(key) if keys.accept(&key) => return Ok(()),
            Some(_) => "The API key is not valid.",
            None => "You did not provide an API key.",
        };
        Err(self.rejection(StatusCode::UNAUTHORIZED, message))
    }

    /// An error that this dialect will say.
    pub(super) const fn rejection(self, status: StatusCode, message: &'static str) -> Rejection {
        Rejection {
            dialect: self,
            status,
            message,
        }
    }

    fn key(self, headers: &HeaderMap) -> Option<ApiKey<'_>> {
        let own_header = match self {
            Self::OpenAi => None,
            Self::Anthropic => Some("x-api-key"),
            Self::Gemini => Some("x-goog-api-key"),
        };
        let own = own_header.and_then(|name| text(headers, name));
        let bearer = || {
            let value = text(headers, "authorization")?;
            value
                .strip_prefix("Bearer ")
                .or_else(|| value.strip_prefix("bearer "))
        };
        own.or_else(bearer).map(ApiKey::new)
    }
}

/// An error answer of the demo upstream.
#[derive(Debug)]
pub(super) struct Rejection {
    dialect: Dialect,
    status: StatusCode,
    message: &'static str,
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let (openai, anthropic, gemini) = match self.status {
            StatusCode::UNAUTHORIZED => ("invalid_api_key", "authentication_error", "UNAUTHENTICATED"),
            StatusCode::NOT_FOUND => ("unknown_url", "not_found_error", "NOT_FOUND"),
            StatusCode::PAYLOAD_TOO_LARGE => ("request_too_large", "request_too_large", "INVALID_ARGUMENT"),
            _ => ("invalid_request", "invalid_request_error", "INVALID_ARGUMENT"),
        };
        let body = match self.dialect {
            Dialect::OpenAi => json!({"error": {
                "message": self.message, "type": "invalid_request_error", "param": null, "code": openai,
            }}),
            Dialect::Anthropic => json!({
                "type": "error", "error": {"type": anthropic, "message": self.message},
            }),
            Dialect::Gemini => json!({"error": {
                "code": self.status.as_u16(), "message": self.message, "status": gemini,
            }}),
        };
        (self.status, Json(body)).into_response()
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

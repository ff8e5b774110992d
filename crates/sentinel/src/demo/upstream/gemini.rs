//! The Gemini routes: `generateContent` and `streamGenerateContent`.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::Served;
use super::auth::{Dialect, Rejection};
use super::reply::{Asked, INPUT_TOKENS, SENTENCE, event, output_tokens, paced, pieces};

/// `POST /v1beta/models/{model}:generateContent`, and `:streamGenerateContent`, which answers with events.
pub(super) async fn generate(
    State(served): State<Arc<Served>>,
    Path(call): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Rejection> {
    Dialect::Gemini.authenticate(&headers, &served.keys)?;
    Asked::read(body, Dialect::Gemini)?;
    match call.rsplit_once(':') {
        Some((_, "generateContent")) => Ok(Json(answer(SENTENCE, Some("STOP"))).into_response()),
        Some((_, "streamGenerateContent")) => {
            let mut events: Vec<_> = pieces().map(|piece| event(&answer(piece, None))).collect();
            events.push(event(&answer("", Some("STOP"))));
            Ok(paced(events))
        }
        _ => Err(Dialect::Gemini.rejection(StatusCode::NOT_FOUND, "The demo upstream has no such call.")),
    }
}

fn answer(text: &str, finish_reason: Option<&str>) -> Value {
    let output = output_tokens();
    let mut candidate = json!({"index": 0, "content": {"role": "model", "parts": [{"text": text}]}});
    if let Some(finish_reason) = finish_reason {
        candidate["finishReason"] = json!(finish_reason);
    }
    json!({
        "candidates": [candidate],
        "usageMetadata": {
            "promptTokenCount": INPUT_TOKENS,
            "candidatesTokenCount": output,
            "totalTokenCount": INPUT_TOKENS as usize + output,
        },
        "modelVersion": "demo",
    })
}

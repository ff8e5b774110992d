//! The Anthropic route: messages.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::sse::Event;
use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use serde_json::{Value, json};

use super::Served;
use super::auth::{Dialect, Rejection};
use super::reply::{Asked, INPUT_TOKENS, SENTENCE, named_event, output_tokens, paced, pieces};

/// `POST /v1/messages`.
pub(super) async fn messages(
    State(served): State<Arc<Served>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Rejection> {
    Dialect::Anthropic.authenticate(&headers, &served.keys)?;
    let asked = Asked::read(body, Dialect::Anthropic)?;
    let number = served.answers.fetch_add(1, Ordering::Relaxed);
    let message = |content: Value, stop_reason: Value, tokens: usize| {
        json!({
            "id": format!("msg_demo_{number}"),
            "type": "message",
            "role": "assistant",
            "model": asked.model,
            "content": content,
            "stop_reason": stop_reason,
            "stop_sequence": null,
            "usage": {"input_tokens": INPUT_TOKENS, "output_tokens": tokens},
        })
    };
    if asked.stream {
        return Ok(paced(message_events(&message(json!([]), Value::Null, 1))));
    }
    let content = json!([{"type": "text", "text": SENTENCE}]);
    Ok(Json(message(content, json!("end_turn"), output_tokens())).into_response())
}

fn message_events(message: &Value) -> Vec<Event> {
    let mut events = vec![
        json!({"type": "message_start", "message": message}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
    ];
    events.extend(pieces().map(|piece| {
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}})
    }));
    events.extend([
        json!({"type": "content_block_stop", "index": 0}),
        json!({
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": null},
            "usage": {"output_tokens": output_tokens()},
        }),
        json!({"type": "message_stop"}),
    ]);
    events.iter().map(named_event).collect()
}

//! The OpenAI routes: chat completions, responses, models.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::sse::Event;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::Served;
use super::auth::{Dialect, Rejection};
use super::reply::{Asked, INPUT_TOKENS, SENTENCE, event, named_event, output_tokens, paced, pieces};

/// What ends an OpenAI stream.
const STREAM_END: &str = "[DONE]";

/// `POST /v1/chat/completions`.
pub(super) async fn chat(
    State(served): State<Arc<Served>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Rejection> {
    Dialect::OpenAi.authenticate(&headers, &served.keys)?;
    let asked = Asked::read(body, Dialect::OpenAi)?;
    let number = served.answers.fetch_add(1, Ordering::Relaxed);
    let frame = |object: &str| {
        json!({
            "id": format!("chatcmpl-demo-{number}"),
            "object": object,
            "created": served.clock.now().unix_ms() / 1000,
            "model": asked.model,
        })
    };
    if asked.stream {
        let chunk = frame("chat.completion.chunk");
        return Ok(paced(chat_events(&chunk, asked.stream_options.include_usage)));
    }
    let mut answer = frame("chat.completion");
    answer["choices"] = json!([{
        "index": 0,
        "message": {"role": "assistant", "content": SENTENCE},
        "finish_reason": "stop",
    }]);
    answer["usage"] = chat_usage();
    Ok(Json(answer).into_response())
}

fn chat_events(chunk: &Value, include_usage: bool) -> Vec<Event> {
    let choice = |delta: Value, finish_reason: Value| {
        let mut chunk = chunk.clone();
        chunk["choices"] = json!([{"index": 0, "delta": delta, "finish_reason": finish_reason}]);
        event(&chunk)
    };
    let mut events = vec![choice(json!({"role": "assistant", "content": ""}), Value::Null)];
    events.extend(pieces().map(|piece| choice(json!({"content": piece}), Value::Null)));
    events.push(choice(json!({}), json!("stop")));
    if include_usage {
        let mut chunk = chunk.clone();
        chunk["choices"] = json!([]);
        chunk["usage"] = chat_usage();
        events.push(event(&chunk));
    }
    events.push(Event::default().data(STREAM_END));
    events
}

fn chat_usage() -> Value {
    let output = output_tokens();
    json!({
        "prompt_tokens": INPUT_TOKENS,
        "completion_tokens": output,
        "total_tokens": INPUT_TOKENS as usize + output,
    })
}

/// `POST /v1/responses`.
pub(super) async fn responses(
    State(served): State<Arc<Served>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Rejection> {
    Dialect::OpenAi.authenticate(&headers, &served.keys)?;
    let asked = Asked::read(body, Dialect::OpenAi)?;
    let number = served.answers.fetch_add(1, Ordering::Relaxed);
    let output = output_tokens();
    let answer = |status: &str, content: Value| {
        json!({
            "id": format!("resp_demo_{number}"),
            "object": "response",
            "created_at": served.clock.now().unix_ms() / 1000,
            "status": status,
            "model": asked.model,
            "output": content,
            "parallel_tool_calls": false,
            "tool_choice": "auto",
            "tools": [],
            "usage": {
                "input_tokens": INPUT_TOKENS,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": output,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": INPUT_TOKENS as usize + output,
            },
        })
    };
    let item = format!("msg_demo_{number}");
    let complete = answer(
        "completed",
        json!([{
            "id": item,
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": SENTENCE, "annotations": []}],
        }]),
    );
    if !asked.stream {
        return Ok(Json(complete).into_response());
    }
    let started = answer("in_progress", json!([]));
    Ok(paced(response_events(&item, &started, &complete)))
}

/// The events in order, numbered as clients expect.
fn response_events(item: &str, started: &Value, complete: &Value) -> Vec<Event> {
    let place = json!({"item_id": item, "output_index": 0, "content_index": 0});
    let at_place = |kind: &str, key: &str, value: Value| {
        let mut data = place.clone();
        data["type"] = json!(kind);
        data[key] = value;
        data
    };
    let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": []});
    let opened = json!({
        "id": item, "type": "message", "status": "in_progress", "role": "assistant", "content": [],
    });
    let mut events = vec![
        json!({"type": "response.created", "response": started}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": opened}),
        at_place("response.content_part.added", "part", part("")),
    ];
    events.extend(pieces().map(|piece| at_place("response.output_text.delta", "delta", json!(piece))));
    events.extend([
        at_place("response.output_text.done", "text", json!(SENTENCE)),
        at_place("response.content_part.done", "part", part(SENTENCE)),
        json!({"type": "response.output_item.done", "output_index": 0, "item": complete["output"][0]}),
        json!({"type": "response.completed", "response": complete}),
    ]);
    events
        .into_iter()
        .enumerate()
        .map(|(number, mut data)| {
            data["sequence_number"] = json!(number);
            named_event(&data)
        })
        .collect()
}

/// `GET /v1/models`; Anthropic's SDK asks here too, with its own header.
pub(super) async fn models(
    State(served): State<Arc<Served>>,
    headers: HeaderMap,
) -> Result<Response, Rejection> {
    let dialect = if headers.contains_key("x-api-key") {
        Dialect::Anthropic
    } else {
        Dialect::OpenAi
    };
    dialect.authenticate(&headers, &served.keys)?;
    Ok(Json(json!({
        "object": "list",
        "data": [{
            "id": "demo",
            "type": "model",
            "object": "model",
            "display_name": "Demo",
            "created": 1_767_225_600,
            "created_at": "2026-01-01T00:00:00Z",
            "owned_by": "sentinel",
        }],
        "has_more": false,
        "first_id": "demo",
        "last_id": "demo",
    }))
    .into_response())
}

/// Every other path.
pub(super) async fn unknown_path() -> Rejection {
    Dialect::OpenAi.rejection(StatusCode::NOT_FOUND, "The demo upstream has no such path.")
}

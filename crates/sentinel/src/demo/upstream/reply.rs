//! What the demo upstream says in every dialect: one sentence, whole or word by word.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::auth::{Dialect, Rejection};

/// The sentence.
pub(super) const SENTENCE: &str = "Hello! This is the demo upstream, and your key was let through.";
/// The tokens that a request is said to have cost.
pub(super) const INPUT_TOKENS: u32 = 9;
/// The pause between two events, so that a stream can be seen to stream.
const EVENT_PAUSE: Duration = Duration::from_millis(20);
/// The longest model name that is repeated in an answer, in characters.
pub(super) const MODEL_CHARACTERS_MAX: usize = 100;

/// What the demo upstream reads of a request; everything else is passed over.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    pub(super) model: String,
    pub(super) stream: bool,
    pub(super) stream_options: StreamOptions,
}

/// The part of it that OpenAI clients ask for the usage with.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct StreamOptions {
    pub(super) include_usage: bool,
}

impl Asked {
    /// Reads a body; gives the error in the caller's dialect.
    pub(super) fn read(body: Result<Bytes, BytesRejection>, dialect: Dialect) -> Result<Self, Rejection> {
        let body =
            body.map_err(|error| dialect.rejection(error.status(), "The request body could not be read."))?;
        let mut asked: Self = serde_json::from_slice(&body).map_err(|_| {
            dialect.rejection(
                StatusCode::BAD_REQUEST,
                "The request body is not the expected JSON.",
            )
        })?;
        asked.model = asked.model.chars().take(MODEL_CHARACTERS_MAX).collect();
        if asked.model.is_empty() {
            "demo".clone_into(&mut asked.model);
        }
        Ok(asked)
    }
}

/// The sentence in pieces that make it up again when joined.
pub(super) fn pieces() -> impl Iterator<Item = &'static str> {
    SENTENCE.split_inclusive(' ')
}

/// The tokens that the sentence is said to have cost: one a word.
pub(super) fn output_tokens() -> usize {
    pieces().count()
}

/// Events, one after the other with a short pause between them.
pub(super) fn paced(events: Vec<Event>) -> Response {
    let events = stream::unfold((events.into_iter(), false), |(mut events, paused)| async move {
        let event = events.next()?;
        if paused {
            tokio::time::sleep(EVENT_PAUSE).await;
        }
        Some((Ok::<_, Infallible>(event), (events, true)))
    });
    Sse::new(events).into_response()
}

/// An event that carries JSON and no name.
pub(super) fn event(data: &Value) -> Event {
    Event::default().data(data.to_string())
}

/// An event named by the JSON's own `type`, as Anthropic and OpenAI's Responses do.
pub(super) fn named_event(data: &Value) -> Event {
    let name = data["type"].as_str().unwrap_or("message");
    Event::default().event(name).data(data.to_string())
}

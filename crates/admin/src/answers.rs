//! Requests that come again: with an `Idempotency-Key` a change is made once, and whoever asks again gets the first answer.
//!
//! The store remembers for all replicas. What it keeps of a request is a keyed hash, since a body may hold a key. Must never serve a second
//! request while the first is under way, nor keep an answer that says only that something failed in here.

mod key;

use std::sync::Arc;

use aws_lc_rs::hmac;
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest as _, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::StatusCode;
use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use sentinel_core::ports::{AnswerStore, FirstAnswer, RepeatableRequest, Repeated};
use tracing::Instrument as _;

use crate::auth::token::JwtSecret;
use crate::extract::{SignedIn, body_unread};
use crate::parts::Admin;
use crate::problem::{Code, Problem};
use key::IdempotencyKey;

/// The largest answer that is kept, in bytes; the routes answer with far less.
pub(crate) const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// What the key of the hashes is made for.
const KEY_TEXT: &[u8] = b"sentinel: requests that may come again";
/// When to ask again while the first request is under way.
const UNDER_WAY_RETRY_AFTER: std::time::Duration = std::time::Duration::from_secs(1);
/// How often the store is asked to remember an answer, and how long is waited after each time.
const REMEMBER_PAUSES: [std::time::Duration; 4] = [
    std::time::Duration::from_millis(100),
    std::time::Duration::from_secs(1),
    std::time::Duration::from_secs(3),
    std::time::Duration::ZERO,
];
/// Says that an answer is that of an earlier request.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The first answers, and the key under which requests are hashed.
pub(crate) struct FirstAnswers {
    store: Arc<dyn AnswerStore>,
    key: hmac::Key,
}

impl FirstAnswers {
    pub(crate) fn new(store: Arc<dyn AnswerStore>, secret: &JwtSecret) -> Self {
        let key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.expose()), KEY_TEXT);
        Self {
            store,
            key: hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()),
        }
    }

    /// Asks the store several times: without the answer, the change would soon be made again.
    async fn remember(&self, known: RepeatableRequest, answer: Option<FirstAnswer>) {
        for pause in REMEMBER_PAUSES {
            match self.store.finish(known.clone(), answer.clone()).await {
                Ok(()) => return,
                Err(error) => tracing::warn!(%error, "an answer is not kept yet"),
            }
            tokio::time::sleep(pause).await;
        }
        tracing::error!("an answer could not be kept: the same request may soon be made again");
    }

    /// A hash of all that decides what the request does. Each part is preceded by its length, so that no two requests read the same.
    fn digest(&self, parts: &Parts, body: &[u8]) -> [u8; 32] {
        let header = |name| parts.headers.get(name).map_or(&b""[..], HeaderValue::as_bytes);
        let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
        let mut context = hmac::Context::with_key(&self.key);
        for part in [
            parts.method.as_str().as_bytes(),
            target.as_bytes(),
            header(header::IF_MATCH),
            header(header::CONTENT_TYPE),
            body,
        ] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let tag = context.sign();
        tag.as_ref().try_into().expect("HMAC-SHA256 has 32 bytes")
    }
}

/// Serves a request with an `Idempotency-Key` once; one without as ever.
pub(crate) async fn answer_once(
    State(admin): State<Arc<Admin>>,
    caller: SignedIn,
    IdempotencyKey(key): IdempotencyKey,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let Some(key) = key else {
        return Ok(next.run(request).await);
    };
    let (parts, body) = request.into_parts();
    let whole = Request::from_parts(parts.clone(), body);
    let body = Bytes::from_request(whole, &())
        .await
        .map_err(|error| body_unread(&error))?;
    let known = RepeatableRequest {
        account: caller.identity.account(),
        key,
        digest: admin.answers.digest(&parts, &body),
        at: admin.clock.now(),
    };
    let request = Request::from_parts(parts, Body::from(body));
    // In a task of its own: a caller that leaves must neither keep the answer from being remembered, nor its own key from being free again.
    let work = answer_known(admin, known, request, next);
    match tokio::spawn(work.in_current_span()).await {
        Ok(outcome) => outcome,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Problem::internal()),
        },
    }
}

async fn answer_known(
    admin: Arc<Admin>,
    known: RepeatableRequest,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    match admin.answers.store.begin(known.clone()).await? {
        Repeated::First => {
            let (response, answer) = keep(next.run(request).await).await?;
            admin.answers.remember(known, answer).await;
            Ok(response)
        }
        Repeated::Answered(answer) => Ok(again(answer)),
        Repeated::UnderWay => {
            let detail = "Ask again in a moment: then it has its answer, or may be made anew.";
            Err(Problem::new(Code::RequestUnderWay, detail).retry_after(UNDER_WAY_RETRY_AFTER))
        }
        Repeated::KeyReused => Err(Problem::new(
            Code::IdempotencyKeyReused,
            "Take a new Idempotency-Key for each change; the same one only to ask for the same again.",
        )),
    }
}

/// The response as it goes out, and what is kept of it: nothing when it only says that something failed in here, or that the body was not read.
async fn keep(response: Response) -> Result<(Response, Option<FirstAnswer>), Problem> {
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, ANSWER_BYTES_MAX).await.map_err(|error| {
        tracing::error!(%error, "an answer was too large to be kept");
        Problem::internal()
    })?;
    let media_type = parts.headers.get(header::CONTENT_TYPE);
    let answer = FirstAnswer {
        status: parts.status.as_u16(),
        media_type: media_type
            .and_then(|kind| kind.to_str().ok())
            .unwrap_or_default()
            .to_owned(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let is_unread = parts.status == StatusCode::UNSUPPORTED_MEDIA_TYPE;
    let is_final = !parts.status.is_server_error() && !is_unread;
    Ok((
        Response::from_parts(parts, Body::from(body)),
        is_final.then_some(answer),
    ))
}

fn again(answer: FirstAnswer) -> Response {
    let mut response = answer.body.into_response();
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    match HeaderValue::from_str(&answer.media_type) {
        Ok(media_type) if !media_type.is_empty() => headers.insert(header::CONTENT_TYPE, media_type),
        _ => headers.remove(header::CONTENT_TYPE),
    };
    response
}

#[cfg(test)]
mod tests;

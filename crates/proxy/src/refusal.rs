//! The one place that turns "no" into HTTP: status, stable code, words, and the dialect that the route's SDK understands.
//!
//! A refusal names the caller's own address and never the permitted network, which would tell a thief where to go. Every refusal has a
//! reference under which the operator finds its record.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use sentinel_core::decision::RefusalReason;
use sentinel_core::event::{InterceptOutcome, Reference};
use sentinel_core::network::ClientIp;
use sentinel_core::path::RequestPath;
use sentinel_core::profile::Dialect;
use sentinel_core::time::Timestamp;
use serde_json::json;

use crate::body::ResponseBody;
use crate::record::{Breach, Summary, intercept};
use crate::throttle::WINDOW;
use crate::worker::Worker;

/// Under which the client is told the reference.
static REFERENCE_HEADER: HeaderName = HeaderName::from_static("x-sentinel-reference");

/// When a client may try again after the store was away.
const STORE_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Records the breach and answers the client.
pub(crate) fn refuse(
    worker: &Worker,
    summary: &Summary,
    breach: Breach,
    client_ip: ClientIp,
    now: Timestamp,
) -> Response<ResponseBody> {
    let reason = breach.reason;
    worker.figures().refused(reason).increment();
    let record = intercept(summary, breach, InterceptOutcome::Refused, client_ip, now);
    let reference = record.reference.clone();
    worker.shared.intercepts.record(record);
    let dialect = worker
        .shared
        .profile
        .dialect(&RequestPath::new(summary.uri.path()));
    answer(reason, dialect, client_ip, &reference)
}

/// A reverse proxy opens no tunnels to wherever a client likes.
pub(crate) fn connect_unsupported() -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::Own(None));
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}

fn answer(
    reason: RefusalReason,
    dialect: Dialect,
    client_ip: ClientIp,
    reference: &Reference,
) -> Response<ResponseBody> {
    let status = status(reason);
    let message = message(reason, client_ip, reference);
    let (content_type, text) = body(reason, status, dialect, &message, reference);
    let mut response = Response::new(ResponseBody::Own(Some(Bytes::from(text))));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(reference) = HeaderValue::from_str(reference.as_str()) {
        headers.insert(REFERENCE_HEADER.clone(), reference);
    }
    if let Some(wait) = retry_after(reason) {
        headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs()));
    }
    response
}

fn status(reason: RefusalReason) -> StatusCode {
    match reason {
        RefusalReason::KeyIpMismatch | RefusalReason::KeyBanned => StatusCode::FORBIDDEN,
        RefusalReason::ClientIpUnresolvable | RefusalReason::CredentialAmbiguous => StatusCode::BAD_REQUEST,
        RefusalReason::KeyMissing => StatusCode::UNAUTHORIZED,
        RefusalReason::ClaimRateLimited => StatusCode::TOO_MANY_REQUESTS,
        RefusalReason::BindingStoreUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        RefusalReason::UpstreamUnreachable => StatusCode::BAD_GATEWAY,
        RefusalReason::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
    }
}

fn retry_after(reason: RefusalReason) -> Option<Duration> {
    match reason {
        RefusalReason::ClaimRateLimited => Some(WINDOW),
        RefusalReason::BindingStoreUnavailable => Some(STORE_RETRY_AFTER),
        _ => None,
    }
}

/// What happened and what to do, for the person who reads the client's error.
fn message(reason: RefusalReason, client_ip: ClientIp, reference: &Reference) -> String {
    let what = match reason {
        RefusalReason::KeyIpMismatch => format!(
            "This API key may not be used from your address {client_ip}: it is bound to another network. If you have moved, ask the operator of this service to release the key"
        ),
        RefusalReason::KeyBanned => {
            format!("This API key is banned (request from {client_ip}). Ask the operator of this service")
        }
        RefusalReason::ClientIpUnresolvable => format!(
            "Your address could not be determined behind the proxy {client_ip}. The operator of this service has to correct the proxy's client address header or the list of trusted proxies"
        ),
        RefusalReason::CredentialAmbiguous => {
            "The request carries credentials that can be read in more than one way. Send one API key, once".to_owned()
        }
        RefusalReason::KeyMissing => "The request carries no API key. Send one".to_owned(),
        RefusalReason::ClaimRateLimited => {
            format!("Too many API keys were used for the first time from your address {client_ip}. Try again in a minute")
        }
        RefusalReason::BindingStoreUnavailable => {
            "It cannot be checked right now whether this API key may be used from your address. Try again in a moment".to_owned()
        }
        RefusalReason::UpstreamUnreachable => "The gateway behind this service cannot be reached".to_owned(),
        RefusalReason::UpstreamTimeout => "The gateway behind this service did not answer in time".to_owned(),
    };
    format!("{what}. Reference: {reference}")
}

/// The body and its media type.
fn body(
    reason: RefusalReason,
    status: StatusCode,
    dialect: Dialect,
    message: &str,
    reference: &Reference,
) -> (&'static str, String) {
    let code = reason.code();
    let value = match dialect {
        Dialect::OpenAi => json!({"error": {
            "message": message, "type": openai_type(status), "param": null, "code": code, "reference": reference.as_str(),
        }}),
        Dialect::Anthropic => json!({"type": "error", "error": {
            "type": anthropic_type(status), "message": message, "code": code, "reference": reference.as_str(),
        }}),
        Dialect::Gemini => json!({"error": {
            "code": status.as_u16(), "message": message, "status": gemini_status(status),
            "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": code, "domain": "key-ip-sentinel", "metadata": {"reference": reference.as_str()}}],
        }}),
        Dialect::Plain => return ("text/plain; charset=utf-8", format!("{code}: {message}\n")),
    };
    ("application/json", value.to_string())
}

fn openai_type(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "invalid_request_error",
        StatusCode::UNAUTHORIZED => "authentication_error",
        StatusCode::FORBIDDEN => "permission_error",
        StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
        _ => "server_error",
    }
}

fn anthropic_type(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "invalid_request_error",
        StatusCode::UNAUTHORIZED => "authentication_error",
        StatusCode::FORBIDDEN => "permission_error",
        StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
        StatusCode::GATEWAY_TIMEOUT => "timeout_error",
        _ => "api_error",
    }
}

fn gemini_status(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "INVALID_ARGUMENT",
        StatusCode::UNAUTHORIZED => "UNAUTHENTICATED",
        StatusCode::FORBIDDEN => "PERMISSION_DENIED",
        StatusCode::TOO_MANY_REQUESTS => "RESOURCE_EXHAUSTED",
        StatusCode::GATEWAY_TIMEOUT => "DEADLINE_EXCEEDED",
        _ => "UNAVAILABLE",
    }
}

#[cfg(test)]
mod tests;

//! The one place that turns "no" into HTTP: status, stable code, words, and the dialect that the route's SDK understands.
//!
//! A refusal names the caller's own address and never the permitted network, which would tell a thief where to go. Every refusal has a
//! reference under which the operator finds its record.

mod dialects;

use std::fmt::Write as _;
use std::time::Duration;

use sentinel_core::decision::RefusalReason;
use sentinel_core::event::{InterceptOutcome, Reference};
use sentinel_core::network::ClientIp;
use sentinel_core::path::RequestPath;
use sentinel_core::ports::RecordTicket;
use sentinel_core::profile::Dialect;
use sentinel_core::time::Timestamp;

use crate::http1::request::RequestHead;
use crate::malformed::Malformed;
use crate::record::{Breach, intercept};
use crate::throttle::WINDOW;
use crate::worker::Worker;
use dialects::{
    Anthropic, AnthropicError, ErrorInfo, Gemini, GeminiError, Metadata, OpenAi, OpenAiError, text_of,
};

/// When a client may try again after the store was away.
const STORE_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Room for the words of nearly every refusal, so that putting them together does not move them again and again.
const MESSAGE_BYTES: usize = 256;

/// The media type of words for people.
const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

/// An answer of our own.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: u16,
    content_type: &'static str,
    body: String,
    reference: Option<Reference>,
    /// The record's; none where nothing is recorded.
    pub(crate) ticket: Option<RecordTicket>,
    retry_after: Option<Duration>,
    /// Whether the body is repeated in a header.
    in_header: bool,
}

impl Refusal {
    /// The same with its body repeated in a header, `X-Sentinel-Refusal`, for proxies that drop the body.
    pub(crate) fn with_body_in_header(self) -> Self {
        Self {
            in_header: true,
            ..self
        }
    }

    /// Writes head and body. `to_head`: whether it answers a HEAD request, which gets no body.
    pub(crate) fn write(&self, closes: bool, to_head: bool, out: &mut Vec<u8>) {
        let mut add = |parts: &[&str]| {
            for part in parts {
                out.extend_from_slice(part.as_bytes());
            }
        };
        add(&[
            "HTTP/1.1 ",
            status_line(self.status),
            "\r\ncache-control: no-store\r\n",
        ]);
        if let Some(reference) = &self.reference {
            add(&["x-sentinel-reference: ", reference.as_str(), "\r\n"]);
        }
        if let Some(wait) = self.retry_after {
            add(&["retry-after: ", &wait.as_secs().to_string(), "\r\n"]);
        }
        if !self.body.is_empty() {
            add(&["content-type: ", self.content_type, "\r\n"]);
        }
        let line = self.body.trim_end_matches('\n');
        if self.in_header && line.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            add(&["x-sentinel-refusal: ", line, "\r\n"]);
        }
        let connection = if closes { "connection: close\r\n" } else { "" };
        add(&[
            "content-length: ",
            &self.body.len().to_string(),
            "\r\n",
            connection,
            "\r\n",
        ]);
        if !to_head {
            out.extend_from_slice(self.body.as_bytes());
        }
    }

    fn bare(status: u16) -> Self {
        Self {
            status,
            content_type: "",
            body: String::new(),
            reference: None,
            ticket: None,
            retry_after: None,
            in_header: false,
        }
    }
}

/// Records the breach and words the refusal, which is to be told when its ticket is settled. `presented` is the key that was read, so that it is kept out of the record.
pub(crate) fn refuse(
    worker: &Worker,
    request: &RequestHead,
    presented: Option<&str>,
    breach: Breach,
    client_ip: ClientIp,
    now: Timestamp,
) -> Refusal {
    let reason = breach.reason;
    worker.figures().refused(reason).increment();
    let record = intercept(
        request,
        presented,
        breach,
        InterceptOutcome::Refused,
        client_ip,
        now,
    );
    let reference = record.reference.clone();
    let ticket = worker.shared.intercepts.record(record);
    let dialect = worker.shared.profile.dialect(&RequestPath::new(request.path()));
    let mut refusal = answer(reason, dialect, client_ip, reference);
    refusal.ticket = Some(ticket);
    refusal
}

/// Counts a request that cannot be read and words the answer to it. There is no record; its reference stands in the log, for whoever looks for it.
pub(crate) fn malformed(worker: &Worker, kind: Malformed, client_ip: ClientIp) -> Refusal {
    worker.figures().malformed(kind).increment();
    let reference = Reference::random();
    tracing::debug!(%reference, code = kind.code(), %client_ip, "a request was malformed");
    unreadable(kind, reference)
}

/// In plain text: the route, and with it the dialect, is not known.
fn unreadable(kind: Malformed, reference: Reference) -> Refusal {
    let (status, what) = match kind {
        Malformed::Request => (
            400,
            "The request is malformed, or can be read in more than one way",
        ),
        Malformed::Body => (400, "The request's body is malformed"),
        Malformed::HeaderTooLarge => (431, "The request's head is too large"),
        Malformed::Version => (505, "This version of HTTP is not served here"),
        Malformed::Method => (405, "This server opens no tunnels to other servers"),
        Malformed::Question => (
            400,
            "The proxy in front did not say in one clear way what it asks about. The operator of this service has to correct its forward authentication",
        ),
        Malformed::UntrustedPeer => (
            403,
            "Your address may not ask here. The operator of this service has to add it to the trusted peers",
        ),
    };
    Refusal {
        content_type: PLAIN_TEXT,
        body: format!("{}: {what}. Reference: {reference}\n", kind.code()),
        reference: Some(reference),
        ..Refusal::bare(status)
    }
}

fn answer(reason: RefusalReason, dialect: Dialect, client_ip: ClientIp, reference: Reference) -> Refusal {
    let status = status(reason);
    let message = message(reason, client_ip, &reference);
    let (content_type, body) = body(reason, status, dialect, &message, &reference);
    Refusal {
        status,
        content_type,
        body,
        retry_after: retry_after(reason),
        reference: Some(reference),
        ticket: None,
        in_header: false,
    }
}

fn status_line(status: u16) -> &'static str {
    match status {
        400 => "400 Bad Request",
        401 => "401 Unauthorized",
        403 => "403 Forbidden",
        405 => "405 Method Not Allowed",
        429 => "429 Too Many Requests",
        431 => "431 Request Header Fields Too Large",
        502 => "502 Bad Gateway",
        503 => "503 Service Unavailable",
        504 => "504 Gateway Timeout",
        505 => "505 HTTP Version Not Supported",
        _ => "500 Internal Server Error",
    }
}

fn status(reason: RefusalReason) -> u16 {
    match reason {
        RefusalReason::KeyIpMismatch | RefusalReason::KeyBanned => 403,
        RefusalReason::ClientIpUnresolvable | RefusalReason::CredentialAmbiguous => 400,
        RefusalReason::KeyMissing => 401,
        RefusalReason::ClaimRateLimited => 429,
        RefusalReason::BindingStoreUnavailable => 503,
        RefusalReason::UpstreamUnreachable => 502,
        RefusalReason::UpstreamTimeout => 504,
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
    let mut message = String::with_capacity(MESSAGE_BYTES);
    // Writing to a text cannot fail.
    let _ = match reason {
        RefusalReason::KeyIpMismatch => write!(
            message,
            "This API key may not be used from your address {client_ip}: it is bound to another network. If you have moved, ask the operator of this service to release the key"
        ),
        RefusalReason::KeyBanned => write!(
            message,
            "This API key is banned (request from {client_ip}). Ask the operator of this service"
        ),
        RefusalReason::ClientIpUnresolvable => write!(
            message,
            "Your address could not be determined behind the proxy {client_ip}. The operator of this service has to correct the proxy's client address header or the list of trusted proxies"
        ),
        RefusalReason::CredentialAmbiguous => message.write_str(
            "The request carries credentials that can be read in more than one way. Send one API key, once",
        ),
        RefusalReason::KeyMissing => message.write_str("The request carries no API key. Send one"),
        RefusalReason::ClaimRateLimited => write!(
            message,
            "Too many API keys were used for the first time from your address {client_ip}. Try again in a minute"
        ),
        RefusalReason::BindingStoreUnavailable => message.write_str(
            "It cannot be checked right now whether this API key may be used from your address. Try again in a moment",
        ),
        RefusalReason::UpstreamUnreachable => message.write_str("The gateway behind this service cannot be reached"),
        RefusalReason::UpstreamTimeout => message.write_str("The gateway behind this service did not answer in time"),
    };
    for part in [". Reference: ", reference.as_str()] {
        message.push_str(part);
    }
    message
}

/// The body and its media type.
fn body(
    reason: RefusalReason,
    status: u16,
    dialect: Dialect,
    message: &str,
    reference: &Reference,
) -> (&'static str, String) {
    let (code, reference) = (reason.code(), reference.as_str());
    let body = match dialect {
        Dialect::OpenAi => text_of(&OpenAi {
            error: OpenAiError {
                message,
                kind: openai_type(status),
                param: None,
                code,
                reference,
            },
        }),
        Dialect::Anthropic => text_of(&Anthropic {
            kind: "error",
            error: AnthropicError {
                kind: anthropic_type(status),
                message,
                code,
                reference,
            },
        }),
        Dialect::Gemini => text_of(&Gemini {
            error: GeminiError {
                code: status,
                message,
                status: gemini_status(status),
                details: [ErrorInfo {
                    kind: "type.googleapis.com/google.rpc.ErrorInfo",
                    reason: code,
                    domain: "key-ip-sentinel",
                    metadata: Metadata { reference },
                }],
            },
        }),
        Dialect::Plain => return (PLAIN_TEXT, format!("{code}: {message}\n")),
    };
    ("application/json", body)
}

fn openai_type(status: u16) -> &'static str {
    match status {
        400 => "invalid_request_error",
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        _ => "server_error",
    }
}

fn anthropic_type(status: u16) -> &'static str {
    match status {
        400 => "invalid_request_error",
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        504 => "timeout_error",
        _ => "api_error",
    }
}

fn gemini_status(status: u16) -> &'static str {
    match status {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        429 => "RESOURCE_EXHAUSTED",
        504 => "DEADLINE_EXCEEDED",
        _ => "UNAVAILABLE",
    }
}

#[cfg(test)]
mod tests;

//! The request that a question is about, made of what the proxy says of it: its method and target, and the header lines that came with the
//! question, read by the parser that reads every other request.
//!
//! Must never fall back on another source, nor on the question itself, when something is missing.

use http::HeaderName;
use http::Method;

use crate::config::AuthConvention;
use crate::http1::framing::BodyLength;
use crate::http1::request::{RequestError, RequestHead};
use crate::malformed::Malformed;

/// Where questions are asked.
const AUTH_PATH: &str = "/auth";

const FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const ORIGINAL_METHOD: HeaderName = HeaderName::from_static("x-original-method");
const ORIGINAL_URI: HeaderName = HeaderName::from_static("x-original-uri");

/// Why it is not clear which request is meant.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unclear {
    /// It is not asked at [`AUTH_PATH`].
    #[error("it was not asked at {AUTH_PATH}")]
    Path,
    /// The question has a body.
    #[error("the question has a body; let the proxy send none, and no Content-Length")]
    Body,
    /// A header is missing.
    #[error("it did not send {0}")]
    Missing(HeaderName),
    /// A header is there more than once.
    #[error("it sent {0} more than once")]
    Repeated(HeaderName),
    /// The target is none that a client could send to a gateway.
    #[error("the target is none of a gateway's")]
    Target,
    /// The request would be refused if it came by itself.
    #[error(transparent)]
    Request(RequestError),
}

impl Unclear {
    /// As it is counted and told: the proxy's mistake, or the client's.
    pub(super) fn kind(&self) -> Malformed {
        match self {
            Self::Target => Malformed::Request,
            Self::Request(error) => (*error).into(),
            _ => Malformed::Question,
        }
    }
}

/// The request that `question` is about.
pub(super) fn original(question: &RequestHead, convention: AuthConvention) -> Result<RequestHead, Unclear> {
    if question.body != BodyLength::Empty {
        return Err(Unclear::Body);
    }
    let is_at_path = question.path() == AUTH_PATH;
    let (method, target) = match convention {
        AuthConvention::Path => {
            let path = question.path().strip_prefix(AUTH_PATH).ok_or(Unclear::Path)?;
            let mut target = path.as_bytes().to_vec();
            if let Some(query) = question.query() {
                target.push(b'?');
                target.extend_from_slice(query.as_bytes());
            }
            (question.method().as_bytes(), target)
        }
        _ if !is_at_path => return Err(Unclear::Path),
        AuthConvention::Forwarded => (
            single(question, &FORWARDED_METHOD)?,
            single(question, &FORWARDED_URI)?.to_vec(),
        ),
        AuthConvention::Original => (
            single(question, &ORIGINAL_METHOD)?,
            single(question, &ORIGINAL_URI)?.to_vec(),
        ),
    };
    // An absolute target would have to be held against a Host that is not the client's here.
    let is_whole_server = target == b"*" && method == Method::OPTIONS.as_str().as_bytes();
    if target.first() != Some(&b'/') && !is_whole_server {
        return Err(Unclear::Target);
    }
    question.retold(method, &target).map_err(Unclear::Request)
}

/// The value of a header that is there once.
fn single<'q>(question: &'q RequestHead, name: &HeaderName) -> Result<&'q [u8], Unclear> {
    let mut lines = question.lines().all(name);
    let line = lines.next().ok_or_else(|| Unclear::Missing(name.clone()))?;
    if lines.next().is_some() {
        return Err(Unclear::Repeated(name.clone()));
    }
    Ok(line.value)
}

#[cfg(test)]
mod tests;

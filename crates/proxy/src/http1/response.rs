//! An answer's head: read, judged, and kept as the bytes that it came in. More is forgiven than of a request, as long as the client gets one
//! clear framing.

use std::mem::MaybeUninit;
use std::ops::Range;

use sentinel_core::header::{HeaderLines, HeaderSpan};

use super::framing::{self, BodyLength, FramingError, Version};
use super::request::{keeps_alive, range_of, spans};

/// The most header lines of an answer.
pub(crate) const RESPONSE_HEADERS_MAX: usize = 256;
/// The most bytes of an answer's head.
pub(crate) const RESPONSE_HEAD_BYTES_MAX: usize = 256 * 1024;

/// Why an answer cannot be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResponseError {
    /// It is no HTTP.
    #[error("the answer is no HTTP")]
    Malformed,
    /// Its head is too large.
    #[error("the answer's head is too large")]
    TooLarge,
    /// It leaves a choice about where the body ends.
    #[error("the answer's framing: {0}")]
    Framing(#[from] FramingError),
}

/// An answer's head, and the bytes that came right behind it.
#[derive(Debug)]
pub(crate) struct ResponseHead {
    bytes: Vec<u8>,
    spans: Vec<HeaderSpan>,
    length: usize,
    reason: Range<usize>,
    /// The status.
    pub(crate) status: u16,
    /// How long its body is.
    pub(crate) body: BodyLength,
    /// Whether the upstream means to use the connection again.
    pub(crate) keeps_alive: bool,
}

impl ResponseHead {
    /// Takes a head off the front of `bytes`, with all that follows it, when it is complete. `to_head`: whether it answers a
    /// HEAD request. On success `bytes` is empty afterwards.
    pub(crate) fn take(bytes: &mut Vec<u8>, to_head: bool) -> Result<Option<Self>, ResponseError> {
        let mut lines = [const { MaybeUninit::uninit() }; RESPONSE_HEADERS_MAX];
        let mut parsed = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        let length = match config.parse_response_with_uninit_headers(&mut parsed, bytes, &mut lines) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if bytes.len() > RESPONSE_HEAD_BYTES_MAX => {
                return Err(ResponseError::TooLarge);
            }
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(ResponseError::TooLarge),
            Err(_) => return Err(ResponseError::Malformed),
        };
        if length > RESPONSE_HEAD_BYTES_MAX {
            return Err(ResponseError::TooLarge);
        }
        let status = parsed.code.ok_or(ResponseError::Malformed)?;
        if !(100..=999).contains(&status) {
            return Err(ResponseError::Malformed);
        }
        let version = if parsed.version == Some(1) {
            Version::Http11
        } else {
            Version::Http10
        };
        let spans = spans(bytes, parsed.headers).ok_or(ResponseError::Malformed)?;
        let reason = range_of(bytes, parsed.reason.unwrap_or_default().as_bytes());
        let lines = HeaderLines::new(&bytes[..length], &spans);
        let body = framing::of_response(lines, version, status, to_head)?;
        let keeps_alive =
            keeps_alive(lines, version) && body != BodyLength::UntilClose && !framing::has_both(lines);
        Ok(Some(Self {
            bytes: std::mem::take(bytes),
            spans,
            length,
            reason,
            status,
            body,
            keeps_alive,
        }))
    }

    /// The words behind the status.
    pub(crate) fn reason(&self) -> &[u8] {
        self.bytes.get(self.reason.clone()).unwrap_or_default()
    }

    /// The header lines.
    pub(crate) fn lines(&self) -> HeaderLines<'_> {
        HeaderLines::new(&self.bytes[..self.length], &self.spans)
    }

    /// The bytes that came behind the head.
    pub(crate) fn following(&self) -> &[u8] {
        &self.bytes[self.length..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(text: &str) -> Result<Option<ResponseHead>, ResponseError> {
        ResponseHead::take(&mut text.as_bytes().to_vec(), false)
    }

    #[test]
    fn a_head_is_taken_with_what_follows_it() {
        let head = take("HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nhi")
            .expect("whole")
            .expect("whole");
        assert_eq!(
            (head.status, head.reason(), head.following()),
            (404, &b"Not Found"[..], &b"hi"[..])
        );
        assert_eq!((head.body, head.keeps_alive), (BodyLength::Known(2), true));
        let plain = take("HTTP/1.0 200\r\n\r\n").expect("whole").expect("whole");
        assert_eq!(
            (plain.body, plain.keeps_alive, plain.reason()),
            (BodyLength::UntilClose, false, &b""[..])
        );
        assert!(take("HTTP/1.1 200 OK\r\ncontent-le").expect("not yet").is_none());
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for text in [
            "SSH-2.0-x\r\n\r\n",
            "HTTP/1.1 99 x\r\n\r\n",
            "HTTP/2 200\r\n\r\n",
            "HTTP/1.1 200 OK\r\nx : y\r\n\r\n",
        ] {
            assert_eq!(take(text).err(), Some(ResponseError::Malformed), "{text:?}");
        }
        let framing = take("HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n").err();
        assert!(matches!(framing, Some(ResponseError::Framing(_))));
    }

    #[test]
    fn a_head_has_its_bounds() {
        let lines = |count: usize| take(&format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(count)));
        assert!(lines(RESPONSE_HEADERS_MAX).is_ok());
        assert_eq!(
            lines(RESPONSE_HEADERS_MAX + 1).err(),
            Some(ResponseError::TooLarge)
        );
        let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(RESPONSE_HEAD_BYTES_MAX));
        assert_eq!(take(&endless).err(), Some(ResponseError::TooLarge));
    }
}

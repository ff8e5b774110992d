//! How long a body is (RFC 9112, 6.3), and nothing that leaves a choice.

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use sentinel_core::header::HeaderLines;

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyLength {
    /// There is none.
    Empty,
    /// After so many bytes.
    Known(u64),
    /// By a last chunk.
    Chunked,
    /// By the connection's end; answers only.
    UntilClose,
}

/// The head leaves a choice about where the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FramingError {
    /// No number, or several different ones.
    #[error("the content length is not one number")]
    Length,
    /// Something else than exactly `chunked`, or said where it cannot be.
    #[error("the transfer coding is not exactly chunked")]
    Coding,
    /// Both a length and a coding.
    #[error("both a content length and a transfer coding")]
    Both,
}

/// The version of a message. A major version other than 1 does not get this far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

/// Of a request: an ambiguity is an error.
pub(crate) fn of_request(lines: HeaderLines<'_>, version: Version) -> Result<BodyLength, FramingError> {
    let length = content_length(lines)?;
    if lines.first(&TRANSFER_ENCODING).is_none() {
        return Ok(match length {
            None | Some(0) => BodyLength::Empty,
            Some(length) => BodyLength::Known(length),
        });
    }
    if length.is_some() {
        return Err(FramingError::Both);
    }
    if version == Version::Http10 || !is_chunked(lines) {
        return Err(FramingError::Coding);
    }
    Ok(BodyLength::Chunked)
}

/// Of an answer: a transfer coding goes before a length, whose line is not passed on then. What is said of a length has to make
/// sense even where there is no body.
pub(crate) fn of_response(
    lines: HeaderLines<'_>,
    version: Version,
    status: u16,
    to_head: bool,
) -> Result<BodyLength, FramingError> {
    let length = content_length(lines);
    if to_head || matches!(status, 100..=199 | 204 | 304) {
        return length.map(|_| BodyLength::Empty);
    }
    if lines.first(&TRANSFER_ENCODING).is_some() {
        return if version == Version::Http11 && is_chunked(lines) {
            Ok(BodyLength::Chunked)
        } else {
            Err(FramingError::Coding)
        };
    }
    Ok(match length? {
        None => BodyLength::UntilClose,
        Some(0) => BodyLength::Empty,
        Some(length) => BodyLength::Known(length),
    })
}

/// Whether the head says both a length and a coding: whoever writes such a thing may have more to come behind the body.
pub(crate) fn has_both(lines: HeaderLines<'_>) -> bool {
    lines.first(&TRANSFER_ENCODING).is_some() && lines.first(&CONTENT_LENGTH).is_some()
}

/// The one length that is said, however often the same is said; a list of lengths is none.
fn content_length(lines: HeaderLines<'_>) -> Result<Option<u64>, FramingError> {
    let mut found = None;
    for line in lines.all(&CONTENT_LENGTH) {
        let length = digits(line.value).ok_or(FramingError::Length)?;
        if found.is_some_and(|earlier| earlier != length) {
            return Err(FramingError::Length);
        }
        found = Some(length);
    }
    Ok(found)
}

fn digits(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

fn is_chunked(lines: HeaderLines<'_>) -> bool {
    let mut codings = lines.all(&TRANSFER_ENCODING);
    let first = codings
        .next()
        .is_some_and(|line| line.value.eq_ignore_ascii_case(b"chunked"));
    first && codings.next().is_none()
}

#[cfg(test)]
mod tests {
    use sentinel_core::header::OwnedHeaderLines;

    use super::*;

    fn request(lines: &[(&str, &str)]) -> Result<BodyLength, FramingError> {
        let owned: OwnedHeaderLines = lines.iter().copied().collect();
        of_request(owned.lines(), Version::Http11)
    }

    fn response(status: u16, lines: &[(&str, &str)]) -> Result<BodyLength, FramingError> {
        let owned: OwnedHeaderLines = lines.iter().copied().collect();
        of_response(owned.lines(), Version::Http11, status, false)
    }

    #[test]
    fn a_request_says_its_length_in_one_way() {
        assert_eq!(request(&[]), Ok(BodyLength::Empty));
        assert_eq!(request(&[("content-length", "5")]), Ok(BodyLength::Known(5)));
        assert_eq!(
            request(&[("content-length", "5"), ("Content-Length", "5")]),
            Ok(BodyLength::Known(5))
        );
        assert_eq!(
            request(&[("transfer-encoding", "Chunked")]),
            Ok(BodyLength::Chunked)
        );
        for value in [
            "",
            "+5",
            "-5",
            "5, 5",
            "5 5",
            "0x5",
            "18446744073709551616",
            "5;a",
        ] {
            assert_eq!(
                request(&[("content-length", value)]),
                Err(FramingError::Length),
                "{value}"
            );
        }
        assert_eq!(
            request(&[("content-length", "5"), ("content-length", "6")]),
            Err(FramingError::Length)
        );
        for value in [
            "xchunked",
            "chunked, chunked",
            "gzip, chunked",
            "identity",
            "",
            "chunked;a=b",
        ] {
            assert_eq!(
                request(&[("transfer-encoding", value)]),
                Err(FramingError::Coding),
                "{value}"
            );
        }
        assert_eq!(
            request(&[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")]),
            Err(FramingError::Coding)
        );
        assert_eq!(
            request(&[("content-length", "5"), ("transfer-encoding", "chunked")]),
            Err(FramingError::Both)
        );
        let owned: OwnedHeaderLines = [("transfer-encoding", "chunked")].into_iter().collect();
        assert_eq!(
            of_request(owned.lines(), Version::Http10),
            Err(FramingError::Coding)
        );
    }

    #[test]
    fn an_answer_ends_where_the_standard_says() {
        assert_eq!(response(200, &[]), Ok(BodyLength::UntilClose));
        assert_eq!(response(200, &[("content-length", "0")]), Ok(BodyLength::Empty));
        assert_eq!(
            response(200, &[("content-length", "5"), ("transfer-encoding", "chunked")]),
            Ok(BodyLength::Chunked)
        );
        for status in [100, 101, 204, 304] {
            assert_eq!(
                response(status, &[("content-length", "5")]),
                Ok(BodyLength::Empty),
                "{status}"
            );
        }
        assert_eq!(
            response(200, &[("content-length", "5"), ("content-length", "6")]),
            Err(FramingError::Length)
        );
        assert_eq!(
            response(200, &[("transfer-encoding", "gzip")]),
            Err(FramingError::Coding)
        );
        let chunked: OwnedHeaderLines = [("transfer-encoding", "chunked")].into_iter().collect();
        assert_eq!(
            of_response(chunked.lines(), Version::Http10, 200, false),
            Err(FramingError::Coding)
        );
        let odd: OwnedHeaderLines = [("content-length", "x")].into_iter().collect();
        assert_eq!(
            of_response(odd.lines(), Version::Http11, 200, true),
            Err(FramingError::Length)
        );
        let owned: OwnedHeaderLines = [("content-length", "5")].into_iter().collect();
        assert_eq!(
            of_response(owned.lines(), Version::Http11, 200, true),
            Ok(BodyLength::Empty)
        );
    }
}

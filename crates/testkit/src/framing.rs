//! HTTP/1.1 heads and bodies from raw bytes, for both ends of a test.
//!
//! It reads what well-behaved peers send and panics at anything else: that is a finding, and the test should show it.
//! It is no parser to judge hostile input with.

use bytes::{Buf as _, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

/// The longest head that a test may send or get.
pub(crate) const HEAD_BYTES_MAX: usize = 256 * 1024;

/// Takes one head, its empty line included, off the front; none while it is incomplete.
pub(crate) fn take_head(buffer: &mut BytesMut) -> Option<Vec<u8>> {
    let end = buffer.windows(4).position(|window| window == b"\r\n\r\n");
    if end.is_none() {
        assert!(
            buffer.len() <= HEAD_BYTES_MAX,
            "a head of more than {HEAD_BYTES_MAX} bytes"
        );
    }
    end.map(|end| buffer.split_to(end + 4).to_vec())
}

/// The first line of a head and its headers.
pub(crate) fn parse_head(head: &[u8]) -> (String, HeaderMap) {
    let text: String = head.iter().copied().map(char::from).collect();
    let mut lines = text.split("\r\n").take_while(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default().to_owned();
    let headers = lines.map(parse_header).collect();
    (first, headers)
}

fn parse_header(line: &str) -> (HeaderName, HeaderValue) {
    let (name, value) = line
        .split_once(':')
        .unwrap_or_else(|| panic!("not a header: {line:?}"));
    let name = name
        .parse()
        .unwrap_or_else(|_| panic!("not a header's name: {name:?}"));
    // Each character was made from one byte, so this gives the bytes back.
    let value: Vec<u8> = value
        .trim_matches([' ', '\t'])
        .chars()
        .filter_map(|character| u8::try_from(character).ok())
        .collect();
    let value = HeaderValue::from_bytes(&value).unwrap_or_else(|_| panic!("not a header's value: {line:?}"));
    (name, value)
}

/// Where a body ends.
#[derive(Debug)]
pub(crate) enum Body {
    /// After so many more bytes.
    Length(u64),
    /// After the last chunk; so many bytes are left of the present one, its CRLF not counted.
    Chunked { left: usize, opened: bool },
    /// When the connection closes.
    UntilClose,
    /// It has ended.
    Ended,
}

/// What [`Body::decode`] found.
#[derive(Debug)]
pub(crate) enum Decoded {
    /// A piece of the body; a chunked body gives whole chunks.
    Data(Vec<u8>),
    /// More bytes are needed.
    Incomplete,
    /// The body ended.
    End,
}

impl Body {
    /// How a request with these headers is framed.
    pub(crate) fn of_request(headers: &HeaderMap) -> Self {
        Self::framed(headers).unwrap_or(Self::Ended)
    }

    /// How a response to anything but `HEAD` is framed.
    pub(crate) fn of_response(status: u16, headers: &HeaderMap) -> Self {
        match status {
            100..200 | 204 | 304 => Self::Ended,
            _ => Self::framed(headers).unwrap_or(Self::UntilClose),
        }
    }

    fn framed(headers: &HeaderMap) -> Option<Self> {
        let chunked = headers
            .get(http::header::TRANSFER_ENCODING)
            .is_some_and(|value| value.as_bytes().ends_with(b"chunked"));
        if chunked {
            return Some(Self::Chunked {
                left: 0,
                opened: false,
            });
        }
        headers.get(http::header::CONTENT_LENGTH).map(|value| {
            let length = value.to_str().ok().and_then(|text| text.parse().ok());
            match length.expect("Content-Length is a number") {
                0 => Self::Ended,
                length => Self::Length(length),
            }
        })
    }

    pub(crate) const fn has_ended(&self) -> bool {
        matches!(self, Self::Ended)
    }

    /// Takes the next piece off the front of what was read.
    pub(crate) fn decode(&mut self, buffer: &mut BytesMut) -> Decoded {
        match self {
            Self::Ended => Decoded::End,
            _ if buffer.is_empty() => Decoded::Incomplete,
            Self::UntilClose => Decoded::Data(buffer.split().to_vec()),
            Self::Length(left) => {
                let here = usize::try_from(*left).map_or(buffer.len(), |left| left.min(buffer.len()));
                *left -= here as u64;
                if *left == 0 {
                    *self = Self::Ended;
                }
                Decoded::Data(buffer.split_to(here).to_vec())
            }
            Self::Chunked { .. } => self.decode_chunk(buffer),
        }
    }

    fn decode_chunk(&mut self, buffer: &mut BytesMut) -> Decoded {
        let Self::Chunked { left, opened } = self else {
            return Decoded::End;
        };
        if !*opened {
            let Some(end) = buffer.windows(2).position(|window| window == b"\r\n") else {
                return Decoded::Incomplete;
            };
            let size = std::str::from_utf8(&buffer[..end])
                .ok()
                .and_then(|line| line.split(';').next())
                .and_then(|size| usize::from_str_radix(size.trim(), 16).ok())
                .unwrap_or_else(|| panic!("not a chunk's size: {:?}", &buffer[..end]));
            buffer.advance(end + 2);
            (*left, *opened) = (size, true);
        }
        if *left == 0 {
            return self.decode_trailers(buffer);
        }
        if buffer.len() < *left + 2 {
            return Decoded::Incomplete;
        }
        let data = buffer.split_to(*left).to_vec();
        assert_eq!(&buffer.split_to(2)[..], b"\r\n", "a chunk ends in CRLF");
        *opened = false;
        Decoded::Data(data)
    }

    fn decode_trailers(&mut self, buffer: &mut BytesMut) -> Decoded {
        let end = if buffer.starts_with(b"\r\n") {
            Some(2)
        } else {
            buffer
                .windows(4)
                .position(|window| window == b"\r\n\r\n")
                .map(|end| end + 4)
        };
        let Some(end) = end else {
            return Decoded::Incomplete;
        };
        buffer.advance(end);
        *self = Self::Ended;
        Decoded::End
    }
}

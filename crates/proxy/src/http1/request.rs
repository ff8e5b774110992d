//! A request's head: read, judged, and kept as the bytes that it came in.
//!
//! Judged as the strictest parser would: one way to read it, or none.

use std::mem::MaybeUninit;
use std::ops::Range;

use http::header::{CONNECTION, EXPECT, HOST, HeaderName, UPGRADE};
use sentinel_core::header::{HeaderLine, HeaderLines, HeaderSpan};

use super::framing::{self, BodyLength, FramingError, Version};
use super::scan::{Scanned, find_end};

/// The most header lines that can be read at all; the configured bound may be lower.
pub(crate) const HEADERS_READ_MAX: usize = 256;
/// The most bytes of a method: real ones are short, and a long one is somebody looking for a hole.
pub(crate) const METHOD_BYTES_MAX: usize = 32;

/// The most empty lines in front of a request that are passed over at one time.
pub(crate) const EMPTY_LINES_MAX: usize = 4;

/// Why a head cannot be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RequestError {
    /// It is no HTTP, or can be read in two ways.
    #[error("the request is malformed")]
    Malformed,
    /// It is of another version.
    #[error("the version is not HTTP/1.1 or HTTP/1.0")]
    Version,
    /// It has too many bytes or too many lines.
    #[error("the request's head is too large")]
    TooLarge,
    /// It leaves a choice about where the body ends.
    #[error(transparent)]
    Framing(#[from] FramingError),
}

/// How large a head may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadBounds {
    /// In bytes.
    pub(crate) bytes_max: usize,
    /// In header lines.
    pub(crate) headers_max: usize,
}

/// A request's head, and the bytes that came right behind it.
#[derive(Debug)]
pub(crate) struct RequestHead {
    bytes: Vec<u8>,
    spans: Vec<HeaderSpan>,
    length: usize,
    method: Range<usize>,
    path: Range<usize>,
    query: Option<Range<usize>>,
    authority: Option<Range<usize>>,
    /// Its version.
    pub(crate) version: Version,
    /// How long its body is.
    pub(crate) body: BodyLength,
    /// Whether the client wants to send another request on the same connection.
    pub(crate) keeps_alive: bool,
    /// Whether the client waits for a 100 before it sends the body.
    pub(crate) expects_continue: bool,
}

impl RequestHead {
    /// Takes a head off the front of `bytes`, with all that follows it, when it is complete. `seen` is how many bytes were there at
    /// the last call. `bytes` is empty afterwards on success, and as it was otherwise.
    pub(crate) fn take(
        bytes: &mut Vec<u8>,
        seen: usize,
        bounds: HeadBounds,
    ) -> Result<Option<Self>, RequestError> {
        let seen = seen.saturating_sub(skip_empty_lines(bytes)?);
        let length = match find_end(bytes, seen) {
            Scanned::Complete(length) => length,
            Scanned::BareLineFeed => return Err(RequestError::Malformed),
            Scanned::Partial if bytes.len() > bounds.bytes_max => return Err(RequestError::TooLarge),
            Scanned::Partial => return Ok(None),
        };
        if length > bounds.bytes_max {
            return Err(RequestError::TooLarge);
        }
        Self::parse(bytes, length, bounds).map(Some)
    }

    fn parse(bytes: &mut Vec<u8>, length: usize, bounds: HeadBounds) -> Result<Self, RequestError> {
        let mut lines = [const { MaybeUninit::uninit() }; HEADERS_READ_MAX];
        let mut parsed = httparse::Request::new(&mut []);
        match parsed.parse_with_uninit_headers(&bytes[..length], &mut lines) {
            Ok(httparse::Status::Complete(end)) if end == length => {}
            Err(httparse::Error::TooManyHeaders) => return Err(RequestError::TooLarge),
            Err(httparse::Error::Version) => return Err(RequestError::Version),
            Ok(_) | Err(_) => return Err(RequestError::Malformed),
        }
        if parsed.headers.len() > bounds.headers_max {
            return Err(RequestError::TooLarge);
        }
        let spans = spans(bytes, parsed.headers).ok_or(RequestError::Malformed)?;
        let (method, target) = (parsed.method.unwrap_or_default(), parsed.path.unwrap_or_default());
        let version = if parsed.version == Some(1) {
            Version::Http11
        } else {
            Version::Http10
        };
        if method.is_empty() || method.len() > METHOD_BYTES_MAX {
            return Err(RequestError::Malformed);
        }
        let lines = HeaderLines::new(&bytes[..length], &spans);
        let target = judge_target(method, target, lines, version)?;
        let method = range_of(bytes, method.as_bytes());
        let path = range_of(bytes, target.path.as_bytes());
        let query = target.query.map(|query| range_of(bytes, query.as_bytes()));
        let authority = target
            .authority
            .map(|authority| range_of(bytes, authority.as_bytes()));
        let body = framing::of_request(lines, version)?;
        let keeps_alive = keeps_alive(lines, version);
        let expects_continue = version == Version::Http11
            && lines
                .first(&EXPECT)
                .is_some_and(|line| line.value.eq_ignore_ascii_case(b"100-continue"));
        Ok(Self {
            bytes: std::mem::take(bytes),
            spans,
            length,
            method,
            path,
            query,
            authority,
            version,
            body,
            keeps_alive,
            expects_continue,
        })
    }

    /// Another request with this one's header lines, as it is read when it comes by itself. What cannot stand in a request's line is malformed.
    pub(crate) fn retold(&self, method: &[u8], target: &[u8]) -> Result<Self, RequestError> {
        // Both would otherwise be taken apart anew, into more than they are.
        if !method.iter().chain(target).all(u8::is_ascii_graphic) {
            return Err(RequestError::Malformed);
        }
        let version: &[u8] = match self.version {
            Version::Http11 => b" HTTP/1.1\r\n",
            Version::Http10 => b" HTTP/1.0\r\n",
        };
        let mut bytes = [method, b" ", target, version].concat();
        for line in self.lines().iter() {
            for part in [line.name, b": ", line.value, b"\r\n"] {
                bytes.extend_from_slice(part);
            }
        }
        bytes.extend_from_slice(b"\r\n");
        let length = bytes.len();
        let bounds = HeadBounds {
            bytes_max: length,
            headers_max: self.spans.len(),
        };
        Self::parse(&mut bytes, length, bounds)
    }

    /// The method.
    pub(crate) fn method(&self) -> &str {
        self.text(&self.method)
    }

    /// The path as it was written; `*` where the whole server is meant.
    pub(crate) fn path(&self) -> &str {
        self.text(&self.path)
    }

    /// The query as it was written.
    pub(crate) fn query(&self) -> Option<&str> {
        self.query.as_ref().map(|query| self.text(query))
    }

    /// The host that an absolute target names.
    pub(crate) fn authority(&self) -> Option<&str> {
        self.authority.as_ref().map(|authority| self.text(authority))
    }

    /// The header lines.
    pub(crate) fn lines(&self) -> HeaderLines<'_> {
        HeaderLines::new(&self.bytes[..self.length], &self.spans)
    }

    /// The bytes that came behind the head: body, and perhaps the next request.
    pub(crate) fn following(&self) -> &[u8] {
        &self.bytes[self.length..]
    }

    /// The protocol to which the client asks to switch.
    pub(crate) fn requested_upgrade(&self) -> Option<&[u8]> {
        let asks = self.version == Version::Http11 && has_token(self.lines(), &CONNECTION, "upgrade");
        asks.then(|| self.lines().first(&UPGRADE).map(|line| line.value))
            .flatten()
    }

    fn text(&self, range: &Range<usize>) -> &str {
        // Methods and targets were judged to be ASCII.
        std::str::from_utf8(&self.bytes[range.clone()]).unwrap_or_default()
    }
}

/// Some clients send an empty line behind a body (RFC 9112, 2.2). Says how many bytes went.
fn skip_empty_lines(bytes: &mut Vec<u8>) -> Result<usize, RequestError> {
    let lines = bytes.chunks_exact(2).take_while(|pair| *pair == b"\r\n").count();
    if lines > EMPTY_LINES_MAX {
        return Err(RequestError::Malformed);
    }
    bytes.drain(..2 * lines);
    Ok(2 * lines)
}

/// The parts of a target.
struct Target<'t> {
    path: &'t str,
    query: Option<&'t str>,
    authority: Option<&'t str>,
}

/// A target is a path, or an absolute form that names the same host as `Host` does; `*` goes with OPTIONS, and an authority with
/// CONNECT, which is refused later.
fn judge_target<'t>(
    method: &str,
    target: &'t str,
    lines: HeaderLines<'_>,
    version: Version,
) -> Result<Target<'t>, RequestError> {
    let host = host(lines, version)?;
    if !target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return Err(RequestError::Malformed);
    }
    if method == "CONNECT" || (method == "OPTIONS" && target == "*") {
        return Ok(Target {
            path: target,
            query: None,
            authority: None,
        });
    }
    let (authority, origin) = if target.starts_with('/') {
        (None, target)
    } else {
        let rest = strip_scheme(target).ok_or(RequestError::Malformed)?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, origin) = rest.split_at(end);
        let is_host = !authority.is_empty() && authority.bytes().all(is_host_byte);
        if !is_host || host.is_some_and(|host| !authority.as_bytes().eq_ignore_ascii_case(host)) {
            return Err(RequestError::Malformed);
        }
        (Some(authority), origin)
    };
    let (path, query) = origin
        .split_once('?')
        .map_or((origin, None), |(path, query)| (path, Some(query)));
    Ok(Target {
        path,
        query,
        authority,
    })
}

fn strip_scheme(target: &str) -> Option<&str> {
    ["http://", "https://"].iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

/// The one host that the request names. HTTP/1.1 must name one.
fn host(lines: HeaderLines<'_>, version: Version) -> Result<Option<&[u8]>, RequestError> {
    let mut hosts = lines.all(&HOST);
    match (hosts.next(), hosts.next()) {
        (Some(HeaderLine { value, .. }), None) if value.iter().copied().all(is_host_byte) => Ok(Some(value)),
        (None, _) if version == Version::Http10 => Ok(None),
        _ => Err(RequestError::Malformed),
    }
}

/// Gateways that take a request's URL apart anew would read a path out of anything else.
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-_:[]~!$&'()*+,;=%".contains(&byte)
}

/// Whether the sender means to use the connection again.
pub(crate) fn keeps_alive(lines: HeaderLines<'_>, version: Version) -> bool {
    match version {
        Version::Http11 => !has_token(lines, &CONNECTION, "close"),
        Version::Http10 => {
            has_token(lines, &CONNECTION, "keep-alive") && !has_token(lines, &CONNECTION, "close")
        }
    }
}

/// Whether a list-valued header has this token.
pub(crate) fn has_token(lines: HeaderLines<'_>, name: &HeaderName, token: &str) -> bool {
    tokens(lines, name).any(|candidate| candidate.eq_ignore_ascii_case(token.as_bytes()))
}

/// The tokens of a list-valued header.
pub(crate) fn tokens<'h>(lines: HeaderLines<'h>, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> {
    lines
        .all(name)
        .flat_map(|line| line.value.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|token| !token.is_empty())
}

/// Where the parsed lines lie.
pub(super) fn spans(bytes: &[u8], headers: &[httparse::Header<'_>]) -> Option<Vec<HeaderSpan>> {
    headers
        .iter()
        .map(|header| HeaderSpan::within(bytes, header.name.as_bytes(), header.value))
        .collect()
}

/// Where `part` lies in `bytes`, of which it is a part.
pub(super) fn range_of(bytes: &[u8], part: &[u8]) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(bytes.as_ptr() as usize);
    start..start + part.len()
}

#[cfg(test)]
mod tests;

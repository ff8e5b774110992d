//! Heads on their way between HTTP/2 and the lines of HTTP/1.1 that the lifecycle reads and writes.
//!
//! A request must come out as exactly one head, whatever stands in it: no field may end a line, and nothing may be said in two ways.

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, HOST, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{Method, Response, StatusCode};

use crate::http1::framing::BodyLength;
use crate::http1::response::ResponseHead;

/// The request is malformed (RFC 9113, 8.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// A request's head as HTTP/1.1, and how its body is framed behind it. `has_body`: whether the stream goes on behind the head.
pub(super) fn request(parts: &Parts, has_body: bool) -> Result<(Vec<u8>, BodyLength), Malformed> {
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(parts.method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(target(parts)?.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    if let Some(host) = host(parts)? {
        write_line(&mut out, HOST.as_str(), host)?;
    }
    for (name, value) in &parts.headers {
        if is_of_connection(name, value) {
            return Err(Malformed);
        }
        if !(name == HOST || name == COOKIE || name == TE) {
            write_line(&mut out, name.as_str(), value.as_bytes())?;
        }
    }
    // A client may send its cookies in several lines (RFC 9113, 8.2.3); HTTP/1.1 knows one.
    let cookies: Vec<&[u8]> = parts
        .headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if !cookies.is_empty() {
        write_line(&mut out, COOKIE.as_str(), &cookies.join(&b"; "[..]))?;
    }
    let body = body_length(parts, has_body)?;
    match body {
        BodyLength::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        BodyLength::Empty if wants_length(parts) => out.extend_from_slice(b"content-length: 0\r\n"),
        _ => {}
    }
    out.extend_from_slice(b"\r\n");
    Ok((out, body))
}

/// Writes a line. What would end it early cannot come from the parser of HTTP/2; were it to, the request ends here.
fn write_line(out: &mut Vec<u8>, name: &str, value: &[u8]) -> Result<(), Malformed> {
    let ends_line = |byte: &u8| matches!(byte, b'\r' | b'\n' | 0);
    let is_padded = value.trim_ascii().len() != value.len();
    if is_padded || value.iter().any(ends_line) || name.bytes().any(|byte| ends_line(&byte) || byte == b':') {
        return Err(Malformed);
    }
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// What stands behind the method: the path, or whom to connect to.
fn target(parts: &Parts) -> Result<&str, Malformed> {
    if parts.method == Method::CONNECT {
        return parts
            .uri
            .authority()
            .map(http::uri::Authority::as_str)
            .ok_or(Malformed);
    }
    let target = parts.uri.path_and_query().ok_or(Malformed)?.as_str();
    let is_path = target.starts_with('/') || (target == "*" && parts.method == Method::OPTIONS);
    let is_one_word = target.bytes().all(|byte| byte > b' ' && byte != 0x7f);
    (is_path && is_one_word).then_some(target).ok_or(Malformed)
}

/// The one host that is named, as `:authority`, as `host`, or as both alike.
fn host(parts: &Parts) -> Result<Option<&[u8]>, Malformed> {
    let authority = parts
        .uri
        .authority()
        .map(|authority| authority.as_str().as_bytes());
    let mut lines = parts.headers.get_all(HOST).iter().map(HeaderValue::as_bytes);
    let line = lines.next();
    if lines.next().is_some() {
        return Err(Malformed);
    }
    match (authority, line) {
        (Some(authority), Some(line)) if !authority.eq_ignore_ascii_case(line) => Err(Malformed),
        (authority, line) => Ok(authority.or(line)),
    }
}

/// Whether a line speaks of the connection, which in HTTP/2 is not for lines to speak of (RFC 9113, 8.2.2).
fn is_of_connection(name: &HeaderName, value: &HeaderValue) -> bool {
    [&CONNECTION, &TRANSFER_ENCODING, &UPGRADE].contains(&name)
        || ["keep-alive", "proxy-connection"].contains(&name.as_str())
        || (name == TE && value != "trailers")
}

fn body_length(parts: &Parts, has_body: bool) -> Result<BodyLength, Malformed> {
    let mut said = None;
    for value in parts.headers.get_all(CONTENT_LENGTH) {
        let digits = value.to_str().map_err(|_| Malformed)?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Malformed);
        }
        let length: u64 = digits.parse().map_err(|_| Malformed)?;
        if said.is_some_and(|said| said != length) {
            return Err(Malformed);
        }
        said = Some(length);
    }
    match (said, has_body) {
        (Some(length), true) => Ok(BodyLength::Known(length)),
        (None, true) => Ok(BodyLength::Chunked),
        (None | Some(0), false) => Ok(BodyLength::Empty),
        (Some(_), false) => Err(Malformed),
    }
}

/// Some servers refuse these without a length; in HTTP/2 the end of the stream says it.
fn wants_length(parts: &Parts) -> bool {
    [Method::POST, Method::PUT, Method::PATCH].contains(&parts.method)
        && !parts.headers.contains_key(CONTENT_LENGTH)
}

/// An answer's head as HTTP/2, with the lines that speak of the connection left out.
pub(super) fn response(head: &ResponseHead) -> Option<Response<()>> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(head.status).ok()?;
    for line in head.lines().iter() {
        let name = HeaderName::from_bytes(line.name).ok()?;
        let value = HeaderValue::from_maybe_shared(Bytes::copy_from_slice(line.value)).ok()?;
        if !is_of_connection(&name, &value) {
            response.headers_mut().append(name, value);
        }
    }
    Some(response)
}

#[cfg(test)]
mod tests;

//! Which header lines go on. Those of one hop end here, those that say who the client is are written anew, and names that some
//! gateway could take for another header are dropped: nothing that a client claims about its address reaches the upstream.

use http::header::{CONNECTION, HeaderName, UPGRADE};
use sentinel_core::credential::{CredentialFilter, Passage};
use sentinel_core::header::{HeaderLine, HeaderLines};
use sentinel_core::path::RequestPath;

use crate::http1::framing::{BodyLength, Version};
use crate::http1::request::{RequestHead, tokens};
use crate::http1::response::ResponseHead;

/// The longest name that means something here.
const NAME_BYTES_MAX: usize = 32;

/// What a header is to a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Names the host.
    Host,
    /// Says how long the body is.
    Length,
    /// Of one hop (RFC 9110, 7.6.1), or said to the next hop by ourselves. An upstream's `Alt-Svc` is of its own port and protocols, not of
    /// ours: clients that follow it would go around us.
    Hop,
    /// Says, in some proxy's or CDN's words, who the client is.
    Forwarding,
    /// Says which name and scheme the client used; a trusted proxy's word on that stands.
    ForwardedOrigin,
    /// Names another path than the request's line, or a proxy for CGI-like gateways to use: nobody has judged either.
    Hidden,
    /// Names one of our refusals: no answer of the upstream may pass for one.
    Reference,
    /// Could be taken for another header by CGI-like gateways (`X_Real_IP`, `X.Real.IP`).
    Alias,
    /// Nothing to us.
    Other,
}

impl Kind {
    fn of(name: &[u8]) -> Self {
        let mut lower = [0_u8; NAME_BYTES_MAX];
        let Some(lower) = lower.get_mut(..name.len()) else {
            return Self::of_unknown(name);
        };
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        match &*lower {
            b"host" => Self::Host,
            b"content-length" => Self::Length,
            b"connection"
            | b"transfer-encoding"
            | b"upgrade"
            | b"te"
            | b"trailer"
            | b"keep-alive"
            | b"expect"
            | b"proxy-authenticate"
            | b"proxy-authorization"
            | b"proxy-connection"
            | b"http2-settings"
            | b"alt-svc" => Self::Hop,
            b"forwarded"
            | b"x-forwarded-for"
            | b"x-real-ip"
            | b"x-client-ip"
            | b"x-cluster-client-ip"
            | b"x-original-forwarded-for"
            | b"x-originating-ip"
            | b"x-remote-ip"
            | b"x-remote-addr"
            | b"x-envoy-external-address"
            | b"x-azure-clientip"
            | b"x-azure-socketip"
            | b"x-appengine-user-ip"
            | b"x-appengine-remote-addr"
            | b"x-forwarded"
            | b"forwarded-for"
            | b"proxy-client-ip"
            | b"wl-proxy-client-ip"
            | b"http-client-ip"
            | b"x-vercel-forwarded-for"
            | b"x-vercel-proxied-for"
            | b"x-nf-client-connection-ip"
            | b"do-connecting-ip"
            | b"cdn-src-ip"
            | b"client-ip"
            | b"true-client-ip"
            | b"cf-connecting-ip"
            | b"cf-connecting-ipv6"
            | b"cf-pseudo-ipv4"
            | b"fastly-client-ip"
            | b"fly-client-ip"
            | b"eo-connecting-ip"
            | b"ali-cdn-real-ip" => Self::Forwarding,
            b"x-original-url" | b"x-rewrite-url" | b"proxy" => Self::Hidden,
            b"x-sentinel-reference" => Self::Reference,
            b"x-forwarded-host"
            | b"x-forwarded-proto"
            | b"x-forwarded-port"
            | b"x-forwarded-server"
            | b"x-forwarded-prefix" => Self::ForwardedOrigin,
            _ => Self::of_unknown(name),
        }
    }

    fn of_unknown(name: &[u8]) -> Self {
        if name.iter().any(|byte| matches!(byte, b'_' | b'.')) {
            Self::Alias
        } else {
            Self::Other
        }
    }
}

/// Whether a header says who the client is in words that never go on, whoever says them.
pub(crate) fn is_forwarding(name: &HeaderName) -> bool {
    Kind::of(name.as_str().as_bytes()) == Kind::Forwarding
}

/// Whether a line names another path than the request's own, which some gateway would take instead.
pub(crate) fn names_another_path(lines: HeaderLines<'_>) -> bool {
    lines.iter().any(|line| Kind::of(line.name) == Kind::Hidden)
}

/// What the head of a forwarded request is made of, beside the request itself.
pub(crate) struct RequestContext<'r> {
    /// Which credential goes on.
    pub(crate) filter: CredentialFilter<'r>,
    /// The header that holds it, if one does; equal repetitions of it become one.
    pub(crate) checked: Option<&'r HeaderName>,
    /// The client's address.
    pub(crate) client_ip: &'r [u8],
    /// Whether the peer's word on the client's scheme and host stands.
    pub(crate) peer_is_trusted: bool,
    /// The header in which trusted proxies name the client, when the peer is none and it does not end here anyway.
    pub(crate) client_ip_header: Option<&'r HeaderName>,
    /// The upstream's own name.
    pub(crate) upstream_host: &'r [u8],
    /// Whether it is to be addressed by that, and not by the client's name for it.
    pub(crate) replaces_host: bool,
    /// With what scheme the peer came.
    pub(crate) peer_scheme: &'static str,
    /// Whether to ask the upstream to switch to WebSocket.
    pub(crate) upgrades: bool,
}

/// Writes the head that the upstream gets.
pub(crate) fn write_request(request: &RequestHead, context: &RequestContext<'_>, out: &mut Vec<u8>) {
    write_request_line(request, context, out);
    let lines = request.lines();
    let nominated = nominated(lines);
    let (mut has_length, mut has_checked) = (false, false);
    let (mut has_origin_scheme, mut has_origin_host) = (false, false);
    let mut clients_host: Option<&[u8]> = None;
    for line in lines.iter() {
        let kind = Kind::of(line.name);
        match kind {
            Kind::Hop | Kind::Forwarding | Kind::Hidden | Kind::Alias => continue,
            Kind::Host => {
                clients_host = Some(line.value);
                write_line(
                    out,
                    b"host",
                    if context.replaces_host {
                        context.upstream_host
                    } else {
                        line.value
                    },
                );
                continue;
            }
            Kind::Length => {
                if !has_length && request.body != BodyLength::Chunked {
                    write_line(out, line.name, line.value);
                }
                has_length = true;
                continue;
            }
            Kind::ForwardedOrigin if !context.peer_is_trusted => continue,
            Kind::ForwardedOrigin => {
                has_origin_scheme |= line.name.eq_ignore_ascii_case(b"x-forwarded-proto");
                has_origin_host |= line.name.eq_ignore_ascii_case(b"x-forwarded-host");
            }
            // Whoever is no trusted proxy says nothing in the words of one.
            Kind::Other if context.client_ip_header.is_some_and(|name| line.is(name)) => continue,
            Kind::Reference | Kind::Other => {}
        }
        if is_nominated(&nominated, line) {
            continue;
        }
        let is_checked = context.checked.is_some_and(|name| line.is(name));
        if context.filter.passage(line, is_checked && has_checked) == Passage::Whole {
            write_line(out, line.name, line.value);
            has_checked |= is_checked;
        }
    }
    if let Some(protocols) = context.filter.websocket_protocols(lines) {
        write_line(out, b"sec-websocket-protocol", protocols.as_bytes());
    }
    match clients_host {
        // HTTP/1.0 need not name a host; HTTP/1.1, in which the upstream is addressed, must.
        None if context.replaces_host => write_line(out, b"host", context.upstream_host),
        None => write_line(
            out,
            b"host",
            request.authority().map_or(context.upstream_host, str::as_bytes),
        ),
        Some(host) if context.replaces_host && !has_origin_host => write_line(out, b"x-forwarded-host", host),
        Some(_) => {}
    }
    if context.upgrades {
        out.extend_from_slice(b"connection: upgrade\r\nupgrade: websocket\r\n");
    }
    if request.body == BodyLength::Chunked {
        out.extend_from_slice(b"transfer-encoding: chunked\r\n");
    }
    write_line(out, b"x-forwarded-for", context.client_ip);
    write_line(out, b"x-real-ip", context.client_ip);
    if !has_origin_scheme {
        write_line(out, b"x-forwarded-proto", context.peer_scheme.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

fn write_request_line(request: &RequestHead, context: &RequestContext<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(request.method().as_bytes());
    out.push(b' ');
    let path = request.path();
    out.extend_from_slice(if path.is_empty() { b"/" } else { path.as_bytes() });
    if let Some(query) = request.query() {
        let instead = context.filter.query(&RequestPath::new(path), query);
        let query = instead.as_deref().unwrap_or(query);
        if !query.is_empty() {
            out.push(b'?');
            out.extend_from_slice(query.as_bytes());
        }
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
}

/// Whether the answer's head may say a length (RFC 9110, 8.6).
fn may_have_length(response: &ResponseHead) -> bool {
    matches!(response.body, BodyLength::Known(_) | BodyLength::Empty)
        && !matches!(response.status, 100..=199 | 204)
}

/// How the client gets an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResponseContext {
    /// Whether the body goes out in chunks.
    pub(crate) chunked: bool,
    /// Whether the connection closes after it.
    pub(crate) closes: bool,
    /// The version of the client's request.
    pub(crate) version: Version,
}

/// Writes the head that the client gets.
pub(crate) fn write_response(response: &ResponseHead, context: ResponseContext, out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    let status = response.status;
    out.extend(
        [status / 100, status / 10 % 10, status % 10].map(|digit| b'0' + u8::try_from(digit).unwrap_or(0)),
    );
    out.push(b' ');
    out.extend_from_slice(response.reason());
    out.extend_from_slice(b"\r\n");
    let lines = response.lines();
    let nominated = nominated(lines);
    let mut has_length = false;
    for line in lines.iter() {
        match Kind::of(line.name) {
            Kind::Hop | Kind::Reference => {}
            Kind::Length => {
                if !has_length && may_have_length(response) {
                    write_line(out, line.name, line.value);
                }
                has_length = true;
            }
            _ if is_nominated(&nominated, line) => {}
            _ => write_line(out, line.name, line.value),
        }
    }
    if status == 101 {
        out.extend_from_slice(b"connection: upgrade\r\nupgrade: websocket\r\n");
    }
    if context.chunked {
        out.extend_from_slice(b"transfer-encoding: chunked\r\n");
    }
    match (context.closes, context.version) {
        (true, _) => out.extend_from_slice(b"connection: close\r\n"),
        (false, Version::Http10) => out.extend_from_slice(b"connection: keep-alive\r\n"),
        (false, Version::Http11) => {}
    }
    out.extend_from_slice(b"\r\n");
}

fn write_line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// `Connection` names further headers of one hop. The usual tokens name none; usually there are no others.
fn nominated(lines: HeaderLines<'_>) -> Vec<&[u8]> {
    let is_usual = |token: &&[u8]| {
        ["keep-alive", "close", "upgrade"]
            .iter()
            .any(|usual| token.eq_ignore_ascii_case(usual.as_bytes()))
    };
    tokens(lines, &CONNECTION)
        .filter(|token| !is_usual(token))
        .collect()
}

fn is_nominated(nominated: &[&[u8]], line: HeaderLine<'_>) -> bool {
    nominated.iter().any(|name| line.name.eq_ignore_ascii_case(name))
}

/// Whether an answer really switched to what was asked for.
pub(crate) fn switched_to_websocket(response: &ResponseHead) -> bool {
    let mut protocols = tokens(response.lines(), &UPGRADE);
    protocols
        .next()
        .is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"websocket"))
        && protocols.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mean_something_in_any_case_and_up_to_a_length() {
        assert_eq!(Kind::of(b"TRANSFER-Encoding"), Kind::Hop);
        assert_eq!(Kind::of(b"X-Forwarded-For"), Kind::Forwarding);
        assert_eq!(Kind::of(b"X_Forwarded_For"), Kind::Alias);
        assert_eq!(Kind::of(b"x.real.ip"), Kind::Alias);
        assert_eq!(Kind::of(b"X-Original-URL"), Kind::Hidden);
        assert_eq!(Kind::of(b"X-Sentinel-Reference"), Kind::Reference);
        assert_eq!(Kind::of(b"accept"), Kind::Other);
        let long = vec![b'x'; NAME_BYTES_MAX + 1];
        assert_eq!(Kind::of(&long), Kind::Other);
        assert_eq!(Kind::of(&[&long[..], b"_"].concat()), Kind::Alias);
    }
}

//! Which headers go on. Those of one hop end here, those that say who the client is are written anew, and names that some
//! gateway could take for another header are dropped: nothing that a client claims about its address reaches the upstream.

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use sentinel_core::network::ClientIp;

static X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Whether the header names one hop only (RFC 9110, 7.6.1).
fn is_hop_by_hop(name: &HeaderName) -> bool {
    *name == CONNECTION
        || *name == TRANSFER_ENCODING
        || *name == UPGRADE
        || *name == TE
        || *name == TRAILER
        || *name == PROXY_AUTHENTICATE
        || *name == PROXY_AUTHORIZATION
        || matches!(
            name.as_str(),
            "keep-alive" | "proxy-connection" | "http2-settings"
        )
}

/// Whether the header says, in some proxy's or CDN's words, who the client is or how it came.
fn is_forwarding(name: &HeaderName) -> bool {
    *name == FORWARDED
        || matches!(
            name.as_str(),
            "x-forwarded-for"
                | "x-real-ip"
                | "x-client-ip"
                | "x-cluster-client-ip"
                | "x-original-forwarded-for"
                | "x-originating-ip"
                | "x-remote-ip"
                | "x-remote-addr"
                | "x-envoy-external-address"
                | "x-azure-clientip"
                | "x-azure-socketip"
                | "x-appengine-user-ip"
                | "client-ip"
                | "true-client-ip"
                | "cf-connecting-ip"
                | "cf-connecting-ipv6"
                | "cf-pseudo-ipv4"
                | "fastly-client-ip"
                | "fly-client-ip"
                | "eo-connecting-ip"
                | "ali-cdn-real-ip"
        )
}

/// Whether the header says which name and scheme the client used; a trusted proxy's word on that stands.
fn is_forwarded_origin(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "x-forwarded-host"
            | "x-forwarded-proto"
            | "x-forwarded-port"
            | "x-forwarded-server"
            | "x-forwarded-prefix"
    )
}

/// Whether CGI-like gateways could take the name for another header's (`X_Real_IP`, `X.Real.IP`).
fn is_alias(name: &HeaderName) -> bool {
    name.as_str().bytes().any(|byte| matches!(byte, b'_' | b'.'))
}

/// Removes what a request may not take along. `peer_is_trusted`: whether the peer's word on the client's scheme and host stands.
pub(crate) fn strip_request(headers: &mut HeaderMap, peer_is_trusted: bool) {
    remove_named_by_connection(headers);
    remove_if(headers, |name| {
        is_hop_by_hop(name)
            || is_forwarding(name)
            || is_alias(name)
            || *name == EXPECT
            || (!peer_is_trusted && is_forwarded_origin(name))
    });
}

/// Removes what an answer may not take along; a length beside a transfer coding is the coding's to say.
pub(crate) fn strip_response(headers: &mut HeaderMap) {
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    remove_named_by_connection(headers);
    remove_if(headers, is_hop_by_hop);
}

/// One pass over the names: most requests have few headers, and most of those stay.
fn remove_if(headers: &mut HeaderMap, goes: impl Fn(&HeaderName) -> bool) {
    let going: Vec<HeaderName> = headers.keys().filter(|name| goes(name)).cloned().collect();
    for name in going {
        headers.remove(name);
    }
}

/// `Connection` names further headers of one hop. Names are compared without regard to case, as header names are.
fn remove_named_by_connection(headers: &mut HeaderMap) {
    let is_usual = |token: &str| {
        ["keep-alive", "close", "upgrade"]
            .iter()
            .any(|usual| token.eq_ignore_ascii_case(usual))
    };
    let named: Vec<HeaderName> = tokens(headers, &CONNECTION)
        .filter(|token| !is_usual(token))
        .filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
}

fn tokens<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

/// The protocol to which the message asks to switch, if it does.
pub(crate) fn requested_upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let asks = tokens(headers, &CONNECTION).any(|token| token.eq_ignore_ascii_case("upgrade"));
    asks.then(|| headers.get(UPGRADE).cloned()).flatten()
}

/// Asks for the switch on the next hop.
pub(crate) fn set_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// Says who the client is.
pub(crate) fn set_forwarding(headers: &mut HeaderMap, address: HeaderValue) {
    headers.insert(X_FORWARDED_FOR.clone(), address.clone());
    headers.insert(X_REAL_IP.clone(), address);
    headers
        .entry(X_FORWARDED_PROTO.clone())
        .or_insert(HeaderValue::from_static("http"));
}

/// Addresses the request to the upstream's own name; the client's goes along beside it.
pub(crate) fn set_host(headers: &mut HeaderMap, authority: HeaderValue) {
    if let Some(clients) = headers.insert(HOST, authority) {
        headers.entry(X_FORWARDED_HOST.clone()).or_insert(clients);
    }
}

/// The address as a header value.
pub(crate) fn address_value(address: ClientIp) -> HeaderValue {
    HeaderValue::try_from(address.to_string()).expect("an address is visible ASCII")
}

#[cfg(test)]
mod tests;

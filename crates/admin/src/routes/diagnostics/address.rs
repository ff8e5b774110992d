//! Whose address the proxy would take this very request for.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use http::HeaderMap;
use http::header::HeaderName;
use sentinel_core::client_ip::Unresolvable;
use sentinel_core::explanation::widened;
use sentinel_core::header::OwnedHeaderLines;
use sentinel_core::network::{ClientIp, PeerAddr};
use serde::Serialize;

use crate::parts::Admin;

/// Headers by which proxies commonly name their clients.
const FORWARDING_HEADERS: [HeaderName; 5] = [
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("forwarded"),
    HeaderName::from_static("cf-connecting-ip"),
    HeaderName::from_static("true-client-ip"),
];

/// One address on the way.
#[derive(Serialize, utoipa::ToSchema)]
struct Hop {
    /// None for what is no address; what stood there is not repeated.
    address: Option<String>,
    is_trusted: bool,
    /// `connection`, or the header that names it.
    source: String,
}

/// Whose address this request has.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct SeenAddress {
    /// The other end of the connection.
    peer: String,
    /// The peer, then what the believed header names, from the right. Those beyond the client are the client's own words.
    hops: Vec<Hop>,
    /// The client's address; none when a request from here would be refused.
    client_ip: Option<String>,
    /// Why there is none.
    reason: Option<String>,
    /// Whether an unknown key would be bound to it.
    would_bind: bool,
    /// To which network.
    network: Option<String>,
    warnings: Vec<Warning>,
}

/// What an operator should look into.
#[derive(Serialize, utoipa::ToSchema)]
struct Warning {
    code: WarningCode,
    /// What it is about, and what to do.
    text: String,
}

/// Its stable name.
#[derive(Clone, Copy, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum WarningCode {
    /// Headers of a proxy come from a peer that is not believed.
    ProxyNotTrusted,
    /// Addresses come by the PROXY protocol, which this listener does not speak.
    ProxyProtocol,
    /// The trusted proxy names no client.
    ClientNotNamed,
    /// The client is among the trusted proxies itself.
    ClientIsTrusted,
    /// The trusted proxy names this machine as its client.
    ClientIsThisMachine,
}

/// `GET /admin/api/diagnostics/address`.
#[utoipa::path(
    get,
    path = "/admin/api/diagnostics/address",
    summary = "Says whose address the proxy would take this request for, and what it would bind.",
    responses((status = 200, description = "How this request's address is found.", body = SeenAddress))
)]
pub(super) async fn address(
    State(admin): State<Arc<Admin>>,
    Extension(peer): Extension<PeerAddr>,
    headers: HeaderMap,
) -> Json<SeenAddress> {
    let rules = &admin.client_ip;
    let lines: OwnedHeaderLines = headers.iter().collect();
    let resolved = rules.resolve(peer, lines.lines());
    let hop = |address: Option<ClientIp>, source: &str| Hop {
        address: address.map(|address| address.to_string()),
        is_trusted: address.is_some_and(|address| rules.is_trusted(address)),
        source: source.to_owned(),
    };
    let mut hops = vec![hop(Some(peer.ip()), "connection")];
    if let Some(name) = rules.header() {
        let named = rules.named(lines.lines());
        hops.extend(named.into_iter().map(|address| hop(address, name.as_str())));
    }
    let bound = resolved.ok().filter(|client| !rules.is_trusted(*client));
    Json(SeenAddress {
        peer: peer.ip().to_string(),
        hops,
        client_ip: resolved.ok().map(|client| client.to_string()),
        reason: resolved.err().map(|error| error.to_string()),
        would_bind: bound.is_some(),
        network: bound.map(|client| widened(&admin.rules.now(), client).to_string()),
        warnings: warnings(&admin, peer, &headers, resolved),
    })
}

fn warnings(
    admin: &Admin,
    peer: PeerAddr,
    headers: &HeaderMap,
    resolved: Result<ClientIp, Unresolvable>,
) -> Vec<Warning> {
    let rules = &admin.client_ip;
    let mut warnings = Vec::new();
    let mut warn = |code, text: String| warnings.push(Warning { code, text });
    let is_proxied = FORWARDING_HEADERS.iter().any(|name| headers.contains_key(name));
    if is_proxied && !rules.is_trusted(peer.ip()) {
        let text = format!(
            "A proxy seems to stand in front, and {} is not among SENTINEL_TRUSTED_PROXIES: every client behind it would have its address.",
            peer.ip()
        );
        warn(WarningCode::ProxyNotTrusted, text);
    }
    if rules.header().is_none() {
        let text = "Addresses come by the PROXY protocol, which the admin listener does not speak: this request says nothing about them.";
        warn(WarningCode::ProxyProtocol, text.to_owned());
    }
    match resolved {
        Err(_) => {
            let text = "The trusted proxy does not name its client: such requests are refused.";
            warn(WarningCode::ClientNotNamed, text.to_owned());
        }
        Ok(client) if rules.is_trusted(client) => {
            let text = format!(
                "{client} is itself among the trusted proxies, so no key is bound to it: narrow SENTINEL_TRUSTED_PROXIES."
            );
            warn(WarningCode::ClientIsTrusted, text);
        }
        Ok(client) if client.addr().is_loopback() && rules.is_trusted(peer.ip()) => {
            let text = "The trusted proxy says that its client is this machine: look whom it names.";
            warn(WarningCode::ClientIsThisMachine, text.to_owned());
        }
        Ok(_) => {}
    }
    warnings
}

#[cfg(test)]
mod tests;

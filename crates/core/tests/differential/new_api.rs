//! QuantumNous/new-api: `TokenAuth` and `TokenAuthReadOnly` of `middleware/auth.go` at 040b46a, and what earlier versions did
//! otherwise.

use crate::gateway::Gateway;
use crate::golang::{header, path, query, trim_prefix};
use crate::request::Request;

/// How a version reads the WebSocket's subprotocols.
#[derive(Clone, Copy)]
enum Protocols {
    /// The first token with the prefix; nothing without one.
    WithPrefix,
    /// The whole header where no token has the prefix.
    Whole,
    /// The first token where none has it.
    FirstToken,
}

fn keys(request: &Request) -> Vec<String> {
    let Some(path) = path(request) else {
        return Vec::new();
    };
    if path.starts_with("/api/usage/token") {
        return vec![read_only(request)];
    }
    if path.starts_with("/api/log/token") {
        // Versions before the read-only check took it out of the query.
        let from_query = query(request, "key");
        return vec![read_only(request), part(&from_query)];
    }
    if path.starts_with("/api/") || path == "/" {
        return Vec::new();
    }
    [Protocols::WithPrefix, Protocols::Whole, Protocols::FirstToken]
        .map(|protocols| token_auth(request, &path, protocols))
        .to_vec()
}

fn token_auth(request: &Request, path: &str, protocols: Protocols) -> String {
    let mut authorization = header(request, "Authorization");
    let joined = request
        .values("Sec-WebSocket-Protocol")
        .collect::<Vec<_>>()
        .join(",");
    if !joined.is_empty()
        && let Some(key) = protocol_key(&joined, protocols)
    {
        authorization = format!("Bearer {key}");
    }
    if path.contains("/v1/messages") || path.contains("/v1/models") {
        let key = header(request, "x-api-key");
        if !key.is_empty() {
            authorization = format!("Bearer {key}");
        }
    }
    if path == "/v1/models"
        || path.starts_with("/v1beta/models")
        || path.starts_with("/v1beta/openai/models")
        || path.starts_with("/v1/models/")
    {
        let key = query(request, "key");
        if !key.is_empty() {
            authorization = format!("Bearer {key}");
        }
        let key = header(request, "x-goog-api-key");
        if !key.is_empty() {
            authorization = format!("Bearer {key}");
        }
    }
    let mut key = without_bearer(&authorization);
    if key.is_empty() || key == "midjourney-proxy" {
        key = without_bearer(&header(request, "mj-api-secret"));
    }
    part(&key)
}

fn protocol_key(joined: &str, protocols: Protocols) -> Option<String> {
    for token in joined.split(',').map(str::trim) {
        if let Some(key) = token.strip_prefix("openai-insecure-api-key.") {
            return (!key.is_empty()).then(|| key.to_owned());
        }
    }
    match protocols {
        Protocols::WithPrefix => None,
        Protocols::Whole => Some(joined.to_owned()),
        Protocols::FirstToken => joined.split(',').next().map(|token| token.trim().to_owned()),
    }
}

fn read_only(request: &Request) -> String {
    part(&without_bearer(&header(request, "Authorization")))
}

fn without_bearer(value: &str) -> String {
    if value.starts_with("Bearer ") || value.starts_with("bearer ") {
        value[7..].trim().to_owned()
    } else {
        value.to_owned()
    }
}

fn part(key: &str) -> String {
    trim_prefix(key, "sk-")
        .split('-')
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// The key's column compares without regard to case, as MySQL does by default.
fn normal(key: &str) -> String {
    part(key).to_lowercase()
}

const GATEWAY: Gateway = Gateway {
    profile: "new-api",
    keys,
    normal,
};

#[test]
fn new_api_uses_the_checked_key() {
    GATEWAY.judge_generated();
}

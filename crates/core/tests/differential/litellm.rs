//! BerriAI/litellm: `get_api_key`, `user_api_key_auth_websocket` and `_get_bearer_token` of `proxy/auth/user_api_key_auth.py` at
//! 0009d07, and the Langfuse route, which asks neither.

use crate::gateway::Gateway;
use crate::python::{decode_base64, header, path, query};
use crate::request::Request;

fn keys(request: &Request) -> Vec<String> {
    let path = path(request);
    if path.starts_with("/langfuse/") {
        return langfuse(request).into_iter().collect();
    }
    if request.asks_for_websocket() {
        return websocket(request).into_iter().collect();
    }
    http(request, &path).into_iter().collect()
}

fn http(request: &Request, path: &str) -> Option<String> {
    // FastAPI's `APIKeyHeader` takes an empty header for none.
    let given = |name: &str| header(request, name).filter(|value| !value.is_empty());
    if let Some(value) = given("x-litellm-api-key") {
        return Some(bearer_or_whole(&value));
    }
    if let Some(value) = given("authorization") {
        return Some(bearer(&value));
    }
    for name in [
        "api-key",
        "x-api-key",
        "x-goog-api-key",
        "ocp-apim-subscription-key",
    ] {
        if let Some(value) = given(name) {
            return Some(value);
        }
    }
    let takes_query = path.contains("generateContent") || path.contains("streamGenerateContent");
    takes_query.then(|| query(request, "key")).flatten()
}

fn websocket(request: &Request) -> Option<String> {
    let given = |name: &str| header(request, name).filter(|value| !value.is_empty());
    let key = match given("authorization") {
        Some(authorization) => authorization.strip_prefix("Bearer ")?.trim().to_owned(),
        None => given("api-key").or_else(|| {
            let protocols = header(request, "sec-websocket-protocol").unwrap_or_default();
            protocols.split(',').find_map(|protocol| {
                protocol
                    .trim()
                    .strip_prefix("openai-insecure-api-key.")
                    .map(str::to_owned)
            })
        })?,
    };
    Some(bearer(&format!("Bearer {key}")))
}

fn langfuse(request: &Request) -> Option<String> {
    let value = header(request, "authorization").unwrap_or_default();
    let decoded = decode_base64(&value.replace("Basic ", ""))?;
    let password = decoded.split(':').nth(1)?;
    Some(bearer(&format!("Bearer {password}")))
}

fn bearer(value: &str) -> String {
    signed_or_schemed(value).unwrap_or_default()
}

fn bearer_or_whole(value: &str) -> String {
    signed_or_schemed(value).unwrap_or_else(|| value.to_owned())
}

/// What stands behind a scheme, every occurrence of which goes, or in an Amazon signature.
fn signed_or_schemed(value: &str) -> Option<String> {
    for scheme in ["Bearer ", "Basic ", "bearer "] {
        if value.starts_with(scheme) {
            return Some(value.replace(scheme, ""));
        }
    }
    if !value.starts_with("AWS4-HMAC-SHA256") {
        return None;
    }
    credential_of(value, true).or_else(|| credential_of(value, false))
}

/// `Credential=Bearer\s+([^/\s,]+)`, or the same without `Bearer`.
fn credential_of(value: &str, has_bearer: bool) -> Option<String> {
    let ends = |character: char| matches!(character, '/' | ',') || character.is_whitespace();
    for (at, found) in value.match_indices("Credential=") {
        let mut rest = &value[at + found.len()..];
        if has_bearer {
            let Some(behind) = rest.strip_prefix("Bearer") else {
                continue;
            };
            rest = behind.trim_start();
            if rest.len() == behind.len() {
                continue;
            }
        }
        let key = rest.split(ends).next().unwrap_or_default();
        if !key.is_empty() {
            return Some(key.to_owned());
        }
    }
    None
}

const GATEWAY: Gateway = Gateway {
    profile: "litellm",
    keys,
    normal: str::to_owned,
};

#[test]
fn litellm_uses_the_checked_key() {
    GATEWAY.judge_generated();
}

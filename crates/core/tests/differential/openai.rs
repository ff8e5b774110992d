//! Bare OpenAI-style servers: llama.cpp's `middleware_validate_api_key` at aa6192d with its HTTP library, vLLM's
//! `AuthenticationMiddleware` at bd6c46e and a fork of it, Azure's deployments, and OpenAI's Realtime.

use crate::gateway::Gateway;
use crate::python;
use crate::request::Request;

fn keys(request: &Request) -> Vec<String> {
    let mut keys = vec![llama_cpp(request)];
    keys.extend(vllm(request));
    keys.extend(python::header(request, "api-key"));
    keys.extend(python::query(request, "api-key"));
    for protocols in request.values("sec-websocket-protocol") {
        let tokens = protocols.split(',').map(str::trim);
        keys.extend(
            tokens.filter_map(|token| Some(token.strip_prefix("openai-insecure-api-key.")?.to_owned())),
        );
    }
    keys
}

fn llama_cpp(request: &Request) -> String {
    let header = |name: &str| request.values(name).next().map(|value| decoded(&value));
    let mut key = header("Authorization").unwrap_or_default();
    if key.is_empty() {
        key = header("X-Api-Key").unwrap_or_default();
    }
    match key.strip_prefix("Bearer ") {
        Some(rest) => rest.to_owned(),
        None => key,
    }
}

/// cpp-httplib decodes percent escapes in every header but two.
fn decoded(value: &str) -> String {
    let value = value.replace("%u00", "%");
    String::from_utf8_lossy(&percent_encoding::percent_decode_str(&value).collect::<Vec<u8>>()).into_owned()
}

/// Each of the two may open the door: the fork tries both.
fn vllm(request: &Request) -> Vec<String> {
    let mut keys = Vec::new();
    if let Some(authorization) = python::header(request, "Authorization")
        && let Some((scheme, parameter)) = authorization.split_once(' ')
        && scheme.to_lowercase() == "bearer"
    {
        keys.push(parameter.to_owned());
    }
    keys.extend(python::header(request, "x-api-key"));
    keys
}

const GATEWAY: Gateway = Gateway {
    profile: "openai",
    keys,
    normal: str::to_owned,
};

#[test]
fn a_bare_server_uses_the_checked_key() {
    GATEWAY.judge_generated();
}

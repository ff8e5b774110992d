//! Wei-Shaw/sub2api: `api_key_auth.go` and `api_key_auth_google.go` of `internal/server/middleware`, in the versions of a2dcb88
//! and da1fabe (now) and of d3e73f1 (before `?key` was given up).

use crate::gateway::Gateway;
use crate::golang::{header, path, query};
use crate::request::Request;

fn keys(request: &Request) -> Vec<String> {
    let Some(path) = path(request) else {
        return Vec::new();
    };
    if path == "/v1beta" || path.starts_with("/v1beta/") || path.starts_with("/antigravity/v1beta/") {
        return vec![google(request, &path), google_before(request)];
    }
    let is_route = [
        "/v1/",
        "/antigravity/",
        "/responses",
        "/backend-api/codex/",
        "/chat/completions",
    ]
    .iter()
    .any(|prefix| path.starts_with(prefix));
    if is_route {
        vec![main(request), main_before(request)]
    } else {
        Vec::new()
    }
}

fn main(request: &Request) -> String {
    if !query(request, "key").trim().is_empty() || !query(request, "api_key").trim().is_empty() {
        // Answered 400.
        return String::new();
    }
    let authorization = header(request, "Authorization");
    let mut key = String::new();
    if let Some((scheme, rest)) = authorization.split_once(' ')
        && scheme.eq_ignore_ascii_case("Bearer")
    {
        rest.trim().clone_into(&mut key);
    }
    if key.is_empty() {
        key = header(request, "x-api-key");
    }
    if key.is_empty() {
        key = header(request, "x-goog-api-key");
    }
    key
}

fn main_before(request: &Request) -> String {
    let authorization = header(request, "Authorization");
    let mut key = match authorization.split_once(' ') {
        Some(("Bearer", rest)) => rest.to_owned(),
        _ => String::new(),
    };
    for other in [
        header(request, "x-api-key"),
        header(request, "x-goog-api-key"),
        query(request, "key"),
        query(request, "api_key"),
    ] {
        if key.is_empty() {
            key = other;
        }
    }
    key
}

fn google(request: &Request, path: &str) -> String {
    if !query(request, "api_key").trim().is_empty() {
        return String::new();
    }
    let key = header(request, "x-goog-api-key").trim().to_owned();
    if !key.is_empty() {
        return key;
    }
    let authorization = header(request, "Authorization").trim().to_owned();
    if let Some((scheme, rest)) = authorization.split_once(' ')
        && scheme.eq_ignore_ascii_case("Bearer")
        && !rest.trim().is_empty()
    {
        return rest.trim().to_owned();
    }
    let key = header(request, "x-api-key").trim().to_owned();
    if !key.is_empty() {
        return key;
    }
    if path.starts_with("/v1beta") || path.starts_with("/antigravity/v1beta") {
        return query(request, "key").trim().to_owned();
    }
    String::new()
}

fn google_before(request: &Request) -> String {
    let authorization = header(request, "Authorization");
    if let Some(("Bearer", rest)) = authorization.split_once(' ')
        && !rest.trim().is_empty()
    {
        return rest.trim().to_owned();
    }
    for other in [
        header(request, "x-api-key"),
        header(request, "x-goog-api-key"),
        query(request, "key"),
        query(request, "api_key"),
    ] {
        if !other.trim().is_empty() {
            return other.trim().to_owned();
        }
    }
    String::new()
}

const GATEWAY: Gateway = Gateway {
    profile: "sub2api",
    keys,
    normal: str::to_owned,
};

#[test]
fn sub2api_uses_the_checked_key() {
    GATEWAY.judge_generated();
}

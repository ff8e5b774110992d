//! songquanpeng/one-api: `TokenAuth` of `middleware/auth.go` at 8df4a26.

use crate::gateway::Gateway;
use crate::golang::{header, path, trim_prefix};
use crate::request::Request;

fn keys(request: &Request) -> Vec<String> {
    let Some(path) = path(request) else {
        return Vec::new();
    };
    if !path.starts_with("/v1/") && !path.starts_with("/dashboard/billing/") {
        return Vec::new();
    }
    let authorization = header(request, "Authorization");
    let key = trim_prefix(&authorization, "Bearer ");
    vec![part(key)]
}

fn part(key: &str) -> String {
    trim_prefix(key, "sk-")
        .split('-')
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn normal(key: &str) -> String {
    part(key).to_lowercase()
}

const GATEWAY: Gateway = Gateway {
    profile: "one-api",
    keys,
    normal,
};

#[test]
fn one_api_uses_the_checked_key() {
    GATEWAY.judge_generated();
}

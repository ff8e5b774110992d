//! Google's Gemini API. Its source is not public, so the model takes a key wherever a client may put it, in any order.

use crate::gateway::Gateway;
use crate::golang::{path, query};
use crate::request::Request;

fn keys(request: &Request) -> Vec<String> {
    let mut keys: Vec<String> = request.values("x-goog-api-key").collect();
    keys.push(query(request, "key"));
    if path(request).is_some_and(|path| path.starts_with("/v1beta/openai/")) {
        for authorization in request.values("authorization") {
            if let Some((scheme, key)) = authorization.split_once(' ')
                && scheme.eq_ignore_ascii_case("Bearer")
            {
                keys.push(key.trim().to_owned());
            }
        }
    }
    keys
}

const GATEWAY: Gateway = Gateway {
    profile: "gemini",
    keys,
    normal: str::to_owned,
};

#[test]
fn gemini_uses_the_checked_key() {
    GATEWAY.judge_generated();
}

//! Anthropic's API. Its source is not public, so the model takes a key wherever a client may put it, in any order.

use crate::gateway::Gateway;
use crate::request::Request;

fn keys(request: &Request) -> Vec<String> {
    let mut keys: Vec<String> = request.values("x-api-key").collect();
    for authorization in request.values("authorization") {
        if let Some((scheme, key)) = authorization.split_once(' ')
            && scheme.eq_ignore_ascii_case("Bearer")
        {
            keys.push(key.trim().to_owned());
        }
    }
    keys
}

const GATEWAY: Gateway = Gateway {
    profile: "anthropic",
    keys,
    normal: str::to_owned,
};

#[test]
fn anthropic_uses_the_checked_key() {
    GATEWAY.judge_generated();
}

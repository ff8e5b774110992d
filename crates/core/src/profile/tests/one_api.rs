//! What is expected of the profile of songquanpeng/one-api.

use super::*;

#[test]
fn one_api_is_read_as_it_reads_itself() {
    Expected {
        profile: "one-api",
        keys: &[
            (("/v1/chat/completions", &["authorization: Bearer sk-a"]), "sk-a"),
            (("/v1/chat/completions", &["authorization: sk-a"]), "sk-a"),
            (
                ("/v1/chat/completions", &["authorization: Bearer sk-a-12"]),
                "sk-a-12",
            ),
            (("/v1/chat/completions", &["authorization: bearer sk-a"]), "none"),
            (("/v1/chat/completions", &["authorization: Basic sk-a"]), "none"),
            (
                (
                    "/v1/messages?key=sk-q",
                    &["x-api-key: sk-b", "x-goog-api-key: sk-g", "api-key: sk-z"],
                ),
                "none",
            ),
            (
                (
                    "/v1/realtime",
                    &["sec-websocket-protocol: openai-insecure-api-key.sk-w"],
                ),
                "none",
            ),
            (
                ("/dashboard/billing/usage", &["authorization: Bearer sk-a"]),
                "sk-a",
            ),
            (
                (
                    "/v1/models",
                    &["authorization: Bearer sk-a", "Authorization: Bearer sk-b"],
                ),
                "Repeated",
            ),
        ],
        one_key: &["sk-K1", "K1", "sk-K1-12", "sk-k1"],
        other_keys: &["sk-sk-K1", "sk-K2"],
        claims: &[
            "/v1/chat/completions",
            "/v1/models",
            "/v1/oneapi/proxy/7/v1/chat/completions",
            "/v1/dashboard/billing/subscription",
            "/dashboard/billing/usage",
        ],
        no_claims: &[
            "/",
            "/api/token/",
            "/api/user/self",
            "/dashboard",
            "/login",
            "/v1beta/models",
        ],
        dialects: &[
            ("/v1/chat/completions", Dialect::OpenAi),
            ("/v1/messages", Dialect::OpenAi),
            ("/dashboard/billing/usage", Dialect::OpenAi),
            ("/", Dialect::Plain),
        ],
    }
    .check();
}

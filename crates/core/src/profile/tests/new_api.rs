//! What is expected of the profile of QuantumNous/new-api. How it chooses among several keys is in the tests of `credential`.

use super::*;

#[test]
fn new_api_is_read_as_it_reads_itself() {
    Expected {
        profile: "new-api",
        keys: &[
            (("/v1/chat/completions", &["authorization: Bearer sk-a"]), "sk-a"),
            (("/v1/chat/completions", &["authorization: sk-a"]), "sk-a"),
            (
                ("/v1/messages", &["authorization: Bearer sk-a", "x-api-key: sk-b"]),
                "sk-b",
            ),
            (
                (
                    "/v1/responses",
                    &["authorization: Bearer sk-a", "x-api-key: sk-b"],
                ),
                "sk-a",
            ),
            (
                (
                    "/v1beta/models/x:generateContent?key=sk-q",
                    &["authorization: Bearer sk-a"],
                ),
                "sk-q",
            ),
            (("/v1beta/models?key=sk-q", &["x-goog-api-key: sk-g"]), "sk-g"),
            (
                (
                    "/v1/realtime",
                    &[
                        "authorization: Bearer sk-a",
                        "sec-websocket-protocol: realtime, openai-insecure-api-key.sk-w",
                    ],
                ),
                "sk-w",
            ),
            (
                (
                    "/mj/submit/imagine",
                    &["authorization: Bearer midjourney-proxy", "mj-api-secret: sk-m"],
                ),
                "sk-m",
            ),
            (("/v1/chat/completions?key=sk-q", &[]), "none"),
        ],
        one_key: &["sk-K1", "K1", "sk-K1-12", "K1-12", "sk-k1"],
        other_keys: &["sk-sk-K1", "sk-K2", "SK-K1"],
        claims: &[
            "/v1/chat/completions",
            "/v1beta/models/x:generateContent",
            "/mj/submit/imagine",
            "/fast/mj/submit/imagine",
            "/suno/submit/music",
            "/kling/v1/videos/text2video",
            "/jimeng/",
        ],
        no_claims: &[
            "/",
            "/api/user/self",
            "/api/usage/token",
            "/v1",
            "/v10/x",
            "/assets/v1/x",
            "/pg/chat/completions",
        ],
        dialects: &[
            ("/v1/chat/completions", Dialect::OpenAi),
            ("/v1/messages", Dialect::Anthropic),
            ("/v1/messages/count_tokens", Dialect::Anthropic),
            ("/v1/mess%61ges", Dialect::Anthropic),
            ("/v1beta/models/x:generateContent", Dialect::Gemini),
            ("/v1beta/openai/models", Dialect::OpenAi),
            ("/", Dialect::Plain),
        ],
    }
    .check();
}

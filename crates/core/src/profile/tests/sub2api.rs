//! What is expected of the profile of Wei-Shaw/sub2api.

use super::*;

const ALL: &[&str] = &[
    "authorization: Bearer sk-a",
    "x-api-key: sk-b",
    "x-goog-api-key: sk-g",
];

#[test]
fn sub2api_is_read_as_it_reads_itself() {
    Expected {
        profile: "sub2api",
        keys: &[
            (("/v1/messages", ALL), "sk-a"),
            (("/v1/chat/completions", &["authorization: BEARER sk-a"]), "sk-a"),
            (
                ("/v1/responses", &["x-goog-api-key: sk-g", "x-api-key: sk-b"]),
                "sk-b",
            ),
            (("/responses", &["x-goog-api-key: sk-g"]), "sk-g"),
            (
                ("/v1/messages", &["authorization: sk-a", "x-api-key: sk-b"]),
                "sk-b",
            ),
            (("/v1/messages?key=sk-q", &[]), "none"),
            (("/v1/messages?api_key=sk-q", &[]), "none"),
            (("/v1beta/models/x:generateContent?key=sk-q", ALL), "sk-g"),
            (
                (
                    "/v1beta/models?key=sk-q",
                    &["x-api-key: sk-b", "authorization: Bearer sk-a"],
                ),
                "sk-a",
            ),
            (("/v1beta/models?key=sk-q", &["x-api-key: sk-b"]), "sk-b"),
            (("/v1beta/models?key=sk-q", &[]), "sk-q"),
            (("/antigravity/v1beta/models/x?key=sk-q", &[]), "sk-q"),
            (("/antigravity/v1/messages?key=sk-q", ALL), "sk-a"),
            (("/%761beta/models", ALL), "Path"),
        ],
        one_key: &["sk-K1-a_b"],
        other_keys: &["K1-a_b", "sk-K1", "sk-k1-a_b"],
        claims: &[
            "/v1/messages",
            "/v1beta/models/x:generateContent",
            "/antigravity/v1/messages",
            "/antigravity/models",
            "/responses",
            "/responses/compact",
            "/chat/completions",
            "/embeddings",
            "/images/generations",
            "/openai/v1/responses",
            "/backend-api/codex/responses",
        ],
        no_claims: &[
            "/",
            "/api/v1/keys",
            "/api/v1/admin/users",
            "/setup",
            "/health",
            "/login",
        ],
        dialects: &[
            ("/v1/messages", Dialect::Anthropic),
            ("/antigravity/v1/messages/count_tokens", Dialect::Anthropic),
            ("/v1beta/models", Dialect::Gemini),
            ("/antigravity/v1beta/models/x", Dialect::Gemini),
            ("/v1/chat/completions", Dialect::OpenAi),
            ("/backend-api/codex/responses", Dialect::OpenAi),
            ("/", Dialect::Plain),
        ],
    }
    .check();
}

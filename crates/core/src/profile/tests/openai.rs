//! What is expected of the profile of a bare OpenAI-style server.

use super::*;

#[test]
fn a_bare_server_is_read_as_it_reads_itself() {
    Expected {
        profile: "openai",
        keys: &[
            (("/v1/chat/completions", &["authorization: Bearer sk-a"]), "sk-a"),
            (("/v1/chat/completions", &["authorization: BEARER sk-a"]), "sk-a"),
            (("/completion", &["authorization: sk-a"]), "sk-a"),
            (("/completion", &["authorization: Basic sk-a"]), "none"),
            (
                (
                    "/openai/deployments/x/chat/completions",
                    &["api-key: az-1", "x-api-key: sk-b"],
                ),
                "az-1",
            ),
            (("/v1/messages", &["x-api-key: sk-b"]), "sk-b"),
            (
                (
                    "/v1/realtime",
                    &["sec-websocket-protocol: realtime, openai-insecure-api-key.sk-w"],
                ),
                "sk-w",
            ),
            (("/openai/realtime?deployment=x&api-key=az-1", &[]), "az-1"),
            (("/v1/models?key=sk-q", &[]), "none"),
            // llama.cpp decodes it, and would find sk-a.
            (("/v1/models", &["authorization: Bearer sk%2da"]), "Malformed"),
            (("/v1/models", &["authorization: Bearer%20sk-a"]), "Malformed"),
            (("/v1/models", &["x-api-key: %73k-a"]), "Malformed"),
        ],
        one_key: &["sk-K1"],
        other_keys: &["K1", "sk-K1-1", "sk-k1"],
        claims: &[
            "/v1/chat/completions",
            "/completion",
            "/infill",
            "/openai/v1/responses",
            "/",
        ],
        no_claims: &[],
        dialects: &[
            ("/v1/chat/completions", Dialect::OpenAi),
            ("/completion", Dialect::OpenAi),
            ("/v1/messages", Dialect::Anthropic),
            ("/v1beta/models", Dialect::OpenAi),
            ("/", Dialect::Plain),
        ],
    }
    .check();
}

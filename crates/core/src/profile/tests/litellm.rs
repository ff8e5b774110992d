//! What is expected of the profile of BerriAI/litellm.

use super::*;

#[test]
fn litellm_is_read_as_it_reads_itself() {
    Expected {
        profile: "litellm",
        keys: &[
            (
                (
                    "/chat/completions",
                    &["authorization: Bearer sk-a", "x-litellm-api-key: Bearer sk-l"],
                ),
                "sk-l",
            ),
            (
                ("/v1/messages", &["authorization: Bearer sk-a", "x-api-key: sk-b"]),
                "sk-a",
            ),
            (
                ("/chat/completions", &["api-key: sk-z", "x-api-key: sk-b"]),
                "sk-z",
            ),
            (
                ("/chat/completions", &["x-goog-api-key: sk-g", "x-api-key: sk-b"]),
                "sk-b",
            ),
            (
                (
                    "/v1/realtime",
                    &["sec-websocket-protocol: realtime, openai-insecure-api-key.sk-w"],
                ),
                "sk-w",
            ),
            (
                (
                    "/langfuse/api/public/ingestion",
                    &["authorization: Basic cGs6c2stYQ=="],
                ),
                "sk-a",
            ),
            (
                ("/chat/completions", &["authorization: Basic cGs6c2stYQ=="]),
                "none",
            ),
            (("/gemini/v1beta/models/x:generateContent?key=sk-q", &[]), "sk-q"),
            (("/chat/completions?key=sk-q", &[]), "none"),
            (
                ("/chat/completions", &["authorization: Bearer sk-a,b"]),
                "Malformed",
            ),
        ],
        one_key: &["sk-K1-a_b"],
        other_keys: &["K1-a_b", "sk-K1", "sk-k1-a_b"],
        claims: &[
            "/chat/completions",
            "/v1/chat/completions",
            "/anthropic/v1/messages",
            "/embeddings",
            "/azure_ai/x",
            "/openai_passthrough/v1/responses",
            "/cursor/chat/completions",
            "/langfuse/api/public/ingestion",
            "/eu.assemblyai/v2/transcript",
            "/milvus/x",
            "/containers",
            "/rag/query",
            "/interactions/1/cancel",
            "/agents",
            "/vector_store/list",
            "/guardrails/apply_guardrail",
            "/utils/token_counter",
            "/mcp-rest/tools/call",
        ],
        no_claims: &[
            "/key/generate",
            "/ui/",
            "/sso/key/generate",
            "/health/readiness",
            "/guardrails/list",
            "/spend/logs",
        ],
        dialects: &[
            ("/chat/completions", Dialect::OpenAi),
            ("/v1/messages", Dialect::Anthropic),
            ("/anthropic/v1/messages", Dialect::Anthropic),
            ("/gemini/v1beta/models/x:generateContent", Dialect::Gemini),
            ("/models/x:streamGenerateContent", Dialect::Gemini),
            ("/", Dialect::Plain),
        ],
    }
    .check();
}

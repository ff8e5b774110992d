//! What is expected of the profile of Anthropic's API.

use super::*;

#[test]
fn anthropic_is_read_as_its_clients_write() {
    Expected {
        profile: "anthropic",
        keys: &[
            (("/v1/messages", &["x-api-key: sk-ant-a"]), "sk-ant-a"),
            (("/v1/messages", &["authorization: Bearer sk-ant-o"]), "sk-ant-o"),
            (
                (
                    "/v1/messages",
                    &["authorization: Bearer sk-ant-o", "x-api-key: sk-ant-a"],
                ),
                "sk-ant-a",
            ),
            (
                ("/v1/messages", &["authorization: Bearer sk-ant-o", "x-api-key: "]),
                "sk-ant-o",
            ),
            (("/v1/messages", &["authorization: sk-ant-o"]), "none"),
            (
                (
                    "/v1/messages?key=sk-q",
                    &["api-key: sk-z", "x-goog-api-key: sk-g"],
                ),
                "none",
            ),
        ],
        one_key: &["sk-ant-api03-K1"],
        other_keys: &["sk-ant-api03-k1", "ant-api03-K1", "sk-ant"],
        claims: &["/v1/messages", "/v1/messages/batches", "/v1/models", "/v1/files"],
        no_claims: &["/", "/api/hello", "/v1"],
        dialects: &[
            ("/v1/messages", Dialect::Anthropic),
            ("/v1/models", Dialect::Anthropic),
            ("/", Dialect::Plain),
        ],
    }
    .check();
}

//! What is expected of the profile of Google's Gemini API.

use super::*;

#[test]
fn gemini_is_read_as_its_clients_write() {
    Expected {
        profile: "gemini",
        keys: &[
            (
                ("/v1beta/models/x:generateContent", &["x-goog-api-key: AIzaA"]),
                "AIzaA",
            ),
            (
                ("/v1beta/models/x:generateContent?alt=sse&key=AIzaQ", &[]),
                "AIzaQ",
            ),
            (("/v1beta/models?key=AIzaQ", &["x-goog-api-key: AIzaA"]), "AIzaA"),
            (
                (
                    "/v1beta/openai/chat/completions",
                    &["authorization: Bearer AIzaA"],
                ),
                "AIzaA",
            ),
            // An OAuth token, which is no key.
            (("/v1beta/models", &["authorization: Bearer ya29.a0"]), "none"),
            (("/v1beta/models?access_token=ya29.a0", &[]), "none"),
            (
                (
                    "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent?key=AIzaQ",
                    &["upgrade: websocket"],
                ),
                "AIzaQ",
            ),
            (("/v1beta/models?key=AIzaQ&k%65y=AIzaR", &[]), "Repeated"),
        ],
        one_key: &["AIzaSy-K1_x"],
        other_keys: &["AIzaSy-k1_x", "AIzaSy"],
        claims: &[
            "/v1/models",
            "/v1beta/models/x:generateContent",
            "/v1beta/openai/chat/completions",
            "/v1alpha/models/x",
            "/upload/v1beta/files",
            "/ws/x",
        ],
        no_claims: &["/", "/generate_204", "/$discovery/rest"],
        dialects: &[
            ("/v1beta/models/x:generateContent", Dialect::Gemini),
            ("/v1beta/openai/chat/completions", Dialect::OpenAi),
            ("/upload/v1beta/files", Dialect::Gemini),
            ("/", Dialect::Plain),
        ],
    }
    .check();
}

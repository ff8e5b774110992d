//! BerriAI/litellm, as `proxy/auth/user_api_key_auth.py` (`get_api_key`) has it at 0009d07.

use std::borrow::Cow;

use super::scheme_header;
use super::{BEARER, anywhere, authorization, carrier, contains, gateway_dialects, header, prefix, query};
use crate::credential::CREDENTIAL_HEADERS;
use crate::profile::{KeyAlphabet, Normalisation, Place, Profile};

/// Where LiteLLM serves models, and lets on to other providers: `LiteLLMRoutes` in `proxy/_types.py` at 00025c8, each with
/// what is below it. It serves the OpenAI routes with and without `/v1`.
const CLAIM_PREFIXES: &[&str] = &[
    "/v1/",
    "/v1beta/",
    "/v2/",
    "/chat/",
    "/completions",
    "/embeddings",
    "/images/",
    "/audio/",
    "/moderations",
    "/rerank",
    "/responses",
    "/messages",
    "/models",
    "/batches",
    "/files",
    "/fine_tuning/",
    "/assistants",
    "/threads",
    "/vector_stores",
    "/vector_store/",
    "/containers",
    "/videos",
    "/realtime",
    "/ocr",
    "/search",
    "/rag/",
    "/interactions",
    "/agents",
    "/a2a/",
    "/mcp",
    "/utils/token_counter",
    "/utils/transform_request",
    "/guardrails/apply_guardrail",
    "/engines/",
    "/openai/",
    "/openai_passthrough",
    "/azure/",
    "/azure_ai",
    "/anthropic/",
    "/gemini/",
    "/vertex_ai/",
    "/vertex-ai/",
    "/bedrock/",
    "/cohere/",
    "/mistral/",
    "/assemblyai/",
    "/eu.assemblyai",
    "/vllm/",
    "/cursor",
    "/langfuse",
    "/milvus",
];

/// Its keys are hashed as they are: the alphabet of their random part contains `-`.
///
/// On a WebSocket it asks `Authorization`, `api-key` and the subprotocols, and no other header; so the subprotocols stand there.
///
/// It cuts `Basic ` off like a `Bearer `, but what stands behind it is decoded on some routes and not on others, so that one
/// key would have several fingerprints. Here it is no key, except on the Langfuse route, which always decodes it and takes
/// the password. The query is read where `generateContent` or `streamGenerateContent` stands anywhere in the path; the rule
/// is wider, so that no spelling of Google's verbs is missed.
pub(super) fn profile() -> Profile {
    let generate_content = vec![
        contains("enerateContent"),
        contains("countTokens"),
        prefix("/v1beta/models"),
        prefix("/gemini/"),
    ];
    Profile {
        name: Cow::Borrowed("litellm"),
        carriers: Cow::Owned(vec![
            carrier(Place::BasicPassword, vec![contains("/langfuse/")]),
            anywhere(scheme_header("x-litellm-api-key", BEARER, true)),
            anywhere(authorization(BEARER, false)),
            anywhere(header("api-key")),
            anywhere(Place::WebSocketProtocol),
            anywhere(header("x-api-key")),
            anywhere(header("x-goog-api-key")),
            anywhere(header("ocp-apim-subscription-key")),
            carrier(query("key"), generate_content),
        ]),
        credential_headers: Cow::Borrowed(&CREDENTIAL_HEADERS),
        placeholder: None,
        alphabet: KeyAlphabet::Token68,
        normalisation: Normalisation::Exact,
        claim_paths: CLAIM_PREFIXES.iter().copied().map(prefix).collect(),
        dialects: gateway_dialects(),
    }
}

//! The built-in profiles. Each table says where its facts are from; none of them is a guess about a gateway's future.

use std::borrow::Cow;

use http::header::HeaderName;

use crate::credential::CREDENTIAL_HEADERS;

use super::{Carrier, Dialect, KeyAlphabet, Normalisation, PathRule, Place, Profile};

/// The schemes that the gateways cut off, and the only spellings of them.
const BEARER: &[&str] = &["Bearer ", "bearer "];
/// Where LiteLLM serves models, and lets on to other providers: `LiteLLMRoutes` in `proxy/_types.py` at 00025c8, each with
/// what is below it. It serves the OpenAI routes with and without `/v1`.
const LITELLM_CLAIM_PREFIXES: &[&str] = &[
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

/// QuantumNous/new-api, `middleware/auth.go` (`TokenAuth`) at 040b46a: each later place overwrites the earlier ones, so
/// the order here is the reverse of that function's. `api-key` is not read there; forks do, so it comes last.
pub(super) fn new_api() -> Profile {
    let gemini = || {
        vec![
            exact("/v1/models"),
            prefix("/v1/models/"),
            prefix("/v1beta/models"),
            prefix("/v1beta/openai/models"),
        ]
    };
    Profile {
        name: Cow::Borrowed("new-api"),
        carriers: Cow::Owned(vec![
            carrier(header("x-goog-api-key", &[], true), gemini()),
            carrier(Place::Query(Cow::Borrowed("key")), gemini()),
            carrier(
                header("x-api-key", &[], true),
                vec![contains("/v1/messages"), contains("/v1/models")],
            ),
            carrier(Place::WebSocketProtocol, vec![PathRule::Any]),
            carrier(authorization(BEARER, true), vec![PathRule::Any]),
            carrier(header("mj-api-secret", BEARER, true), vec![PathRule::Any]),
            carrier(header("api-key", &[], true), vec![PathRule::Any]),
            carrier(Place::Query(Cow::Borrowed("key")), vec![prefix("/api/log/token")]),
        ]),
        credential_headers: Cow::Borrowed(&CREDENTIAL_HEADERS),
        placeholder: Some(Cow::Borrowed("midjourney-proxy")),
        alphabet: KeyAlphabet::Visible,
        normalisation: Normalisation::SkPrefixAndChannel,
        claim_paths: Cow::Owned(vec![
            prefix("/v1/"),
            prefix("/v1beta/"),
            contains("/mj/"),
            prefix("/suno/"),
            prefix("/kling/"),
            prefix("/jimeng"),
        ]),
        dialects: gateway_dialects(),
    }
}

/// BerriAI/litellm, `proxy/auth/user_api_key_auth.py` (`get_api_key`) at 0009d07. Its keys are hashed as they are: the alphabet
/// of their random part contains `-`.
///
/// It cuts `Basic ` off like a `Bearer `, but what stands behind it is decoded on some routes and not on others, so that one
/// key would have several fingerprints. Here it is no key, except on the Langfuse route, which always decodes it and takes
/// the password. The query is read where `generateContent` or `streamGenerateContent` stands anywhere in the path; the rule
/// is wider, so that no spelling of Google's verbs is missed.
pub(super) fn litellm() -> Profile {
    let generate_content = || {
        vec![
            contains("enerateContent"),
            contains("countTokens"),
            prefix("/v1beta/models"),
            prefix("/gemini/"),
        ]
    };
    let any = || vec![PathRule::Any];
    Profile {
        name: Cow::Borrowed("litellm"),
        carriers: Cow::Owned(vec![
            carrier(Place::BasicPassword, vec![contains("/langfuse/")]),
            carrier(header("x-litellm-api-key", BEARER, true), any()),
            carrier(authorization(BEARER, false), any()),
            carrier(header("api-key", &[], true), any()),
            carrier(header("x-api-key", &[], true), any()),
            carrier(header("x-goog-api-key", &[], true), any()),
            carrier(header("ocp-apim-subscription-key", &[], true), any()),
            carrier(Place::WebSocketProtocol, any()),
            carrier(Place::Query(Cow::Borrowed("key")), generate_content()),
        ]),
        credential_headers: Cow::Borrowed(&CREDENTIAL_HEADERS),
        placeholder: None,
        alphabet: KeyAlphabet::Token68,
        normalisation: Normalisation::Exact,
        claim_paths: LITELLM_CLAIM_PREFIXES.iter().copied().map(prefix).collect(),
        dialects: gateway_dialects(),
    }
}

/// Gateways that serve several vendors' routes word errors by route.
fn gateway_dialects() -> Cow<'static, [(PathRule, Dialect)]> {
    Cow::Owned(vec![
        (contains("/v1/messages"), Dialect::Anthropic),
        (prefix("/anthropic/"), Dialect::Anthropic),
        (prefix("/v1beta/openai/"), Dialect::OpenAi),
        (prefix("/v1beta/"), Dialect::Gemini),
        (prefix("/gemini/"), Dialect::Gemini),
        (contains(":generateContent"), Dialect::Gemini),
        (contains(":streamGenerateContent"), Dialect::Gemini),
        (exact("/"), Dialect::Plain),
        (PathRule::Any, Dialect::OpenAi),
    ])
}

fn carrier(place: Place, paths: Vec<PathRule>) -> Carrier {
    Carrier {
        place,
        paths: Cow::Owned(paths),
    }
}

fn header(name: &'static str, schemes: &[&'static str], bare: bool) -> Place {
    Place::Header {
        name: HeaderName::from_static(name),
        schemes: schemes
            .iter()
            .copied()
            .map(Cow::Borrowed)
            .collect::<Vec<_>>()
            .into(),
        bare,
    }
}

fn authorization(schemes: &[&'static str], bare: bool) -> Place {
    header("authorization", schemes, bare)
}

fn exact(text: &'static str) -> PathRule {
    PathRule::Exact(Cow::Borrowed(text))
}

fn prefix(text: &'static str) -> PathRule {
    PathRule::Prefix(Cow::Borrowed(text))
}

fn contains(text: &'static str) -> PathRule {
    PathRule::Contains(Cow::Borrowed(text))
}

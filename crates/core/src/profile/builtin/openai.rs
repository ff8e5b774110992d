//! A bare OpenAI-style server: no gateway, nobody's console. What is known of several of them, in one table:
//! ggml-org/llama.cpp, `tools/server/server-http.cpp` at aa6192d (`Authorization`, with or without `Bearer `, else `X-Api-Key`,
//! both with their percent escapes decoded, which `vendor/cpp-httplib` does to every header);
//! vllm-project/vllm, `AuthenticationMiddleware` in `entrypoints/serve/utils/server_utils.py` at bd6c46e (a Bearer, in any case);
//! Azure's deployments, as openai/openai-python, `lib/azure.py` at b73f951, calls them (`api-key`, also in the query of a
//! WebSocket); and OpenAI's own Realtime, which takes the key among the subprotocols.

use std::borrow::Cow;

use super::{BEARER_IN_ANY_CASE, anywhere, authorization, contains, exact, header, query};
use crate::credential::CREDENTIAL_HEADERS;
use crate::profile::{Dialect, KeyAlphabet, Normalisation, PathRule, Place, Profile};

/// Every path is the API's, with and without `/v1`, so a key is claimed wherever it is used.
pub(super) fn profile() -> Profile {
    Profile {
        name: Cow::Borrowed("openai"),
        carriers: Cow::Owned(vec![
            anywhere(authorization(BEARER_IN_ANY_CASE, true)),
            anywhere(header("api-key")),
            anywhere(header("x-api-key")),
            anywhere(Place::WebSocketProtocol),
            anywhere(query("api-key")),
        ]),
        credential_headers: Cow::Borrowed(&CREDENTIAL_HEADERS),
        placeholder: None,
        alphabet: KeyAlphabet::Unescaped,
        normalisation: Normalisation::Exact,
        claim_paths: Cow::Owned(vec![PathRule::Any]),
        dialects: Cow::Owned(vec![
            (contains("/v1/messages"), Dialect::Anthropic),
            (exact("/"), Dialect::Plain),
            (PathRule::Any, Dialect::OpenAi),
        ]),
    }
}

//! Wei-Shaw/sub2api, as `backend/internal/server/middleware/api_key_auth.go` has it at a2dcb88 and 03eefad,
//! `api_key_auth_google.go` at da1fabe, and `routes/gateway.go` at b2cb77c.

use std::borrow::Cow;

use super::{BEARER_IN_ANY_CASE, anywhere, authorization, carrier, contains, exact, header, prefix, query};
use crate::credential::CREDENTIAL_HEADERS;
use crate::profile::{Dialect, KeyAlphabet, Normalisation, PathRule, Profile};

/// Two orders: Google's header goes first on the Gemini routes and last on all others. `?key` counts on the Gemini routes only;
/// elsewhere it answers 400 to it, as to `?api_key` anywhere. The scheme is compared without regard to case.
///
/// A key is looked up as it is, in PostgreSQL, which tells cases apart; users may choose one out of letters, digits, `-` and `_`.
pub(super) fn profile() -> Profile {
    let gemini = || vec![prefix("/v1beta"), prefix("/antigravity/v1beta")];
    Profile {
        name: Cow::Borrowed("sub2api"),
        carriers: Cow::Owned(vec![
            carrier(header("x-goog-api-key"), gemini()),
            anywhere(authorization(BEARER_IN_ANY_CASE, false)),
            anywhere(header("x-api-key")),
            anywhere(header("x-goog-api-key")),
            carrier(query("key"), gemini()),
        ]),
        credential_headers: Cow::Borrowed(&CREDENTIAL_HEADERS),
        placeholder: None,
        alphabet: KeyAlphabet::Visible,
        normalisation: Normalisation::Exact,
        claim_paths: Cow::Owned(vec![
            prefix("/v1/"),
            prefix("/v1beta"),
            prefix("/antigravity/"),
            prefix("/responses"),
            prefix("/chat/completions"),
            prefix("/embeddings"),
            prefix("/images/"),
            prefix("/openai/"),
            prefix("/backend-api/codex/"),
        ]),
        dialects: Cow::Owned(vec![
            (contains("/v1/messages"), Dialect::Anthropic),
            (prefix("/v1beta"), Dialect::Gemini),
            (prefix("/antigravity/v1beta"), Dialect::Gemini),
            (exact("/"), Dialect::Plain),
            (PathRule::Any, Dialect::OpenAi),
        ]),
    }
}

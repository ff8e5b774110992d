//! Google's Gemini API, as googleapis/python-genai, `_api_client.py` at 79f0d74, calls it (`x-goog-api-key`), and as
//! its documentation at ai.google.dev has it (`?key=`, and a Bearer on the OpenAI-compatible routes below `/v1beta/openai/`).

use std::borrow::Cow;

use super::{BEARER_IN_ANY_CASE, anywhere, authorization, carrier, contains, exact, header, prefix, query};
use crate::credential::CREDENTIAL_HEADERS;
use crate::profile::{Dialect, KeyAlphabet, Normalisation, PathRule, Profile};

/// Elsewhere a Bearer is an OAuth token, and `?access_token=` is one too: those are no keys, so they do not go on.
pub(super) fn profile() -> Profile {
    Profile {
        name: Cow::Borrowed("gemini"),
        carriers: Cow::Owned(vec![
            anywhere(header("x-goog-api-key")),
            anywhere(query("key")),
            carrier(
                authorization(BEARER_IN_ANY_CASE, false),
                vec![contains("/openai/")],
            ),
        ]),
        credential_headers: Cow::Borrowed(&CREDENTIAL_HEADERS),
        placeholder: None,
        alphabet: KeyAlphabet::Unescaped,
        normalisation: Normalisation::Exact,
        claim_paths: Cow::Owned(vec![
            prefix("/v1/"),
            prefix("/v1beta"),
            prefix("/v1alpha"),
            prefix("/upload/"),
            prefix("/download/"),
            prefix("/ws/"),
        ]),
        dialects: Cow::Owned(vec![
            (contains("/openai/"), Dialect::OpenAi),
            (exact("/"), Dialect::Plain),
            (PathRule::Any, Dialect::Gemini),
        ]),
    }
}

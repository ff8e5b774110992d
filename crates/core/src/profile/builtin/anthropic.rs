//! Anthropic's own API, as anthropics/anthropic-sdk-python, `_client.py` at 4d3ec5e, calls it: `X-Api-Key`, or a Bearer.

use std::borrow::Cow;

use super::{BEARER_IN_ANY_CASE, anywhere, authorization, exact, header, prefix};
use crate::credential::CREDENTIAL_HEADERS;
use crate::profile::{Dialect, KeyAlphabet, Normalisation, PathRule, Profile};

/// Which of the two goes first is not documented. It does not matter: the one that is not checked does not go on.
pub(super) fn profile() -> Profile {
    Profile {
        name: Cow::Borrowed("anthropic"),
        carriers: Cow::Owned(vec![
            anywhere(header("x-api-key")),
            anywhere(authorization(BEARER_IN_ANY_CASE, false)),
        ]),
        credential_headers: Cow::Borrowed(&CREDENTIAL_HEADERS),
        placeholder: None,
        alphabet: KeyAlphabet::Unescaped,
        normalisation: Normalisation::Exact,
        claim_paths: Cow::Owned(vec![prefix("/v1/")]),
        dialects: Cow::Owned(vec![
            (exact("/"), Dialect::Plain),
            (PathRule::Any, Dialect::Anthropic),
        ]),
    }
}

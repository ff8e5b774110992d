//! QuantumNous/new-api, as `middleware/auth.go` (`TokenAuth`) has it at 040b46a.

use std::borrow::Cow;

use super::{BEARER, anywhere, authorization, carrier, contains, exact, gateway_dialects, header};
use super::{prefix, query, scheme_header};
use crate::credential::CREDENTIAL_HEADERS;
use crate::profile::{KeyAlphabet, Normalisation, Place, Profile};

/// Each later place overwrites the earlier ones in `TokenAuth`, so the order here is the reverse of that function's. `api-key`
/// is not read there; forks do, so it comes last.
pub(super) fn profile() -> Profile {
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
            carrier(header("x-goog-api-key"), gemini()),
            carrier(query("key"), gemini()),
            carrier(
                header("x-api-key"),
                vec![contains("/v1/messages"), contains("/v1/models")],
            ),
            anywhere(Place::WebSocketProtocol),
            anywhere(authorization(BEARER, true)),
            anywhere(scheme_header("mj-api-secret", BEARER, true)),
            anywhere(header("api-key")),
            carrier(query("key"), vec![prefix("/api/log/token")]),
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

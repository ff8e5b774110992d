//! songquanpeng/one-api, as `middleware/auth.go` (`TokenAuth`) and `router/` have it at 8df4a26.

use std::borrow::Cow;

use super::{anywhere, authorization, exact, prefix};
use crate::credential::CREDENTIAL_HEADERS;
use crate::profile::{Dialect, KeyAlphabet, Normalisation, PathRule, Profile};

/// It looks into `Authorization` and nowhere else, cuts `Bearer ` off in this spelling only, and takes a value without it as
/// it is. What follows is read as new-api reads it: one `sk-` goes, and what stands behind a `-` selects a channel. Every relay
/// route is an OpenAI route; the billing ones of `router/dashboard.go` take keys too.
pub(super) fn profile() -> Profile {
    Profile {
        name: Cow::Borrowed("one-api"),
        carriers: Cow::Owned(vec![anywhere(authorization(&["Bearer "], true))]),
        credential_headers: Cow::Borrowed(&CREDENTIAL_HEADERS),
        placeholder: None,
        alphabet: KeyAlphabet::Visible,
        normalisation: Normalisation::SkPrefixAndChannel,
        claim_paths: Cow::Owned(vec![prefix("/v1/"), prefix("/dashboard/billing/")]),
        dialects: Cow::Owned(vec![
            (exact("/"), Dialect::Plain),
            (PathRule::Any, Dialect::OpenAi),
        ]),
    }
}

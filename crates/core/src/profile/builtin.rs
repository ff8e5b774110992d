//! The built-in profiles, one file for each gateway. Each table says where its facts are from; none of them is a guess about a
//! gateway's future.

mod anthropic;
mod gemini;
mod litellm;
mod new_api;
mod one_api;
mod openai;
mod sub2api;

use std::borrow::Cow;

use http::header::HeaderName;

use super::{Carrier, Dialect, PathRule, Place, Profile};

/// The built-in profile of this name.
pub(super) fn of_name(name: &str) -> Option<Profile> {
    let make = match name {
        "new-api" => new_api::profile,
        "one-api" => one_api::profile,
        "sub2api" => sub2api::profile,
        "litellm" => litellm::profile,
        "openai" => openai::profile,
        "anthropic" => anthropic::profile,
        "gemini" => gemini::profile,
        _ => return None,
    };
    Some(make())
}

/// The schemes that most gateways cut off, and the only spellings of them.
const BEARER: &[&str] = &["Bearer ", "bearer "];
/// The spellings that clients use where the gateway compares without regard to case.
const BEARER_IN_ANY_CASE: &[&str] = &["Bearer ", "bearer ", "BEARER "];

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

fn anywhere(place: Place) -> Carrier {
    carrier(place, vec![PathRule::Any])
}

/// A header whose whole value is a key.
fn header(name: &'static str) -> Place {
    scheme_header(name, &[], true)
}

fn scheme_header(name: &'static str, schemes: &[&'static str], bare: bool) -> Place {
    let schemes: Vec<Cow<'static, str>> = schemes.iter().copied().map(Cow::Borrowed).collect();
    Place::Header {
        name: HeaderName::from_static(name),
        schemes: schemes.into(),
        bare,
    }
}

fn authorization(schemes: &[&'static str], bare: bool) -> Place {
    scheme_header("authorization", schemes, bare)
}

fn query(name: &'static str) -> Place {
    Place::Query(Cow::Borrowed(name))
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

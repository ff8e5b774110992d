//! Profiles of the operator's own: `[profiles.<name>]` in the configuration file, each from a built-in one or from nothing.
//!
//! All that is wrong is told together, under the field's name. A profile with errors is handed out too, only so that whatever
//! names it can be judged; a configuration with errors is never used.

mod carrier;
mod reader;

use std::borrow::Cow;

use http::HeaderName;
use sentinel_core::credential::CREDENTIAL_HEADERS;
use sentinel_core::profile::{Carrier, Dialect, KeyAlphabet, Normalisation, PathRule, Place, Profile};
use toml::de::DeTable;

use super::problem::{Origin, Problem};
use super::values::quoted;
use reader::{Entry, Fields, Reader};

/// The section of the file.
pub(super) const SECTION: &str = "profiles";
/// The most profiles of one file.
const PROFILES_MAX: usize = 32;
/// The most places of one profile.
const CARRIERS_MAX: usize = 32;
/// The most rules about paths in one list.
const PATH_RULES_MAX: usize = 256;
/// The most dialects of one profile.
const DIALECTS_MAX: usize = 64;
/// The most headers in one list.
const HEADERS_MAX: usize = 64;
/// The most characters of a profile's name.
const NAME_CHARACTERS_MAX: usize = 64;

/// What a profile is written of.
const FIELDS: &[&str] = &[
    "base",
    "carriers",
    "normalisation",
    "claim_paths",
    "dialects",
    "credential_headers",
];

/// Headers that mean something else to somebody on the way, so that none of them may be taken away or kept for a key.
const OTHER_HEADERS: &[&str] = &[
    "age",
    "authority",
    "cache-control",
    "client-ip",
    "connection",
    "cookie",
    "date",
    "expect",
    "forwarded",
    "from",
    "host",
    "http2-settings",
    "keep-alive",
    "last-event-id",
    "origin",
    "pragma",
    "range",
    "referer",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "true-client-ip",
    "upgrade",
    "user-agent",
    "via",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "x-original-forwarded-for",
    "x-originating-ip",
    "x-real-ip",
    "x-remote-addr",
    "x-remote-ip",
    "x-request-id",
];
/// Beginnings of such headers.
const OTHER_HEADER_PREFIXES: &[&str] = &[
    "accept",
    "access-control-",
    "ali-cdn-",
    "cf-",
    "content-",
    "eo-connecting-",
    "fastly-client-",
    "fly-client-",
    "if-",
    "proxy-",
    "sec-",
    "x-appengine-",
    "x-azure-",
    "x-forwarded-",
    "x-sentinel-",
];

/// Every profile of the section, and what is wrong with them. `origin` says where a position of the file is.
pub(super) fn read(
    section: &DeTable<'_>,
    position: usize,
    origin: &dyn Fn(usize) -> Origin,
) -> (Vec<Profile>, Vec<Problem>) {
    let mut reader = Reader::new(origin);
    if section.len() > PROFILES_MAX {
        let text = format!("has {} profiles; wanted at most {PROFILES_MAX}", section.len());
        reader.wrong(position, SECTION, text);
    }
    let profiles = section
        .iter()
        .take(PROFILES_MAX)
        .map(|(name, value)| {
            let entry = Entry {
                name: format!("{SECTION}.{}", name.get_ref()),
                value,
            };
            check_name(&mut reader, name.get_ref(), name.span().start, &entry.name);
            one(&mut reader, name.get_ref(), &entry)
        })
        .collect();
    (profiles, reader.problems)
}

fn check_name(reader: &mut Reader<'_>, name: &str, position: usize, entry: &str) {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > NAME_CHARACTERS_MAX || !name.bytes().all(is_plain) {
        let text = format!(
            "is no name for a profile; wanted at most {NAME_CHARACTERS_MAX} small letters, digits and dashes"
        );
        reader.wrong(position, entry, text);
    } else if Profile::BUILT_IN.contains(&name) {
        reader.wrong(
            position,
            entry,
            "is a built-in profile; give yours a name of its own, and name this one as its base",
        );
    }
}

fn one(reader: &mut Reader<'_>, name: &str, entry: &Entry<'_, '_>) -> Profile {
    let mut profile = blank();
    let Some(fields) = reader.fields(entry, FIELDS) else {
        profile.name = Cow::Owned(name.to_owned());
        return profile;
    };
    let has_base = fields.contains_key("base");
    if let Some(base) = fields.get("base").and_then(|entry| base(reader, entry)) {
        profile = base;
    }
    profile.name = Cow::Owned(name.to_owned());
    if let Some(entry) = fields.get("normalisation")
        && let Some(normalisation) = normalisation(reader, entry)
    {
        profile.normalisation = normalisation;
    }
    if let Some(entry) = required(reader, &fields, "carriers", has_base, entry) {
        profile.carriers = carriers(reader, entry);
    }
    if let Some(entry) = required(reader, &fields, "claim_paths", has_base, entry) {
        profile.claim_paths = paths(reader, entry).into();
    }
    if let Some(entry) = fields.get("dialects") {
        profile.dialects = dialects(reader, entry);
    }
    let own = fields
        .get("credential_headers")
        .map(|entry| credential_headers(reader, entry))
        .unwrap_or_default();
    protect(&mut profile, own);
    profile
}

/// What a profile without a base begins as.
fn blank() -> Profile {
    Profile {
        name: Cow::Borrowed(""),
        carriers: Cow::Borrowed(&[]),
        credential_headers: Cow::Borrowed(&CREDENTIAL_HEADERS),
        placeholder: None,
        // No gateway that decodes escapes in headers gets two spellings of one key past the check.
        alphabet: KeyAlphabet::Unescaped,
        normalisation: Normalisation::Exact,
        claim_paths: Cow::Borrowed(&[]),
        dialects: Cow::Owned(vec![(PathRule::Any, Dialect::OpenAi)]),
    }
}

/// A field that only a base can stand in for.
fn required<'f, 't, 'i>(
    reader: &mut Reader<'_>,
    fields: &'f Fields<'t, 'i>,
    field: &str,
    has_base: bool,
    entry: &Entry<'_, '_>,
) -> Option<&'f Entry<'t, 'i>> {
    let found = fields.get(field);
    if found.is_none() && !has_base {
        let name = format!("{}.{field}", entry.name);
        let text = format!(
            "is not set, and there is no base = \"…\" to take it from; {}",
            bases()
        );
        reader.wrong(entry.position(), &name, text);
    }
    found
}

fn bases() -> String {
    format!("the built-in profiles are {}", Profile::BUILT_IN.join(", "))
}

fn base(reader: &mut Reader<'_>, entry: &Entry<'_, '_>) -> Option<Profile> {
    let text = reader.text(entry)?;
    let base = Profile::built_in(text);
    if base.is_none() {
        reader.wrong_value(entry, format!("{} is no base; {}", quoted(text), bases()));
    }
    base
}

fn normalisation(reader: &mut Reader<'_>, entry: &Entry<'_, '_>) -> Option<Normalisation> {
    let choices = [
        ("exact", Normalisation::Exact),
        ("sk-prefix-and-channel", Normalisation::SkPrefixAndChannel),
    ];
    reader.choice(entry, &choices)
}

fn carriers(reader: &mut Reader<'_>, entry: &Entry<'_, '_>) -> Cow<'static, [Carrier]> {
    let entries = reader.list(entry, CARRIERS_MAX);
    if entries.as_ref().is_some_and(Vec::is_empty) {
        reader.wrong_value(entry, "is empty: no key would ever be checked");
    }
    let mut carriers: Vec<Carrier> = Vec::new();
    for entry in entries.unwrap_or_default() {
        let Some(carrier) = carrier::read(reader, &entry) else {
            continue;
        };
        if carriers.contains(&carrier) {
            reader.wrong_value(&entry, "is there twice");
        }
        carriers.push(carrier);
    }
    carriers.into()
}

/// The rules of a list; none of them may be missing.
fn paths(reader: &mut Reader<'_>, entry: &Entry<'_, '_>) -> Vec<PathRule> {
    let Some(entries) = reader.list(entry, PATH_RULES_MAX) else {
        return Vec::new();
    };
    if entries.is_empty() {
        reader.wrong_value(
            entry,
            "is empty; wanted rules like \"/v1/*\", \"/chat\", \"*:generate*\" or \"*\"",
        );
    }
    entries
        .iter()
        .filter_map(|entry| {
            let text = reader.text(entry)?;
            match text.parse() {
                Ok(rule) => Some(rule),
                Err(error) => {
                    reader.wrong_value(entry, format!("{}: {error}", quoted(text)));
                    None
                }
            }
        })
        .collect()
}

fn dialects(reader: &mut Reader<'_>, entry: &Entry<'_, '_>) -> Cow<'static, [(PathRule, Dialect)]> {
    let choices = [
        ("openai", Dialect::OpenAi),
        ("anthropic", Dialect::Anthropic),
        ("gemini", Dialect::Gemini),
        ("plain", Dialect::Plain),
    ];
    let mut dialects = Vec::new();
    for entry in reader.list(entry, DIALECTS_MAX).unwrap_or_default() {
        let Some(fields) = reader.fields(&entry, &["paths", "dialect"]) else {
            continue;
        };
        let (Some(of), Some(dialect)) = (fields.get("paths"), fields.get("dialect")) else {
            reader.wrong_value(&entry, "wanted { paths = [\"…\"], dialect = \"…\" }");
            continue;
        };
        let dialect = reader.choice(dialect, &choices);
        let rules = paths(reader, of);
        dialects.extend(dialect.into_iter().flat_map(|dialect| {
            rules
                .iter()
                .cloned()
                .map(move |rule| (rule, dialect))
                .collect::<Vec<_>>()
        }));
    }
    dialects.into()
}

fn credential_headers(reader: &mut Reader<'_>, entry: &Entry<'_, '_>) -> Vec<HeaderName> {
    let entries = reader.list(entry, HEADERS_MAX).unwrap_or_default();
    entries.iter().filter_map(|entry| header(reader, entry)).collect()
}

/// A header that may hold a key.
fn header(reader: &mut Reader<'_>, entry: &Entry<'_, '_>) -> Option<HeaderName> {
    let text = reader.text(entry)?;
    match credential_header(text) {
        Ok(name) => Some(name),
        Err(wrong) => {
            reader.wrong_value(entry, format!("{} {wrong}", quoted(text)));
            None
        }
    }
}

fn credential_header(text: &str) -> Result<HeaderName, &'static str> {
    let name: HeaderName = text
        .parse()
        .map_err(|_| "is no header's name; wanted one like x-my-key")?;
    if text.contains(['_', '.']) {
        return Err("has an underscore or a dot, and servers take such a name for another; it never goes on");
    }
    let means_something_else = OTHER_HEADERS.contains(&name.as_str())
        || OTHER_HEADER_PREFIXES
            .iter()
            .any(|prefix| name.as_str().starts_with(prefix));
    if means_something_else {
        return Err("means something else on the way; wanted a header that holds a key and nothing else");
    }
    Ok(name)
}

/// Adds the headers of the profile's own places, and `further` ones, to those that never go on unchecked.
fn protect(profile: &mut Profile, further: Vec<HeaderName>) {
    let named = profile
        .carriers
        .iter()
        .filter_map(|carrier| match &carrier.place {
            Place::Header { name, .. } => Some(name.clone()),
            _ => None,
        });
    for name in named.collect::<Vec<_>>().into_iter().chain(further) {
        if !profile.credential_headers.contains(&name) {
            profile.credential_headers.to_mut().push(name);
        }
    }
}

#[cfg(test)]
mod tests;

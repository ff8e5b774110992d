//! One place where a gateway looks for a key, as an operator writes it: `{ header = "x-my-key" }`, `{ query = "key" }`,
//! `{ websocket_protocol = true }` or `{ basic_password = true }`, each with the paths on which it counts.

use std::borrow::Cow;

use sentinel_core::profile::{Carrier, PathRule, Place};

use super::super::values::quoted;
use super::reader::{Entry, Fields, Reader};
use super::{header, paths};

/// The most schemes of one header.
pub(super) const SCHEMES_MAX: usize = 16;

/// What says which kind of place it is.
const KINDS: &[&str] = &["header", "query", "websocket_protocol", "basic_password"];
/// What a place is written of.
const FIELDS: &[&str] = &[
    "header",
    "query",
    "websocket_protocol",
    "basic_password",
    "schemes",
    "bare",
    "paths",
];

/// The place; none when it is wrong, which is noted.
pub(super) fn read(reader: &mut Reader<'_>, entry: &Entry<'_, '_>) -> Option<Carrier> {
    let fields = reader.fields(entry, FIELDS)?;
    let paths = match fields.get("paths") {
        Some(entry) => paths(reader, entry),
        None => vec![PathRule::Any],
    };
    let kinds: Vec<&str> = KINDS
        .iter()
        .copied()
        .filter(|kind| fields.contains_key(*kind))
        .collect();
    let [kind] = kinds[..] else {
        reader.wrong_value(entry, format!("wanted exactly one of {}", KINDS.join(", ")));
        return None;
    };
    if kind != "header" {
        for field in ["schemes", "bare"] {
            if let Some(entry) = fields.get(field) {
                reader.wrong_value(entry, "has a meaning with header only");
            }
        }
    }
    let place = match kind {
        "header" => in_header(reader, &fields),
        "query" => in_query(reader, &fields["query"]),
        "websocket_protocol" => marked(reader, &fields[kind], Place::WebSocketProtocol),
        _ => marked(reader, &fields[kind], Place::BasicPassword),
    }?;
    Some(Carrier {
        place,
        paths: paths.into(),
    })
}

fn in_header(reader: &mut Reader<'_>, fields: &Fields<'_, '_>) -> Option<Place> {
    let name = header(reader, &fields["header"]);
    let schemes = fields.get("schemes").map(|entry| schemes(reader, entry));
    let has_schemes = schemes.as_ref().is_some_and(|schemes| !schemes.is_empty());
    let bare = match fields.get("bare") {
        Some(entry) => {
            let bare = reader.flag(entry);
            if bare == Some(false) && !has_schemes {
                reader.wrong_value(
                    entry,
                    "is false, and there are no schemes: nothing would ever be a key",
                );
            }
            bare.unwrap_or(true)
        }
        None => !has_schemes,
    };
    Some(Place::Header {
        name: name?,
        schemes: schemes.unwrap_or_default().into(),
        bare,
    })
}

fn schemes(reader: &mut Reader<'_>, entry: &Entry<'_, '_>) -> Vec<Cow<'static, str>> {
    let mut schemes = Vec::new();
    for entry in reader.list(entry, SCHEMES_MAX).unwrap_or_default() {
        let Some(text) = reader.text(&entry) else {
            continue;
        };
        let word = text.strip_suffix(' ').unwrap_or_default();
        if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_graphic()) {
            let wrong = format!(
                "{} is no scheme; wanted one word with the space behind it, like \"Bearer \"",
                quoted(text)
            );
            reader.wrong_value(&entry, wrong);
        }
        schemes.push(Cow::Owned(text.to_owned()));
    }
    schemes
}

fn in_query(reader: &mut Reader<'_>, entry: &Entry<'_, '_>) -> Option<Place> {
    let text = reader.text(entry)?;
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"&=+%#;?".contains(&byte);
    if !text.bytes().all(is_plain) {
        let wrong = format!(
            "{} is no parameter's name, decoded; wanted one like key",
            quoted(text)
        );
        reader.wrong_value(entry, wrong);
        return None;
    }
    Some(Place::Query(Cow::Owned(text.to_owned())))
}

/// A place that has no name of its own and is only there or not.
fn marked(reader: &mut Reader<'_>, entry: &Entry<'_, '_>, place: Place) -> Option<Place> {
    let is_there = reader.flag(entry)?;
    if !is_there {
        reader.wrong_value(entry, "is false; leave the whole entry out instead");
    }
    is_there.then_some(place)
}

//! The lines of an export: what is moved between stores, as text. One JSON object a line: a header first, an end last, so that one that was cut
//! short is noticed.
//!
//! A line that cannot be read is told by its place and by what was wanted there, never by what stood there.

mod fields;
mod records;

use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::ports::TransferItem;
use sentinel_core::time::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use records::{Archived, Binding, Event, Intercept};

/// The most bytes of one line, its end not counted.
pub const LINE_BYTES_MAX: usize = 256 * 1024;
/// The form of the lines that is written here, and the only one that is read.
pub const FORMAT: u32 = 1;

/// One line.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one at a time, and nearly all are items"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// The first one.
    Header(Header),
    /// Something that a store holds.
    Item(TransferItem),
    /// A setting that was changed while the server ran.
    Setting {
        /// Its name.
        name: String,
        /// Its value as JSON.
        value: String,
    },
    /// The last one.
    End {
        /// How many lines there are before it.
        lines: u64,
    },
}

/// What an export says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// When it was made.
    pub made_at: Timestamp,
    /// Tells the HMAC secret under which the fingerprints were made from any other, without telling it; none when there was no secret yet.
    pub hmac_check: Option<String>,
    /// By which profile the keys were normalised.
    pub profile: String,
}

/// Why a line cannot be read. Quotes nothing of it: a key may stand there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// It is no JSON object.
    #[error("is no JSON object (column {column})")]
    NotJson {
        /// Where that showed.
        column: usize,
    },
    /// It is of no known kind.
    #[error(
        "'kind' is none of sentinel-export, binding, archived_binding, setting, intercept, admin_event, end"
    )]
    Kind,
    /// Another version made it.
    #[error("was made in another form than this version reads ({FORMAT})")]
    Format,
    /// A field is missing, or holds something else than it may.
    #[error("'{field}' is missing or wrong; wanted {wanted}")]
    Field {
        /// Which field.
        field: String,
        /// What may stand there.
        wanted: &'static str,
    },
}

#[derive(Serialize)]
#[serde(tag = "kind")]
enum Written<'l> {
    #[serde(rename = "sentinel-export")]
    Header(HeaderFields),
    #[serde(rename = "binding")]
    Binding(Binding),
    #[serde(rename = "archived_binding")]
    Archived(Archived),
    #[serde(rename = "setting")]
    Setting { name: &'l str, value: Value },
    #[serde(rename = "intercept")]
    Intercept(Intercept),
    #[serde(rename = "admin_event")]
    Event(Event),
    #[serde(rename = "end")]
    End { lines: u64 },
}

#[derive(Deserialize)]
struct Kind {
    kind: String,
}

#[derive(Serialize, Deserialize)]
struct HeaderFields {
    format: u32,
    made_at_ms: i64,
    hmac_check: Option<String>,
    profile: String,
}

#[derive(Deserialize)]
struct SettingFields {
    name: String,
    value: Value,
}

#[derive(Deserialize)]
struct EndFields {
    lines: u64,
}

impl Line {
    /// The line's text, without its end.
    #[expect(clippy::missing_panics_doc, reason = "what is written is always JSON")]
    pub fn to_text(&self) -> String {
        let written = match self {
            Self::Header(header) => Written::Header(HeaderFields {
                format: FORMAT,
                made_at_ms: header.made_at.unix_ms(),
                hmac_check: header.hmac_check.clone(),
                profile: header.profile.clone(),
            }),
            Self::Item(TransferItem::Binding(binding)) => Written::Binding(binding.into()),
            Self::Item(TransferItem::Archived(archived)) => Written::Archived(archived.into()),
            Self::Item(TransferItem::Intercept(intercept)) => Written::Intercept(intercept.into()),
            Self::Item(TransferItem::Event(event)) => Written::Event(event.into()),
            Self::Setting { name, value } => Written::Setting {
                name,
                value: json_or_text(value),
            },
            Self::End { lines } => Written::End { lines: *lines },
        };
        serde_json::to_string(&written).expect("text, numbers and lists are always JSON")
    }

    /// Reads a line.
    pub fn parse(text: &str) -> Result<Self, LineError> {
        let Kind { kind } = parse(text, |_| LineError::Kind)?;
        match kind.as_str() {
            "sentinel-export" => {
                let header: HeaderFields = fields(text)?;
                if header.format != FORMAT {
                    return Err(LineError::Format);
                }
                Ok(Self::Header(Header {
                    made_at: Timestamp::from_unix_ms(header.made_at_ms),
                    hmac_check: header.hmac_check,
                    profile: header.profile,
                }))
            }
            "binding" => fields::<Binding>(text)?
                .read()
                .map(|binding| Self::Item(TransferItem::Binding(binding))),
            "archived_binding" => fields::<Archived>(text)?
                .read()
                .map(|archived| Self::Item(TransferItem::Archived(archived))),
            "intercept" => fields::<Intercept>(text)?
                .read()
                .map(|intercept| Self::Item(TransferItem::Intercept(intercept))),
            "admin_event" => fields::<Event>(text)?
                .read()
                .map(|event| Self::Item(TransferItem::Event(event))),
            "setting" => {
                let SettingFields { name, value } = fields(text)?;
                Ok(Self::Setting {
                    name,
                    value: value.to_string(),
                })
            }
            "end" => fields::<EndFields>(text).map(|end| Self::End { lines: end.lines }),
            _ => Err(LineError::Kind),
        }
    }
}

fn json_or_text(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_else(|_| Value::from(json))
}

fn fields<T: DeserializeOwned>(text: &str) -> Result<T, LineError> {
    parse(text, |field| LineError::Field {
        field,
        wanted: "what an export writes there",
    })
}

/// Reads the fields; `wrong` makes the error of one that is not as it should be.
fn parse<T: DeserializeOwned>(text: &str, wrong: impl FnOnce(String) -> LineError) -> Result<T, LineError> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let parsed = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        if inner.is_data() && path != "." {
            return wrong(path);
        }
        if inner.is_data() {
            return wrong(missing_field(&inner));
        }
        LineError::NotJson {
            column: inner.column(),
        }
    })?;
    deserializer.end().map_err(|error| LineError::NotJson {
        column: error.column(),
    })?;
    Ok(parsed)
}

/// Which field is missing; that is the parser's own text, and none of the line's.
fn missing_field(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let name = text
        .strip_prefix("missing field `")
        .and_then(|rest| rest.split('`').next());
    name.unwrap_or("the line").to_owned()
}

/// A fingerprint from its 64 hexadecimal digits.
pub fn fingerprint(text: &str) -> Option<KeyFingerprint> {
    crate::changes::from_hexadecimal(text).ok()
}

#[cfg(test)]
mod tests;

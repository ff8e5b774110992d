//! What Sentinel knows of one gateway's ways, as data: where it looks for a key and in which order, which spellings
//! it takes for one key, on which paths a key is claimed, and how it words errors.
//!
//! A profile decides nothing by itself. Adding a gateway means adding a table here or in the configuration.

mod builtin;
mod written;

use std::borrow::Cow;
use std::fmt;

use http::header::HeaderName;

use crate::fingerprint::NormalisedKey;
use crate::path::RequestPath;

pub use written::PathRuleError;

/// A statement about a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathRule {
    /// True of every path.
    Any,
    /// The path is exactly this.
    Exact(Cow<'static, str>),
    /// The path begins with this.
    Prefix(Cow<'static, str>),
    /// The path contains this.
    Contains(Cow<'static, str>),
}

impl PathRule {
    /// Whether the rule is true of this reading of a path.
    pub fn holds(&self, reading: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(text) => reading == text.as_bytes(),
            Self::Prefix(text) => reading.starts_with(text.as_bytes()),
            Self::Contains(text) => {
                let text = text.as_bytes();
                !text.is_empty() && reading.windows(text.len()).any(|window| window == text)
            }
        }
    }
}

/// Where a key can stand in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a header, perhaps behind a scheme.
    Header {
        /// The header.
        name: HeaderName,
        /// The schemes, with their space, that are cut off: exactly as the gateway compares them.
        schemes: Cow<'static, [Cow<'static, str>]>,
        /// Whether a value without a scheme is a key too.
        bare: bool,
    },
    /// In `Authorization`, behind `Basic `, as the password: what stands behind the colon once it is decoded.
    BasicPassword,
    /// In `Sec-WebSocket-Protocol`, as `openai-insecure-api-key.<key>`: browsers can set no other header.
    WebSocketProtocol,
    /// In the query, under this name.
    Query(Cow<'static, str>),
}

/// As an operator knows it: `authorization`, `?key`.
impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header { name, .. } => formatter.write_str(name.as_str()),
            Self::BasicPassword => formatter.write_str("authorization (Basic)"),
            Self::WebSocketProtocol => formatter.write_str("sec-websocket-protocol"),
            Self::Query(name) => write!(formatter, "?{name}"),
        }
    }
}

/// One place where the gateway looks for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carrier {
    /// Where.
    pub place: Place,
    /// On which paths: on those of which any of these rules is true.
    pub paths: Cow<'static, [PathRule]>,
}

impl Carrier {
    /// Whether the gateway looks here on this reading of the path.
    pub fn applies(&self, reading: &[u8]) -> bool {
        self.paths.iter().any(|rule| rule.holds(reading))
    }
}

/// Which characters a key may have. A key with others is refused: the gateway might find another one in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyAlphabet {
    /// Any visible ASCII.
    Visible,
    /// Any visible ASCII but `%`: llama.cpp's HTTP library decodes escapes in the values of headers, so that one key would have
    /// as many spellings as anybody likes.
    Unescaped,
    /// What RFC 6750 allows in a bearer token: letters, digits, `-._~+/`, and `=` at the end only.
    Token68,
}

impl KeyAlphabet {
    /// Whether all of the key is made of these characters.
    pub fn holds(self, key: &str) -> bool {
        match self {
            Self::Visible => key.bytes().all(|byte| byte.is_ascii_graphic()),
            Self::Unescaped => key.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'%'),
            Self::Token68 => {
                let is_inside = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
                let stem = key.trim_end_matches('=');
                !stem.is_empty() && stem.bytes().all(is_inside)
            }
        }
    }
}

/// Which spellings are one key to the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normalisation {
    /// Every byte counts.
    Exact,
    /// One `sk-` in front is cut, the rest counts up to its first `-`, without regard to case. The gateway cuts in the same way
    /// (what follows the `-` selects a channel) and MySQL, under its default collation, compares without regard to case.
    SkPrefixAndChannel,
}

impl Normalisation {
    /// What of the key is hashed; none when nothing of it is left.
    pub fn apply(self, key: &str) -> Option<NormalisedKey<'_>> {
        match self {
            Self::Exact => (!key.is_empty()).then_some(NormalisedKey::Exact(key)),
            Self::SkPrefixAndChannel => {
                let rest = key.strip_prefix("sk-").unwrap_or(key);
                let stem = rest.split('-').next().unwrap_or_default();
                (!stem.is_empty()).then_some(NormalisedKey::CaseFolded(stem))
            }
        }
    }
}

/// How errors are worded on a path, so that the client's SDK understands them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `{"error":{"message","type","param","code"}}`
    OpenAi,
    /// `{"type":"error","error":{"type","message"}}`
    Anthropic,
    /// `{"error":{"code","message","status"}}`
    Gemini,
    /// One line of text, for paths that no SDK calls.
    Plain,
}

/// One gateway's ways.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Its name in the configuration.
    pub name: Cow<'static, str>,
    /// Where it looks for a key, in the order of precedence: the first place that holds one wins.
    pub carriers: Cow<'static, [Carrier]>,
    /// Every header that loses its value unless it holds the checked key: those of all gateways, and this one's own.
    pub credential_headers: Cow<'static, [HeaderName]>,
    /// A value that stands for "no key here", so that the next place is asked.
    pub placeholder: Option<Cow<'static, str>>,
    /// Which characters a key may have.
    pub alphabet: KeyAlphabet,
    /// Which spellings are one key.
    pub normalisation: Normalisation,
    /// Where an unknown key is claimed.
    pub claim_paths: Cow<'static, [PathRule]>,
    /// How errors are worded: the first rule that is true of the path; plain where none is.
    pub dialects: Cow<'static, [(PathRule, Dialect)]>,
}

impl Profile {
    /// The names of the built-in profiles.
    pub const BUILT_IN: [&'static str; 7] = [
        "new-api",
        "one-api",
        "sub2api",
        "litellm",
        "openai",
        "anthropic",
        "gemini",
    ];

    /// The built-in profile of this name.
    pub fn built_in(name: &str) -> Option<Self> {
        builtin::of_name(name)
    }

    /// Whether an unknown key on this path is claimed: whether any reading of it is a claim path.
    pub fn is_claim_path(&self, path: &RequestPath<'_>) -> bool {
        path.readings()
            .any(|reading| self.claim_paths.iter().any(|rule| rule.holds(reading)))
    }

    /// Whether the gateway might read a key from the query, on any reading of the path.
    pub fn reads_query(&self, path: &RequestPath<'_>) -> bool {
        path.readings().any(|reading| {
            let reads =
                |carrier: &Carrier| matches!(carrier.place, Place::Query(_)) && carrier.applies(reading);
            self.carriers.iter().any(reads)
        })
    }

    /// The dialect of a path.
    pub fn dialect(&self, path: &RequestPath<'_>) -> Dialect {
        let reading = path.readings().last().unwrap_or_default();
        self.dialects
            .iter()
            .find(|(rule, _)| rule.holds(reading))
            .map_or(Dialect::Plain, |(_, dialect)| *dialect)
    }
}

#[cfg(test)]
mod tests;

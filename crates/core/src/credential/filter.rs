//! What of a request goes on to the upstream: of all credentials only the checked one. Must never let through what it does
//! not understand in a place where a gateway may look for a key.

use http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};

use super::{WEBSOCKET_KEY_PREFIX, is_websocket_key, query};
use crate::header::{HeaderLine, HeaderLines};
use crate::path::RequestPath;
use crate::profile::{Carrier, Place, Profile};

/// Subprotocols that go on although the gateway may look for a key among them. A gateway that takes one of these words for a
/// key finds none: they are the registered names that clients of such gateways use.
const WEBSOCKET_PROTOCOLS: [&str; 11] = [
    "realtime",
    "mcp",
    "graphql-ws",
    "graphql-transport-ws",
    "chat",
    "json",
    "binary",
    "base64",
    "soap",
    "mqtt",
    "wamp.2.json",
];

/// What of a header line goes on to the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// All of it.
    Whole,
    /// Nothing.
    Nothing,
}

/// What goes on of a request whose credential was checked: every credential but that one stays behind. Cookies go on: they
/// are sessions, not keys.
#[derive(Clone, Copy, Debug)]
pub struct CredentialFilter<'p> {
    profile: &'p Profile,
    checked: Option<&'p Place>,
    is_websocket: bool,
}

impl<'p> CredentialFilter<'p> {
    /// Lets on only the credential that stands at `checked`; none at all when that is none. `is_websocket`: whether the
    /// request asks for an upgrade to a WebSocket.
    pub fn new(profile: &'p Profile, checked: Option<&'p Carrier>, is_websocket: bool) -> Self {
        Self {
            profile,
            checked: checked.map(|carrier| &carrier.place),
            is_websocket,
        }
    }

    /// What of the line goes on. `is_repeated`: whether a line with the same name came before it. Nothing of
    /// `Sec-WebSocket-Protocol`: [`CredentialFilter::websocket_protocols`] says what stands in for all of its lines.
    pub fn passage(&self, line: HeaderLine<'_>, is_repeated: bool) -> Passage {
        if line.is(&SEC_WEBSOCKET_PROTOCOL) {
            return Passage::Nothing;
        }
        if !self.profile.credential_headers.iter().any(|name| line.is(name)) {
            return Passage::Whole;
        }
        match self.checked {
            Some(Place::Header { name, .. }) if line.is(name) && !is_repeated => Passage::Whole,
            Some(Place::BasicPassword) if line.is(&AUTHORIZATION) && !is_repeated => Passage::Whole,
            _ => Passage::Nothing,
        }
    }

    /// The one `Sec-WebSocket-Protocol` that goes on in place of all lines of that name among `lines`; none when none does.
    ///
    /// Versions of new-api take the WHOLE first line, or its first token, for the key when no token has the key prefix, on every
    /// request, upgrade or not. So the line is joined, and of its tokens only those go on that can be nobody's
    /// key: on an upgrade the known words and OpenAI's own, and anywhere the checked key. A profile whose gateway looks for no
    /// key here keeps all its tokens on an upgrade, apart from keys.
    pub fn websocket_protocols(&self, lines: HeaderLines<'_>) -> Option<String> {
        let mut joined = String::new();
        let mut has_key = false;
        for line in lines.all(&SEC_WEBSOCKET_PROTOCOL) {
            for token in line.text().unwrap_or_default().split(',').map(str::trim) {
                let is_key = is_websocket_key(token);
                if token.is_empty() || !self.lets_on(token, is_key) || (is_key && has_key) {
                    continue;
                }
                has_key |= is_key;
                if !joined.is_empty() {
                    joined.push_str(", ");
                }
                joined.push_str(token);
            }
        }
        (!joined.is_empty()).then_some(joined)
    }

    /// Whether a subprotocol goes on.
    pub(super) fn lets_on(&self, token: &str, is_key: bool) -> bool {
        if is_key {
            // All keys here are the checked one: different ones were refused when it was read.
            return self.checked == Some(&Place::WebSocketProtocol)
                && token.starts_with(WEBSOCKET_KEY_PREFIX);
        }
        if !self.is_websocket {
            return false;
        }
        let reads_key = |carrier: &Carrier| carrier.place == Place::WebSocketProtocol;
        !self.profile.carriers.iter().any(reads_key)
            || WEBSOCKET_PROTOCOLS.contains(&token)
            || token.starts_with("openai-")
    }

    /// The query that goes on instead of `query`; none when all of it does. It loses its keys only where the gateway might
    /// read one: elsewhere `key` may well mean something else.
    pub fn query(&self, path: &RequestPath<'_>, query: &str) -> Option<String> {
        if !self.profile.is_claim_path(path) && !self.profile.reads_query(path) {
            return None;
        }
        let kept = match self.checked {
            Some(Place::Query(name)) => Some(&**name),
            _ => None,
        };
        let own = self
            .profile
            .carriers
            .iter()
            .filter_map(|carrier| match &carrier.place {
                Place::Query(name) => Some(&**name),
                _ => None,
            });
        query::without_credentials(query, kept, &own)
    }
}

//! How handlers get at a request: the caller, the JSON body, the query, an id in the path. What cannot be accepted becomes a
//! problem that names the field and never repeats its value, which may be a password.

use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use sentinel_core::account::session::SessionId;
use sentinel_core::account::{AdministratorId, Role};
use sentinel_core::binding::BindingId;
use sentinel_core::event::Actor;
use sentinel_core::network::{ClientIp, Network, NetworkError};
use sentinel_core::time::Timestamp;
use serde::de::DeserializeOwned;

use crate::auth::caller::Identity;
use crate::problem::{Code, Problem};

/// The largest body, in bytes.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;

/// Where the request comes from, as [`crate::middleware::locate`] found out.
#[derive(Clone, Copy)]
pub(crate) struct CallerIp(pub(crate) ClientIp);

impl<S: Sync> FromRequestParts<S> for CallerIp {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().copied().ok_or_else(|| {
            tracing::error!("a request without its peer's address: the router is not served by serve()");
            Problem::internal()
        })
    }
}

/// Who is signed in, as what, and from where. Only the check of the token puts it into a request.
#[derive(Clone)]
pub(crate) struct SignedIn {
    /// As the admin events name it: an account's name, or `token:` and a token's.
    pub(crate) name: String,
    pub(crate) client_ip: ClientIp,
    pub(crate) role: Role,
    pub(crate) identity: Identity,
}

impl SignedIn {
    /// As the one who changes something now.
    pub(crate) fn actor(self, now: Timestamp) -> Actor {
        Actor {
            name: self.name,
            client_ip: Some(self.client_ip),
            at: now,
        }
    }

    /// The administrator and the session, of callers who can change their own account.
    pub(crate) fn administrator(&self) -> Result<(AdministratorId, SessionId), Problem> {
        match self.identity {
            Identity::Administrator { id, session } => Ok((id, session)),
            Identity::Configured { .. } => Err(Problem::new(
                Code::AccountNotChangeable,
                "The configured account is changed where it is configured: ADMIN_USERNAME and ADMIN_PASSWORD.",
            )),
            Identity::Program(_) => Err(Problem::new(
                Code::AccountNotChangeable,
                "A token has no account of its own: sign in for this.",
            )),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(Problem::sign_in_required)
    }
}

/// A JSON body.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            let detail = "Send the body as 'Content-Type: application/json'.";
            return Err(Problem::new(Code::UnsupportedMediaType, detail));
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|error| body_unread(&error))?;
        parse_json(&bytes).map(Self)
    }
}

/// The query string. `T` holds optional texts only, so that the one thing that can go wrong in here is a field's name.
pub(crate) struct QueryString<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for QueryString<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        serde_urlencoded::from_str(parts.uri.query().unwrap_or_default())
            .map(Self)
            .map_err(|error| shape_problem(&error.to_string(), "query"))
    }
}

/// The id of a binding in the path.
pub(crate) struct BindingIdInPath(pub(crate) BindingId);

impl<S: Send + Sync> FromRequestParts<S> for BindingIdInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let NumberInPath(id) = NumberInPath::from_request_parts(parts, state).await?;
        Ok(Self(BindingId(id)))
    }
}

/// A number in the path.
pub(crate) struct NumberInPath(pub(crate) i64);

impl<S: Send + Sync> FromRequestParts<S> for NumberInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::field("id", NOT_AN_ID))?;
        parse_number("id", &text).map(Self)
    }
}

const NOT_AN_ID: &str = "It must be a whole number.";

/// A whole number, as a field of a query or a path.
pub(crate) fn parse_number(field: &str, text: &str) -> Result<i64, Problem> {
    text.parse().map_err(|_| Problem::field(field, NOT_AN_ID))
}

/// An IP address, as a field.
pub(crate) fn parse_address(field: &str, text: &str) -> Result<ClientIp, Problem> {
    text.parse()
        .map(ClientIp::new)
        .map_err(|_| Problem::field(field, "It must be an IP address like 203.0.113.7 or 2001:db8::1."))
}

/// A network, or an address as the network of its own, as a field.
pub(crate) fn parse_network(field: &str, text: &str) -> Result<Network, Problem> {
    text.trim().parse().map_err(|error| {
        let detail = match error {
            NetworkError::Malformed(_) => "It must be an IP address or a network like 203.0.113.0/24.",
            NetworkError::MappedIpv4(_) => "It is an IPv4 network mapped into IPv6: write the IPv4 network.",
        };
        Problem::field(field, detail)
    })
}

/// A moment in RFC 3339, as a field.
pub(crate) fn parse_moment(field: &str, text: &str) -> Result<Timestamp, Problem> {
    let format = time::format_description::well_known::Rfc3339;
    time::OffsetDateTime::parse(text, &format)
        .ok()
        .and_then(|moment| i64::try_from(moment.unix_timestamp_nanos().div_euclid(1_000_000)).ok())
        .map(Timestamp::from_unix_ms)
        .ok_or_else(|| Problem::field(field, "It must be a moment like 2026-01-31T12:00:00Z (RFC 3339)."))
}

/// A text of at most `characters_max`, as a field.
pub(crate) fn check_length(field: &str, text: &str, characters_max: usize) -> Result<(), Problem> {
    if text.chars().count() > characters_max {
        return Err(Problem::field(
            field,
            format!("It must not be longer than {characters_max} characters."),
        ));
    }
    Ok(())
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case("application/json"))
}

pub(crate) fn body_unread(rejection: &BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let detail = format!("It must not be larger than {BODY_BYTES_MAX} bytes.");
        Problem::new(Code::BodyTooLarge, detail)
    } else {
        Problem::new(Code::MalformedJson, "The body ended before it was complete.")
    }
}

fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        if error.inner().is_data() {
            shape_problem(&error.inner().to_string(), &error.path().to_string())
        } else {
            not_json(error.inner())
        }
    })?;
    deserializer.end().map_err(|error| not_json(&error))?;
    Ok(parsed)
}

fn not_json(error: &serde_json::Error) -> Problem {
    let (line, column) = (error.line(), error.column());
    Problem::new(Code::MalformedJson, format!("See line {line}, column {column}."))
}

/// The problem behind serde's message. Only the kind and the field's name are taken from it: the rest of the message may
/// repeat a value.
fn shape_problem(message: &str, path: &str) -> Problem {
    for (prefix, detail) in [
        ("missing field `", "It is required."),
        ("unknown field `", "There is no such field."),
        ("duplicate field `", "It is there twice."),
    ] {
        if let Some(rest) = message.strip_prefix(prefix) {
            let name = rest.split_once('`').map_or(rest, |(name, _)| name);
            return Problem::field(name, detail);
        }
    }
    let name = if path == "." { "body" } else { path };
    Problem::field(name, "Its type is wrong.")
}

#[cfg(test)]
mod tests;

//! The header by which a caller names a request.

use axum::extract::FromRequestParts;
use http::HeaderName;
use http::request::Parts;

use crate::problem::Problem;

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
/// The most characters of a name.
pub(super) const KEY_CHARACTERS_MAX: usize = 128;

/// The name that the caller gave; none when he gave none.
pub(crate) struct IdempotencyKey(pub(super) Option<String>);

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all(&HEADER).iter();
        let Some(value) = values.next() else {
            return Ok(Self(None));
        };
        let is_name = |text: &&str| {
            (1..=KEY_CHARACTERS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        match (value.to_str().ok().filter(is_name), values.next()) {
            (Some(name), None) => Ok(Self(Some(name.to_owned()))),
            _ => Err(Problem::field(
                "Idempotency-Key",
                format!("It must be one name of 1 to {KEY_CHARACTERS_MAX} visible ASCII characters."),
            )),
        }
    }
}

//! Errors towards callers, as `application/problem+json` (RFC 9457): the one file that turns them into HTTP.
//!
//! A caller hears a stable code and what to do. The cause goes to the log, once, here or where it was found; it is never
//! in the answer.

mod code;

use std::borrow::Cow;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use sentinel_core::event::printable;
use sentinel_core::ports::StoreError;
use serde::Serialize;

use crate::auth::permission::Permission;
use crate::settings::WrongSetting;

pub(crate) use code::Code;

/// The media type of every error.
pub(crate) const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";
/// The most characters of a field's name that are repeated to the caller.
const FIELD_CHARACTERS_MAX: usize = 64;
/// When to try again after the store was busy or away.
const STORE_RETRY_AFTER: Duration = Duration::from_secs(2);

/// Whether one part works, as `/readyz` and the dashboard say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct PartHealth {
    pub(crate) name: &'static str,
    pub(crate) ok: bool,
}

/// One error towards a caller.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    code: Code,
    detail: Cow<'static, str>,
    field: Option<String>,
    errors: Option<Vec<WrongSetting>>,
    parts: Option<Vec<PartHealth>>,
    retry_after: Option<Duration>,
}

/// The members of the answer's body.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody<'p> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'p str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'p str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<WrongSetting>>)]
    errors: Option<&'p [WrongSetting]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<PartHealth>>)]
    parts: Option<&'p [PartHealth]>,
}

impl Problem {
    /// `detail` says what to do about it; it must not repeat what the caller sent.
    pub(crate) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            detail: detail.into(),
            field: None,
            errors: None,
            parts: None,
            retry_after: None,
        }
    }

    /// How the answer begins.
    pub(crate) const fn status(&self) -> StatusCode {
        self.code.status()
    }

    /// A field of the body, the query or the path that cannot be accepted.
    pub(crate) fn field(name: &str, detail: impl Into<Cow<'static, str>>) -> Self {
        let name = printable(name.as_bytes(), FIELD_CHARACTERS_MAX);
        Self {
            field: Some(name),
            ..Self::new(Code::InvalidField, detail)
        }
    }

    /// Settings that cannot be so: the first is the field, `errors` holds all of them.
    pub(crate) fn settings(wrong: Vec<WrongSetting>) -> Self {
        let wrong: Vec<WrongSetting> = wrong
            .into_iter()
            .map(|setting| WrongSetting {
                name: printable(setting.name.as_bytes(), FIELD_CHARACTERS_MAX),
                detail: setting.detail,
            })
            .collect();
        let first = wrong.first().map_or("values", |setting| setting.name.as_str());
        Self {
            errors: Some(wrong.clone()),
            ..Self::field(
                first,
                "Nothing was changed; 'errors' says what is wrong with each setting.",
            )
        }
    }

    /// No binding has this id, or none has it any more.
    pub(crate) fn binding_not_found() -> Self {
        Self::new(
            Code::BindingNotFound,
            "No binding has this id; it may have been unbound meanwhile.",
        )
    }

    /// The request carries no token, or none that is good.
    pub(crate) fn sign_in_required() -> Self {
        Self::new(
            Code::SignInRequired,
            "Sign in at POST /admin/api/login and send the token as 'Authorization: Bearer'.",
        )
    }

    /// The caller's role does not have the permission.
    pub(crate) fn permission_denied(permission: Permission) -> Self {
        let (name, role) = (permission.name(), permission.least_role().as_str());
        Self::new(
            Code::PermissionDenied,
            format!("It takes the permission '{name}', which the role '{role}' has."),
        )
    }

    /// Something that cannot happen happened; the caller of this has logged it.
    pub(crate) fn internal() -> Self {
        Self::new(
            Code::Internal,
            "The log says more, under the X-Request-Id of this answer.",
        )
    }

    /// Says when to try again.
    pub(crate) fn retry_after(self, wait: Duration) -> Self {
        Self {
            retry_after: Some(wait),
            ..self
        }
    }

    /// Says which parts work.
    pub(crate) fn parts(self, parts: Vec<PartHealth>) -> Self {
        Self {
            parts: Some(parts),
            ..self
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "the store failed a request");
        match error {
            StoreError::Busy => {
                Self::new(Code::StoreBusy, "Try again in a moment.").retry_after(STORE_RETRY_AFTER)
            }
            StoreError::Unavailable(_) => Self::new(
                Code::StoreUnavailable,
                "Try again in a moment; /readyz says which part fails.",
            )
            .retry_after(STORE_RETRY_AFTER),
            StoreError::Damaged(_) => Self::internal(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (_, status, title) = self.code.describe();
        let body = ProblemBody {
            r#type: self.code.type_uri(),
            title,
            status: status.as_u16(),
            detail: &self.detail,
            field: self.field.as_deref(),
            errors: self.errors.as_deref(),
            parts: self.parts.as_deref(),
        };
        let body = serde_json::to_vec(&body).expect("text, numbers and lists are always JSON");
        let mut response = (status, [(header::CONTENT_TYPE, PROBLEM_MEDIA_TYPE)], body).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"sentinel-admin\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(wait) = self.retry_after {
            let seconds = HeaderValue::from(whole_seconds(wait));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}

/// At least one second, rounded up: who comes back then is not turned away again.
fn whole_seconds(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis().div_ceil(1000))
        .unwrap_or(u64::MAX)
        .max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_codes_is_whole_and_no_two_are_the_same() {
        assert_eq!(
            Code::ALL.len(),
            Code::Internal as usize + 1,
            "the last one is Internal"
        );
        for (index, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, index, "{}", code.as_str());
            assert_eq!(Code::from_word(code.as_str()), Some(code));
        }
    }

    #[test]
    fn retry_after_is_rounded_up() {
        for (wait_ms, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2)] {
            assert_eq!(whole_seconds(Duration::from_millis(wait_ms)), seconds);
        }
    }

    #[test]
    fn a_field_name_is_bounded_and_printable() {
        let problem = Problem::field(&format!("\u{1b}{}", "a".repeat(500)), "no");
        let field = problem.field.expect("named");
        assert!(field.starts_with("\\u{1b}a"));
        assert!(field.chars().count() < FIELD_CHARACTERS_MAX + 10);
    }

    #[test]
    fn a_store_error_keeps_its_cause_to_itself() {
        for error in [
            StoreError::Unavailable("host=10.0.0.1 password=x".to_owned()),
            StoreError::Damaged("row 7: password=x".to_owned()),
        ] {
            let problem = Problem::from(error);
            assert!(!problem.detail.contains("password"), "{}", problem.detail);
        }
    }
}

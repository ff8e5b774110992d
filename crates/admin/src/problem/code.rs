//! What can be wrong, each with a stable code, its status and its title.

use http::StatusCode;

/// What is wrong. The code is the last part of the problem's `type` and never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Code {
    MalformedJson,
    InvalidField,
    UnsupportedMediaType,
    BodyTooLarge,
    CredentialsInvalid,
    SecondFactorRequired,
    SignInRequired,
    PermissionDenied,
    ConsoleHeaderRequired,
    PasswordWrong,
    AccountNotChangeable,
    AdministratorNotFound,
    SessionNotFound,
    TokenNotFound,
    NameTaken,
    LimitReached,
    LoginLocked,
    LoginBusy,
    NotFound,
    BindingNotFound,
    BindingChanged,
    BindingExists,
    IdempotencyKeyReused,
    RequestUnderWay,
    SettingsOutdated,
    SettingsVersionNotFound,
    DeliveryNotDead,
    ChannelNotFound,
    ChannelFailed,
    MethodNotAllowed,
    NotReady,
    StoreBusy,
    StoreUnavailable,
    RequestTimeout,
    Internal,
}

impl Code {
    /// All of them, in their order.
    pub(crate) const ALL: [Self; 35] = [
        Self::MalformedJson,
        Self::InvalidField,
        Self::UnsupportedMediaType,
        Self::BodyTooLarge,
        Self::CredentialsInvalid,
        Self::SecondFactorRequired,
        Self::SignInRequired,
        Self::PermissionDenied,
        Self::ConsoleHeaderRequired,
        Self::PasswordWrong,
        Self::AccountNotChangeable,
        Self::AdministratorNotFound,
        Self::SessionNotFound,
        Self::TokenNotFound,
        Self::NameTaken,
        Self::LimitReached,
        Self::LoginLocked,
        Self::LoginBusy,
        Self::NotFound,
        Self::BindingNotFound,
        Self::BindingChanged,
        Self::BindingExists,
        Self::IdempotencyKeyReused,
        Self::RequestUnderWay,
        Self::SettingsOutdated,
        Self::SettingsVersionNotFound,
        Self::DeliveryNotDead,
        Self::ChannelNotFound,
        Self::ChannelFailed,
        Self::MethodNotAllowed,
        Self::NotReady,
        Self::StoreBusy,
        Self::StoreUnavailable,
        Self::RequestTimeout,
        Self::Internal,
    ];

    /// The code, its status and its title.
    pub(super) const fn describe(self) -> (&'static str, StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Self::MalformedJson => ("malformed_json", S::BAD_REQUEST, "The body is not valid JSON"),
            Self::InvalidField => (
                "invalid_field",
                S::UNPROCESSABLE_ENTITY,
                "A field is missing, unknown or invalid",
            ),
            Self::UnsupportedMediaType => (
                "unsupported_media_type",
                S::UNSUPPORTED_MEDIA_TYPE,
                "The body must be JSON",
            ),
            Self::BodyTooLarge => ("body_too_large", S::PAYLOAD_TOO_LARGE, "The body is too large"),
            Self::CredentialsInvalid => (
                "credentials_invalid",
                S::UNAUTHORIZED,
                "The user name or the password is wrong",
            ),
            Self::SignInRequired => ("sign_in_required", S::UNAUTHORIZED, "A valid token is needed"),
            Self::SecondFactorRequired => (
                "second_factor_required",
                S::UNAUTHORIZED,
                "A code is needed besides",
            ),
            Self::PermissionDenied => ("permission_denied", S::FORBIDDEN, "The account may not do this"),
            Self::ConsoleHeaderRequired => ("console_header_required", S::FORBIDDEN, "A header is missing"),
            Self::PasswordWrong => ("password_wrong", S::FORBIDDEN, "The password is wrong"),
            Self::AccountNotChangeable => (
                "account_not_changeable",
                S::FORBIDDEN,
                "This account is not changed here",
            ),
            Self::AdministratorNotFound => (
                "administrator_not_found",
                S::NOT_FOUND,
                "There is no such administrator",
            ),
            Self::SessionNotFound => ("session_not_found", S::NOT_FOUND, "There is no such session"),
            Self::TokenNotFound => ("token_not_found", S::NOT_FOUND, "There is no such token"),
            Self::NameTaken => ("name_taken", S::CONFLICT, "The name is taken"),
            Self::LimitReached => ("limit_reached", S::CONFLICT, "There are as many as there may be"),
            Self::LoginLocked => ("login_locked", S::TOO_MANY_REQUESTS, "Too many failed sign-ins"),
            Self::LoginBusy => ("login_busy", S::SERVICE_UNAVAILABLE, "Too many sign-ins at once"),
            Self::NotFound => ("not_found", S::NOT_FOUND, "There is nothing at this path"),
            Self::BindingNotFound => ("binding_not_found", S::NOT_FOUND, "There is no such binding"),
            Self::BindingChanged => (
                "binding_changed",
                S::PRECONDITION_FAILED,
                "The binding has changed meanwhile",
            ),
            Self::BindingExists => ("binding_exists", S::CONFLICT, "The key has a binding already"),
            Self::IdempotencyKeyReused => (
                "idempotency_key_reused",
                S::UNPROCESSABLE_ENTITY,
                "The Idempotency-Key stands for another request",
            ),
            Self::RequestUnderWay => ("request_under_way", S::CONFLICT, "The same request is under way"),
            Self::SettingsOutdated => (
                "settings_outdated",
                S::CONFLICT,
                "The settings have changed meanwhile",
            ),
            Self::SettingsVersionNotFound => (
                "settings_version_not_found",
                S::NOT_FOUND,
                "The settings have no such version",
            ),
            Self::DeliveryNotDead => ("delivery_not_dead", S::CONFLICT, "The delivery was not given up"),
            Self::ChannelNotFound => ("channel_not_found", S::NOT_FOUND, "There is no such channel"),
            Self::ChannelFailed => (
                "channel_failed",
                S::BAD_GATEWAY,
                "The channel did not take the message",
            ),
            Self::MethodNotAllowed => (
                "method_not_allowed",
                S::METHOD_NOT_ALLOWED,
                "The path does not answer this method",
            ),
            Self::NotReady => ("not_ready", S::SERVICE_UNAVAILABLE, "A part does not work"),
            Self::StoreBusy => ("store_busy", S::SERVICE_UNAVAILABLE, "The store is busy"),
            Self::StoreUnavailable => (
                "store_unavailable",
                S::SERVICE_UNAVAILABLE,
                "The store does not answer",
            ),
            Self::RequestTimeout => (
                "request_timeout",
                S::SERVICE_UNAVAILABLE,
                "The request took too long",
            ),
            Self::Internal => (
                "internal",
                S::INTERNAL_SERVER_ERROR,
                "Something went wrong in here",
            ),
        }
    }

    /// The code as callers see it.
    pub(crate) const fn as_str(self) -> &'static str {
        self.describe().0
    }

    /// The code with this name.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == word)
    }

    /// The status of an answer with it.
    pub(crate) const fn status(self) -> StatusCode {
        self.describe().1
    }

    /// What is wrong, in a few words.
    pub(crate) const fn title(self) -> &'static str {
        self.describe().2
    }

    /// What the member `type` of an answer with it holds.
    pub(crate) fn type_uri(self) -> String {
        format!("urn:sentinel:problem:{}", self.as_str())
    }
}

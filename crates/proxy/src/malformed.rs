//! What can be wrong with a request before anything is decided on it. Such a request is answered and counted; it never reaches the audit log,
//! since whoever sends bytes could fill that, and no rule was broken.

use crate::http1::request::RequestError;

/// Why a request cannot be read, or is none that a gateway could get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It is no HTTP, or can be read in two ways.
    Request,
    /// Its body is not framed as its head says.
    Body,
    /// Its head has too many bytes or lines.
    HeaderTooLarge,
    /// It is of a version of HTTP that is not served.
    Version,
    /// It wants a tunnel to somewhere.
    Method,
    /// A proxy that asks about a request does not say clearly which one.
    Question,
    /// Somebody asks who may not.
    UntrustedPeer,
}

impl Malformed {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 7] = [
        Self::Request,
        Self::Body,
        Self::HeaderTooLarge,
        Self::Version,
        Self::Method,
        Self::Question,
        Self::UntrustedPeer,
    ];

    /// The stable code, told to the client and counted by.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Request => "malformed_request",
            Self::Body => "malformed_body",
            Self::HeaderTooLarge => "header_too_large",
            Self::Version => "version_unsupported",
            Self::Method => "method_unsupported",
            Self::Question => "forward_auth_unclear",
            Self::UntrustedPeer => "forward_auth_untrusted",
        }
    }
}

impl From<RequestError> for Malformed {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Malformed | RequestError::Framing(_) => Self::Request,
            RequestError::TooLarge => Self::HeaderTooLarge,
            RequestError::Version => Self::Version,
        }
    }
}

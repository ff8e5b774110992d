//! The port to whatever carries calls to the provider. It bounds how long a call takes and how much of an answer is read, follows no redirect,
//! and trusts whom the operator trusts.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use zeroize::Zeroizing;

/// One call: a GET, or a POST of a form.
pub struct ProviderCall<'c> {
    /// Where to; https, or http on this machine.
    pub url: &'c str,
    /// What is posted; a GET when none.
    pub form: Option<ProviderForm>,
}

/// A form with secrets in it. Does not print.
pub struct ProviderForm {
    /// What the `Authorization` header says, if there is one.
    pub authorization: Option<Zeroizing<String>>,
    /// The body, as `application/x-www-form-urlencoded`.
    pub body: Zeroizing<String>,
}

impl fmt::Debug for ProviderForm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ProviderForm(redacted)")
    }
}

/// What came back. Of a body that is too long a part is enough: it cannot be read.
#[derive(Clone, Debug)]
pub struct ProviderAnswer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Bytes,
}

/// No answer came; the text is for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CallFailed(pub String);

/// Calls the provider.
#[async_trait]
pub trait ProviderCalls: Send + Sync {
    /// Makes one call.
    async fn call(&self, call: ProviderCall<'_>) -> Result<ProviderAnswer, CallFailed>;
}

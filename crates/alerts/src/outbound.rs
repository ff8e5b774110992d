//! Every connection that alerts open: one guarded way out, for HTTP and for mail.
//!
//! An operator types in where alerts go, and whoever controls a name decides what it resolves to. So names are resolved here, addresses
//! that are no public host's are refused, and the connection goes to the address that was judged. No redirect is followed, and no
//! proxy of the environment is asked. Must never put a URL's path or query into an error: they hold secrets.

mod client;
mod destination;
mod dialer;
mod guard;
mod special;

pub use client::{ANSWER_BYTES_MAX, ANSWER_HEAD_BYTES_MAX, HTTP_TIMEOUT, HttpClient, RETRY_AFTER_MAX, Reply};
pub use destination::{Destination, DestinationProblem, HttpUrl};
pub use dialer::{CONNECT_ADDRESSES_MAX, CONNECT_TIMEOUT, Dialer, OutboundStream, TrustProblem, trust};
pub use guard::{Guard, RESOLVED_MAX, Resolve, SystemResolver};
pub use special::is_special;

/// Why nothing, or no answer, came of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// All addresses of the name are refused.
    #[error(
        "{host} is at {address}, which is no public address: allow its network if alerts are meant to go there"
    )]
    Forbidden {
        /// The name or the address.
        host: String,
        /// One of its addresses.
        address: std::net::IpAddr,
    },
    /// The name has no address, or the question failed.
    #[error("{0} cannot be resolved")]
    Unresolved(String),
    /// No address took the connection.
    #[error("{host} cannot be connected to: {cause}")]
    Unreachable {
        /// The name or the address.
        host: String,
        /// What the system said.
        cause: String,
    },
    /// No TLS with a certificate that is trusted for this name.
    #[error("no TLS with {host}: {cause}")]
    Tls {
        /// The name or the address.
        host: String,
        /// What the library said.
        cause: String,
    },
    /// It took too long.
    #[error("{0} did not answer in time")]
    Timeout(String),
    /// The answer is none.
    #[error("{host} answered with something else than HTTP: {cause}")]
    Protocol {
        /// The name or the address.
        host: String,
        /// What the library said.
        cause: String,
    },
    /// The request cannot be written.
    #[error("a header or the path cannot be written in a request")]
    Unwritable,
}

impl OutboundError {
    /// Whether the same call may succeed later without anybody changing anything.
    pub const fn is_passing(&self) -> bool {
        !matches!(self, Self::Forbidden { .. } | Self::Unwritable)
    }
}

#[cfg(test)]
mod tests;

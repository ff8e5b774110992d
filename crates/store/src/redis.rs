//! Redis or Valkey (6.2 or newer) as what replicas share: the cache in front of the authority, the channel on which they tell each
//! other of changes, counters, and the lockout.
//!
//! One server, a primary found by Redis Sentinel, or a Cluster; with TLS and ACL users. It only ever speeds things up: whatever
//! happens to it, every call ends within [`RESPONSE_WAIT_MAX`], and while it is known to be away at once.
//!
//! Keys, with the prefix `sentinel:` unless another is set:
//!
//! | key | holds | kept |
//! |---|---|---|
//! | `<prefix>{a5}:binding:<64 hex digits>` | the shared cache's entry of a fingerprint; the braces hold its first byte | up to a day |
//! | `<prefix>{count}:…` | counts in sliding windows | the window |
//! | `<prefix>{attempts:<network>}:…` | failed attempts to sign in | an hour |
//! | `<prefix>probe` | proof that the server takes writes | a second |
//! | channel `<prefix>changes` | what replicas tell each other | |
//!
//! The braces are a Cluster's hash tags: bindings spread over its nodes in 256 parts, and each script's keys are on one node.
//!
//! A user with ACL rules needs `~<prefix>* &<prefix>changes +@read +@write +@scripting +@connection +@pubsub +time` and, in a Cluster,
//! `+cluster|slots`.

mod attempts;
mod cache;
mod changes;
mod connect;
mod counters;
mod entry;
mod failure;
mod link;
mod script;
mod url;

#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

pub use attempts::RedisAttempts;
pub use cache::{RedisCache, RedisCacheCounts};
pub use changes::{FeedCounts, RedisAnnouncer, RedisChanges};
pub use counters::RedisCounters;
pub use link::RedisLink;
pub use url::{RedisUrl, RedisUrlError};

/// How long a call waits for its answer.
pub const RESPONSE_WAIT_MAX: Duration = Duration::from_millis(250);
/// How long making one connection may take, TLS and sign-in included.
pub const CONNECT_WAIT_MAX: Duration = Duration::from_secs(1);
/// The longest pause between two attempts to connect.
pub const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(2);
/// The most bytes of a prefix.
pub const PREFIX_BYTES_MAX: usize = 64;

/// The prefix of all keys unless another is set.
pub const DEFAULT_PREFIX: &str = "sentinel:";

/// Which Redis, and how to speak to it.
#[derive(Clone)]
pub struct RedisSettings {
    url: RedisUrl,
    prefix: String,
    authority_pem: Option<Vec<u8>>,
}

/// A prefix that cannot be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the prefix of the keys must be 1 to {PREFIX_BYTES_MAX} printable ASCII characters without spaces, braces and glob characters"
)]
pub struct PrefixError;

impl RedisSettings {
    /// Keys begin with [`DEFAULT_PREFIX`]; TLS trusts the public authorities.
    pub fn new(url: RedisUrl) -> Self {
        Self {
            url,
            prefix: DEFAULT_PREFIX.to_owned(),
            authority_pem: None,
        }
    }

    /// Where the server is.
    pub fn url(&self) -> &RedisUrl {
        &self.url
    }

    /// Keys, and the channel, begin with this: so that two installations can share a server.
    pub fn with_prefix(self, prefix: &str) -> Result<Self, PrefixError> {
        let fits = !prefix.is_empty() && prefix.len() <= PREFIX_BYTES_MAX;
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"{}*?[]^\\".contains(&byte);
        if fits && prefix.bytes().all(is_plain) {
            let prefix = prefix.to_owned();
            Ok(Self { prefix, ..self })
        } else {
            Err(PrefixError)
        }
    }

    /// TLS trusts these authorities, in PEM, and no others.
    #[must_use]
    pub fn trusting(self, authority_pem: Vec<u8>) -> Self {
        Self {
            authority_pem: Some(authority_pem),
            ..self
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Debug for RedisSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RedisSettings")
            .field("url", &self.url)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

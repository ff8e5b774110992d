//! Test support: an upstream that does as a script says, a client that writes raw bytes, a clock and a sink for tests,
//! and the real servers that Sentinel leans on, as processes that a test starts, kills and freezes.
//!
//! Everything here waits for a state, with a bound, and never for a time; what does not come fails the test with a
//! sentence that says what was waited for. Nothing here may be used outside tests.
#![expect(
    clippy::missing_panics_doc,
    reason = "test support panics in order to fail the test that uses it"
)]

mod answer;
mod certificates;
mod client;
mod clock;
mod connection;
mod fault_proxy;
mod framing;
mod identity_provider;
mod postgres;
mod process;
mod redis;
mod sink;
mod upstream;
mod wait;

pub use self::redis::{RedisBuilder, RedisCluster, RedisSentinel, RedisServer};
pub use answer::{Answer, ChunkSender};
pub use client::{RawClient, RawHead, RawResponse};
pub use clock::SettableClock;
pub use fault_proxy::{Fault, FaultProxy, PROXIED_CONNECTIONS_MAX};
pub use identity_provider::{IdentityProvider, SigningKey};
pub use postgres::{PostgresBuilder, PostgresServer};
pub use process::HeldPort;
pub use sink::MemorySink;
pub use upstream::{ScriptedUpstream, SeenRequest, unreachable_address};
pub use wait::{WAIT_MAX, bounded};

#[cfg(test)]
mod tests;

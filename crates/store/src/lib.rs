//! The ports of `sentinel-core` on SQLite, on PostgreSQL and in memory, the cached lookup in front of them, what replicas share
//! on Redis, and the migrations.
//!
//! The store decides, the lookup only speeds it up. Nothing in here judges a request, and nothing ever sees a key: what
//! arrives is a fingerprint and a hint.

pub mod bounds;
pub mod changes;
pub mod counting;
pub mod error;
pub mod listener;
pub mod lookup;
pub mod memory;
pub mod postgres;
pub mod redis;
pub mod shared;
pub mod spool;
pub mod sqlite;
pub mod transfer;

mod account_records;
mod alert_records;
mod answers;
mod change;
mod forgetting;
mod network_list;
mod pace;
mod pattern;
mod secret;
mod top;
mod traffic;

#[cfg(test)]
mod conformance;

pub use error::{OpenError, PostgresError};
pub use lookup::{CacheBounds, CachedLookup, InvalidatingAdmin};
pub use memory::MemoryStore;
pub use postgres::{PostgresDsn, PostgresOptions, PostgresStore};
pub use spool::{Spool, SpoolError, SpoolOptions, SpoolReader};
pub use sqlite::SqliteStore;

//! Each rule of the cached lookup, against a store that can be away, slow, or late with what it has read.

mod admin;
mod ordering;
mod reading;
mod renewing;
mod scripted;
mod secrets;
mod sharing;
mod uses;

use std::sync::Arc;
use std::time::Duration;

use sentinel_core::known::Known;
use sentinel_core::ports::BindingLookup;

use super::{CacheBounds, CachedLookup};
use crate::conformance::{at, fingerprint};
use crate::memory::MemoryStore;
use scripted::Scripted;

/// A lookup over a scripted store, with the default bounds.
fn lookup() -> (Arc<CachedLookup>, Arc<Scripted>) {
    lookup_with(&CacheBounds::default())
}

fn lookup_with(bounds: &CacheBounds) -> (Arc<CachedLookup>, Arc<Scripted>) {
    let store = Arc::new(Scripted::new(MemoryStore::new()));
    let lookup = CachedLookup::new(Arc::clone(&store) as Arc<_>, bounds);
    (Arc::new(lookup), store)
}

/// The binding of key `number`, which has one.
async fn find(lookup: &CachedLookup, number: u32, now: i64) -> Known {
    let found = lookup.find(&fingerprint(number), at(now)).await;
    found.unwrap().expect("a binding")
}

/// The life of an entry, in milliseconds.
fn fresh_ms() -> i64 {
    milliseconds(CacheBounds::default().fresh)
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap()
}

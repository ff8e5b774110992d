//! The shared cache on Redis: one script per call, and one key per fingerprint.
//!
//! The server keeps an entry for a fixed time, and from how long it is kept still comes its age. So ages are the server's own count; when a
//! replica of it takes over, they are off by what the two servers' clocks differ.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::binding::Version;
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::ports::{Found, StoreError};

use super::entry::{self, digits};
use super::link::RedisLink;
use super::milliseconds;
use super::script::{LazyScript, lua_script};
use crate::pace::Pace;
use crate::shared::{KEPT_MAX, SharedCache, SharedEntry, Standing, TOMBSTONE_LIFE};

static GET: LazyScript = lua_script!("scripts/get.lua");
static PUT: LazyScript = lua_script!("scripts/standing.lua", "scripts/put.lua");
static PUT_GONE: LazyScript = lua_script!("scripts/standing.lua", "scripts/put_gone.lua");

/// What a cache has counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RedisCacheCounts {
    /// Entries that could not be read.
    pub unreadable: u64,
}

/// [`SharedCache`] on Redis. Clones share it.
#[derive(Clone)]
pub struct RedisCache {
    link: RedisLink,
    noted: Arc<Noted>,
}

#[derive(Default)]
struct Noted {
    unreadable: AtomicU64,
    said: Pace,
}

impl RedisCache {
    /// A cache at the end of `link`.
    pub fn new(link: RedisLink) -> Self {
        Self {
            link,
            noted: Arc::default(),
        }
    }

    /// What has been counted.
    pub fn counts(&self) -> RedisCacheCounts {
        RedisCacheCounts {
            unreadable: self.noted.unreadable.load(Ordering::Relaxed),
        }
    }

    /// Where the entry of a fingerprint is.
    pub(super) fn key(&self, fingerprint: &KeyFingerprint) -> String {
        let digits = entry::hexadecimal(fingerprint.as_bytes());
        let prefix = &self.link.settings().prefix;
        format!("{prefix}{{{}}}:binding:{digits}", &digits[..2])
    }

    async fn put_gone(
        &self,
        fingerprint: &KeyFingerprint,
        entry: &str,
        over: Standing,
        kept: Duration,
    ) -> Result<(), StoreError> {
        let over = digits(over);
        let written = |command: &mut redis::Cmd| {
            command.arg(entry).arg(&over).arg(milliseconds(kept));
        };
        let _: i64 = self
            .link
            .run(&PUT_GONE, &[&self.key(fingerprint)], written)
            .await?;
        Ok(())
    }
}

#[async_trait]
impl SharedCache for RedisCache {
    async fn get(&self, fingerprint: &KeyFingerprint) -> Result<SharedEntry, StoreError> {
        let key = self.key(fingerprint);
        let found: Option<(Vec<u8>, i64)> = self.link.run(&GET, &[&key], |_| {}).await?;
        let Some((text, kept_ms)) = found else {
            return Ok(SharedEntry::NOTHING);
        };
        Ok(
            entry::read(&text, kept_ms, fingerprint).unwrap_or_else(|(error, claimed)| {
                self.noted.unreadable.fetch_add(1, Ordering::Relaxed);
                if self.noted.said.is_due() {
                    tracing::warn!(key, %error, "an entry of the shared cache is unreadable: the database is asked instead");
                }
                SharedEntry::Missing(claimed)
            }),
        )
    }

    async fn put(&self, found: &Found, seen: Standing) -> Result<(), StoreError> {
        let kept = KEPT_MAX.saturating_sub(found.age);
        if kept.is_zero() {
            return Ok(());
        }
        let entry = entry::of_binding(&found.binding);
        let standing = digits(Standing::of_binding(found.binding.version));
        let seen = digits(seen);
        let written = |command: &mut redis::Cmd| {
            command
                .arg(&entry)
                .arg(&standing)
                .arg(&seen)
                .arg(milliseconds(kept));
        };
        let key = self.key(&found.binding.fingerprint);
        let _: i64 = self.link.run(&PUT, &[&key], written).await?;
        Ok(())
    }

    async fn put_absent(&self, fingerprint: &KeyFingerprint, seen: Standing) -> Result<(), StoreError> {
        let standing = seen.removed();
        let kept = standing.absence_kept();
        self.put_gone(fingerprint, &entry::absent(standing), seen, kept)
            .await
    }

    async fn bury(&self, fingerprint: &KeyFingerprint, absence: Version) -> Result<(), StoreError> {
        let standing = Standing::of_absence(absence);
        let entry = entry::tombstone(standing);
        self.put_gone(fingerprint, &entry, standing.below(), TOMBSTONE_LIFE)
            .await
    }
}

impl fmt::Debug for RedisCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("RedisCache").field(&self.link).finish()
    }
}

//! Hears what other replicas changed, and makes it hold here: caches forget, and what is under way is judged anew.
//!
//! A message is a hint to look again, never a fact to act on. While no channel works, nothing is heard: then cached bindings live shorter,
//! and everything is looked up again when a channel is back.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sentinel_core::binding::Version;
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::ports::{BindingChange, BindingLookup as _, BindingWatcher};
use sentinel_core::time::Clock;
use tokio::sync::Notify;

use crate::changes::{Change, ChangeFeed, Heard};
use crate::lookup::CachedLookup;
use crate::shared::SharedStore;

/// Whoever measures the channels. Never blocks.
pub trait ChannelObserver: Send + Sync {
    /// A change was new to this replica, so long after it was made elsewhere. Zero when the other clock is ahead.
    fn heard(&self, channel: &'static str, delay: Duration);
    /// The channel works now, or is lost.
    fn is_up(&self, channel: &'static str, is_up: bool);
}

/// What hears of changes.
pub struct ListenerParts {
    /// Forgets.
    pub lookup: Arc<CachedLookup>,
    /// The store with the shared cache, if there is one: an entry that a change made old leaves it before anybody reads it again.
    pub shared: Option<Arc<SharedStore>>,
    /// Judges what is under way.
    pub watcher: Arc<dyn BindingWatcher>,
    /// Is notified when the settings may have changed.
    pub settings: Arc<Notify>,
    /// Measures.
    pub observer: Arc<dyn ChannelObserver>,
    /// Tells how late a message is.
    pub clock: Arc<dyn Clock>,
}

/// Listens on all channels of one process.
pub struct ChangeListener {
    parts: ListenerParts,
    channels_up: Mutex<usize>,
}

impl ChangeListener {
    /// Nothing is heard yet.
    pub fn new(parts: ListenerParts) -> Arc<Self> {
        parts.lookup.set_out_of_touch(true);
        Arc::new(Self {
            parts,
            channels_up: Mutex::new(0),
        })
    }

    /// Listens on one channel. Never ends.
    pub async fn listen(self: Arc<Self>, mut feed: Box<dyn ChangeFeed>) {
        let channel = feed.channel();
        let mut is_up = false;
        loop {
            match feed.next().await {
                Heard::Connected if !is_up => {
                    is_up = true;
                    self.found(channel);
                }
                Heard::Lost if is_up => {
                    is_up = false;
                    self.lost(channel);
                }
                Heard::Connected | Heard::Lost => {}
                Heard::Change(change) => self.take(channel, change).await,
            }
        }
    }

    fn found(&self, channel: &'static str) {
        tracing::info!(channel, "changes made by other replicas are heard");
        self.count_up(|up| up + 1);
        self.parts.observer.is_up(channel, true);
        // Whatever was said before was not heard.
        self.parts.lookup.expire_all();
        self.parts.watcher.changed(BindingChange::Unknown);
        self.parts.settings.notify_one();
    }

    fn lost(&self, channel: &'static str) {
        let channels_left = self.count_up(|up| up - 1);
        tracing::warn!(
            channel,
            channels_left,
            "changes made by other replicas are no longer heard on this channel"
        );
        self.parts.observer.is_up(channel, false);
        self.parts.lookup.expire_all();
    }

    /// Counts the channels that work. Two that change at once must agree on whether any does.
    fn count_up(&self, change: impl FnOnce(usize) -> usize) -> usize {
        let mut up = self.channels_up.lock().unwrap_or_else(PoisonError::into_inner);
        *up = change(*up);
        self.parts.lookup.set_out_of_touch(*up == 0);
        *up
    }

    async fn take(&self, channel: &'static str, change: Change) {
        let now = self.parts.clock.now();
        match change {
            Change::Settings { at, .. } => {
                self.parts.observer.heard(channel, now.since(at));
                self.parts.settings.notify_one();
            }
            Change::Binding {
                fingerprint,
                version,
                at,
            } => {
                if self.forget(&fingerprint, version).await {
                    self.parts.observer.heard(channel, now.since(at));
                    self.look_again(&fingerprint).await;
                }
            }
        }
    }

    /// False when the change was known here already.
    async fn forget(&self, fingerprint: &KeyFingerprint, version: Version) -> bool {
        // Before this replica forgets: what it loads from here on must not come out of the shared cache as it was.
        if let Some(shared) = &self.parts.shared {
            shared.heard(fingerprint, version).await;
        }
        self.parts.lookup.invalidate(fingerprint, Some(version))
    }

    async fn look_again(&self, fingerprint: &KeyFingerprint) {
        let found = self.parts.lookup.find(fingerprint, self.parts.clock.now()).await;
        let change = match found {
            Ok(Some(known)) => BindingChange::Now(Box::new(known.binding.clone())),
            Ok(None) => BindingChange::Gone(*fingerprint),
            // Nobody knows what it is now: each key is looked up when the store answers again.
            Err(_) => BindingChange::Unknown,
        };
        self.parts.watcher.changed(change);
    }
}

impl std::fmt::Debug for ChangeListener {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ChangeListener")
            .field("channels_up", &self.channels_up)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

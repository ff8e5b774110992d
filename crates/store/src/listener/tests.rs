//! What is heard, by a feed that says what a test tells it to.

use std::sync::Mutex;

use async_trait::async_trait;
use sentinel_core::binding::{Binding, BindingStatus};
use sentinel_core::ports::{BindingAdmin, BindingStore, Found, StoreError};
use sentinel_core::time::Timestamp;
use sentinel_testkit::SettableClock;
use tokio::sync::mpsc;

use super::*;
use crate::changes::ChangeAnnouncer;
use crate::conformance::{actor, at, claimed, fingerprint};
use crate::lookup::CacheBounds;
use crate::memory::MemoryStore;
use crate::shared::{SharedBounds, SharedCache, SharedEntry, Standing};

struct Scripted(mpsc::Receiver<Heard>);

#[async_trait]
impl ChangeFeed for Scripted {
    fn channel(&self) -> &'static str {
        "scripted"
    }

    async fn next(&mut self) -> Heard {
        match self.0.recv().await {
            Some(heard) => heard,
            None => std::future::pending().await,
        }
    }
}

/// What came of it, in the order in which it came.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Noted {
    Heard(u64),
    Up(bool),
    Now(BindingStatus),
    Gone,
    Unknown,
}

struct Notes(mpsc::UnboundedSender<Noted>);

impl Notes {
    fn note(&self, noted: Noted) {
        let _ = self.0.send(noted);
    }
}

impl ChannelObserver for Notes {
    fn heard(&self, channel: &'static str, delay: Duration) {
        assert_eq!(channel, "scripted");
        self.note(Noted::Heard(u64::try_from(delay.as_millis()).expect("short")));
    }

    fn is_up(&self, _: &'static str, is_up: bool) {
        self.note(Noted::Up(is_up));
    }
}

impl BindingWatcher for Notes {
    fn changed(&self, change: BindingChange) {
        self.note(match change {
            BindingChange::Now(binding) => Noted::Now(binding.status),
            BindingChange::Gone(_) => Noted::Gone,
            BindingChange::Unknown => Noted::Unknown,
        });
    }
}

/// A shared cache that notes what is buried in it, and fails.
#[derive(Default)]
struct Buried(Mutex<Vec<Version>>);

#[async_trait]
impl SharedCache for Buried {
    async fn get(&self, _: &KeyFingerprint) -> Result<SharedEntry, StoreError> {
        Err(StoreError::Busy)
    }

    async fn put(&self, _: &Found, _: Standing) -> Result<(), StoreError> {
        Err(StoreError::Busy)
    }

    async fn put_absent(&self, _: &KeyFingerprint, _: Standing) -> Result<(), StoreError> {
        Err(StoreError::Busy)
    }

    async fn bury(&self, _: &KeyFingerprint, absence: Version) -> Result<(), StoreError> {
        self.0.lock().unwrap().push(absence);
        Err(StoreError::Busy)
    }
}

/// Tells nobody.
struct Nobody;

#[async_trait]
impl ChangeAnnouncer for Nobody {
    async fn announce(&self, _: Change) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A replica that listens on two channels.
struct Replica {
    store: MemoryStore,
    lookup: Arc<CachedLookup>,
    buried: Arc<Buried>,
    settings: Arc<Notify>,
    channels: [mpsc::Sender<Heard>; 2],
    noted: Mutex<mpsc::UnboundedReceiver<Noted>>,
}

const NOW: Timestamp = Timestamp::from_unix_ms(10_000);

impl Replica {
    fn start() -> Self {
        let store = MemoryStore::new();
        let clock = Arc::new(SettableClock::at(NOW));
        let lookup = Arc::new(CachedLookup::new(
            Arc::new(store.clone()),
            &CacheBounds::default(),
        ));
        let buried = Arc::new(Buried::default());
        let shared = SharedStore::new(
            Arc::new(store.clone()),
            buried.clone(),
            Arc::new(Nobody),
            clock.clone(),
            &SharedBounds::default(),
        );
        let (sender, noted) = mpsc::unbounded_channel();
        let notes = Arc::new(Notes(sender));
        let settings = Arc::new(Notify::new());
        let listener = ChangeListener::new(ListenerParts {
            lookup: Arc::clone(&lookup),
            shared: Some(Arc::new(shared)),
            watcher: notes.clone(),
            settings: Arc::clone(&settings),
            observer: notes,
            clock,
        });
        let channels = [(); 2].map(|()| {
            let (channel, heard) = mpsc::channel(8);
            tokio::spawn(Arc::clone(&listener).listen(Box::new(Scripted(heard))));
            channel
        });
        Self {
            store,
            lookup,
            buried,
            settings,
            channels,
            noted: Mutex::new(noted),
        }
    }

    async fn hears(&self, channel: usize, heard: Heard) {
        self.channels[channel]
            .send(heard)
            .await
            .expect("somebody listens");
    }

    #[expect(clippy::await_holding_lock, reason = "one test, one reader")]
    async fn notes(&self, expected: &[Noted]) {
        for expected in expected {
            let noted = self.noted.lock().unwrap().recv().await;
            assert_eq!(noted.as_ref(), Some(expected));
        }
    }

    async fn connected() -> Self {
        let replica = Self::start();
        for channel in 0..2 {
            replica.hears(channel, Heard::Connected).await;
            replica.notes(&[Noted::Up(true), Noted::Unknown]).await;
        }
        replica
    }

    fn is_cached(&self, now: i64) -> bool {
        self.lookup.cached(&fingerprint(1), at(now)).is_some()
    }

    async fn loads(&self, now: i64) {
        let found = self.lookup.find(&fingerprint(1), at(now)).await;
        assert!(found.unwrap().is_some());
    }
}

fn change(binding: &Binding) -> Heard {
    Heard::Change(Change::Binding {
        fingerprint: binding.fingerprint,
        version: binding.version,
        at: at(NOW.unix_ms() - 40),
    })
}

#[tokio::test]
async fn a_change_elsewhere_holds_here() {
    let replica = Replica::connected().await;
    let old = claimed(&replica.store, 1, "192.0.2.1").await;
    replica.loads(10_000).await;
    let banned = replica.store.ban(old.id, String::new(), actor(1)).await;
    let banned = banned.unwrap().expect("a binding").binding;
    replica.hears(0, change(&banned)).await;
    replica
        .notes(&[Noted::Heard(40), Noted::Now(BindingStatus::Banned)])
        .await;
    let cached = replica.lookup.cached(&fingerprint(1), NOW).expect("looked up");
    assert_eq!(cached.binding.status, BindingStatus::Banned);
    assert_eq!(*replica.buried.0.lock().unwrap(), [banned.version]);

    // Heard once more, on the other channel: known already.
    replica.hears(1, change(&banned)).await;
    replica.store.unbind(old.id, actor(2)).await.unwrap();
    let gone = Binding {
        version: banned.version.of_absence(),
        ..banned
    };
    replica.hears(1, change(&gone)).await;
    replica.notes(&[Noted::Heard(40), Noted::Gone]).await;
    assert_eq!(replica.store.find(&fingerprint(1)).await, Ok(None));
    assert!(!replica.is_cached(10_000));
}

#[tokio::test]
async fn a_lost_channel_expires_everything_and_the_last_one_shortens_lives() {
    let replica = Replica::connected().await;
    claimed(&replica.store, 1, "192.0.2.1").await;
    replica.loads(10_000).await;
    assert!(replica.is_cached(14_999));
    replica.hears(0, Heard::Lost).await;
    replica.notes(&[Noted::Up(false)]).await;
    assert!(!replica.is_cached(10_000));
    replica.loads(10_000).await;
    assert!(replica.is_cached(14_999), "the other channel still works");

    replica.hears(1, Heard::Lost).await;
    replica.notes(&[Noted::Up(false)]).await;
    assert!(!replica.is_cached(10_000));
    replica.loads(10_000).await;
    assert!(replica.is_cached(10_999) && !replica.is_cached(11_000));

    replica.hears(1, Heard::Connected).await;
    replica.notes(&[Noted::Up(true), Noted::Unknown]).await;
    assert!(!replica.is_cached(10_000), "what was missed is looked up");
    replica.loads(10_000).await;
    assert!(replica.is_cached(14_999));
}

#[tokio::test]
async fn before_the_first_connection_lives_are_short() {
    let replica = Replica::start();
    claimed(&replica.store, 1, "192.0.2.1").await;
    replica.loads(10_000).await;
    assert!(replica.is_cached(10_999) && !replica.is_cached(11_000));
}

#[tokio::test]
async fn changed_settings_are_looked_at() {
    let replica = Replica::connected().await;
    replica.settings.notified().await;
    let change = Change::Settings {
        version: 3,
        at: at(NOW.unix_ms() + 5),
    };
    replica.hears(0, Heard::Change(change)).await;
    replica.notes(&[Noted::Heard(0)]).await;
    replica.settings.notified().await;
}

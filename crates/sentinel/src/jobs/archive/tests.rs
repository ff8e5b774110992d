mod replicas;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use sentinel_core::binding::NewBinding;
use sentinel_core::fingerprint::KeyHint;
use sentinel_core::known::Known;
use sentinel_core::ports::{BindingLookup as _, BindingStore as _, Claim};
use sentinel_core::usage::Uses;
use sentinel_store::changes::{Change, ChangeAnnouncer};
use sentinel_store::shared::{MemorySharedCache, SharedBounds};
use sentinel_store::{CacheBounds, MemoryStore};
use sentinel_testkit::SettableClock;

use super::*;
use crate::config;

const DAY: Duration = Duration::from_hours(24);

#[derive(Default)]
struct Announced(Mutex<Vec<Change>>);

#[async_trait]
impl ChangeAnnouncer for Announced {
    async fn announce(&self, change: Change) -> Result<(), StoreError> {
        self.0.lock().expect("no panic").push(change);
        Ok(())
    }
}

struct Fixture {
    store: MemoryStore,
    lookup: Arc<CachedLookup>,
    clock: Arc<SettableClock>,
    announced: Arc<Announced>,
    settings: Arc<LiveSettings>,
}

impl Fixture {
    fn new() -> Self {
        let store = MemoryStore::new();
        let loaded = config::loaded_of_variables(&[("ARCHIVE_DAYS", "30")]);
        Self {
            lookup: Arc::new(CachedLookup::new(
                Arc::new(store.clone()),
                &CacheBounds::default(),
            )),
            clock: Arc::default(),
            announced: Arc::default(),
            settings: Arc::new(LiveSettings::new(
                loaded.written,
                loaded.config.live,
                loaded.settings,
                Arc::new(store.clone()),
                None,
            )),
            store,
        }
    }

    fn archiver(&self) -> Archiver {
        self.archiver_on(Arc::new(self.store.clone()), Arc::new(self.store.clone()))
    }

    fn archiver_on(&self, uses: Arc<dyn UseStore>, store: Arc<dyn ArchiveStore>) -> Archiver {
        Archiver {
            lookup: Arc::clone(&self.lookup),
            uses,
            store,
            shared: Some(Arc::new(SharedStore::new(
                Arc::new(self.store.clone()),
                Arc::new(MemorySharedCache::new(self.clock.clone())),
                self.announced.clone(),
                self.clock.clone(),
                &SharedBounds::default(),
            ))),
            settings: Arc::clone(&self.settings),
            clock: self.clock.clone(),
        }
    }

    async fn run(&self) -> Result<usize, StoreError> {
        let (_stop, stopping) = watch::channel(false);
        self.archiver().archive(&stopping).await
    }

    async fn claim(&self, number: u8) -> Known {
        let new = NewBinding {
            fingerprint: KeyFingerprint::from_bytes([number; 32]),
            previous: None,
            hint: KeyHint::from_stored("sk-…".to_owned()),
            network: "192.0.2.1".parse().expect("a network"),
            bound_at: self.clock.now(),
            profile: "".into(),
        };
        match self.lookup.claim(new).await {
            Ok(Claim::Won(known)) => known,
            other => panic!("nobody else claims: {other:?}"),
        }
    }

    async fn is_bound(&self, known: &Known) -> bool {
        let found = self.store.find(&known.binding.fingerprint).await;
        found.expect("the store works").is_some()
    }
}

#[tokio::test]
async fn unused_bindings_are_moved_by_the_run_after_the_one_that_marks_them() {
    let fixture = Fixture::new();
    let (old, used) = (fixture.claim(1).await, fixture.claim(2).await);
    fixture.clock.advance(30 * DAY + MARK_AGE);
    let young = fixture.claim(3).await;
    // Not written yet: the run writes it first.
    fixture.lookup.record_use(&used, fixture.clock.now());
    assert_eq!(fixture.run().await, Ok(0));
    fixture
        .clock
        .advance(MARK_AGE.saturating_sub(Duration::from_millis(1)));
    assert_eq!(fixture.run().await, Ok(0), "the mark is too fresh");
    fixture.clock.advance(Duration::from_millis(1));
    assert_eq!(fixture.run().await, Ok(1));
    assert!(!fixture.is_bound(&old).await);
    assert!(fixture.is_bound(&used).await && fixture.is_bound(&young).await);
}

#[tokio::test]
async fn a_use_between_mark_and_move_saves_a_binding() {
    let fixture = Fixture::new();
    let old = fixture.claim(1).await;
    fixture.clock.advance(31 * DAY);
    assert_eq!(fixture.run().await, Ok(0));
    fixture.lookup.record_use(&old, fixture.clock.now());
    fixture.clock.advance(2 * MARK_AGE);
    assert_eq!(fixture.run().await, Ok(0));
    assert!(fixture.is_bound(&old).await);
}

#[tokio::test]
async fn what_was_moved_is_forgotten_here_and_told_to_the_others() {
    let fixture = Fixture::new();
    let old = fixture.claim(1).await;
    fixture.clock.advance(31 * DAY);
    fixture.run().await.expect("the store works");
    fixture.clock.advance(MARK_AGE);
    assert_eq!(fixture.run().await, Ok(1));
    assert_eq!(fixture.lookup.entries(), 0);
    let told = Change::Binding {
        fingerprint: old.binding.fingerprint,
        version: old.binding.version.of_absence(),
        at: fixture.clock.now(),
    };
    assert_eq!(*fixture.announced.0.lock().expect("no panic"), [told]);
}

/// Fails to write uses.
struct Away;

#[async_trait]
impl UseStore for Away {
    async fn add_uses(&self, _batch: Vec<Uses>) -> Result<(), StoreError> {
        Err(StoreError::Unavailable("test".to_owned()))
    }
}

#[tokio::test]
async fn nothing_is_archived_while_uses_cannot_be_written() {
    let fixture = Fixture::new();
    let known = fixture.claim(1).await;
    fixture.clock.advance(31 * DAY);
    fixture.lookup.record_use(&known, fixture.clock.now());
    let archiver = fixture.archiver_on(Arc::new(Away), Arc::new(Endless::default()));
    let (_stop, stopping) = watch::channel(false);
    assert!(archiver.archive(&stopping).await.is_err());
}

/// Has ever more to move.
#[derive(Default)]
struct Endless(AtomicU32);

#[async_trait]
impl ArchiveStore for Endless {
    async fn archive_unused(&self, run: ArchiveRun) -> Result<Archived, StoreError> {
        assert_eq!(run.batch_max, BATCH_MAX);
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(Archived::Here {
            moved: Vec::new(),
            marked: BATCH_MAX,
        })
    }
}

#[tokio::test]
async fn one_run_has_so_many_batches_at_most_and_stops_with_the_server() {
    let fixture = Fixture::new();
    let endless = Arc::new(Endless::default());
    let archiver = fixture.archiver_on(Arc::new(fixture.store.clone()), endless.clone());
    let (stop, stopping) = watch::channel(false);
    archiver.archive(&stopping).await.expect("it works");
    assert_eq!(endless.0.swap(0, Ordering::SeqCst), BATCHES_MAX);
    stop.send_replace(true);
    archiver.archive(&stopping).await.expect("it works");
    assert_eq!(endless.0.load(Ordering::SeqCst), 0);
}

/// Is archived by somebody else.
struct Elsewhere;

#[async_trait]
impl ArchiveStore for Elsewhere {
    async fn archive_unused(&self, _run: ArchiveRun) -> Result<Archived, StoreError> {
        Ok(Archived::Elsewhere)
    }
}

#[tokio::test]
async fn what_another_replica_archives_is_left_to_it() {
    let fixture = Fixture::new();
    let archiver = fixture.archiver_on(Arc::new(fixture.store.clone()), Arc::new(Elsewhere));
    let (_stop, stopping) = watch::channel(false);
    assert_eq!(archiver.archive(&stopping).await, Ok(0));
}

#[tokio::test(start_paused = true)]
async fn it_runs_soon_after_the_start_and_then_every_hour() {
    let fixture = Fixture::new();
    let known = fixture.claim(1).await;
    fixture.clock.advance(31 * DAY);
    let (stop, stopping) = watch::channel(false);
    let job = tokio::spawn(fixture.archiver().run(stopping));
    tokio::time::sleep(FIRST_AFTER + Duration::from_secs(1)).await;
    fixture.clock.advance(INTERVAL);
    assert!(fixture.is_bound(&known).await, "only marked");
    tokio::time::sleep(INTERVAL).await;
    assert!(!fixture.is_bound(&known).await);
    stop.send_replace(true);
    job.await.expect("no panic");
}

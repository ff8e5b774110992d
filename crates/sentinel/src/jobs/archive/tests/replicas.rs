//! Two replicas on one PostgreSQL, one of which archives: a use on either of them saves a binding.

use sentinel_store::{PostgresOptions, PostgresStore};
use sentinel_testkit::PostgresServer;

use super::*;

struct Replica {
    store: PostgresStore,
    lookup: Arc<CachedLookup>,
    settings: Arc<LiveSettings>,
    clock: Arc<SettableClock>,
}

impl Replica {
    async fn start(dsn: &str, clock: &Arc<SettableClock>) -> Self {
        let options = PostgresOptions {
            clock: clock.clone(),
            ..PostgresOptions::default()
        };
        let store = PostgresStore::open(&dsn.parse().expect("a DSN"), options).await;
        let store = store.expect("it can be opened");
        let loaded = config::loaded_of_variables(&[("ARCHIVE_DAYS", "30")]);
        Self {
            lookup: Arc::new(CachedLookup::new(
                Arc::new(store.clone()),
                &CacheBounds::default(),
            )),
            settings: Arc::new(LiveSettings::new(
                loaded.written,
                loaded.config.live,
                loaded.settings,
                Arc::new(store.clone()),
                None,
            )),
            clock: clock.clone(),
            store,
        }
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

    /// A use of a key that was bound on whichever replica.
    async fn use_it(&self, known: &Known) {
        let now = self.clock.now();
        let found = self.lookup.find(&known.binding.fingerprint, now).await;
        let found = found.expect("PostgreSQL works").expect("it is bound");
        self.lookup.record_use(&found, now);
    }

    async fn write_uses(&self) {
        let written = self.lookup.flush_uses(&self.store).await;
        written.expect("PostgreSQL works");
    }

    async fn archive(&self) -> usize {
        let archiver = Archiver {
            lookup: Arc::clone(&self.lookup),
            uses: Arc::new(self.store.clone()),
            store: Arc::new(self.store.clone()),
            shared: None,
            settings: Arc::clone(&self.settings),
            clock: self.clock.clone(),
        };
        let (_stop, stopping) = watch::channel(false);
        archiver.archive(&stopping).await.expect("PostgreSQL works")
    }

    async fn is_bound(&self, known: &Known) -> bool {
        let found = self.store.find(&known.binding.fingerprint).await;
        found.expect("PostgreSQL works").is_some()
    }
}

#[tokio::test]
async fn a_use_on_another_replica_saves_a_binding_before_its_mark_and_after() {
    let server = PostgresServer::start().await;
    let dsn = server.create_database("archive").await;
    let clock = Arc::new(SettableClock::at(Timestamp::from_unix_ms(1_790_000_000_000)));
    let (here, there) = (
        Replica::start(&dsn, &clock).await,
        Replica::start(&dsn, &clock).await,
    );
    let (unused, before, after) = (here.claim(1).await, here.claim(2).await, here.claim(3).await);
    clock.advance(31 * DAY);
    there.use_it(&before).await;
    there.write_uses().await;
    assert_eq!(here.archive().await, 0, "marked");
    there.use_it(&after).await;
    there.write_uses().await;
    clock.advance(2 * MARK_AGE);
    assert_eq!(here.archive().await, 1);
    assert!(!here.is_bound(&unused).await);
    assert!(here.is_bound(&before).await && here.is_bound(&after).await);
    // Whoever runs next finds nothing more, and a key that was archived is bound anew by its next use.
    assert_eq!(there.archive().await, 0);
    let anew = there.claim(1).await;
    assert!(anew.binding.version > unused.binding.version);
}

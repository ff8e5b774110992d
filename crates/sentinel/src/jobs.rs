//! What runs beside the requests: writing uses, audit records and figures, following settings, archiving, forgetting. No request waits for any of it.
//!
//! A job that ends by itself takes the server down: a server that no longer writes its records must not look well.

mod archive;
mod bans;
mod intercepts;
mod last_used;
mod renewals;
mod retention;
mod rounds;
mod settings;
mod traffic;

use std::sync::Arc;
use std::time::Duration;

use sentinel_core::ports::{
    AdminEventStore, ArchiveStore, BindingAdmin, InterceptRetention, InterceptStore, UseStore,
};
use sentinel_core::time::Clock;
use sentinel_store::changes::ChangeFeed;
use sentinel_store::listener::ChangeListener;
use sentinel_store::shared::SharedStore;
use sentinel_store::{CachedLookup, Spool, SpoolReader};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::alerts::{Alerting, LostRecords};
use crate::settings::LiveSettings;

pub(crate) use traffic::{Reporter, traffic_counts};

/// How long the jobs may take at the end to write what they hold.
pub(crate) const FLUSH_MAX: Duration = Duration::from_secs(15);

/// What the jobs work with.
pub(crate) struct JobParts {
    pub(crate) lookup: Arc<CachedLookup>,
    pub(crate) uses: Arc<dyn UseStore>,
    pub(crate) spool: Arc<Spool>,
    pub(crate) reader: SpoolReader,
    pub(crate) intercepts: Arc<dyn InterceptStore>,
    pub(crate) retention: Arc<dyn InterceptRetention>,
    pub(crate) events: Arc<dyn AdminEventStore>,
    pub(crate) archive: Arc<dyn ArchiveStore>,
    pub(crate) shared: Option<Arc<SharedStore>>,
    pub(crate) settings: Arc<LiveSettings>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// The running jobs.
pub(crate) struct Jobs {
    stop: watch::Sender<bool>,
    tasks: JoinSet<&'static str>,
}

impl Jobs {
    /// Starts them on the current runtime.
    pub(crate) fn start(parts: JobParts) -> Self {
        let (stop, stopping) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let renewals = renewals::run(
            Arc::clone(&parts.lookup),
            Arc::clone(&parts.clock),
            stopping.clone(),
        );
        tasks.spawn(named("renewals", renewals));
        let uses = last_used::run(
            Arc::clone(&parts.lookup),
            Arc::clone(&parts.uses),
            stopping.clone(),
        );
        tasks.spawn(named("last_used", uses));
        let archiver = archive::Archiver {
            lookup: parts.lookup,
            uses: parts.uses,
            store: parts.archive,
            shared: parts.shared,
            settings: Arc::clone(&parts.settings),
            clock: Arc::clone(&parts.clock),
        };
        tasks.spawn(named("archive", archiver.run(stopping.clone())));
        let retention = retention::run(
            parts.retention,
            Arc::clone(&parts.settings),
            Arc::clone(&parts.clock),
            stopping.clone(),
        );
        tasks.spawn(named("retention", retention));
        tasks.spawn(named("settings", settings::run(parts.settings, stopping.clone())));
        let drain = intercepts::Drain {
            spool: parts.spool,
            reader: parts.reader,
            store: parts.intercepts,
            events: parts.events,
            clock: parts.clock,
        };
        tasks.spawn(named("intercepts", drain.run(stopping)));
        Self { stop, tasks }
    }

    /// Listens to what other replicas change, on each of these channels.
    pub(crate) fn listen(&mut self, listener: &Arc<ChangeListener>, feeds: Vec<Box<dyn ChangeFeed>>) {
        for feed in feeds {
            let listening = Arc::clone(listener).listen(feed);
            let mut stopping = self.stop.subscribe();
            let until_stopped = async move {
                tokio::select! {
                    () = listening => {}
                    _ = stopping.wait_for(|stop| *stop) => {}
                }
            };
            self.tasks.spawn(named("listener", until_stopped));
        }
    }

    /// Lifts bans whose time has come, by way of `bindings`, which tells every cache.
    pub(crate) fn lift_bans(&mut self, bindings: Arc<dyn BindingAdmin>, clock: Arc<dyn Clock>) {
        let running = bans::run(bindings, clock, self.stop.subscribe());
        self.tasks.spawn(named("bans", running));
    }

    /// Raises and delivers alerts.
    pub(crate) fn alert(&mut self, alerting: Alerting, lost: LostRecords) {
        let running = alerting.run(lost, self.stop.subscribe());
        self.tasks.spawn(named("alerts", running));
    }

    /// Reports what this replica counts, and has old figures forgotten.
    pub(crate) fn report(&mut self, reporter: Reporter) {
        let forgetting = traffic::forget(
            Arc::clone(&reporter.store),
            Arc::clone(&reporter.clock),
            self.stop.subscribe(),
        );
        self.tasks.spawn(named("traffic_retention", forgetting));
        let reporting = reporter.run(self.stop.subscribe());
        self.tasks.spawn(named("traffic", reporting));
    }

    /// Returns the name of a job that ended, which none does before [`Jobs::stop`].
    pub(crate) async fn ended(&mut self) -> &'static str {
        match self.tasks.join_next().await {
            Some(Ok(name)) => name,
            Some(Err(error)) => {
                tracing::error!(%error, "a job panicked");
                "a job"
            }
            None => std::future::pending().await,
        }
    }

    /// Writes what is held and ends. Nothing may be recorded any more when this is called. False when it took too long.
    pub(crate) async fn stop(mut self) -> bool {
        self.stop.send_replace(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        timeout(FLUSH_MAX, all).await.is_ok()
    }
}

/// The job, giving its name when it ends.
async fn named(name: &'static str, job: impl Future<Output = ()>) -> &'static str {
    job.await;
    name
}

#[cfg(test)]
mod tests {
    use sentinel_core::binding::NewBinding;
    use sentinel_core::fingerprint::{KeyFingerprint, KeyHint};
    use sentinel_core::ports::{BindingLookup as _, Claim, StoreError};
    use sentinel_core::time::Timestamp;
    use sentinel_core::usage::Uses;
    use sentinel_store::{CacheBounds, MemoryStore, SpoolOptions};
    use sentinel_testkit::SettableClock;

    use super::*;

    /// Never answers.
    struct Stuck;

    #[async_trait::async_trait]
    impl UseStore for Stuck {
        async fn add_uses(&self, _batch: Vec<Uses>) -> Result<(), StoreError> {
            std::future::pending().await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_waits_for_a_stuck_store_so_long_and_no_longer() {
        let store = Arc::new(MemoryStore::new());
        let lookup = Arc::new(CachedLookup::new(store.clone(), &CacheBounds::default()));
        let loaded = crate::config::loaded_of_variables(&[]);
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(SettableClock::default());
        let options = SpoolOptions {
            bytes_max: 0,
            profile: String::new(),
            replica: String::new(),
            clock: clock.clone(),
            watch: None,
        };
        let (spool, reader) = Spool::open(folder.path(), options).expect("a spool");
        let jobs = Jobs::start(JobParts {
            lookup: Arc::clone(&lookup),
            uses: Arc::new(Stuck),
            spool: Arc::new(spool),
            reader,
            intercepts: store.clone(),
            retention: store.clone(),
            events: store.clone(),
            archive: store.clone(),
            shared: None,
            settings: Arc::new(LiveSettings::new(
                loaded.written,
                loaded.config.live,
                loaded.settings,
                store,
                None,
            )),
            clock,
        });
        let claimed = lookup.claim(binding()).await;
        let Ok(Claim::Won(known)) = claimed else {
            panic!("nobody else claims: {claimed:?}")
        };
        lookup.record_use(&known, known.binding.bound_at);
        let began = tokio::time::Instant::now();
        assert!(!jobs.stop().await);
        assert_eq!(began.elapsed(), FLUSH_MAX);
    }

    fn binding() -> NewBinding {
        NewBinding {
            fingerprint: KeyFingerprint::from_bytes([1; 32]),
            hint: KeyHint::from_stored("sk-…".to_owned()),
            network: "192.0.2.1".parse().expect("a network"),
            bound_at: Timestamp::from_unix_ms(1),
            profile: "".into(),
        }
    }
}

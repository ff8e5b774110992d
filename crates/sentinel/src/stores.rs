//! The stores as the configuration asks for them, each behind the ports that it answers: an authority that decides, and beside PostgreSQL
//! the Redis that replicas share. Nothing outside of here may know which ones they are.

mod authority;

use std::sync::Arc;

use sentinel_alerts::watch::MakeCounters;
use sentinel_core::alert::Part;
use sentinel_core::attempts::{AttemptLimiter, InProcessAttempts};
use sentinel_core::ports::{BindingStore, Health};
use sentinel_core::time::Clock;
use sentinel_store::changes::{ChangeAnnouncer, ChangeFeed};
use sentinel_store::redis::{
    RedisAnnouncer, RedisAttempts, RedisCache, RedisChanges, RedisCounters, RedisLink,
};
use sentinel_store::shared::{SharedBounds, SharedCache, SharedStore};
use sentinel_store::{OpenError, PostgresError};

use crate::config::{Config, RedisConfig};
use crate::secrets::SecretsError;

pub(crate) use authority::Authority;

/// Why there is no store to work with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoresError {
    /// The data folder cannot be made or used.
    #[error(transparent)]
    Folder(#[from] SecretsError),
    /// The embedded store cannot be opened.
    #[error(transparent)]
    Embedded(#[from] OpenError),
    /// PostgreSQL cannot be used.
    #[error("PG_DSN: {0}")]
    Postgres(#[from] PostgresError),
}

/// The authority, and what replicas share beside it.
pub(crate) struct Stores {
    pub(crate) authority: Authority,
    /// Where keys are looked up: the authority, behind the shared cache when there is one.
    pub(crate) bindings: Arc<dyn BindingStore>,
    /// What serving needs, by name.
    pub(crate) health: Vec<(&'static str, Arc<dyn Health>)>,
    /// What serving does without, if need be.
    pub(crate) dispensable_health: Vec<(&'static str, Arc<dyn Health>)>,
    /// Who tried to sign in and failed; one memory for all replicas when they share a Redis.
    pub(crate) attempts: Arc<dyn AttemptLimiter>,
    /// Makes counters for one window; all replicas count together, on their Redis or else on their PostgreSQL.
    pub(crate) make_counters: MakeCounters,
    /// On which changes made elsewhere are heard.
    pub(crate) feeds: Vec<Box<dyn ChangeFeed>>,
    /// What replicas share besides.
    pub(crate) shared: Option<Shared>,
}

/// The Redis that replicas share.
#[derive(Clone)]
pub(crate) struct Shared {
    /// In front of the authority.
    pub(crate) store: Arc<SharedStore>,
    /// Tells the other replicas.
    pub(crate) announcer: Arc<dyn ChangeAnnouncer>,
}

impl Stores {
    /// Opens everything that serving needs; makes what is not there yet, and brings schemas up to date. Blocks for the embedded store.
    /// Redis is not waited for.
    pub(crate) async fn open(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, StoresError> {
        let authority = Authority::open(config).await?;
        let mut stores = Self {
            bindings: Arc::clone(&authority.bindings),
            health: vec![("store", Arc::clone(&authority.health))],
            dispensable_health: Vec::new(),
            attempts: Arc::new(InProcessAttempts::default()),
            make_counters: authority.make_counters(),
            feeds: authority.feed().into_iter().collect(),
            shared: None,
            authority,
        };
        if let Some(redis) = &config.store.redis {
            stores.share(redis, config, clock);
        }
        Ok(stores)
    }

    /// Puts the Redis that replicas share in front.
    fn share(&mut self, redis: &RedisConfig, config: &Config, clock: Arc<dyn Clock>) {
        let link = RedisLink::open(redis.settings.clone());
        let cache: Arc<dyn SharedCache> = Arc::new(RedisCache::new(link.clone()));
        let announcer: Arc<dyn ChangeAnnouncer> = Arc::new(RedisAnnouncer::new(link.clone()));
        let bounds = SharedBounds {
            // Younger than what a replica holds, so that a renewal there brings something new.
            fresh: config.store.cache_life * 3 / 4,
            ..SharedBounds::default()
        };
        let store = Arc::new(SharedStore::new(
            Arc::clone(&self.authority.bindings),
            Arc::clone(&cache),
            Arc::clone(&announcer),
            clock,
            &bounds,
        ));
        self.attempts = Arc::new(RedisAttempts::new(link.clone()));
        let counted_at = link.clone();
        self.make_counters = Arc::new(move || Ok(Arc::new(RedisCounters::new(counted_at.clone())?)));
        self.bindings = store.clone();
        self.dispensable_health.push(("redis", Arc::new(link)));
        self.feeds
            .push(Box::new(RedisChanges::listen(redis.settings.clone())));
        self.shared = Some(Shared { store, announcer });
    }

    /// The parts whose outages are told of.
    pub(crate) fn watched(&self) -> Vec<(Part, Arc<dyn Health>)> {
        let store = (Part::Store, Arc::clone(&self.authority.health));
        let cache = self.dispensable_health.iter();
        let cache = cache.map(|(_, health)| (Part::Cache, Arc::clone(health)));
        [store].into_iter().chain(cache).collect()
    }

    /// What serving needs, with one more part.
    pub(crate) fn health_with(
        &self,
        name: &'static str,
        part: Arc<dyn Health>,
    ) -> Vec<(&'static str, Arc<dyn Health>)> {
        let mut health = self.health.clone();
        health.push((name, part));
        health
    }

    /// Tells the other replicas, past what the authority tells them itself.
    pub(crate) fn announcer(&self) -> Option<Arc<dyn ChangeAnnouncer>> {
        self.shared.as_ref().map(|shared| Arc::clone(&shared.announcer))
    }

    /// Writes what was accepted, and closes. False when that was not possible; why is in the log.
    pub(crate) async fn close(self) -> bool {
        self.authority.close().await
    }
}

/// Where the authority is, for people; without a password.
pub(crate) fn place(config: &Config) -> String {
    match &config.store.postgres {
        Some(postgres) => postgres.dsn.to_string(),
        None => config.store.database().display().to_string(),
    }
}

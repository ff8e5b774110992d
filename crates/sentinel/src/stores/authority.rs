//! The store that decides: the embedded one, or PostgreSQL.

use std::sync::Arc;

use sentinel_alerts::watch::MakeCounters;
use sentinel_core::alert::ports::{AlertStore, UsedLinks};
use sentinel_core::ports::{
    AccountStore, AdminEventStore, AnswerStore, ArchiveStore, AuditStore, BindingAdmin, BindingStore,
    ForgettingStore, Health, InterceptRetention, InterceptStore, SecretStore, SettingStore, StoreError,
    TrafficStore, TransferStore, UseStore,
};
use sentinel_store::changes::ChangeFeed;
use sentinel_store::counting::MemoryCounters;
use sentinel_store::postgres::PostgresCounters;
use sentinel_store::{OpenError, PostgresOptions, PostgresStore, SqliteStore};

use super::{StoresError, place};
use crate::config::Config;
use crate::secrets::{self, CheckedBy};

/// What decides: all the ports of one store.
pub(crate) struct Authority {
    pub(crate) bindings: Arc<dyn BindingStore>,
    pub(crate) admin: Arc<dyn BindingAdmin>,
    pub(crate) uses: Arc<dyn UseStore>,
    pub(crate) intercepts: Arc<dyn InterceptStore>,
    pub(crate) retention: Arc<dyn InterceptRetention>,
    pub(crate) events: Arc<dyn AdminEventStore>,
    pub(crate) audit: Arc<dyn AuditStore>,
    pub(crate) forgetting: Arc<dyn ForgettingStore>,
    pub(crate) answers: Arc<dyn AnswerStore>,
    pub(crate) settings: Arc<dyn SettingStore>,
    pub(crate) secrets: Arc<dyn SecretStore>,
    pub(crate) archive: Arc<dyn ArchiveStore>,
    pub(crate) transfer: Arc<dyn TransferStore>,
    pub(crate) traffic: Arc<dyn TrafficStore>,
    pub(crate) health: Arc<dyn Health>,
    pub(crate) alerts: Arc<dyn AlertStore>,
    pub(crate) used_links: Arc<dyn UsedLinks>,
    pub(crate) accounts: Arc<dyn AccountStore>,
    /// Whether replicas may share it.
    pub(crate) is_shared: bool,
    /// Where it is, for people; without a password.
    pub(crate) place: String,
    kind: Kind,
}

/// What has to be closed in the end.
enum Kind {
    Embedded(SqliteStore),
    Postgres(PostgresStore),
}

impl Authority {
    /// Opens the store; makes it where it is not there yet, and brings its schema up to date.
    pub(crate) async fn open(config: &Config) -> Result<Self, StoresError> {
        let Some(postgres) = &config.store.postgres else {
            secrets::prepare_data_folder(&config.store.data_dir)?;
            let store = SqliteStore::open(&config.store.database())?;
            return Ok(Self::of(&store, Kind::Embedded(store.clone()), false, config));
        };
        let options = PostgresOptions {
            connections_max: postgres.connections_max,
            ..PostgresOptions::default()
        };
        let store = PostgresStore::open(&postgres.dsn, options).await?;
        Ok(Self::of(&store, Kind::Postgres(store.clone()), true, config))
    }

    /// The channel on which this store itself tells of changes, when it does.
    pub(crate) fn feed(&self) -> Option<Box<dyn ChangeFeed>> {
        match &self.kind {
            Kind::Embedded(_) => None,
            Kind::Postgres(store) => Some(Box::new(store.changes())),
        }
    }

    /// Makes counters for one window: of everybody who shares this store, where it can be shared.
    pub(crate) fn make_counters(&self) -> MakeCounters {
        match &self.kind {
            Kind::Embedded(_) => Arc::new(|| Ok(Arc::new(MemoryCounters::new()))),
            Kind::Postgres(store) => {
                let store = store.clone();
                Arc::new(move || Ok(Arc::new(PostgresCounters::new(&store)?)))
            }
        }
    }

    /// What says under which secret its keys were hashed.
    pub(crate) async fn checked_by(&self) -> Result<CheckedBy, StoreError> {
        if self.is_shared {
            return Ok(CheckedBy::Shared(secrets::check_in(
                &self.settings.settings().await?,
            )));
        }
        let counts = self.admin.counts().await?;
        Ok(CheckedBy::Folder {
            has_bindings: counts.active + counts.banned > 0,
        })
    }

    /// Opens the store for a command that makes none.
    pub(crate) async fn open_existing(config: &Config) -> Result<Self, StoresError> {
        let path = config.store.database();
        if config.store.postgres.is_none() && !path.exists() {
            return Err(OpenError::Missing { path }.into());
        }
        Self::open(config).await
    }

    /// Opens the store and changes nothing about it; none where there is none, or none of this version.
    pub(crate) async fn open_as_it_is(config: &Config) -> Result<Option<Self>, StoresError> {
        let Some(postgres) = &config.store.postgres else {
            let is_ready = SqliteStore::check(&config.store.database()).is_ok();
            return if is_ready {
                Self::open(config).await.map(Some)
            } else {
                Ok(None)
            };
        };
        if PostgresStore::check(&postgres.dsn).await.is_err() {
            return Ok(None);
        }
        let options = PostgresOptions {
            connections_max: 1,
            ..PostgresOptions::default()
        };
        let store = PostgresStore::open_as_it_is(&postgres.dsn, options).await?;
        Ok(Some(Self::of(
            &store,
            Kind::Postgres(store.clone()),
            true,
            config,
        )))
    }

    /// All ports of the one store.
    fn of<S>(store: &S, kind: Kind, is_shared: bool, config: &Config) -> Self
    where
        S: BindingStore
            + BindingAdmin
            + UseStore
            + InterceptStore
            + InterceptRetention
            + AdminEventStore
            + AuditStore
            + ForgettingStore
            + AnswerStore
            + SettingStore
            + SecretStore
            + ArchiveStore
            + TransferStore
            + TrafficStore
            + Health
            + AlertStore
            + UsedLinks
            + AccountStore
            + Clone
            + 'static,
    {
        let shared = Arc::new(store.clone());
        Self {
            bindings: shared.clone(),
            admin: shared.clone(),
            uses: shared.clone(),
            intercepts: shared.clone(),
            retention: shared.clone(),
            events: shared.clone(),
            audit: shared.clone(),
            forgetting: shared.clone(),
            answers: shared.clone(),
            settings: shared.clone(),
            secrets: shared.clone(),
            archive: shared.clone(),
            transfer: shared.clone(),
            traffic: shared.clone(),
            health: shared.clone(),
            alerts: shared.clone(),
            used_links: shared.clone(),
            accounts: shared,
            is_shared,
            place: place(config),
            kind,
        }
    }

    /// Brings the schema up to date, makes the store where there is none, and nothing else; gives the schema before and after.
    pub(crate) async fn migrate(config: &Config) -> Result<(i32, i32), StoresError> {
        if let Some(postgres) = &config.store.postgres {
            let migrated = PostgresStore::migrate(&postgres.dsn).await?;
            return Ok((migrated.from, migrated.to));
        }
        secrets::prepare_data_folder(&config.store.data_dir)?;
        let migrated = SqliteStore::migrate(&config.store.database())?;
        Ok((migrated.from, migrated.to))
    }

    /// As [`Stores::close`].
    pub(crate) async fn close(self) -> bool {
        match self.kind {
            Kind::Embedded(store) => {
                let closed = tokio::task::spawn_blocking(move || store.close()).await;
                let is_closed = matches!(closed, Ok(Ok(())));
                if !is_closed {
                    tracing::error!(?closed, "the store could not be closed in order");
                }
                is_closed
            }
            Kind::Postgres(store) => {
                store.close().await;
                true
            }
        }
    }
}

//! The server put together: store, lookup, jobs, data plane and admin listener, started in an order in which whatever can fail
//! fails early, and stopped in an order in which nothing is lost.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sentinel_admin::{Account, AdminError, AdminParts, TokenLife};
use sentinel_core::attempts::InProcessAttempts;
use sentinel_core::ports::{BindingAdmin, Health, InterceptStore, StoreError};
use sentinel_core::time::{Clock, SystemClock};
use sentinel_proxy::{Bounds, Dependencies, Engine, ProxyConfig, StartError};
use sentinel_store::{CacheBounds, CachedLookup, InvalidatingAdmin, OpenError, SqliteStore};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::config::{Config, Loaded, Secret, SettingView};
use crate::jobs::{JobParts, Jobs};
use crate::metrics::Metrics;
use crate::secrets::{self, SecretsError};

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppError {
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The secrets cannot be used.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The admin's account or sessions cannot be set up.
    #[error("the admin listener cannot be set up: {0}")]
    Admin(#[from] AdminError),
    /// The admin's port is taken, or the address is not this machine's.
    #[error("cannot listen on {0}: {1}")]
    AdminListen(SocketAddr, std::io::Error),
    /// The data plane did not start.
    #[error(transparent)]
    Engine(#[from] StartError),
}

/// The running server.
pub(crate) struct App {
    engine: Engine,
    admin: AdminTask,
    jobs: Jobs,
    store: SqliteStore,
    drain: Duration,
    draining: Arc<Draining>,
    bindings: Arc<dyn BindingAdmin>,
    /// The admin's first password, when it was made at this start.
    pub(crate) first_password: Option<Secret>,
}

/// What ended although nobody asked it to.
#[derive(Debug)]
pub(crate) struct Broken(pub(crate) &'static str);

impl App {
    /// Starts everything. Blocks for the store's opening and a password's hashing: to be called before anything is served.
    pub(crate) async fn start(loaded: Loaded) -> Result<Self, AppError> {
        let Loaded { config, settings, .. } = loaded;
        secrets::prepare_data_folder(&config.store.data_dir)?;
        let store = SqliteStore::open(&config.store.database())?;
        let counts = store.counts().await?;
        let secrets = secrets::prepare(&config, counts.active + counts.banned > 0)?;
        secrets
            .warnings
            .iter()
            .for_each(|warning| tracing::warn!("{warning}"));
        let listen = config.admin.listen;
        let admin_listener = TcpListener::bind(listen)
            .await
            .map_err(|error| AppError::AdminListen(listen, error))?;

        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let lookup = Arc::new(CachedLookup::new(Arc::new(store.clone()), &cache_bounds(&config)));
        let jobs = Jobs::start(JobParts {
            lookup: Arc::clone(&lookup),
            uses: Arc::new(store.clone()),
            intercepts: Arc::new(store.clone()),
            events: Arc::new(store.clone()),
            clock: Arc::clone(&clock),
        });
        let dependencies = Dependencies {
            hasher: secrets.hasher,
            lookup: lookup.clone(),
            intercepts: jobs.queue(),
            clock: Arc::clone(&clock),
        };
        let engine = Engine::start(proxy_config(&config), dependencies)?;

        let draining = Arc::new(Draining::default());
        let bindings = InvalidatingAdmin::new(Arc::new(store.clone()), Arc::clone(&lookup));
        let bindings: Arc<dyn BindingAdmin> = Arc::new(bindings.watched_by(engine.watcher()));
        let parts = AdminParts {
            bindings: Arc::clone(&bindings),
            intercepts: Arc::new(store.clone()),
            events: Arc::new(store.clone()),
            health: vec![("store", Arc::new(store.clone())), ("server", draining.clone())],
            figures: Arc::new(Metrics::new(engine.figures(), lookup, jobs.queue())),
            clock,
            account: Account::new(config.admin.username.as_str(), secrets.admin_password)?,
            attempts: Arc::new(InProcessAttempts::default()),
            jwt_secret: secrets.jwt,
            token_life: TokenLife::new(config.admin.session)?,
            settings: settings.iter().map(shown).collect(),
        };
        Ok(Self {
            engine,
            admin: AdminTask::start(admin_listener, parts)?,
            jobs,
            store,
            drain: config.proxy.drain,
            draining,
            bindings,
            first_password: secrets.first_password,
        })
    }

    /// Where clients connect.
    pub(crate) fn proxy_addr(&self) -> SocketAddr {
        self.engine.local_addr()
    }

    /// Where operators connect.
    pub(crate) fn admin_addr(&self) -> SocketAddr {
        self.admin.address
    }

    /// The bindings, wired so that a change holds at once.
    pub(crate) fn bindings(&self) -> Arc<dyn BindingAdmin> {
        Arc::clone(&self.bindings)
    }

    /// The audit log.
    pub(crate) fn intercepts(&self) -> Arc<dyn InterceptStore> {
        Arc::new(self.store.clone())
    }

    /// Returns when a part has ended by itself: then the server has to stop.
    pub(crate) async fn broken(&mut self) -> Broken {
        tokio::select! {
            () = self.engine.worker_ended() => Broken("a worker"),
            job = self.jobs.ended() => Broken(job),
            _ = &mut self.admin.task => Broken("the admin listener"),
        }
    }

    /// Stops: no new connections, requests under way finish, then what they left behind is written. True when all of it was
    /// done in time.
    pub(crate) async fn stop(self) -> bool {
        self.draining.0.store(true, Ordering::Relaxed);
        let drained = self.engine.shutdown(self.drain).await;
        if !drained {
            tracing::warn!("requests were cut: they outlasted the time to finish");
        }
        self.admin.stop().await;
        let flushed = self.jobs.stop().await;
        if !flushed {
            tracing::error!("not everything could be written before the end");
        }
        let store = self.store;
        let closed = tokio::task::spawn_blocking(move || store.close()).await;
        let is_closed = matches!(closed, Ok(Ok(())));
        if !is_closed {
            tracing::error!(?closed, "the store could not be closed in order");
        }
        drained && flushed && is_closed
    }
}

/// Not ready once the server is stopping, so that a load balancer turns away in time.
#[derive(Debug, Default)]
struct Draining(AtomicBool);

#[async_trait]
impl Health for Draining {
    async fn check(&self) -> Result<(), StoreError> {
        if self.0.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("the server is stopping".to_owned()));
        }
        Ok(())
    }
}

/// The admin listener's task.
struct AdminTask {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

impl AdminTask {
    fn start(listener: TcpListener, parts: AdminParts) -> Result<Self, AppError> {
        let address = listener
            .local_addr()
            .map_err(|error| AppError::AdminListen(([0, 0, 0, 0], 0).into(), error))?;
        let (stop, stopping) = oneshot::channel();
        let task = tokio::spawn(sentinel_admin::serve(
            listener,
            sentinel_admin::router(parts),
            async {
                let _ = stopping.await;
            },
        ));
        Ok(Self { address, stop, task })
    }

    async fn stop(self) {
        // It may have ended already.
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

fn cache_bounds(config: &Config) -> CacheBounds {
    CacheBounds {
        entries_max: config.store.cache_entries_max,
        fresh: config.store.cache_life,
        ..CacheBounds::default()
    }
}

fn proxy_config(config: &Config) -> ProxyConfig {
    let (proxy, upstream) = (&config.proxy, &config.upstream);
    let bounds = Bounds {
        connections_max: proxy.connections_max,
        connections_per_address_max: proxy
            .connections_per_address_max
            .map_or(0, std::num::NonZeroUsize::get),
        header_bytes_max: proxy.header_bytes_max,
        header_timeout: proxy.header_timeout,
        stream_idle: upstream.idle_timeout,
        tunnel_idle: upstream.tunnel_idle,
        connect_timeout: upstream.connect_timeout,
        upstream_idle: upstream.pool_idle,
        upstream_connections_max: upstream.connections_max,
        upstream_connects_max: upstream.connects_max,
        upstream_resolve_interval: upstream.resolve_interval,
        upstream_health_interval: upstream.health_interval,
        claims_per_minute: config
            .claims_per_minute_per_address
            .map_or(0, std::num::NonZeroU32::get),
        ..Bounds::default()
    };
    ProxyConfig {
        listen: proxy.listen,
        tls: proxy.tls.clone(),
        cores: cores(proxy.cores),
        upstream: upstream.upstream().expect("serving requires it"),
        host_header: upstream.host_header,
        profile: upstream.profile.clone(),
        client_ip: proxy.client_ip_rules(),
        rules: config.rules.clone(),
        bounds,
    }
}

/// As many as were asked for; all that this process may use when none were.
fn cores(asked_for: usize) -> usize {
    match asked_for {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get),
        cores => cores,
    }
}

fn shown(setting: &SettingView) -> sentinel_admin::Setting {
    use crate::config::Source;
    sentinel_admin::Setting {
        name: setting.name.to_owned(),
        value: setting.value.clone().into(),
        source: match setting.source {
            Source::Default => sentinel_admin::SettingSource::Default,
            Source::File => sentinel_admin::SettingSource::File,
            Source::Environment => sentinel_admin::SettingSource::Environment,
        },
    }
}

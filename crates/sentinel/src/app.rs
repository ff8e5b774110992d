//! The server put together: store, lookup, jobs, data plane and admin listener, started in an order in which whatever can fail
//! fails early, and stopped in an order in which nothing is lost.

mod admin_task;
mod changes;
mod data_plane;
mod secrets;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sentinel_admin::{Account, AdminError, AdminParts, TokenLife};
use sentinel_alerts::links::LinkSigner;
use sentinel_alerts::outbound::TrustProblem;
use sentinel_core::policy::LiveRules;
use sentinel_core::ports::{
    BindingAdmin, BindingWatcher, Health, InterceptStore, InterceptWatch, StoreError,
};
use sentinel_core::time::{Clock, SystemClock};
use sentinel_proxy::{Dependencies, Engine, StartError};
use sentinel_store::{
    CacheBounds, CachedLookup, InvalidatingAdmin, Spool, SpoolError, SpoolOptions, SpoolReader,
};

use crate::alerts::{AlertParts, Alerting, AlertsError};
use crate::config::{Config, Loaded, Secret};
use crate::diagnostics::InstallationDiagnostics;
use crate::jobs::{JobParts, Jobs, Reporter, traffic_counts};
use crate::keys::InstallationKeys;
use crate::metrics::{ChannelMetrics, LiveOnWorkers, Metrics, TrafficMetrics};
use crate::oidc;
use crate::secrets::{SecretsError, SharingError};
use crate::settings::LiveSettings;
use crate::stores::{Stores, StoresError};
use admin_task::AdminTask;
use data_plane::proxy_config;

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppError {
    /// The store cannot be opened.
    #[error(transparent)]
    Stores(#[from] StoresError),
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Records of refused requests cannot be kept.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The secrets cannot be used.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The replicas do not agree on them.
    #[error(transparent)]
    Sharing(#[from] SharingError),
    /// The admin's account or sessions cannot be set up.
    #[error("the admin listener cannot be set up: {0}")]
    Admin(#[from] AdminError),
    /// The admin's port is taken, or the address is not this machine's.
    #[error("cannot listen on {0}: {1}")]
    AdminListen(SocketAddr, std::io::Error),
    /// The provider's extra authorities.
    #[error("SENTINEL_ADMIN_OIDC_CA_FILE: {0}")]
    Oidc(#[from] TrustProblem),
    /// A channel of alerts cannot be made.
    #[error(transparent)]
    Alerts(#[from] AlertsError),
    /// The data plane did not start.
    #[error(transparent)]
    Engine(#[from] StartError),
}

/// The running server.
pub(crate) struct App {
    engine: Engine,
    admin: AdminTask,
    jobs: Jobs,
    stores: Stores,
    settings: Arc<LiveSettings>,
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
        let Loaded {
            config,
            settings,
            written,
            ..
        } = loaded;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let mut stores = Stores::open(&config, Arc::clone(&clock)).await?;
        let feeds = std::mem::take(&mut stores.feeds);
        let authority = &stores.authority;
        let secrets = secrets::prepare(&config, authority, clock.now()).await?;
        let admin_listener = admin_task::bound(config.admin.listen).await?;

        let settings = Arc::new(LiveSettings::new(
            written,
            config.live,
            settings,
            Arc::clone(&authority.settings),
            stores.announcer(),
        ));
        settings.refresh().await?;
        let lookup = Arc::new(CachedLookup::new(
            Arc::clone(&stores.bindings),
            &cache_bounds(&config),
        ));
        let alerting = Alerting::new(alert_parts(&config, &stores, secrets.links, &settings, &clock))?;
        let (spool, reader) = open_spool(&config, Arc::clone(&clock), alerting.watch())?;
        let recording = (Arc::clone(&spool), reader);
        let mut jobs = Jobs::start(job_parts(&stores, recording, &lookup, &settings, &clock));
        let keys = InstallationKeys::new(&config.upstream.profile, &secrets.hasher);
        let dependencies = Dependencies {
            hasher: secrets.hasher,
            lookup: lookup.clone(),
            intercepts: spool.clone(),
            clock: Arc::clone(&clock),
        };
        let engine = Engine::start(proxy_config(&config, settings.rules()), dependencies)?;

        let draining = Arc::new(Draining::default());
        let bindings = changeable(&stores, &lookup, engine.watcher());
        jobs.lift_bans(Arc::clone(&bindings), Arc::clone(&clock));
        let (channels, traffic) = (ChannelMetrics::default(), TrafficMetrics::default());
        let metrics = Metrics::new(
            engine.figures(),
            Arc::clone(&lookup),
            Arc::clone(&spool),
            (&channels, &alerting.metrics(), &traffic),
            stores.shared.as_ref().map(|shared| Arc::clone(&shared.store)),
        );
        jobs.report(reporter(&config, &stores, &engine, &channels, traffic, &clock));
        channels.none_is_up(&feeds);
        if !feeds.is_empty() {
            let own = (lookup, engine.watcher(), channels);
            let listener = changes::listening_on(&feeds, own, &stores, &settings, &clock);
            jobs.listen(&listener, feeds);
        }
        let diagnostics = InstallationDiagnostics::of(&config, &stores, settings.rules(), &clock);
        let parts = AdminParts {
            bindings: Arc::clone(&bindings),
            keys: Arc::new(keys),
            intercepts: Arc::clone(&authority.intercepts),
            traffic: Arc::clone(&authority.traffic),
            events: Arc::clone(&authority.events),
            audit: Arc::clone(&authority.audit),
            answers: Arc::clone(&authority.answers),
            health: stores.health_with("server", draining.clone()),
            dispensable_health: stores.dispensable_health.clone(),
            figures: Arc::new(metrics),
            diagnostics: Arc::new(diagnostics),
            live: Arc::new(LiveOnWorkers(engine.live_requests())),
            clock,
            client_ip: config.proxy.client_ip_rules(),
            accounts: Arc::clone(&authority.accounts),
            sealing_secret: secrets.sealing,
            account: Account::new(config.admin.username.as_str(), secrets.admin_password)?,
            attempts: Arc::clone(&stores.attempts),
            jwt_secret: secrets.jwt,
            token_life: TokenLife::new(config.admin.session)?,
            masks_addresses_for_viewers: config.admin.masks_addresses_for_viewers,
            settings: settings.clone(),
            alerts: alerting.desk(Arc::clone(&bindings)),
            stored: Arc::clone(&authority.bindings),
            rules: settings.rules(),
            oidc: config.admin.oidc.as_ref().map(oidc::parts).transpose()?,
        };
        jobs.alert(alerting, Box::new(move || spool.figures().overflowed));
        Ok(Self {
            engine,
            admin: AdminTask::start(admin_listener, parts)?,
            jobs,
            stores,
            settings,
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

    /// Where other proxies ask, if they may.
    pub(crate) fn forward_auth_addr(&self) -> Option<SocketAddr> {
        self.engine.forward_auth_addr()
    }

    /// Where operators connect.
    pub(crate) fn admin_addr(&self) -> SocketAddr {
        self.admin.address
    }

    /// The bindings, wired so that a change holds at once.
    pub(crate) fn bindings(&self) -> Arc<dyn BindingAdmin> {
        Arc::clone(&self.bindings)
    }

    /// Where the data is, for people.
    pub(crate) fn place(&self) -> &str {
        &self.stores.authority.place
    }

    /// The rules that hold.
    pub(crate) fn rules(&self) -> LiveRules {
        self.settings.rules()
    }

    /// The audit log.
    pub(crate) fn intercepts(&self) -> Arc<dyn InterceptStore> {
        Arc::clone(&self.stores.authority.intercepts)
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
        let is_closed = self.stores.close().await;
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

/// Where the data plane records. Nothing is served without it.
fn open_spool(
    config: &Config,
    clock: Arc<dyn Clock>,
    watch: Arc<dyn InterceptWatch>,
) -> Result<(Arc<Spool>, SpoolReader), SpoolError> {
    let options = SpoolOptions {
        bytes_max: config.audit.spool_bytes_max,
        profile: config.upstream.profile.name.to_string(),
        replica: config.audit.replica_name.clone(),
        clock,
        watch: Some(watch),
    };
    let (spool, reader) = Spool::open(&config.store.spool(), options)?;
    Ok((Arc::new(spool), reader))
}

fn job_parts(
    stores: &Stores,
    (spool, reader): (Arc<Spool>, SpoolReader),
    lookup: &Arc<CachedLookup>,
    settings: &Arc<LiveSettings>,
    clock: &Arc<dyn Clock>,
) -> JobParts {
    let authority = &stores.authority;
    JobParts {
        lookup: Arc::clone(lookup),
        uses: Arc::clone(&authority.uses),
        spool,
        reader,
        intercepts: Arc::clone(&authority.intercepts),
        retention: Arc::clone(&authority.retention),
        events: Arc::clone(&authority.events),
        archive: Arc::clone(&authority.archive),
        shared: stores.shared.as_ref().map(|shared| Arc::clone(&shared.store)),
        settings: Arc::clone(settings),
        clock: Arc::clone(clock),
    }
}

/// What tells the store how much goes through here.
fn reporter(
    config: &Config,
    stores: &Stores,
    engine: &Engine,
    channels: &ChannelMetrics,
    metrics: TrafficMetrics,
    clock: &Arc<dyn Clock>,
) -> Reporter {
    let (figures, channels) = (engine.figures(), channels.clone());
    Reporter {
        counted: Box::new(move || traffic_counts(&figures.snapshot())),
        propagation: Box::new(move || channels.propagation().map(|late| late.p99)),
        store: Arc::clone(&stores.authority.traffic),
        replica: config.audit.replica_name.clone(),
        metrics,
        clock: Arc::clone(clock),
    }
}

fn alert_parts<'c>(
    config: &'c Config,
    stores: &Stores,
    links: LinkSigner,
    settings: &LiveSettings,
    clock: &Arc<dyn Clock>,
) -> AlertParts<'c> {
    let authority = &stores.authority;
    AlertParts {
        config: &config.alerts,
        public_url: config.admin.public_url.as_deref(),
        links,
        store: Arc::clone(&authority.alerts),
        used_links: Arc::clone(&authority.used_links),
        events: Arc::clone(&authority.events),
        make_counters: Arc::clone(&stores.make_counters),
        bindings: Arc::clone(&authority.admin),
        watched: stores.watched(),
        replica: config.audit.replica_name.clone(),
        live: settings.follow(),
        clock: Arc::clone(clock),
    }
}

/// The bindings as operators change them: the caches, the other replicas and the requests under way hear of each change.
fn changeable(
    stores: &Stores,
    lookup: &Arc<CachedLookup>,
    watcher: Arc<dyn BindingWatcher>,
) -> Arc<dyn BindingAdmin> {
    let admin = InvalidatingAdmin::new(Arc::clone(&stores.authority.admin), Arc::clone(lookup));
    let admin = admin.watched_by(watcher);
    match &stores.shared {
        Some(shared) => Arc::new(admin.shared_through(Arc::clone(&shared.store))),
        None => Arc::new(admin),
    }
}

fn cache_bounds(config: &Config) -> CacheBounds {
    CacheBounds {
        entries_max: config.store.cache_entries_max,
        fresh: config.store.cache_life,
        ..CacheBounds::default()
    }
}

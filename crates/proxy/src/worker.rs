//! What one worker, the thread of one core, holds: the parts that all share, and its own pool, counters and
//! open connections. A worker never touches another one's.

use std::cell::{Cell, RefCell, RefMut};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::HeaderName;
use sentinel_core::client_ip::ClientIpRules;
use sentinel_core::fingerprint::FingerprintHasher;
use sentinel_core::policy::LiveRules;
use sentinel_core::ports::{BindingLookup, InterceptSink};
use sentinel_core::profile::Profile;
use sentinel_core::time::Clock;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::admission::{PerAddress, Places};
use crate::config::{Bounds, Dependencies, ForwardAuth, HostHeader, ProxyConfig};
use crate::connections::{Connections, Phase};
use crate::figures::{Figures, WorkerFigures};
use crate::headers::is_forwarding;
use crate::live::Released;
use crate::record::RecordWaits;
use crate::throttle::ClaimThrottle;
use crate::tls::Tls;
use crate::upstream::{Directory, Pool};

/// What all workers share.
pub(crate) struct Shared {
    pub(crate) profile: Profile,
    pub(crate) client_ip: ClientIpRules,
    pub(crate) forward_auth: Option<ForwardAuth>,
    /// The header in which trusted proxies name the client, if a stranger's copy of it would go on.
    pub(crate) client_ip_header: Option<HeaderName>,
    pub(crate) rules: LiveRules,
    pub(crate) bounds: Bounds,
    pub(crate) directory: Arc<Directory>,
    pub(crate) host_header: HostHeader,
    pub(crate) hasher: FingerprintHasher,
    pub(crate) lookup: Arc<dyn BindingLookup>,
    pub(crate) intercepts: Arc<dyn InterceptSink>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) throttle: ClaimThrottle,
    pub(crate) released: Released,
    /// What connections, and the streams of those that carry several, take one of each.
    pub(crate) places: Places,
    pub(crate) per_address: PerAddress,
    pub(crate) figures: Arc<Figures>,
    pub(crate) workers: usize,
    /// TLS towards clients, if they are to use it.
    pub(crate) tls: Option<Tls>,
}

impl Shared {
    pub(crate) fn new(
        config: ProxyConfig,
        dependencies: Dependencies,
        figures: Arc<Figures>,
        tls: Option<Tls>,
    ) -> Self {
        Self {
            throttle: ClaimThrottle::new(),
            released: Released::default(),
            places: Places::new(config.bounds.connections_max),
            per_address: PerAddress::default(),
            client_ip_header: config
                .client_ip
                .header()
                .filter(|name| !is_forwarding(name))
                .cloned(),
            profile: config.profile,
            client_ip: config.client_ip,
            forward_auth: config.forward_auth,
            rules: config.rules,
            bounds: config.bounds,
            directory: Arc::clone(figures.directory()),
            host_header: config.host_header,
            hasher: dependencies.hasher,
            lookup: dependencies.lookup,
            intercepts: dependencies.intercepts,
            clock: dependencies.clock,
            workers: config.cores.max(1),
            figures,
            tls,
        }
    }
}

/// The bytes that one read brings at most. One buffer serves all connections of a worker: what a read brings is passed on, or
/// copied to where it waits, before the next one.
pub(crate) const SCRATCH_BYTES: usize = 64 * 1024;

/// How often one worker logs what many requests have in common.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(1);

/// A worker's read buffer.
pub(crate) struct Scratch(RefCell<Box<[u8]>>);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice()))
    }

    /// The buffer, for the length of one read.
    pub(crate) fn bytes(&self) -> RefMut<'_, Box<[u8]>> {
        self.0.borrow_mut()
    }
}

/// One worker.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) pool: Pool,
    pub(crate) connections: RefCell<Connections>,
    /// How many connections are open.
    pub(crate) open: Cell<usize>,
    /// Told when none is open any more.
    pub(crate) all_closed: Notify,
    pub(crate) scratch: Scratch,
    pub(crate) records: RecordWaits,
    complained: Cell<Option<Instant>>,
    now: Cell<Instant>,
    index: usize,
}

impl Worker {
    pub(crate) fn new(shared: Arc<Shared>, index: usize) -> Self {
        let pool = Pool::new(Arc::clone(&shared.directory), &shared.bounds, shared.workers);
        Self {
            shared,
            pool,
            connections: RefCell::new(Connections::default()),
            open: Cell::new(0),
            all_closed: Notify::new(),
            scratch: Scratch::new(),
            records: RecordWaits::default(),
            complained: Cell::new(None),
            now: Cell::new(Instant::now()),
            index,
        }
    }

    /// Looks at the clock: once when a task is polled, for all that it does then.
    pub(crate) fn tick(&self) {
        self.now.set(Instant::now());
    }

    /// The time at the last look.
    pub(crate) fn now(&self) -> Instant {
        self.now.get()
    }

    /// Whether a complaint that many requests have in common may be logged again.
    pub(crate) fn may_complain(&self) -> bool {
        let now = Instant::now();
        let may = self
            .complained
            .get()
            .is_none_or(|last| now - last >= COMPLAINT_INTERVAL);
        if may {
            self.complained.set(Some(now));
        }
        may
    }

    /// What its connections should do now.
    pub(crate) fn phase(&self) -> Phase {
        self.connections.borrow().phase()
    }

    /// This worker's own counters.
    pub(crate) fn figures(&self) -> &WorkerFigures {
        self.shared.figures.worker(self.index)
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Worker({})", self.index)
    }
}

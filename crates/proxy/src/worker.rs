//! What one worker, the thread of one core, holds: the parts that all share and only read, and its own pool, counters and
//! open connections. A worker never touches another one's.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use sentinel_core::client_ip::ClientIpRules;
use sentinel_core::fingerprint::FingerprintHasher;
use sentinel_core::policy::Rules;
use sentinel_core::ports::{BindingLookup, InterceptSink};
use sentinel_core::profile::Profile;
use sentinel_core::time::Clock;

use crate::config::{Bounds, Dependencies, HostHeader, ProxyConfig, UpstreamTarget};
use crate::connections::Connections;
use crate::figures::{Figures, WorkerFigures};
use crate::throttle::ClaimThrottle;
use crate::upstream::Pool;

/// What all workers share.
pub(crate) struct Shared {
    pub(crate) profile: Profile,
    pub(crate) client_ip: ClientIpRules,
    pub(crate) rules: Rules,
    pub(crate) bounds: Bounds,
    pub(crate) upstream: UpstreamTarget,
    pub(crate) host_header: HostHeader,
    pub(crate) hasher: FingerprintHasher,
    pub(crate) lookup: Arc<dyn BindingLookup>,
    pub(crate) intercepts: Arc<dyn InterceptSink>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) throttle: ClaimThrottle,
    pub(crate) figures: Arc<Figures>,
}

impl Shared {
    pub(crate) fn new(config: ProxyConfig, dependencies: Dependencies, figures: Arc<Figures>) -> Self {
        Self {
            throttle: ClaimThrottle::new(config.bounds.claims_per_minute),
            profile: config.profile,
            client_ip: config.client_ip,
            rules: config.rules,
            bounds: config.bounds,
            upstream: config.upstream,
            host_header: config.host_header,
            hasher: dependencies.hasher,
            lookup: dependencies.lookup,
            intercepts: dependencies.intercepts,
            clock: dependencies.clock,
            figures,
        }
    }
}

/// One worker.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) pool: Pool,
    pub(crate) connections: RefCell<Connections>,
    index: usize,
}

impl Worker {
    pub(crate) fn new(shared: Arc<Shared>, index: usize) -> Self {
        let pool = Pool::new(shared.upstream.clone(), &shared.bounds);
        Self {
            shared,
            pool,
            connections: RefCell::new(Connections::default()),
            index,
        }
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

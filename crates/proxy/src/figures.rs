//! Counters of the data plane. Each worker writes its own, so that counting never makes one core wait for another;
//! whoever reads adds them up. No counter names a key or an address.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use sentinel_core::decision::RefusalReason;

use crate::malformed::Malformed;
use crate::upstream::Directory;

/// A number that one worker writes and anybody reads.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds one. Only the owning worker may call it: it is a load and a store, cheaper than an atomic addition.
    pub(crate) fn increment(&self) {
        self.0.store(self.get().wrapping_add(1), Ordering::Relaxed);
    }

    /// Takes one away; for counts of what is open now.
    pub(crate) fn decrement(&self) {
        self.0.store(self.get().wrapping_sub(1), Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One worker's counters.
#[derive(Debug, Default)]
pub(crate) struct WorkerFigures {
    pub(crate) requests: Counter,
    pub(crate) auth_requests: Counter,
    pub(crate) auth_permitted: Counter,
    pub(crate) allowed: Counter,
    pub(crate) observed: Counter,
    pub(crate) claimed: Counter,
    pub(crate) released: Counter,
    pub(crate) learned: Counter,
    pub(crate) connections_accepted: Counter,
    pub(crate) connections_open: Counter,
    pub(crate) connections_refused: Counter,
    pub(crate) streams_refused: Counter,
    pub(crate) proxy_headers_missing: Counter,
    pub(crate) tunnels_open: Counter,
    pub(crate) requests_ended: Counter,
    pub(crate) records_unsettled: Counter,
    pub(crate) upstream_connected: Counter,
    pub(crate) upstream_reused: Counter,
    pub(crate) upstream_retried: Counter,
    refused: [Counter; RefusalReason::ALL.len()],
    malformed: [Counter; Malformed::ALL.len()],
}

impl WorkerFigures {
    /// The counter of a reason.
    pub(crate) fn refused(&self, reason: RefusalReason) -> &Counter {
        &self.refused[reason as usize]
    }

    /// The counter of what can be wrong with a request.
    pub(crate) fn malformed(&self, kind: Malformed) -> &Counter {
        &self.malformed[kind as usize]
    }
}

/// The counters of all workers.
#[derive(Debug)]
pub struct Figures {
    workers: Box<[CachePadded<WorkerFigures>]>,
    directory: Arc<Directory>,
}

impl Figures {
    pub(crate) fn new(workers: usize, directory: Arc<Directory>) -> Self {
        Self {
            workers: (0..workers).map(|_| CachePadded::default()).collect(),
            directory,
        }
    }

    pub(crate) fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    pub(crate) fn worker(&self, index: usize) -> &WorkerFigures {
        &self.workers[index]
    }

    /// The sums over all workers.
    pub fn snapshot(&self) -> FiguresSnapshot {
        let (upstream_addresses, upstream_addresses_up) = self.directory.counts();
        let sum =
            |pick: fn(&WorkerFigures) -> &Counter| self.workers.iter().map(|worker| pick(worker).get()).sum();
        FiguresSnapshot {
            requests: sum(|worker| &worker.requests),
            auth_requests: sum(|worker| &worker.auth_requests),
            auth_permitted: sum(|worker| &worker.auth_permitted),
            allowed: sum(|worker| &worker.allowed),
            observed: sum(|worker| &worker.observed),
            claimed: sum(|worker| &worker.claimed),
            released: sum(|worker| &worker.released),
            learned: sum(|worker| &worker.learned),
            connections_accepted: sum(|worker| &worker.connections_accepted),
            connections_open: sum(|worker| &worker.connections_open),
            connections_refused: sum(|worker| &worker.connections_refused),
            streams_refused: sum(|worker| &worker.streams_refused),
            proxy_headers_missing: sum(|worker| &worker.proxy_headers_missing),
            tunnels_open: sum(|worker| &worker.tunnels_open),
            requests_ended: sum(|worker| &worker.requests_ended),
            records_unsettled: sum(|worker| &worker.records_unsettled),
            upstream_connected: sum(|worker| &worker.upstream_connected),
            upstream_reused: sum(|worker| &worker.upstream_reused),
            upstream_retried: sum(|worker| &worker.upstream_retried),
            upstream_addresses,
            upstream_addresses_up,
            refused: RefusalReason::ALL.map(|reason| {
                let count = self
                    .workers
                    .iter()
                    .map(|worker| worker.refused(reason).get())
                    .sum();
                (reason, count)
            }),
            malformed: Malformed::ALL.map(|kind| {
                let counts = self.workers.iter().map(|worker| worker.malformed(kind).get());
                (kind, counts.sum())
            }),
        }
    }
}

/// What the data plane has counted since it started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FiguresSnapshot {
    /// Requests whose head was read, questions of other proxies included.
    pub requests: u64,
    /// Questions of other proxies whether a request may go on.
    pub auth_requests: u64,
    /// Those that were answered with yes.
    pub auth_permitted: u64,
    /// Requests that were let on because nothing spoke against them.
    pub allowed: u64,
    /// Requests that were let on although a rule was broken.
    pub observed: u64,
    /// Keys that were bound.
    pub claimed: u64,
    /// Claims taken back because the upstream did not know the key.
    pub released: u64,
    /// Networks that keys learned.
    pub learned: u64,
    /// Client connections accepted.
    pub connections_accepted: u64,
    /// Client connections open now.
    pub connections_open: u64,
    /// Client connections closed at once because their address had too many.
    pub connections_refused: u64,
    /// Streams of HTTP/2 refused, to be sent again, because their address or all clients together had too many.
    pub streams_refused: u64,
    /// Connections of trusted proxies closed because they did not begin with a PROXY protocol header.
    pub proxy_headers_missing: u64,
    /// Tunnels (WebSocket) open now.
    pub tunnels_open: u64,
    /// Requests under way that were ended because their key's binding changed.
    pub requests_ended: u64,
    /// Refusals that were answered before their record was settled, because that took too long.
    pub records_unsettled: u64,
    /// Connections made to the upstream.
    pub upstream_connected: u64,
    /// Requests sent on a connection that had served one before.
    pub upstream_reused: u64,
    /// Requests sent again because the connection had closed before a byte of them was sent.
    pub upstream_retried: u64,
    /// Addresses of the upstream that are known now.
    pub upstream_addresses: usize,
    /// Those of them that work, as far as is known.
    pub upstream_addresses_up: usize,
    /// Requests without an answer of the upstream, by reason.
    pub refused: [(RefusalReason, u64); RefusalReason::ALL.len()],
    /// Requests that could not be read, by what was wrong with them.
    pub malformed: [(Malformed, u64); Malformed::ALL.len()],
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Bounds, Upstream, UpstreamTarget};

    #[test]
    fn workers_add_up() {
        let upstream = Upstream::new(UpstreamTarget::parse("http://127.0.0.1:1").expect("an origin"));
        let directory = Directory::new(&upstream, &Bounds::default());
        let figures = Figures::new(2, Arc::new(directory));
        figures.worker(0).requests.increment();
        figures.worker(1).requests.increment();
        figures.worker(1).connections_open.increment();
        figures.worker(1).connections_open.decrement();
        figures.worker(0).refused(RefusalReason::KeyBanned).increment();
        let snapshot = figures.snapshot();
        assert_eq!((snapshot.requests, snapshot.connections_open), (2, 0));
        assert!(snapshot.refused.contains(&(RefusalReason::KeyBanned, 1)));
    }

    #[test]
    fn every_reason_has_its_own_counter() {
        for (index, reason) in RefusalReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
        }
        for (index, kind) in Malformed::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
        }
    }
}

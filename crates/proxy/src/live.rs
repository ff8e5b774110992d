//! Judging anew what is under way when a binding changes: a ban, an unbind or a changed network ends that key's streams and tunnels.
//!
//! Changes made on this replica arrive at once. Those made elsewhere are noticed by looking each key that is under way up again, now and then:
//! in small pieces, since neither a request nor a change may wait for it.

pub(crate) mod asked;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use quick_cache::sync::Cache;
use sentinel_core::binding::{Binding, BindingId};
use sentinel_core::decision::{Subject, Verdict, decide};
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::known::Known;
use sentinel_core::ports::{BindingChange, BindingWatcher, StoreError};
use sentinel_core::time::Timestamp;
use tokio::sync::mpsc;
use tokio::task::yield_now;

use crate::connections::{Live, Look};
use crate::worker::Worker;

/// The most changes that wait for one worker; beyond, it looks all its keys up again.
pub(crate) const CHANGES_QUEUED_MAX: usize = 1_024;
/// How often the keys under way are looked up again.
pub(crate) const RECHECK_INTERVAL: Duration = Duration::from_secs(5);

/// The most keys that are looked up again at one go; then it is the turn of changes and of requests.
pub(crate) const KEYS_PER_TURN_MAX: usize = 64;

/// The most claims that were taken back and are remembered; what goes on under older ones is ended.
pub(crate) const RELEASED_REMEMBERED_MAX: usize = 65_536;
/// For how long they are: every worker has looked by then.
const RELEASED_REMEMBERED_FOR: Duration = Duration::from_secs(15);

/// Tells all workers of changed bindings.
#[derive(Debug)]
pub(crate) struct Watcher(Vec<WorkerSide>);

/// The end that tells one worker.
#[derive(Debug)]
pub(crate) struct WorkerSide {
    changes: mpsc::Sender<BindingChange>,
    missed: Arc<AtomicBool>,
}

/// The end that one worker hears.
pub(crate) struct Changes {
    changes: mpsc::Receiver<BindingChange>,
    missed: Arc<AtomicBool>,
}

/// What one worker hears from outside.
pub(crate) struct Heard {
    pub(crate) changes: Changes,
    pub(crate) questions: mpsc::Receiver<asked::Question>,
}

impl Watcher {
    pub(crate) fn new(workers: Vec<WorkerSide>) -> Self {
        Self(workers)
    }
}

/// Both ends of one worker's queue.
pub(crate) fn changes() -> (WorkerSide, Changes) {
    let (sender, receiver) = mpsc::channel(CHANGES_QUEUED_MAX);
    let missed = Arc::new(AtomicBool::new(false));
    let heard = Changes {
        changes: receiver,
        missed: Arc::clone(&missed),
    };
    (
        WorkerSide {
            changes: sender,
            missed,
        },
        heard,
    )
}

impl BindingWatcher for Watcher {
    fn changed(&self, change: BindingChange) {
        for worker in &self.0 {
            if worker.changes.try_send(change.clone()).is_err() {
                worker.missed.store(true, Ordering::Release);
            }
        }
    }
}

impl Changes {
    /// The next change. What did not fit the queue is made up for by looking everything up.
    pub(crate) async fn next(&mut self) -> BindingChange {
        if self.missed.swap(false, Ordering::AcqRel) {
            return BindingChange::Unknown;
        }
        match self.changes.recv().await {
            Some(change) => change,
            None => std::future::pending().await,
        }
    }
}

/// Ends what may not go on after a change. It may have waited: what is current now decides, not what was when it was made. False when nobody
/// knows what has changed: all has to be looked up.
pub(crate) async fn apply(worker: &Worker, change: BindingChange) -> bool {
    let shared = &worker.shared;
    match change {
        BindingChange::Now(binding) => {
            let look = worker.connections.borrow_mut().begin_look();
            let cached = shared.lookup.cached(&binding.fingerprint, shared.clock.now());
            let newer = cached.filter(|known| known.binding.version > binding.version);
            let current = newer.as_ref().map_or(&*binding, |known| &known.binding);
            judge(worker, &binding.fingerprint, look, Some(current));
        }
        BindingChange::Gone(fingerprint) => {
            let (look, found) = look_up(worker, &fingerprint).await;
            // The store that does not answer now did when the binding went.
            let known = found.unwrap_or_default();
            judge(
                worker,
                &fingerprint,
                look,
                known.as_ref().map(|known| &known.binding),
            );
        }
        BindingChange::Unknown => return false,
    }
    true
}

/// Looks up each key that is under way, and ends what may not go on. Changes that come meanwhile go first.
pub(crate) async fn recheck(worker: &Worker, changes: &mut Changes) {
    let mut is_wanted = true;
    while std::mem::take(&mut is_wanted) {
        let mut looking = pin!(look_all_up(worker));
        loop {
            tokio::select! {
                biased;
                change = changes.next() => is_wanted |= !apply(worker, change).await,
                () = &mut looking => break,
            }
        }
    }
}

/// A store that does not answer ends nothing, and neither does a claim that was taken back: no operator did that.
async fn look_all_up(worker: &Worker) {
    let shared = &worker.shared;
    let keys = worker.connections.borrow().live_keys();
    for (index, fingerprint) in keys.iter().enumerate() {
        if index % KEYS_PER_TURN_MAX == 0 {
            yield_now().await;
        }
        let (look, Ok(known)) = look_up(worker, fingerprint).await else {
            continue;
        };
        if known.is_none() {
            let now = shared.clock.now();
            let is_released = |binding| shared.released.is_remembered(binding, now);
            worker.connections.borrow_mut().let_go(fingerprint, is_released);
        }
        judge(
            worker,
            fingerprint,
            look,
            known.as_ref().map(|known| &known.binding),
        );
    }
}

async fn look_up(worker: &Worker, fingerprint: &KeyFingerprint) -> (Look, Result<Option<Known>, StoreError>) {
    let shared = &worker.shared;
    let now = shared.clock.now();
    let look = worker.connections.borrow_mut().begin_look();
    let found = match shared.lookup.cached(fingerprint, now) {
        Some(known) => Ok(Some(known)),
        // Changes are not heard of under a secret that is not the current one any more: as if there were no binding.
        None => match shared.lookup.find(fingerprint, now).await {
            Err(StoreError::SecretOutdated) => Ok(None),
            found => found,
        },
    };
    (look, found)
}

fn judge(worker: &Worker, fingerprint: &KeyFingerprint, look: Look, binding: Option<&Binding>) {
    let shared = &worker.shared;
    let now = shared.clock.now();
    let rules = shared.rules.now();
    let may = |live: Live| match binding {
        Some(binding) => {
            let verdict = decide(Subject::Bound(binding), live.client_ip, &rules, now, false);
            matches!(verdict, Verdict::Allowed(_) | Verdict::Observed(..))
        }
        // What was let on without a binding has none to lose.
        None => live.binding.is_none(),
    };
    let ended = worker.connections.borrow_mut().judge(fingerprint, look, may);
    for _ in 0..ended {
        worker.figures().requests_ended.increment();
    }
    if ended > 0 {
        tracing::info!(key = ?fingerprint, requests = ended, "requests under way were ended: their key's binding changed");
    }
}

/// The claims that were taken back lately, for all workers: each has to have looked once at what goes on under them.
#[derive(Debug)]
pub(crate) struct Released(Cache<BindingId, Timestamp>);

impl Default for Released {
    fn default() -> Self {
        Self(Cache::new(RELEASED_REMEMBERED_MAX))
    }
}

impl Released {
    pub(crate) fn remember(&self, binding: BindingId, now: Timestamp) {
        self.0.insert(binding, now);
    }

    fn is_remembered(&self, binding: BindingId, now: Timestamp) -> bool {
        let since = self.0.get(&binding);
        since.is_some_and(|since| now.since(since) < RELEASED_REMEMBERED_FOR)
    }
}

#[cfg(test)]
mod tests;

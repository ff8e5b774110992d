//! Judging anew what is under way when a binding changes: a ban, an unbind or a changed network ends that key's streams and tunnels.
//!
//! Changes made on this replica arrive at once. Those made elsewhere are noticed by looking each key that is under way up again, now and then.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sentinel_core::binding::Binding;
use sentinel_core::decision::{Subject, Verdict, decide};
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::ports::{BindingChange, BindingWatcher};
use tokio::sync::mpsc;

use crate::connections::Live;
use crate::worker::Worker;

/// The most changes that wait for one worker; beyond, it looks all its keys up again.
pub(crate) const CHANGES_QUEUED_MAX: usize = 1_024;
/// How often the keys under way are looked up again.
pub(crate) const RECHECK_INTERVAL: Duration = Duration::from_secs(5);

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

/// Ends what may not go on after a change.
pub(crate) async fn apply(worker: &Rc<Worker>, change: BindingChange) {
    match change {
        BindingChange::Now(binding) => judge(worker, &binding.fingerprint, Some(&binding)),
        BindingChange::Gone(fingerprint) => judge(worker, &fingerprint, None),
        BindingChange::Unknown => recheck(worker).await,
    }
}

/// Looks up each key that is under way, and ends what may not go on. A store that does not answer ends nothing.
pub(crate) async fn recheck(worker: &Rc<Worker>) {
    let keys = worker.connections.borrow().live_keys();
    for fingerprint in keys {
        let now = worker.shared.clock.now();
        let known = match worker.shared.lookup.cached(&fingerprint, now) {
            Some(known) => Some(known),
            None => match worker.shared.lookup.find(&fingerprint, now).await {
                Ok(found) => found,
                Err(_) => continue,
            },
        };
        judge(worker, &fingerprint, known.as_ref().map(|known| &known.binding));
    }
}

fn judge(worker: &Worker, fingerprint: &KeyFingerprint, binding: Option<&Binding>) {
    let shared = &worker.shared;
    let now = shared.clock.now();
    let rules = shared.rules.now();
    let may = |live: Live| match binding {
        Some(binding) => {
            let verdict = decide(Subject::Bound(binding), live.client_ip, &rules, now, false);
            matches!(verdict, Verdict::Allowed(_) | Verdict::Observed(..))
        }
        // What was let on without a binding has none to lose.
        None => !live.was_bound,
    };
    let ended = worker.connections.borrow_mut().judge(fingerprint, may);
    for _ in 0..ended {
        worker.figures().requests_ended.increment();
    }
    if ended > 0 {
        tracing::info!(key = ?fingerprint, requests = ended, "requests under way were ended: their key's binding changed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_does_not_fit_the_queue_is_looked_up() {
        let (side, mut heard) = changes();
        let watcher = Watcher::new(vec![side]);
        let gone = || BindingChange::Gone(KeyFingerprint::from_bytes([1; 32]));
        for _ in 0..CHANGES_QUEUED_MAX {
            watcher.changed(gone());
        }
        assert!(matches!(heard.next().await, BindingChange::Gone(_)));
        watcher.changed(gone());
        watcher.changed(gone());
        assert!(
            matches!(heard.next().await, BindingChange::Unknown),
            "one too many"
        );
        assert!(matches!(heard.next().await, BindingChange::Gone(_)));
    }
}

//! First uses, many in one transaction: claims that arrive together are committed together, so that their number is not bound by how often
//! the disk can be waited for.
//!
//! A claim that was taken in is carried out, whether its caller still waits or not. Nobody may be told an outcome that is not his
//! own row's, nor one that was not committed.

mod statements;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use futures_util::StreamExt as _;
use sentinel_core::binding::{Binding, NewBinding};
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::ports::{Claim, StoreError};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinSet;

use super::failure::Failure;
use super::sessions::{Scope, Sessions};
use crate::secret::OwnSecret;
use statements::Stored;

/// The most claims that wait; beyond, a claim is [`StoreError::Busy`].
pub(super) const CLAIMS_QUEUED_MAX: usize = 4_096;
/// The most claims that share one transaction.
pub(super) const CLAIMS_BATCH_MAX: usize = 256;
/// How many transactions with claims are under way at the same time.
pub(super) const CLAIM_BATCHES_MAX: usize = 4;
/// How often a claim is tried whose key has a binding that is gone when it is read.
pub(super) const CLAIM_ATTEMPTS_MAX: u32 = 3;
/// After so many claims of a failed batch have failed alone, too, the rest of it is given up.
pub(super) const CLAIMS_FAILED_ALONE_MAX: usize = 8;

/// A claim, and who waits for its outcome.
struct Waiting {
    new: NewBinding,
    answer: oneshot::Sender<Result<Claim<Binding>, StoreError>>,
}

/// The claims of one batch. In the order of the fingerprints, so that two batches never wait for each other; several claims of one key in the
/// order in which they came.
type Batch = BTreeMap<KeyFingerprint, Vec<Waiting>>;

/// Takes claims in, and carries them out in groups.
pub(super) struct Claims {
    queue: RwLock<Option<mpsc::Sender<Waiting>>>,
    workers: Mutex<JoinSet<()>>,
}

impl Claims {
    pub(super) fn start(sessions: &Sessions, own: &OwnSecret) -> Self {
        let (queue, waiting) = mpsc::channel(CLAIMS_QUEUED_MAX);
        let waiting = Arc::new(Mutex::new(waiting));
        let mut workers = JoinSet::new();
        for _ in 0..CLAIM_BATCHES_MAX {
            let work = carry_out(sessions.clone(), own.clone(), Arc::clone(&waiting));
            workers.spawn_on(work, sessions.runtime());
        }
        Self {
            queue: RwLock::new(Some(queue)),
            workers: Mutex::new(workers),
        }
    }

    pub(super) async fn claim(&self, new: NewBinding) -> Result<Claim<Binding>, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.take_in(Waiting { new, answer })?;
        answered
            .await
            .unwrap_or_else(|_| Err(StoreError::Unavailable("the claim did not end".to_owned())))
    }

    fn take_in(&self, waiting: Waiting) -> Result<(), StoreError> {
        let queue = self.queue.read().unwrap_or_else(PoisonError::into_inner);
        let queue = queue
            .as_ref()
            .ok_or_else(|| StoreError::from(Failure::closed()))?;
        queue.try_send(waiting).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => Failure::closed().into(),
        })
    }

    /// Takes no more in, and waits until what was taken in is done.
    pub(super) async fn close(&self) {
        drop(self.queue.write().unwrap_or_else(PoisonError::into_inner).take());
        let mut workers = self.workers.lock().await;
        while workers.join_next().await.is_some() {}
    }
}

impl Drop for Claims {
    fn drop(&mut self) {
        // What was taken in is done all the same: without senders the workers end by themselves.
        if let Ok(mut workers) = self.workers.try_lock() {
            workers.detach_all();
        }
    }
}

/// One worker: takes what waits, up to a whole batch, and settles it.
async fn carry_out(sessions: Sessions, own: OwnSecret, waiting: Arc<Mutex<mpsc::Receiver<Waiting>>>) {
    loop {
        let mut claims = Vec::with_capacity(CLAIMS_BATCH_MAX);
        // One idle worker waits in the queue, the others wait for their turn at it.
        if waiting
            .lock()
            .await
            .recv_many(&mut claims, CLAIMS_BATCH_MAX)
            .await
            == 0
        {
            return;
        }
        settle(&sessions, &own, grouped(claims)).await;
    }
}

fn grouped(claims: Vec<Waiting>) -> Batch {
    let mut batch = Batch::new();
    for claim in claims {
        batch.entry(claim.new.fingerprint).or_default().push(claim);
    }
    batch
}

/// Gives every claim of the batch its outcome. When the server refuses the batch, each key is tried alone: the others are not to fail for
/// one key's reason.
async fn settle(sessions: &Sessions, own: &OwnSecret, mut batch: Batch) {
    match attempt(sessions, own, &mut batch).await {
        Ok(()) => {}
        // No key's own reason.
        Err(failure) if failure.is_secret_outdated() => answer_all(batch, &failure.into()),
        Err(failure) if failure.spares_the_session() && batch.len() > 1 => {
            one_by_one(sessions, own, batch, failure.into()).await;
        }
        Err(failure) => answer_all(batch, &failure.into()),
    }
}

async fn one_by_one(sessions: &Sessions, own: &OwnSecret, batch: Batch, error: StoreError) {
    let failed = AtomicUsize::new(0);
    let (failed, error) = (&failed, &error);
    futures_util::stream::iter(batch)
        .for_each_concurrent(CLAIM_BATCHES_MAX, |alone| async move {
            let mut alone = Batch::from([alone]);
            if failed.load(Ordering::Relaxed) >= CLAIMS_FAILED_ALONE_MAX {
                answer_all(alone, error);
            } else if let Err(failure) = attempt(sessions, own, &mut alone).await {
                failed.fetch_add(1, Ordering::Relaxed);
                answer_all(alone, &failure.into());
            }
        })
        .await;
}

/// Settles all keys, or as many as there are outcomes of.
async fn attempt(sessions: &Sessions, own: &OwnSecret, batch: &mut Batch) -> Result<(), Failure> {
    for _ in 0..CLAIM_ATTEMPTS_MAX {
        let stored = commit(sessions, own, batch).await?;
        for stored in stored {
            if let Entry::Occupied(claims) = batch.entry(stored.claimed) {
                answer(claims.remove(), &stored);
            }
        }
        if batch.is_empty() {
            return Ok(());
        }
        // Their bindings were there, and gone a moment later: now they are free.
    }
    Err(Failure::busy())
}

/// One transaction; gives what is stored for each key now.
async fn commit(sessions: &Sessions, own: &OwnSecret, batch: &Batch) -> Result<Vec<Stored>, Failure> {
    let new: Vec<NewBinding> = batch.values().map(|claims| claims[0].new.clone()).collect();
    let own = own.clone();
    sessions
        .carry_out(Scope::Change, move |session| {
            Box::pin(async move { statements::claim(session, &own, &new).await })
        })
        .await
}

/// The first claim of a key made the row, if its batch did; whoever came later lost to it.
fn answer(claims: Vec<Waiting>, stored: &Stored) {
    for (place, claim) in claims.into_iter().enumerate() {
        let binding = stored.binding.clone();
        let outcome = if stored.is_new && place == 0 {
            Claim::Won(binding)
        } else {
            Claim::Lost(binding)
        };
        // Nobody may be waiting any more; the binding is there all the same.
        let _ = claim.answer.send(Ok(outcome));
    }
}

fn answer_all(batch: Batch, error: &StoreError) {
    for claim in batch.into_values().flatten() {
        let _ = claim.answer.send(Err(error.clone()));
    }
}

#[cfg(test)]
mod tests;

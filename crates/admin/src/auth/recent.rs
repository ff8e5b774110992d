//! What the store said a moment ago, so that not every request asks it: within bounds, and for seconds only. What changed here is
//! forgotten at once, even when an answer from before the change is still on its way.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sentinel_core::time::Timestamp;

/// For how long an answer is taken for true: what changed elsewhere holds here after that.
pub(crate) const RECENT_LIFE_MAX: Duration = Duration::from_secs(5);
/// The most answers that are remembered; beyond, all are forgotten.
pub(crate) const RECENT_MAX: usize = 4096;

struct Answers<K, V> {
    known: HashMap<K, (Timestamp, V)>,
    /// Grows whenever something is forgotten because it changed.
    epoch: u64,
}

/// Recent answers of the store.
pub(crate) struct Recent<K, V>(Mutex<Answers<K, V>>);

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self(Mutex::new(Answers {
            known: HashMap::new(),
            epoch: 0,
        }))
    }
}

impl<K: Eq + Hash, V: Clone> Recent<K, V> {
    /// The answer, if it is recent; otherwise asks, and remembers. `Err` is never remembered.
    pub(crate) async fn get_or_ask<E>(
        &self,
        key: K,
        now: Timestamp,
        ask: impl Future<Output = Result<V, E>>,
    ) -> Result<V, E> {
        let epoch = {
            let answers = self.lock();
            if let Some((asked_at, answer)) = answers.known.get(&key)
                && is_recent(*asked_at, now)
            {
                return Ok(answer.clone());
            }
            answers.epoch
        };
        let answer = ask.await?;
        let mut answers = self.lock();
        if answers.epoch == epoch {
            if answers.known.len() >= RECENT_MAX {
                answers.known.retain(|_, (asked_at, _)| is_recent(*asked_at, now));
            }
            if answers.known.len() >= RECENT_MAX {
                answers.known.clear();
            }
            answers.known.insert(key, (now, answer.clone()));
        }
        Ok(answer)
    }

    /// Forgets everything: something has changed.
    pub(crate) fn forget(&self) {
        let mut answers = self.lock();
        answers.epoch += 1;
        answers.known.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Answers<K, V>> {
        // Every change under the lock is whole, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// After the clock was set back an answer is not recent either.
fn is_recent(asked_at: Timestamp, now: Timestamp) -> bool {
    asked_at <= now && now.since(asked_at) < RECENT_LIFE_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_ms(1_800_000_000_000);

    async fn answer(recent: &Recent<usize, u8>, key: usize, now: Timestamp, fresh: u8) -> u8 {
        let asked = recent.get_or_ask(key, now, async { Ok::<_, ()>(fresh) });
        asked.await.expect("answered")
    }

    #[tokio::test]
    async fn an_answer_is_recent_for_so_long() {
        let recent = Recent::default();
        assert_eq!(answer(&recent, 1, NOW, 10).await, 10);
        let last = Timestamp::from_unix_ms(NOW.plus(RECENT_LIFE_MAX).unix_ms() - 1);
        assert_eq!(answer(&recent, 1, last, 11).await, 10);
        assert_eq!(answer(&recent, 1, NOW.plus(RECENT_LIFE_MAX), 12).await, 12);
        assert_eq!(answer(&recent, 1, NOW, 13).await, 13, "the clock was set back");
        recent.forget();
        assert_eq!(answer(&recent, 1, NOW, 14).await, 14);
    }

    #[tokio::test]
    async fn an_answer_from_before_a_change_is_not_remembered() {
        let recent = Recent::default();
        let overtaken = recent.get_or_ask(1, NOW, async {
            recent.forget();
            Ok::<_, ()>(10)
        });
        assert_eq!(overtaken.await, Ok(10));
        assert_eq!(answer(&recent, 1, NOW, 11).await, 11);
    }

    #[tokio::test]
    async fn so_many_are_remembered_and_no_failure_is() {
        let recent = Recent::default();
        assert_eq!(
            recent.get_or_ask(0, NOW, async { Err::<u8, _>("away") }).await,
            Err("away")
        );
        for key in 0..RECENT_MAX {
            answer(&recent, key, NOW, 1).await;
        }
        assert_eq!(answer(&recent, 0, NOW, 2).await, 1);
        answer(&recent, RECENT_MAX, NOW, 1).await;
        assert_eq!(recent.lock().known.len(), 1);
    }
}

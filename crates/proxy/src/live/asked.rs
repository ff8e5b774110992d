//! How much of one key is under way, for whoever asks from outside of the workers. Each answers for itself, between two requests; must never
//! make one wait.

use std::rc::Rc;
use std::time::Duration;

use sentinel_core::fingerprint::KeyFingerprint;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::worker::Worker;

/// The most questions that wait for one worker; beyond, there is no answer.
pub(crate) const QUESTIONS_QUEUED_MAX: usize = 64;
/// So long the answers of all workers are waited for.
const ANSWER_WAIT_MAX: Duration = Duration::from_millis(500);

/// A question to one worker.
#[derive(Debug)]
pub(crate) struct Question {
    fingerprint: KeyFingerprint,
    answer: oneshot::Sender<u64>,
}

/// Knows the requests and tunnels that are under way on all workers.
#[derive(Clone, Debug)]
pub struct LiveRequests(Vec<mpsc::Sender<Question>>);

impl LiveRequests {
    pub(crate) fn new(workers: Vec<mpsc::Sender<Question>>) -> Self {
        Self(workers)
    }

    /// How many of this key there are; none when a worker is too busy to say, or gone.
    pub async fn of(&self, fingerprint: &KeyFingerprint) -> Option<u64> {
        let mut answers = Vec::with_capacity(self.0.len());
        for worker in &self.0 {
            let (answer, answered) = oneshot::channel();
            let question = Question {
                fingerprint: *fingerprint,
                answer,
            };
            worker.try_send(question).ok()?;
            answers.push(answered);
        }
        let sum = async {
            let mut sum = 0_u64;
            for answered in answers {
                sum = sum.saturating_add(answered.await.ok()?);
            }
            Some(sum)
        };
        timeout(ANSWER_WAIT_MAX, sum).await.ok().flatten()
    }
}

/// Answers for one worker, for as long as it runs.
pub(crate) async fn answer(worker: Rc<Worker>, mut questions: mpsc::Receiver<Question>) {
    while let Some(question) = questions.recv().await {
        let count = worker.connections.borrow().count_live(&question.fingerprint);
        // Whoever asked may have left.
        let _ = question.answer.send(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: KeyFingerprint = KeyFingerprint::from_bytes([7; 32]);

    #[tokio::test(start_paused = true)]
    async fn workers_are_added_up_and_a_silent_one_is_not_waited_for_long() {
        let (first, mut asked) = mpsc::channel(QUESTIONS_QUEUED_MAX);
        let (second, mut also_asked) = mpsc::channel(QUESTIONS_QUEUED_MAX);
        let live = LiveRequests::new(vec![first, second]);
        let answers = async {
            for (worker, count) in [(&mut asked, 2), (&mut also_asked, 3)] {
                let question: Question = worker.recv().await.expect("asked");
                question.answer.send(count).expect("waited for");
            }
        };
        let (sum, ()) = tokio::join!(live.of(&KEY), answers);
        assert_eq!(sum, Some(5));
        let begun = tokio::time::Instant::now();
        assert_eq!(live.of(&KEY).await, None);
        assert_eq!(begun.elapsed(), ANSWER_WAIT_MAX);
        // QUESTIONS_QUEUED_MAX wait at most: then nobody asks any more.
        for _ in 0..QUESTIONS_QUEUED_MAX {
            live.of(&KEY).await;
        }
        let begun = tokio::time::Instant::now();
        assert_eq!(live.of(&KEY).await, None);
        assert_eq!(begun.elapsed(), Duration::ZERO);
        drop((asked, also_asked));
        assert_eq!(live.of(&KEY).await, None);
    }
}

//! Runs work on sessions: each piece in a task of its own that takes a session, does everything, and gives the session back only when
//! nothing is left open on it. A caller that goes away changes nothing about that. While the server is away work fails at once.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{Object, Pool, PoolError, TimeoutType, Timeouts};
use sentinel_core::ports::StoreError;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, TryAcquireError};
use tokio::time::Instant;

use super::connector::{Connector, Session};
use super::failure::Failure;
use super::pulse::{PROOF_PAUSE_MAX, PROOF_PAUSE_MIN, PROOF_WAIT_MAX, Pulse, SILENCE_MAX};
use super::{
    ANSWER_GRACE, BATCH_STATEMENT_WAIT_MAX, CONNECT_WAIT_MAX, JOB_STATEMENT_WAIT_MAX, POOL_WAIT_MAX,
    STATEMENT_WAIT_MAX, WORK_QUEUED_MAX,
};
use crate::error::PostgresError;

/// What is done on a session.
pub(super) type Work<'s, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 's>>;

/// What surrounds some work, and how long it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// One statement of a request, by itself.
    Question,
    /// A transaction of a request.
    Change,
    /// A transaction that many requests share.
    Batch,
    /// A transaction that only reads, and may read much.
    Report,
    /// A transaction in the background.
    Job,
}

impl Scope {
    /// How long the server works on one statement.
    pub(super) const fn statement_wait(self) -> Duration {
        match self {
            Self::Question | Self::Change => STATEMENT_WAIT_MAX,
            Self::Batch | Self::Report => BATCH_STATEMENT_WAIT_MAX,
            Self::Job => JOB_STATEMENT_WAIT_MAX,
        }
    }

    /// What opens it, and what ends it when all went well.
    fn brackets(self) -> Option<(String, &'static str)> {
        let within = |begin: &str| {
            let wait = self.statement_wait().as_millis();
            format!("{begin}; SET LOCAL statement_timeout = {wait}")
        };
        match self {
            Self::Question => None,
            Self::Change => Some(("BEGIN".to_owned(), "COMMIT")),
            Self::Batch | Self::Job => Some((within("BEGIN"), "COMMIT")),
            Self::Report => Some((within("BEGIN READ ONLY"), "COMMIT")),
        }
    }
}

/// The sessions that a store has. Clones share them.
#[derive(Clone)]
pub(super) struct Sessions {
    pool: Pool<Connector>,
    runtime: Handle,
    places: Arc<Semaphore>,
}

impl Sessions {
    pub(super) fn new(connector: Connector, connections_max: usize) -> Result<Self, PostgresError> {
        let place = connector.place().to_owned();
        let pool = Pool::builder(connector)
            .max_size(connections_max.max(1))
            .runtime(Runtime::Tokio1)
            .timeouts(Timeouts {
                wait: Some(POOL_WAIT_MAX),
                create: Some(CONNECT_WAIT_MAX),
                recycle: None,
            })
            .build()
            .map_err(|error| PostgresError::Failed {
                place,
                cause: error.to_string(),
            })?;
        Ok(Self {
            pool,
            runtime: Handle::current(),
            places: Arc::new(Semaphore::new(WORK_QUEUED_MAX)),
        })
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Does the work in a task of its own, and gives its outcome to the caller if that is still there.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        scope: Scope,
        work: impl for<'s> FnOnce(&'s Session) -> Work<'s, T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|error| match error {
                TryAcquireError::NoPermits => StoreError::Busy,
                TryAcquireError::Closed => Failure::closed().into(),
            })?;
        let sessions = self.clone();
        let task = self.runtime.spawn(async move {
            let _place = place;
            sessions.carry_out(scope, work).await.map_err(StoreError::from)
        });
        task.await
            .unwrap_or_else(|error| Err(StoreError::Unavailable(format!("the work did not end: {error}"))))
    }

    /// The same, in the caller's own task, which has to be one that nobody drops.
    pub(super) async fn carry_out<T: Send>(
        &self,
        scope: Scope,
        work: impl for<'s> FnOnce(&'s Session) -> Work<'s, T> + Send,
    ) -> Result<T, Failure> {
        self.pulse().present()?;
        let lease = self.lease().await?;
        let wait_max = scope.statement_wait() + ANSWER_GRACE;
        let begun = Instant::now();
        let outcome = tokio::select! {
            outcome = tokio::time::timeout(wait_max, within(scope, self.pulse(), lease.session(), work)) => outcome,
            never = self.watch(scope, begun) => match never {},
        };
        let Ok(outcome) = outcome else {
            self.doubt(begun).await;
            return Err(Failure::no_answer(wait_max));
        };
        if outcome.as_ref().err().is_none_or(Failure::spares_the_session) {
            lease.give_back();
        }
        outcome
    }

    /// Takes a session, or makes one.
    async fn lease(&self) -> Result<Lease, Failure> {
        let begun = Instant::now();
        match self.pool.get().await {
            Ok(session) => Ok(Lease(Some(session))),
            // All sessions wait, and none has heard anything: that may be no crowd.
            Err(PoolError::Timeout(TimeoutType::Wait)) if self.doubt(begun).await => {
                Err(Failure::no_answer(POOL_WAIT_MAX))
            }
            Err(error @ (PoolError::Timeout(TimeoutType::Wait) | PoolError::Closed)) => {
                Err(no_session(error))
            }
            Err(error) => {
                let failure = no_session(error);
                // As long as others have a session, only one more is refused.
                if self.pool.status().size == 0 {
                    self.lose(failure.cause());
                }
                Err(failure)
            }
        }
    }

    fn pulse(&self) -> &Pulse {
        self.pool.manager().pulse()
    }

    /// Notices beside short work that nothing is heard any more: whoever comes next need not wait for that.
    async fn watch(&self, scope: Scope, begun: Instant) -> std::convert::Infallible {
        if matches!(scope, Scope::Question | Scope::Change) {
            tokio::time::sleep_until(begun + SILENCE_MAX).await;
            self.doubt(begun).await;
        }
        std::future::pending().await
    }

    /// Nothing came of some work since then. When nothing was heard on any session either, the server is asked once more; true when it
    /// counts as away.
    async fn doubt(&self, begun: Instant) -> bool {
        let _alone = self.pulse().asking.lock().await;
        if self.pulse().is_lost() || !self.pulse().is_silent_since(begun) {
            return self.pulse().is_lost();
        }
        let proof = self.pool.manager().connect(None);
        let cause = match tokio::time::timeout(PROOF_WAIT_MAX, proof).await {
            Err(_) => format!("no answer within {} ms", begun.elapsed().as_millis()),
            Ok(Err(error @ PostgresError::Unreachable { .. })) => error.to_string(),
            // Whatever it said, it is there.
            Ok(_) => {
                self.pulse().heard();
                return false;
            }
        };
        self.lose(cause);
        true
    }

    /// The server counts as away until it is heard from; asks for that in a task of its own.
    fn lose(&self, cause: String) {
        if self.pulse().lost(cause) {
            self.runtime.spawn(hear_from(self.pool.clone()));
        }
    }

    /// How many sessions nobody uses.
    #[cfg(test)]
    pub(super) fn idle(&self) -> usize {
        self.pool.status().available
    }

    /// How many more pieces of work are taken in.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.places.available_permits()
    }

    /// Waits for what is under way, then closes every connection.
    pub(super) async fn close(&self) {
        let everything = u32::try_from(WORK_QUEUED_MAX).unwrap_or(u32::MAX);
        // Each piece of work ends within its bound. Nothing begins any more.
        let _all = self.places.acquire_many(everything).await;
        self.places.close();
        self.pool.close();
    }
}

/// A session that is thrown away unless it is given back: also when the work on it panics.
struct Lease(Option<Object<Connector>>);

impl Lease {
    fn session(&self) -> &Session {
        self.0
            .as_ref()
            .expect("a lease holds its session until it is given back")
    }

    fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(object) = self.0.take() {
            // Dropping the session ends its connection, and with that whatever is open on it.
            drop(Object::take(object));
        }
    }
}

/// Asks, again and again, until the server answers or the store is closed. What a session in use hears counts as well.
async fn hear_from(pool: Pool<Connector>) {
    let mut pause = PROOF_PAUSE_MIN;
    let pulse = pool.manager().pulse();
    while pulse.is_lost() && !pool.is_closed() {
        match ask(&pool).await {
            Ok(()) => return pulse.heard(),
            Err(failure) => pulse.still_lost(failure.cause()),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PROOF_PAUSE_MAX);
    }
}

/// One question, on a session that was open before when there is one: there may be no room for another.
async fn ask(pool: &Pool<Connector>) -> Result<(), Failure> {
    let lease = Lease(Some(pool.get().await.map_err(no_session)?));
    let question = lease.session().simple_query("SELECT 1");
    tokio::time::timeout(ANSWER_GRACE, question)
        .await
        .map_err(|_| Failure::no_answer(ANSWER_GRACE))??;
    lease.give_back();
    Ok(())
}

async fn within<'s, T>(
    scope: Scope,
    pulse: &Pulse,
    session: &'s Session,
    work: impl FnOnce(&'s Session) -> Work<'s, T>,
) -> Result<T, Failure> {
    let outcome = bracketed(scope, session, work).await;
    // A session that is lost says nothing of the server.
    if outcome.as_ref().err().is_none_or(Failure::spares_the_session) {
        pulse.heard();
    }
    outcome
}

async fn bracketed<'s, T>(
    scope: Scope,
    session: &'s Session,
    work: impl FnOnce(&'s Session) -> Work<'s, T>,
) -> Result<T, Failure> {
    let Some((begin, end)) = scope.brackets() else {
        return work(session).await;
    };
    session.batch_execute(&begin).await.map_err(unfinished)?;
    match work(session).await {
        Ok(outcome) => {
            // From here on the change may be made, whatever goes wrong.
            session.batch_execute(end).await.map_err(unfinished)?;
            Ok(outcome)
        }
        Err(failure) => {
            if failure.spares_the_session() {
                session.batch_execute("ROLLBACK").await.map_err(unfinished)?;
            }
            Err(failure)
        }
    }
}

fn unfinished(error: tokio_postgres::Error) -> Failure {
    Failure::from(error).of_the_session()
}

fn no_session(error: PoolError<PostgresError>) -> Failure {
    match error {
        PoolError::Timeout(TimeoutType::Wait) => Failure::busy(),
        PoolError::Timeout(_) => Failure::no_answer(CONNECT_WAIT_MAX),
        PoolError::Backend(error) => error.into(),
        PoolError::Closed => Failure::closed(),
        error => Failure::unavailable(error.to_string()),
    }
}

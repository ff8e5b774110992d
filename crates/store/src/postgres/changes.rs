//! What replicas tell each other over PostgreSQL itself: said with NOTIFY in the transaction of each change, so that it is heard exactly
//! when the change is made; heard with LISTEN on a connection of its own.
//!
//! Must never lose a change without saying that the channel was lost.

use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::ports::StoreError;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::connector::{Connector, Session};
use super::failure::Failure;
use super::rows;
use crate::changes::{Change, ChangeFeed, Heard};

/// The channel's name in PostgreSQL.
const CHANNEL: &str = "sentinel_changes";
/// The most changes that wait to be asked for; beyond, the channel counts as lost, and whoever asks hears that.
pub(super) const CHANGES_QUEUED_MAX: usize = 4_096;
/// How often the connection is tried out.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(2);
/// How long the answer to that takes; then the connection is gone.
pub(super) const HEARTBEAT_WAIT_MAX: Duration = Duration::from_secs(2);
/// Between two attempts to connect: at first, and at most.
pub(super) const RECONNECT_PAUSE_MIN: Duration = Duration::from_millis(100);
/// See [`RECONNECT_PAUSE_MIN`]; the pause doubles with every failed attempt.
pub(super) const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(5);

/// Tells the other replicas, when and if this transaction is committed.
pub(super) async fn announce(session: &Session, change: Change) -> Result<(), Failure> {
    let notify = format!("SELECT pg_notify('{CHANNEL}', $1)");
    rows::execute(session, &notify, &[&change.to_string()]).await?;
    Ok(())
}

/// The listening end. Dropping it closes its connection.
#[derive(Debug)]
pub struct PostgresChanges {
    heard: mpsc::Receiver<Heard>,
    listener: JoinHandle<()>,
}

impl PostgresChanges {
    pub(super) fn start(connector: Connector, runtime: &Handle) -> Self {
        let (tell, heard) = mpsc::channel(CHANGES_QUEUED_MAX);
        Self {
            heard,
            listener: runtime.spawn(listen(connector, tell)),
        }
    }
}

#[async_trait]
impl ChangeFeed for PostgresChanges {
    fn channel(&self) -> &'static str {
        "postgresql"
    }

    async fn next(&mut self) -> Heard {
        match self.heard.recv().await {
            Some(heard) => heard,
            // The runtime that carried the listener is gone: nothing is heard any more.
            None => std::future::pending().await,
        }
    }
}

impl Drop for PostgresChanges {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// Connects, listens, and begins again when the connection is lost; ends when nobody asks any more.
async fn listen(connector: Connector, tell: mpsc::Sender<Heard>) {
    let mut pause = RECONNECT_PAUSE_MIN;
    while !tell.is_closed() {
        match listen_once(&connector, &tell).await {
            Outcome::Heard => {
                pause = RECONNECT_PAUSE_MIN;
                if tell.send(Heard::Lost).await.is_err() {
                    return;
                }
                // A server that takes connections only to close them is not asked without end.
                sleep(RECONNECT_PAUSE_MIN).await;
            }
            Outcome::NotConnected(failure) => {
                let error = StoreError::from(failure);
                tracing::debug!(%error, "no connection to hear of changes on");
                sleep(pause).await;
                pause = longer(pause);
            }
        }
    }
}

fn longer(pause: Duration) -> Duration {
    (pause * 2).min(RECONNECT_PAUSE_MAX)
}

/// How one connection went.
enum Outcome {
    /// It worked, and is lost.
    Heard,
    /// It never worked.
    NotConnected(Failure),
}

async fn listen_once(connector: &Connector, tell: &mpsc::Sender<Heard>) -> Outcome {
    let (notifications, mut payloads) = mpsc::channel(CHANGES_QUEUED_MAX);
    let connected = async {
        let session = connector.connect(Some(notifications)).await?;
        session.batch_execute(&format!("LISTEN {CHANNEL}")).await?;
        Ok::<_, Failure>(session)
    };
    let session = match connected.await {
        Ok(session) => session,
        Err(failure) => return Outcome::NotConnected(failure),
    };
    if tell.send(Heard::Connected).await.is_err() {
        return Outcome::Heard;
    }
    let mut heartbeat = interval(HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            payload = payloads.recv() => {
                let Some(payload) = payload else {
                    return Outcome::Heard;
                };
                if !hand_on(&payload, tell).await {
                    return Outcome::Heard;
                }
            }
            _ = heartbeat.tick() => {
                // Closed by the other end, or silent: in both cases nothing is heard any more.
                let alive = timeout(HEARTBEAT_WAIT_MAX, session.simple_query("SELECT 1")).await;
                if !matches!(alive, Ok(Ok(_))) {
                    return Outcome::Heard;
                }
            }
        }
    }
}

/// Whether somebody still asks.
async fn hand_on(payload: &str, tell: &mpsc::Sender<Heard>) -> bool {
    let Ok(change) = payload.parse::<Change>() else {
        tracing::warn!("a message on the channel of changes that no replica of this version writes");
        return true;
    };
    tell.send(Heard::Change(change)).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_its_bound() {
        let pauses = std::iter::successors(Some(RECONNECT_PAUSE_MIN), |pause| Some(longer(*pause)));
        let pauses: Vec<Duration> = pauses.take(10).collect();
        assert_eq!(pauses[1], 2 * RECONNECT_PAUSE_MIN);
        assert!(pauses.is_sorted());
        assert_eq!(pauses.last(), Some(&RECONNECT_PAUSE_MAX));
    }
}

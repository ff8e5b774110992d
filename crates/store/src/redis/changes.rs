//! What replicas tell each other, over Redis: a publisher at the link, and a listener on a connection of its own.
//!
//! Redis repeats nothing to who was not there. So the listener says when its channel is lost and when it works again, and whoever hears
//! that forgets what it cannot vouch for. A silent connection is asked every two seconds whether it still is one.
//!
//! In a Cluster a message is published at one node, and heard at any. From Sentinel's primary the listener moves on when another
//! server is named.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use redis::Msg;
use redis::aio::{PubSubSink, PubSubStream};
use sentinel_core::ports::StoreError;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::connect::{Place, in_time};
use super::failure::Failure;
use super::link::{self, RedisLink};
use super::{CONNECT_WAIT_MAX, RedisSettings};
use crate::changes::{Change, ChangeAnnouncer, ChangeFeed, Heard};
use crate::pace::Pace;

/// The most messages that wait to be taken from one feed; one more, and the feed is lost and connected anew, so that nobody relies on it.
pub(super) const HEARD_QUEUED_MAX: usize = 4_096;
/// How often a channel has to show that it is alive.
pub(super) const ASKED_EVERY: Duration = Duration::from_secs(2);
/// How long it has for that. Together with the pause between two times less than five seconds.
pub(super) const ALIVE_WAIT_MAX: Duration = Duration::from_secs(1);
/// A channel that worked for so long is replaced without a pause.
const STEADY_AFTER: Duration = Duration::from_secs(5);

fn channel_name(settings: &RedisSettings) -> String {
    format!("{}changes", settings.prefix)
}

/// [`ChangeAnnouncer`] on Redis.
#[derive(Clone, Debug)]
pub struct RedisAnnouncer(RedisLink);

impl RedisAnnouncer {
    /// Publishes at the end of `link`.
    pub fn new(link: RedisLink) -> Self {
        Self(link)
    }
}

#[async_trait]
impl ChangeAnnouncer for RedisAnnouncer {
    async fn announce(&self, change: Change) -> Result<(), StoreError> {
        let mut publish = redis::cmd("PUBLISH");
        publish
            .arg(channel_name(self.0.settings()))
            .arg(change.to_string());
        let _: i64 = self.0.query(&publish).await?;
        Ok(())
    }
}

/// What a feed has counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeedCounts {
    /// Messages heard.
    pub heard: u64,
    /// Messages that no replica of this version writes.
    pub ignored: u64,
    /// Times that too many messages waited, and the channel was given up for a new one.
    pub overflowed: u64,
}

/// The counts of a feed, to be read while it is in use elsewhere.
#[derive(Debug, Default)]
pub struct FeedCounters {
    heard: AtomicU64,
    ignored: AtomicU64,
    overflowed: AtomicU64,
}

impl FeedCounters {
    /// What has been counted.
    pub fn counts(&self) -> FeedCounts {
        FeedCounts {
            heard: self.heard.load(Ordering::Relaxed),
            ignored: self.ignored.load(Ordering::Relaxed),
            overflowed: self.overflowed.load(Ordering::Relaxed),
        }
    }
}

/// [`ChangeFeed`] on Redis.
pub struct RedisChanges {
    heard: mpsc::Receiver<Heard>,
    counters: Arc<FeedCounters>,
    listener: JoinHandle<()>,
}

impl RedisChanges {
    /// Begins to listen, and keeps at it. Needs a tokio runtime.
    pub fn listen(settings: RedisSettings) -> Self {
        let (sender, heard) = mpsc::channel(HEARD_QUEUED_MAX);
        let counters = Arc::<FeedCounters>::default();
        let listener = tokio::spawn(keep_listening(settings, sender, Arc::clone(&counters)));
        Self {
            heard,
            counters,
            listener,
        }
    }

    /// What has been counted, now and later.
    pub fn counters(&self) -> Arc<FeedCounters> {
        Arc::clone(&self.counters)
    }
}

impl Drop for RedisChanges {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

#[async_trait]
impl ChangeFeed for RedisChanges {
    fn channel(&self) -> &'static str {
        "redis"
    }

    async fn next(&mut self) -> Heard {
        match self.heard.recv().await {
            Some(heard) => heard,
            // The listener never ends by itself.
            None => std::future::pending().await,
        }
    }
}

impl fmt::Debug for RedisChanges {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RedisChanges")
            .field("counts", &self.counters.counts())
            .finish_non_exhaustive()
    }
}

struct Session {
    sink: PubSubSink,
    messages: PubSubStream,
    place: Place,
}

async fn keep_listening(settings: RedisSettings, sender: mpsc::Sender<Heard>, counters: Arc<FeedCounters>) {
    let said = Pace::default();
    let mut pause = Duration::ZERO;
    // A place in the queue is taken first: what is connected must not wait for it.
    while let Ok(place) = sender.reserve().await {
        tokio::time::sleep(pause).await;
        pause = link::next_pause(pause);
        let failure = match subscribe(&settings).await {
            Ok(session) => {
                let since = Instant::now();
                place.send(Heard::Connected);
                let failure = pass_on(&settings, session, &sender, &counters).await;
                if since.elapsed() >= STEADY_AFTER {
                    pause = Duration::ZERO;
                }
                // The connection is closed by now, so nothing piles up behind this wait.
                if sender.send(Heard::Lost).await.is_err() {
                    return;
                }
                failure
            }
            Err(failure) => failure,
        };
        if said.is_due() {
            tracing::warn!(
                redis = %settings.url, error = failure.words,
                "changes made by other replicas are not heard over Redis; it is being connected again"
            );
        }
    }
}

async fn subscribe(settings: &RedisSettings) -> Result<Session, Failure> {
    let (channel, place) = settings.connect_channel().await?;
    let (mut sink, messages) = channel.split();
    in_time(CONNECT_WAIT_MAX, sink.subscribe(channel_name(settings))).await?;
    Ok(Session {
        sink,
        messages,
        place,
    })
}

/// Passes messages on until the channel is lost; says why.
async fn pass_on(
    settings: &RedisSettings,
    mut session: Session,
    sender: &mpsc::Sender<Heard>,
    counters: &FeedCounters,
) -> Failure {
    let mut asked_at = Instant::now();
    loop {
        match tokio::time::timeout_at(asked_at + ASKED_EVERY, session.messages.next()).await {
            Ok(None) => return Failure::of_the_server("the connection was closed"),
            Ok(Some(message)) => match change(&message) {
                None => {
                    counters.ignored.fetch_add(1, Ordering::Relaxed);
                }
                Some(change) => {
                    counters.heard.fetch_add(1, Ordering::Relaxed);
                    if sender.try_send(Heard::Change(change)).is_err() {
                        counters.overflowed.fetch_add(1, Ordering::Relaxed);
                        return Failure::of_the_server("more changes than this replica can follow");
                    }
                }
            },
            Err(_) => {
                let alive = in_time(ALIVE_WAIT_MAX, session.sink.ping::<redis::Value>()).await;
                let alive = alive.map(|_| ());
                let still = match alive {
                    Ok(()) => link::is_still_there(settings, Some(&session.place)).await,
                    Err(failure) => Err(failure),
                };
                if let Err(failure) = still {
                    return failure;
                }
                asked_at = Instant::now();
            }
        }
    }
}

fn change(message: &Msg) -> Option<Change> {
    str::from_utf8(message.get_payload_bytes()).ok()?.parse().ok()
}

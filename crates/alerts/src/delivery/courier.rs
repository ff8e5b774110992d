//! One channel's courier. It takes no more than it can begin at once, so that a lease never runs out while a delivery waits here. Must
//! never end before it is told to.

use std::sync::Arc;
use std::time::Duration;

use sentinel_core::alert::ports::{AlertStore, Delivery};
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use super::{Backoff, Breaker, CourierParts, Pass};
use crate::channel::{Again, Channel, Failure};

/// The most attempts of one channel at once.
pub const CONCURRENT_MAX: usize = 4;
/// The longest that an attempt may take.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(45);
/// How long a taken delivery is this replica's: longer than an attempt and the marking of its end.
pub const LEASE: Duration = Duration::from_secs(90);
/// How often the outbox is asked when the bell does not ring.
pub const POLL: Duration = Duration::from_secs(2);
/// How often the end of an attempt is marked when the store does not take it. After that, the lease brings the delivery back.
pub const MARK_ATTEMPTS_MAX: u32 = 5;
const MARK_PAUSE: Duration = Duration::from_secs(2);

pub(super) struct Courier {
    channel: Arc<dyn Channel>,
    outbox: Arc<dyn AlertStore>,
    parts: CourierParts,
    breaker: Breaker,
    sending: JoinSet<bool>,
    is_outbox_away: bool,
}

impl Courier {
    pub(super) fn new(channel: Arc<dyn Channel>, outbox: Arc<dyn AlertStore>, parts: CourierParts) -> Self {
        Self {
            channel,
            outbox,
            parts,
            breaker: Breaker::default(),
            sending: JoinSet::new(),
            is_outbox_away: false,
        }
    }

    /// Runs until `stopping` says so and the attempts under way are over.
    pub(super) async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        let bell = Arc::clone(&self.parts.bell);
        while !*stopping.borrow() {
            // Listens before it looks: what is put in afterwards rings.
            let rung = bell.notified();
            tokio::pin!(rung);
            rung.as_mut().enable();
            let has_begun = self.begin().await;
            if has_begun && self.sending.len() < CONCURRENT_MAX && self.breaker_is_closed() {
                continue;
            }
            tokio::select! {
                () = rung => {}
                () = sleep(POLL) => {}
                Some(ended) = self.sending.join_next_with_id(), if !self.sending.is_empty() => self.note(ended),
                _ = stopping.wait_for(|stop| *stop) => {}
            }
        }
        while let Some(ended) = self.sending.join_next_with_id().await {
            self.note(ended);
        }
    }

    fn breaker_is_closed(&self) -> bool {
        self.breaker.pass(self.parts.clock.now(), 0) == Pass::All
    }

    /// Begins as many attempts as there is room for; whether it began any.
    async fn begin(&mut self) -> bool {
        let now = self.parts.clock.now();
        let under_way = self.sending.len();
        let room = match self.breaker.pass(now, under_way) {
            Pass::All => CONCURRENT_MAX.saturating_sub(under_way),
            Pass::Probe => 1,
            Pass::Nothing => 0,
        };
        if room == 0 {
            return false;
        }
        let limit = u32::try_from(room).unwrap_or(1);
        let taken = self.outbox.take_due(self.channel.id(), now, LEASE, limit).await;
        match taken {
            Ok(taken) => {
                self.is_outbox_away = false;
                let has_any = !taken.is_empty();
                for delivery in taken {
                    let attempt = attempt(
                        Arc::clone(&self.channel),
                        Arc::clone(&self.outbox),
                        self.parts.clone(),
                        delivery,
                    );
                    self.sending.spawn(attempt);
                }
                has_any
            }
            Err(error) => {
                if !self.is_outbox_away {
                    tracing::warn!(%error, channel = %self.channel.id(), "the outbox of alerts does not answer");
                }
                self.is_outbox_away = true;
                false
            }
        }
    }

    fn note(&mut self, ended: Result<(Id, bool), JoinError>) {
        match ended {
            Ok((_, true)) => self.breaker.succeeded(),
            Ok((_, false)) => self.breaker.failed(self.parts.clock.now()),
            Err(error) => {
                tracing::error!(%error, channel = %self.channel.id(), "an attempt to deliver an alert panicked");
                self.breaker.failed(self.parts.clock.now());
            }
        }
    }
}

/// Makes one attempt and marks how it ended; whether the receiver works. A message that the receiver refuses says nothing against it.
async fn attempt(
    channel: Arc<dyn Channel>,
    outbox: Arc<dyn AlertStore>,
    parts: CourierParts,
    delivery: Delivery,
) -> bool {
    let sending = channel.send(&delivery.alert, parts.clock.now());
    let sent = timeout(ATTEMPT_TIMEOUT, sending).await.unwrap_or_else(|_| {
        Err(Failure {
            again: Again::Later(None),
            text: "the attempt took too long".to_owned(),
        })
    });
    for _ in 0..MARK_ATTEMPTS_MAX {
        match mark(&*outbox, &parts, &delivery, &sent).await {
            Ok(_) => break,
            Err(error) => {
                tracing::warn!(%error, channel = %channel.id(), notice = delivery.alert.notice_id(),
                    "how a delivery ended could not be marked yet");
                sleep(MARK_PAUSE).await;
            }
        }
    }
    match sent {
        Ok(()) => true,
        Err(failure) => {
            tracing::warn!(channel = %channel.id(), notice = delivery.alert.notice_id(), attempt = delivery.attempts,
                reason = failure.text, "an alert could not be delivered");
            failure.again == Again::Never
        }
    }
}

async fn mark(
    outbox: &dyn AlertStore,
    parts: &CourierParts,
    delivery: &Delivery,
    sent: &Result<(), Failure>,
) -> Result<bool, sentinel_core::ports::StoreError> {
    let now = parts.clock.now();
    let (id, attempt) = (delivery.id, delivery.attempts);
    match sent {
        Ok(()) => outbox.delivered(id, now).await,
        Err(failure) => match Backoff::after(delivery, failure, now, &parts.jitter) {
            Backoff::At(next) => outbox.failed(id, attempt, next, &failure.text).await,
            Backoff::GiveUp => outbox.dead(id, attempt, now, &failure.text).await,
        },
    }
}

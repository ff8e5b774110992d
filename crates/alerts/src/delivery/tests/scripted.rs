//! A channel that does as a script says, and an outbox that fails. Must never touch a socket.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::alert::ports::{
    AlertFilter, AlertStore, Delivery, DeliveryFilter, DeliveryId, StoredAlert, Transition, Transitioned,
};
use sentinel_core::alert::{Alert, AlertId, ChannelId, Seen};
use sentinel_core::ports::StoreError;
use sentinel_core::time::Timestamp;

use crate::channel::{Again, Channel, Failure};
use crate::memory::MemoryAlertStore;
use crate::testing::channel_id;

/// What the receiver does with one attempt. After the script it takes each at once.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Fail(Failure),
    Take(Duration),
    Hang,
}

pub(super) fn failure(again: Again) -> Step {
    let text = "scripted".to_owned();
    Step::Fail(Failure { again, text })
}

/// One attempt as the receiver saw it.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) notice: String,
    pub(super) at: Timestamp,
}

pub(super) struct ScriptedChannel {
    id: ChannelId,
    steps: Mutex<VecDeque<Step>>,
    sent: Mutex<Vec<Sent>>,
    under_way: Mutex<BTreeSet<String>>,
    most_at_once: Mutex<usize>,
}

impl ScriptedChannel {
    pub(super) fn new(name: &str, steps: impl IntoIterator<Item = Step>) -> Arc<Self> {
        Arc::new(Self {
            id: channel_id(name),
            steps: Mutex::new(steps.into_iter().collect()),
            sent: Mutex::default(),
            under_way: Mutex::default(),
            most_at_once: Mutex::default(),
        })
    }

    pub(super) fn sent(&self) -> Vec<Sent> {
        self.sent.lock().expect("not poisoned").clone()
    }

    pub(super) fn most_at_once(&self) -> usize {
        *self.most_at_once.lock().expect("not poisoned")
    }
}

/// Ends with the attempt, however that ends.
struct UnderWay<'c>(&'c ScriptedChannel, String);

impl<'c> UnderWay<'c> {
    fn begin(channel: &'c ScriptedChannel, notice: &str) -> Self {
        let mut under_way = channel.under_way.lock().expect("not poisoned");
        assert!(
            under_way.insert(notice.to_owned()),
            "{notice} is sent twice at once"
        );
        let mut most = channel.most_at_once.lock().expect("not poisoned");
        *most = under_way.len().max(*most);
        Self(channel, notice.to_owned())
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.lock().expect("not poisoned").remove(&self.1);
    }
}

#[async_trait]
impl Channel for ScriptedChannel {
    fn id(&self) -> &ChannelId {
        &self.id
    }

    async fn send(&self, alert: &Alert, now: Timestamp) -> Result<(), Failure> {
        let notice = alert.notice_id();
        let _under_way = UnderWay::begin(self, &notice);
        self.sent
            .lock()
            .expect("not poisoned")
            .push(Sent { notice, at: now });
        let step = self.steps.lock().expect("not poisoned").pop_front();
        match step {
            None => Ok(()),
            Some(Step::Fail(failure)) => Err(failure),
            Some(Step::Take(time)) => {
                tokio::time::sleep(time).await;
                Ok(())
            }
            Some(Step::Hang) => std::future::pending().await,
        }
    }
}

/// An outbox that is away when the test says so, or does not take marks.
pub(super) struct FlakyOutbox {
    inner: MemoryAlertStore,
    is_away: AtomicBool,
    marks_to_fail: AtomicU32,
}

impl FlakyOutbox {
    pub(super) fn new(inner: MemoryAlertStore) -> Self {
        Self {
            inner,
            is_away: AtomicBool::new(false),
            marks_to_fail: AtomicU32::new(0),
        }
    }

    pub(super) fn set_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::SeqCst);
    }

    pub(super) fn fail_marks(&self, count: u32) {
        self.marks_to_fail.store(count, Ordering::SeqCst);
    }

    fn answers(&self) -> Result<&MemoryAlertStore, StoreError> {
        if self.is_away.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("scripted".to_owned()));
        }
        Ok(&self.inner)
    }

    fn takes_marks(&self) -> Result<&MemoryAlertStore, StoreError> {
        let left = &self.marks_to_fail;
        let fails = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if fails.is_ok() {
            return Err(StoreError::Busy);
        }
        self.answers()
    }
}

#[async_trait]
impl AlertStore for FlakyOutbox {
    async fn transition(
        &self,
        wanted: Transition,
        channels: &[ChannelId],
    ) -> Result<Transitioned, StoreError> {
        self.answers()?.transition(wanted, channels).await
    }

    async fn observe(&self, id: &AlertId, seen: &Seen) -> Result<bool, StoreError> {
        self.answers()?.observe(id, seen).await
    }

    async fn open(&self) -> Result<Vec<Alert>, StoreError> {
        self.answers()?.open().await
    }

    async fn alerts(&self, filter: AlertFilter) -> Result<Vec<StoredAlert>, StoreError> {
        self.answers()?.alerts(filter).await
    }

    async fn history(&self, id: &AlertId) -> Result<Vec<Alert>, StoreError> {
        self.answers()?.history(id).await
    }

    async fn take_due(
        &self,
        channel: &ChannelId,
        now: Timestamp,
        lease: Duration,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.answers()?.take_due(channel, now, lease, limit).await
    }

    async fn delivered(&self, id: DeliveryId, at: Timestamp) -> Result<bool, StoreError> {
        self.takes_marks()?.delivered(id, at).await
    }

    async fn failed(
        &self,
        id: DeliveryId,
        attempt: u32,
        next: Timestamp,
        error: &str,
    ) -> Result<bool, StoreError> {
        self.takes_marks()?.failed(id, attempt, next, error).await
    }

    async fn dead(
        &self,
        id: DeliveryId,
        attempt: u32,
        at: Timestamp,
        error: &str,
    ) -> Result<bool, StoreError> {
        self.takes_marks()?.dead(id, attempt, at, error).await
    }

    async fn bury_strays(
        &self,
        channels: &[ChannelId],
        since_before: Timestamp,
        at: Timestamp,
        error: &str,
    ) -> Result<u64, StoreError> {
        self.answers()?
            .bury_strays(channels, since_before, at, error)
            .await
    }

    async fn retry(&self, id: DeliveryId, now: Timestamp) -> Result<bool, StoreError> {
        self.answers()?.retry(id, now).await
    }

    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<Delivery>, StoreError> {
        self.answers()?.deliveries(filter).await
    }

    async fn forget(&self, calmed_before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.answers()?.forget(calmed_before, limit).await
    }
}

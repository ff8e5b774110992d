//! A channel that does as a script says. Must never touch a socket.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::alert::{Alert, ChannelId};
use sentinel_core::time::Timestamp;

use crate::channel::{Again, Channel, Failure};
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

//! Alerts in the server: whoever keeps the records of refusals shows each to the tally, the watch makes alerts of what is added up there, and
//! couriers take these to the channels of the configuration.
//!
//! Nothing on a request's path waits for any of it: what has no room is counted and told of. Without a channel alerts are raised
//! all the same, for the console to show.

mod channels;
mod desk;
mod links;
mod metrics;
mod outages;
mod outbox;
mod silence;
mod sink;

use std::sync::Arc;
use std::time::Duration;

use sentinel_admin::Alerts;
use sentinel_alerts::channel::Channel;
use sentinel_alerts::delivery::{CourierParts, Jitter};
use sentinel_alerts::links::LinkSigner;
use sentinel_alerts::memory::MemoryAlertStore;
use sentinel_alerts::watch::{MakeCounters, Signal, SignalQueue, Tally, WatchParts, WatchSettings};
use sentinel_alerts::{Couriers, Watch};
use sentinel_core::alert::ports::{AlertStore, UsedLinks};
use sentinel_core::alert::{ChannelId, Part};
use sentinel_core::ports::{AdminEventStore, BindingAdmin, Health, InterceptWatch};
use sentinel_core::time::Clock;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::config::{AlertConfig, LiveConfig};

pub(crate) use channels::{AlertsError, open as open_channels};
pub(crate) use metrics::AlertMetrics;

use channels::Counted;
use desk::Desk;
use links::Links;
use outages::Outages;
use outbox::CountedOutbox;
use silence::{CANDIDATES_MAX, Candidate, Silence};
use sink::AlertsWatch;

/// How long attempts to deliver that are under way are waited for at the end. One that takes longer is made again later.
pub(crate) const LAST_ATTEMPTS_MAX: Duration = Duration::from_secs(5);

/// What alerts work with.
pub(crate) struct AlertParts<'c> {
    pub(crate) config: &'c AlertConfig,
    /// Where the console is, and what signs links to it.
    pub(crate) public_url: Option<&'c str>,
    pub(crate) links: LinkSigner,
    pub(crate) store: Arc<dyn AlertStore>,
    /// Which links were used.
    pub(crate) used_links: Arc<dyn UsedLinks>,
    /// Makes counters for one window, shared by the replicas.
    pub(crate) make_counters: MakeCounters,
    /// Where it is asked how long a key was silent.
    pub(crate) bindings: Arc<dyn BindingAdmin>,
    /// Where it is written who ignored an alert.
    pub(crate) events: Arc<dyn AdminEventStore>,
    /// What is asked whether it works.
    pub(crate) watched: Vec<(Part, Arc<dyn Health>)>,
    /// This replica's name.
    pub(crate) replica: String,
    /// What may change while the server runs.
    pub(crate) live: watch::Receiver<LiveConfig>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Says how many records were lost since the start.
pub(crate) type LostRecords = Box<dyn Fn() -> u64 + Send + Sync>;

/// Alerts, ready to run.
pub(crate) struct Alerting {
    config: AlertConfig,
    channels: Vec<Arc<dyn Channel>>,
    tally: Arc<Tally>,
    signals: Arc<SignalQueue>,
    receiver: mpsc::Receiver<Signal>,
    suspects: mpsc::Sender<Candidate>,
    candidates: mpsc::Receiver<Candidate>,
    bindings: Arc<dyn BindingAdmin>,
    links: LinkSigner,
    used_links: Arc<dyn UsedLinks>,
    events: Arc<dyn AdminEventStore>,
    parts: WatchParts,
    watched: Vec<(Part, Arc<dyn Health>)>,
    live: watch::Receiver<LiveConfig>,
    metrics: AlertMetrics,
}

impl Alerting {
    pub(crate) fn new(parts: AlertParts<'_>) -> Result<Self, AlertsError> {
        let console = parts.public_url.map(|url| (url, parts.links.clone()));
        let channels = open_channels(parts.config, console)?;
        let metrics = AlertMetrics::default();
        let (signals, receiver) = SignalQueue::new();
        let (suspects, candidates) = mpsc::channel(CANDIDATES_MAX);
        let counted = |store| -> Arc<dyn AlertStore> { Arc::new(CountedOutbox::new(store, metrics.clone())) };
        Ok(Self {
            config: parts.config.clone(),
            channels,
            tally: Arc::default(),
            signals: Arc::new(signals),
            receiver,
            suspects,
            candidates,
            bindings: parts.bindings,
            links: parts.links,
            used_links: parts.used_links,
            events: parts.events,
            parts: WatchParts {
                make_counters: parts.make_counters,
                store: counted(parts.store),
                local: counted(Arc::new(MemoryAlertStore::new())),
                clock: parts.clock,
                bell: Arc::new(Notify::new()),
                replica: parts.replica,
            },
            watched: parts.watched,
            live: parts.live,
            metrics,
        })
    }

    /// What is to see every record as it is kept.
    pub(crate) fn watch(&self) -> Arc<dyn InterceptWatch> {
        Arc::new(AlertsWatch::new(Arc::clone(&self.tally), self.suspects.clone()))
    }

    /// What is counted of alerts.
    pub(crate) fn metrics(&self) -> AlertMetrics {
        self.metrics.clone()
    }

    /// What operators see and do; links of messages change `bindings`.
    pub(crate) fn desk(&self, bindings: Arc<dyn BindingAdmin>) -> Arc<dyn Alerts> {
        Arc::new(Desk {
            channels: self.channels.clone(),
            store: Arc::clone(&self.parts.store),
            bell: Arc::clone(&self.parts.bell),
            clock: Arc::clone(&self.parts.clock),
            replica: self.parts.replica.clone(),
            links: Links {
                signer: self.links.clone(),
                used: Arc::clone(&self.used_links),
                bindings,
                events: Arc::clone(&self.events),
            },
        })
    }

    /// Runs until `stopping` says so: then the watch takes what is left, and attempts under way are waited for a while.
    pub(crate) async fn run(self, lost: LostRecords, mut stopping: watch::Receiver<bool>) {
        let names: Vec<ChannelId> = self.channels.iter().map(|channel| channel.id().clone()).collect();
        let (settings, follow) = follow(self.config, names, self.live);
        let counted = self
            .channels
            .into_iter()
            .map(|channel| -> Arc<dyn Channel> { Arc::new(Counted::new(channel, self.metrics.clone())) });
        let courier_parts = CourierParts {
            outboxes: vec![Arc::clone(&self.parts.store), Arc::clone(&self.parts.local)],
            clock: Arc::clone(&self.parts.clock),
            jitter: Jitter::random(),
            bell: Arc::clone(&self.parts.bell),
        };
        let mut couriers = match Couriers::start(counted.collect(), &courier_parts) {
            Ok(couriers) => couriers,
            Err(error) => return tracing::error!(%error, "alerts cannot be delivered"),
        };
        let outages = Outages {
            signals: Arc::clone(&self.signals),
            watched: self.watched,
            lost,
            clock: Arc::clone(&self.parts.clock),
            store: Arc::clone(&self.parts.store),
            metrics: self.metrics,
        };
        let silence = Silence {
            candidates: self.candidates,
            bindings: self.bindings,
            settings: settings.clone(),
            signals: Arc::clone(&self.signals),
        };
        // These have nothing to finish, and end with this function.
        let mut aside = JoinSet::new();
        aside.spawn(follow);
        aside.spawn(outages.run());
        aside.spawn(silence.run());
        let watch = Watch::new(self.parts, settings);
        let mut watching = tokio::spawn(watch.run(self.tally, self.signals, self.receiver, stopping.clone()));
        let is_broken = tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => false,
            _ = &mut watching => true,
            () = couriers.ended() => true,
            _ = aside.join_next() => true,
        };
        if is_broken && !*stopping.borrow() {
            watching.abort();
            return;
        }
        if !watching.is_finished()
            && let Err(error) = watching.await
        {
            tracing::error!(%error, "the watch of alerts did not end in order");
        }
        if timeout(LAST_ATTEMPTS_MAX, couriers.stop()).await.is_err() {
            tracing::info!("attempts to deliver alerts were cut short: they are made again later");
        }
    }
}

/// What the watch goes by, and the work of keeping it up to date.
fn follow(
    config: AlertConfig,
    channels: Vec<ChannelId>,
    mut live: watch::Receiver<LiveConfig>,
) -> (
    watch::Receiver<Arc<WatchSettings>>,
    impl Future<Output = ()> + Send,
) {
    let settings = move |live: LiveConfig| {
        Arc::new(WatchSettings {
            rules: config.rules_with(live.alert_count, live.alert_within),
            channels: channels.clone(),
        })
    };
    let now = *live.borrow_and_update();
    let (sender, receiver) = watch::channel(settings(now));
    let following = async move {
        while live.changed().await.is_ok() {
            let now = *live.borrow_and_update();
            sender.send_replace(settings(now));
        }
        // Nobody changes settings any more; what holds goes on.
        std::future::pending::<()>().await;
    };
    (receiver, following)
}

#[cfg(test)]
mod tests;

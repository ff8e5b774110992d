//! Reports to the store what this replica counts, and that it is there: every few seconds, and once more at the end.
//!
//! Nothing waits for it, and nothing is counted twice: a report that nobody knows the end of is sent again under its number. While the store
//! is away, counts are kept by minute, in a bounded number of them. What a process counted since its last report dies with it when it is
//! killed; the audit log does not depend on any of this.

mod pending;

use std::sync::Arc;
use std::time::Duration;

use sentinel_core::ports::{
    Replica, StoreError, TrafficCounts, TrafficKept, TrafficMeasure, TrafficReport, TrafficSpan, TrafficStore,
};
use sentinel_core::time::{Clock, Timestamp};
use sentinel_proxy::FiguresSnapshot;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::rounds::Rounds;
use crate::metrics::TrafficMetrics;
use crate::secrets::hexadecimal;
use pending::Pending;

/// How often a report is sent: at every multiple of it on the clock, so that no stretch between two lies in two minutes.
pub(crate) const INTERVAL: Duration = Duration::from_secs(5);
/// How long one report may take. What has not ended then may have been added or not.
pub(crate) const REPORT_WAIT_MAX: Duration = Duration::from_secs(4);
/// How long the last reports may take, all together.
pub(crate) const LAST_REPORTS_MAX: Duration = Duration::from_secs(6);
/// How often old figures are forgotten.
pub(crate) const FORGET_INTERVAL: Duration = Duration::from_hours(1);

/// So many days minutes are kept.
pub(crate) const MINUTES_KEPT_DAYS: u32 = 2;
/// So many days hours are kept.
pub(crate) const HOURS_KEPT_DAYS: u32 = 60;
/// So many days days are kept: two years.
pub(crate) const DAYS_KEPT_DAYS: u32 = 731;
/// So many days it is kept who was refused most in an hour: each list may be long.
pub(crate) const TOP_HOURS_KEPT_DAYS: u32 = 7;
/// So many days it is kept who was refused most in a day.
pub(crate) const TOP_DAYS_KEPT_DAYS: u32 = 60;
/// So many days it is remembered which report of a replica was its last: much longer than any report is sent again.
pub(crate) const REPLICAS_KEPT_DAYS: u32 = 7;

/// Reports what this replica counts.
pub(crate) struct Reporter {
    /// What was counted since the start.
    pub(crate) counted: Box<dyn Fn() -> TrafficCounts + Send + Sync>,
    /// How late changes made elsewhere are heard of, when any were.
    pub(crate) propagation: Box<dyn Fn() -> Option<Duration> + Send + Sync>,
    pub(crate) store: Arc<dyn TrafficStore>,
    /// This replica's name.
    pub(crate) replica: String,
    pub(crate) metrics: TrafficMetrics,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Reporter {
    /// Runs until `stopping` says so, then reports once more.
    pub(super) async fn run(self, mut stopping: watch::Receiver<bool>) {
        let mut running = Running::new(self);
        loop {
            tokio::select! {
                biased;
                _ = stopping.wait_for(|stop| *stop) => break,
                () = sleep(running.pause()) => {}
            }
            running.count();
            running.report_all(false).await;
        }
        running.count();
        if timeout(LAST_REPORTS_MAX, running.report_all(true)).await != Ok(true) {
            let requests = running.pending.requests();
            tracing::warn!(
                requests,
                "figures of the traffic are lost: the store did not take them before the end"
            );
        }
    }
}

struct Running {
    parts: Reporter,
    run: String,
    started_at: Timestamp,
    /// What was counted, and until when, at the last look.
    seen: (TrafficCounts, Timestamp),
    pending: Pending,
    is_away: bool,
}

impl Running {
    fn new(parts: Reporter) -> Self {
        let started_at = parts.clock.now();
        Self {
            run: new_run(started_at),
            started_at,
            seen: (TrafficCounts::default(), started_at),
            pending: Pending::default(),
            is_away: false,
            parts,
        }
    }

    /// Until the clock is at a multiple of the interval.
    fn pause(&self) -> Duration {
        let interval = i64::try_from(INTERVAL.as_millis()).unwrap_or(i64::MAX);
        let over = self.parts.clock.now().unix_ms().rem_euclid(interval);
        Duration::from_millis((interval - over).unsigned_abs())
    }

    /// What came since the last look belongs to the minute of that look.
    fn count(&mut self) {
        let (before, since) = self.seen;
        let counted = (self.parts.counted)();
        let minute = TrafficSpan::Minute.start_of(since);
        if self.pending.add(minute, &counted.since(&before)) {
            self.parts.metrics.folded();
        }
        self.seen = (counted, self.parts.clock.now());
        self.parts.metrics.waiting(self.pending.minutes());
    }

    /// Reports all there is, and at least that this replica is there; says whether the store took it.
    async fn report_all(&mut self, is_last: bool) -> bool {
        loop {
            let replica = self.replica(is_last);
            let (number, minutes) = self.pending.next();
            let report = TrafficReport {
                replica,
                number,
                minutes: minutes.to_vec(),
            };
            let outcome = timeout(REPORT_WAIT_MAX, self.parts.store.report(report)).await;
            match outcome.unwrap_or_else(|_| Err(no_answer())) {
                // Whether it was added now, or was already.
                Ok(_) => self.pending.settled(),
                Err(error) => {
                    self.parts.metrics.failed();
                    if !std::mem::replace(&mut self.is_away, true) {
                        tracing::warn!(%error, "figures of the traffic cannot be reported; they are kept by minute");
                    }
                    return false;
                }
            }
            self.parts.metrics.waiting(self.pending.minutes());
            if std::mem::take(&mut self.is_away) {
                tracing::info!("figures of the traffic are reported again");
            }
            if self.pending.is_empty() {
                return true;
            }
        }
    }

    fn replica(&self, is_stopped: bool) -> Replica {
        let propagation = (self.parts.propagation)();
        Replica {
            run: self.run.clone(),
            name: self.parts.replica.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: self.started_at,
            seen_at: self.parts.clock.now(),
            is_stopped,
            propagation_ms: propagation.map(|late| u32::try_from(late.as_millis()).unwrap_or(u32::MAX)),
        }
    }
}

/// The moment keeps runs apart even if there were no randomness.
fn new_run(started_at: Timestamp) -> String {
    let mut bytes = [0_u8; 16];
    let _ = getrandom::fill(&mut bytes);
    format!("{}-{}", started_at.unix_ms(), hexadecimal(&bytes))
}

fn no_answer() -> StoreError {
    StoreError::Unavailable("it did not answer in time".to_owned())
}

/// What the data plane has counted, as it is reported.
pub(crate) fn traffic_counts(figures: &FiguresSnapshot) -> TrafficCounts {
    let mut counts = TrafficCounts::default()
        .with(TrafficMeasure::Allowed, figures.allowed)
        .with(TrafficMeasure::Observed, figures.observed)
        .with(TrafficMeasure::Bound, figures.claimed)
        .with(TrafficMeasure::Released, figures.released);
    for (reason, count) in figures.refused {
        counts.add(TrafficMeasure::Refused(reason), count);
    }
    counts
}

/// Forgets old figures at the start and every hour, until `stopping` says so; of all replicas one does.
pub(super) async fn forget(
    store: Arc<dyn TrafficStore>,
    clock: Arc<dyn Clock>,
    stopping: watch::Receiver<bool>,
) {
    let mut rounds = Rounds::every(FORGET_INTERVAL, stopping);
    while rounds.next().await {
        let outcome = rounds.unless_stopping(store.forget(kept(clock.now()))).await;
        match outcome {
            None => return,
            Some(Ok(rows)) => tracing::debug!(rows, "old figures of the traffic were forgotten"),
            Some(Err(error)) => {
                tracing::warn!(%error, "old figures of the traffic could not be forgotten; the next run goes on");
            }
        }
    }
}

fn kept(now: Timestamp) -> TrafficKept {
    let days_before = |days| TrafficSpan::Day.before(now, days);
    TrafficKept {
        minutes_from: days_before(MINUTES_KEPT_DAYS),
        hours_from: days_before(HOURS_KEPT_DAYS),
        days_from: days_before(DAYS_KEPT_DAYS),
        top_hours_from: days_before(TOP_HOURS_KEPT_DAYS),
        top_days_from: days_before(TOP_DAYS_KEPT_DAYS),
        replicas_from: days_before(REPLICAS_KEPT_DAYS),
    }
}

#[cfg(test)]
mod tests;

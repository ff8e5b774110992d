//! What this installation finds out about itself: whether its upstream can be reached, and what is commonly wrong.
//!
//! Every question is bounded in time and changes nothing. What a check looks at is gathered here; each is judged in [`checks`], without asking
//! anything.

mod checks;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sentinel_admin::{Diagnostics, Finding, TriedAddress};
use sentinel_core::policy::LiveRules;
use sentinel_core::ports::{AdminEventStore, BindingAdmin, BindingFilter, Health, StoreError};
use sentinel_core::time::{Clock, Timestamp};
use sentinel_proxy::{AddressReport, Upstream};
use tokio::time::{Instant, timeout};

use crate::config::Config;
use crate::stores::Stores;
use checks::Facts;

/// How long all addresses of the upstream together may take.
const PROBE_TIME_MAX: Duration = Duration::from_secs(8);
/// How long one address may take.
const ADDRESS_TIME_MAX: Duration = Duration::from_secs(3);
/// How long one part may take to answer a check.
const PART_TIME_MAX: Duration = Duration::from_secs(3);
/// How many bindings, the newest, are looked at.
const BINDINGS_LOOKED_AT_MAX: u32 = 1_000;

/// What looks.
pub(crate) struct InstallationDiagnostics {
    facts: Facts,
    upstream: Option<Upstream>,
    bindings: Arc<dyn BindingAdmin>,
    events: Arc<dyn AdminEventStore>,
    health: Vec<(&'static str, Arc<dyn Health>)>,
    rules: LiveRules,
    clock: Arc<dyn Clock>,
    /// When this was made, by the clock and by one that nobody sets.
    began: (Timestamp, Instant),
}

impl InstallationDiagnostics {
    pub(crate) fn new(
        config: &Config,
        (bindings, events): (Arc<dyn BindingAdmin>, Arc<dyn AdminEventStore>),
        health: Vec<(&'static str, Arc<dyn Health>)>,
        rules: LiveRules,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            facts: Facts::of(config),
            upstream: config.upstream.upstream(),
            bindings,
            events,
            health,
            rules,
            began: (clock.now(), Instant::now()),
            clock,
        }
    }

    /// On the stores of a running server.
    pub(crate) fn of(config: &Config, stores: &Stores, rules: LiveRules, clock: &Arc<dyn Clock>) -> Self {
        let authority = &stores.authority;
        let asked = (Arc::clone(&authority.admin), Arc::clone(&authority.events));
        let health = stores.health.iter().chain(&stores.dispensable_health);
        Self::new(config, asked, health.cloned().collect(), rules, Arc::clone(clock))
    }

    async fn parts(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (name, part) in &self.health {
            findings.push(checks::part(name, in_time(part.check()).await));
        }
        findings
    }

    async fn bound_addresses(&self) -> Finding {
        let newest = BindingFilter {
            limit: BINDINGS_LOOKED_AT_MAX,
            ..BindingFilter::default()
        };
        match in_time(self.bindings.list(newest)).await {
            Ok(records) => checks::bound_addresses(&records),
            Err(error) => checks::not_looked_at("bound_addresses", &error),
        }
    }

    async fn clock(&self) -> Finding {
        let now = self.clock.now();
        let (clock_then, steady_then) = self.began;
        let (by_clock, steady) = (
            now.unix_ms().saturating_sub(clock_then.unix_ms()),
            steady_then.elapsed(),
        );
        match in_time(self.events.newest(1)).await {
            Ok(newest) => checks::clock(by_clock, steady, now, newest.first().map(|event| event.at)),
            Err(error) => checks::not_looked_at("clock", &error),
        }
    }
}

/// What a part answers, if it does in time.
async fn in_time<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let late = || Err(StoreError::Unavailable("no answer in time".to_owned()));
    timeout(PART_TIME_MAX, answer).await.unwrap_or_else(|_| late())
}

#[async_trait]
impl Diagnostics for InstallationDiagnostics {
    async fn upstream(&self) -> Vec<TriedAddress> {
        let Some(upstream) = &self.upstream else {
            return Vec::new();
        };
        let began = Instant::now();
        let probed = timeout(PROBE_TIME_MAX, sentinel_proxy::probe(upstream, ADDRESS_TIME_MAX)).await;
        if let Ok(reports) = probed {
            return reports.into_iter().map(tried).collect();
        }
        let late = |origin: &_| TriedAddress {
            address: ToString::to_string(origin),
            ok: false,
            latency_ms: milliseconds(began.elapsed()),
            error: Some("its name was not looked up in time".to_owned()),
        };
        upstream.target.origins().iter().map(late).collect()
    }

    async fn checks(&self) -> Vec<Finding> {
        let (parts, bound, clock) = tokio::join!(self.parts(), self.bound_addresses(), self.clock());
        let mut findings = parts;
        findings.extend([bound, clock, checks::rules(&self.rules.now())]);
        findings.extend(self.facts.findings());
        findings
    }
}

fn tried(report: AddressReport) -> TriedAddress {
    TriedAddress {
        address: report
            .address
            .map_or(report.origin, |address| address.to_string()),
        ok: report.problem.is_none(),
        latency_ms: milliseconds(report.took),
        error: report.problem,
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;

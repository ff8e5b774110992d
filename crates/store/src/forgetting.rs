//! The walk through all places that may name an address or a key, the same on every store: which places there are, in which order, and how
//! what was found is added up. How one step of it looks is the store's own.
//!
//! Must never take two steps in one transaction: whoever writes would wait for all of them.

use async_trait::async_trait;
use sentinel_core::ports::{Forgettable, StoreError, Traces};

/// A table whose rows are read one by one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    Archived,
    Alerts,
    /// What operators did. Its rows stay.
    Events,
}

/// One step at a time. Where a step gives a place to go on from, another one follows from there.
#[async_trait]
pub(crate) trait ForgettingSteps: Sync {
    /// The next part of the audit log.
    async fn log(
        &self,
        of: &Forgettable,
        from: i64,
        removes: bool,
    ) -> Result<(Traces, Option<i64>), StoreError>;

    /// The next rows of another table.
    async fn rows(
        &self,
        place: Place,
        of: &Forgettable,
        after: i64,
        removes: bool,
    ) -> Result<(u64, Option<i64>), StoreError>;

    /// The lists of who was refused most.
    async fn top_places(&self, of: &Forgettable, removes: bool) -> Result<u64, StoreError>;

    /// Bindings in force and sessions: they stay.
    async fn kept(&self, of: &Forgettable) -> Result<(u64, u64), StoreError>;
}

/// Looks through all of it, and removes what may go when that is wanted.
pub(crate) async fn look_through(
    steps: &impl ForgettingSteps,
    of: &Forgettable,
    removes: bool,
) -> Result<Traces, StoreError> {
    let mut traces = Traces::default();
    let mut from = Some(i64::MIN);
    while let Some(first) = from {
        let (step, next) = steps.log(of, first, removes).await?;
        traces.intercepts += step.intercepts;
        traces.mentions += step.mentions;
        from = next;
    }
    for (place, found) in [
        (Place::Archived, &mut traces.archived),
        (Place::Alerts, &mut traces.alerts),
        (Place::Events, &mut traces.events),
    ] {
        let mut after = Some(i64::MIN);
        while let Some(last) = after {
            let (step, next) = steps.rows(place, of, last, removes).await?;
            *found += step;
            after = next;
        }
    }
    traces.top_places = steps.top_places(of, removes).await?;
    (traces.bindings, traces.sessions) = steps.kept(of).await?;
    Ok(traces)
}

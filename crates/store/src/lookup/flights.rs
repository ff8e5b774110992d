//! Loads under way, one per key: whoever asks for a key that is being loaded waits for that load.
//!
//! When the one who loads goes away (its client left), the next one who waits takes over. A flight ends with its load: its
//! answer is never given to somebody who asks later.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::known::Known;
use sentinel_core::ports::StoreError;
use tokio::sync::OnceCell;

/// What a load gives.
pub(super) type Outcome = Result<Option<Known>, StoreError>;

/// All loads under way.
pub(super) struct Flights {
    flights_max: usize,
    under_way: Mutex<HashMap<KeyFingerprint, Arc<OnceCell<Outcome>>>>,
}

/// A place in one of them.
pub(super) struct Passenger<'f> {
    flights: &'f Flights,
    fingerprint: KeyFingerprint,
    flight: Arc<OnceCell<Outcome>>,
}

impl Flights {
    pub(super) fn new(flights_max: usize) -> Self {
        Self {
            flights_max,
            under_way: Mutex::default(),
        }
    }

    /// Joins the key's load, or begins one; none when as many as allowed are under way.
    pub(super) fn join(&self, fingerprint: &KeyFingerprint) -> Option<Passenger<'_>> {
        let mut under_way = self.under_way();
        let flight = match under_way.get(fingerprint) {
            Some(flight) => Arc::clone(flight),
            None if under_way.len() >= self.flights_max => return None,
            None => {
                let flight = Arc::default();
                under_way.insert(*fingerprint, Arc::clone(&flight));
                flight
            }
        };
        Some(Passenger {
            flights: self,
            fingerprint: *fingerprint,
            flight,
        })
    }

    /// Lets nobody else join the load that is under way: whoever asks from now on begins a new one.
    pub(super) fn detach(&self, fingerprint: &KeyFingerprint) {
        self.under_way().remove(fingerprint);
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<KeyFingerprint, Arc<OnceCell<Outcome>>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.under_way().len()
    }
}

impl Passenger<'_> {
    /// The answer of the load, which one of all who wait carries out.
    pub(super) async fn outcome<L: Future<Output = Outcome>>(&self, load: impl FnOnce() -> L) -> Outcome {
        self.flight.get_or_init(load).await.clone()
    }
}

impl Drop for Passenger<'_> {
    fn drop(&mut self) {
        let mut under_way = self.flights.under_way();
        let own = under_way
            .get(&self.fingerprint)
            .is_some_and(|flight| Arc::ptr_eq(flight, &self.flight));
        // Two holders: the table and this passenger, so nobody else waits.
        if own && (self.flight.initialized() || Arc::strong_count(&self.flight) == 2) {
            under_way.remove(&self.fingerprint);
        }
    }
}

//! Which key a claim of this replica was for: a claim is taken back by its binding's name alone, and the shared cache is asked by key.
//!
//! One that is no longer remembered costs nothing but the life of its entry in the shared cache.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use sentinel_core::binding::BindingId;
use sentinel_core::fingerprint::KeyFingerprint;

/// So many claims are remembered, the newest ones: a claim is taken back within seconds of its request or not at all.
pub(super) const CLAIMS_REMEMBERED_MAX: usize = 4_096;

/// The newest claims.
#[derive(Default)]
pub(super) struct Claims(Mutex<VecDeque<(BindingId, KeyFingerprint)>>);

impl Claims {
    pub(super) fn remember(&self, id: BindingId, fingerprint: KeyFingerprint) {
        let mut claims = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if claims.len() >= CLAIMS_REMEMBERED_MAX {
            claims.pop_front();
        }
        claims.push_back((id, fingerprint));
    }

    pub(super) fn take(&self, id: BindingId) -> Option<KeyFingerprint> {
        let mut claims = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What is taken back is among the newest.
        let place = claims.iter().rposition(|(claimed, _)| *claimed == id)?;
        claims.remove(place).map(|(_, fingerprint)| fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::fingerprint;

    #[test]
    fn the_newest_claims_are_remembered() {
        let claims = Claims::default();
        for number in 0..=u32::try_from(CLAIMS_REMEMBERED_MAX).expect("small") {
            claims.remember(BindingId(number.into()), fingerprint(number));
        }
        assert_eq!(claims.take(BindingId(0)), None);
        assert_eq!(claims.take(BindingId(1)), Some(fingerprint(1)));
        assert_eq!(claims.take(BindingId(1)), None);
    }
}

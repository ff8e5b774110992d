//! Finds keys that were silent for long and are now presented from a network that is not theirs: one question to the store for each such key,
//! and not again before a while has passed. What does not fit is let go: the key's next refusal brings it again.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use sentinel_alerts::watch::{Signal, SignalQueue, WatchSettings};
use sentinel_core::alert::RuleKind;
use sentinel_core::binding::BindingId;
use sentinel_core::decision::RefusalReason;
use sentinel_core::event::Intercept;
use sentinel_core::network::{ClientIp, Network};
use sentinel_core::ports::BindingAdmin;
use sentinel_core::time::Timestamp;
use tokio::sync::{mpsc, watch};

/// The most refusals that wait to be looked into.
pub(crate) const CANDIDATES_MAX: usize = 1_024;
/// The most keys that are remembered as looked into, of each of two stretches of time.
pub(crate) const ASKED_MAX: usize = 4_096;
/// How long a key is not looked into again, at least; at most twice as long.
const ASK_PAUSE: Duration = Duration::from_mins(1);

/// A refusal that may be the end of a silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    binding: BindingId,
    client_ip: ClientIp,
    at: Timestamp,
}

impl Candidate {
    /// The refusal of a bound key from elsewhere.
    pub(super) fn of(intercept: &Intercept) -> Option<Self> {
        let binding = intercept
            .binding
            .filter(|_| intercept.reason == RefusalReason::KeyIpMismatch)?;
        Some(Self {
            binding,
            client_ip: intercept.client_ip,
            at: intercept.at,
        })
    }
}

/// Looks into refusals.
pub(super) struct Silence {
    pub(super) candidates: mpsc::Receiver<Candidate>,
    pub(super) bindings: Arc<dyn BindingAdmin>,
    pub(super) settings: watch::Receiver<Arc<WatchSettings>>,
    pub(super) signals: Arc<SignalQueue>,
}

impl Silence {
    /// Runs until nobody can be refused any more.
    pub(super) async fn run(mut self) {
        while let Some(candidate) = self.candidates.recv().await {
            let settings = Arc::clone(&self.settings.borrow());
            if let Some(rule) = settings.rules.enabled(RuleKind::NewNetwork) {
                self.look_into(candidate, rule.window).await;
            }
        }
        // Whoever kept records has ended; that is no reason to take the alerts down.
        std::future::pending::<()>().await;
    }

    async fn look_into(&self, candidate: Candidate, silence: Duration) {
        let record = match self.bindings.show(candidate.binding).await {
            Ok(Some(record)) => record,
            Ok(None) => return,
            Err(error) => {
                return tracing::debug!(%error, "whether a key was silent for long cannot be said");
            }
        };
        let last = record.last_used_at.unwrap_or(record.binding.bound_at);
        if candidate.at.since(last) >= silence {
            self.signals.put(Signal::NewNetwork {
                binding: candidate.binding,
                hint: record.hint,
                network: Network::widen(candidate.client_ip, 32, 64),
                at: candidate.at,
            });
        }
    }
}

/// Which keys were looked into lately: in this stretch of time, and in the one before.
#[derive(Debug, Default)]
pub(super) struct Asked {
    since: Timestamp,
    recent: HashSet<BindingId>,
    earlier: HashSet<BindingId>,
}

impl Asked {
    /// Whether it is time to look into this key; notes it if so. While too many are remembered, no further one is looked into.
    pub(super) fn may_ask(&mut self, candidate: Candidate) -> bool {
        if candidate.at.since(self.since) >= ASK_PAUSE {
            let is_long_ago = candidate.at.since(self.since) >= ASK_PAUSE * 2;
            self.since = candidate.at;
            self.earlier = std::mem::take(&mut self.recent);
            if is_long_ago {
                self.earlier.clear();
            }
        }
        self.recent.len() < ASKED_MAX
            && !self.earlier.contains(&candidate.binding)
            && self.recent.insert(candidate.binding)
    }

    /// It was not looked into after all.
    pub(super) fn forget(&mut self, candidate: Candidate) {
        self.recent.remove(&candidate.binding);
    }
}

#[cfg(test)]
mod tests {
    use sentinel_core::alert::Rules;
    use sentinel_core::binding::NewBinding;
    use sentinel_core::fingerprint::{KeyFingerprint, KeyHint};
    use sentinel_core::ports::{BindingStore as _, Claim};
    use sentinel_store::MemoryStore;

    use super::*;

    const DAY_MS: i64 = 86_400_000;

    fn candidate(binding: BindingId, at: i64) -> Candidate {
        Candidate {
            binding,
            client_ip: "203.0.113.7".parse().map(ClientIp::new).expect("an address"),
            at: Timestamp::from_unix_ms(at),
        }
    }

    #[test]
    fn a_key_is_looked_into_once_in_a_while_and_so_many_keys_at_once() {
        let mut asked = Asked::default();
        let pause = i64::try_from(ASK_PAUSE.as_millis()).expect("small");
        let id = |number: usize| BindingId(i64::try_from(number).expect("small"));
        for number in 0..ASKED_MAX {
            assert!(asked.may_ask(candidate(id(number), 0)));
            assert!(!asked.may_ask(candidate(id(number), pause - 1)));
        }
        assert!(!asked.may_ask(candidate(id(ASKED_MAX), pause - 1)), "no room");
        assert!(asked.may_ask(candidate(id(ASKED_MAX), pause)));
        assert!(!asked.may_ask(candidate(id(0), 2 * pause - 1)));
        assert!(asked.may_ask(candidate(id(0), 2 * pause)));
        assert!(!asked.may_ask(candidate(id(0), 3 * pause)));
        asked.forget(candidate(id(0), 3 * pause));
        assert!(asked.may_ask(candidate(id(1), 6 * pause)));
        assert!(
            asked.may_ask(candidate(id(0), 6 * pause)),
            "nothing is that fresh"
        );
    }

    #[tokio::test]
    async fn the_end_of_a_long_silence_is_told_of() {
        let store = MemoryStore::new();
        let claimed = store.claim(NewBinding {
            fingerprint: KeyFingerprint::from_bytes([1; 32]),
            previous: None,
            hint: KeyHint::from_stored("sk-…".to_owned()),
            network: "192.0.2.1".parse().expect("a network"),
            bound_at: Timestamp::from_unix_ms(0),
            profile: "".into(),
        });
        let Ok(Claim::Won(binding)) = claimed.await else {
            panic!("nobody else claims");
        };
        let (signals, mut receiver) = SignalQueue::new();
        let (sender, candidates) = mpsc::channel(CANDIDATES_MAX);
        let (_settings, settings) = watch::channel(Arc::new(WatchSettings {
            rules: Rules::default(),
            channels: Vec::new(),
        }));
        let silence = Silence {
            candidates,
            bindings: Arc::new(store),
            settings,
            signals: Arc::new(signals),
        };
        let looking = tokio::spawn(silence.run());
        for at in [29 * DAY_MS, 30 * DAY_MS] {
            sender.send(candidate(binding.id, at)).await.expect("it runs");
        }
        let Some(Signal::NewNetwork { network, at, .. }) = receiver.recv().await else {
            panic!("the second one ends thirty days of silence");
        };
        assert_eq!(
            (network.to_string().as_str(), at.unix_ms()),
            ("203.0.113.7/32", 30 * DAY_MS)
        );
        assert!(receiver.try_recv().is_err(), "29 days are no silence");
        looking.abort();
    }
}

//! The decision about one request: what is known of its key, and whether that may be used from where it comes from.
//!
//! The same for both listeners: the proxy forwards what is permitted, forward authentication only says so. In here a request gets its
//! permit or its refusal, with the record of it; nothing here may know what becomes of it afterwards.

use sentinel_core::client_ip::ClientIpRules;
use sentinel_core::credential::{CredentialAmbiguous, PresentedKey};
use sentinel_core::decision::{Permit, RefusalReason, Verdict, decide};
use sentinel_core::event::InterceptOutcome;
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::network::ClientIp;
use sentinel_core::path::RequestPath;
use sentinel_core::time::Timestamp;

use crate::claim::{self, Standing};
use crate::http1::request::RequestHead;
use crate::listener::Peer;
use crate::record::{Breach, KeyEvidence, intercept};
use crate::refusal::{self, Refusal};
use crate::worker::Worker;

/// What is known of a request before anything is decided.
#[derive(Clone, Copy)]
pub(crate) struct Arrival<'r> {
    pub(crate) request: &'r RequestHead,
    pub(crate) client_ip: ClientIp,
    pub(crate) at: Timestamp,
    /// Whom its listener believes about client addresses.
    rules: &'r ClientIpRules,
}

impl<'r> Arrival<'r> {
    /// Finds the client's address: whom the PROXY protocol named, or else what the listener's rules make of peer and headers.
    pub(crate) fn of(worker: &'r Worker, peer: &Peer, request: &'r RequestHead) -> Result<Self, Refusal> {
        let at = worker.shared.clock.now();
        let rules = peer.rules(worker);
        let resolved = match peer.proxied() {
            Some(client_ip) => Ok(client_ip),
            None => rules.resolve(peer.address(), request.lines()),
        };
        let client_ip = resolved.unwrap_or(peer.ip());
        let arrival = Self {
            request,
            client_ip,
            at,
            rules,
        };
        match resolved {
            Ok(_) => Ok(arrival),
            Err(_) => Err(arrival.refuse(worker, None, RefusalReason::ClientIpUnresolvable.into())),
        }
    }

    /// Whether the address is a trusted proxy's own. Such a one is never bound; a request whose key is known is not asked.
    pub(crate) fn is_from_proxy(&self) -> bool {
        self.rules.is_trusted(self.client_ip)
    }

    /// Refuses a request whose credentials can be read in several ways.
    pub(crate) fn ambiguous(&self, worker: &Worker, error: CredentialAmbiguous) -> Refusal {
        tracing::debug!(%error, "a request's credentials are ambiguous");
        self.refuse(worker, None, RefusalReason::CredentialAmbiguous.into())
    }

    /// Records the breach and words the refusal. `presented` is the key that was read.
    pub(crate) fn refuse(&self, worker: &Worker, presented: Option<&str>, breach: Breach) -> Refusal {
        refusal::refuse(worker, self.request, presented, breach, self.client_ip, self.at)
    }
}

/// A request whose key was found, or that has none.
pub(crate) struct Case<'w, 'r> {
    worker: &'w Worker,
    pub(crate) arrival: Arrival<'r>,
    path: RequestPath<'r>,
    pub(crate) key: Option<PresentedKey<'w, 'r>>,
    pub(crate) fingerprint: Option<KeyFingerprint>,
}

impl<'w, 'r> Case<'w, 'r> {
    pub(crate) fn new(
        worker: &'w Worker,
        arrival: Arrival<'r>,
        path: RequestPath<'r>,
        key: Option<PresentedKey<'w, 'r>>,
    ) -> Self {
        let hasher = &worker.shared.hasher;
        let fingerprint = key.as_ref().map(|key| hasher.fingerprint(&key.normalised()));
        Self {
            worker,
            arrival,
            path,
            key,
            fingerprint,
        }
    }

    /// What is known of the key: a plain look into the cache, unless it is not there. `claims`: whether an unknown one is bound where its
    /// path allows that.
    pub(crate) async fn standing(&self, claims: bool) -> Result<Standing, Refusal> {
        let Some(fingerprint) = self.fingerprint else {
            return Ok(Standing::Keyless);
        };
        match self.worker.shared.lookup.cached(&fingerprint, self.arrival.at) {
            Some(known) => Ok(Standing::Bound(known)),
            None => self.look_up(claims).await,
        }
    }

    /// What happens once per key; its future is large and rare, so it has no place in every connection's memory.
    async fn look_up(&self, claims: bool) -> Result<Standing, Refusal> {
        let Some(mut key) = self.evidence() else {
            return Ok(Standing::Keyless);
        };
        let normalised = self.key.as_ref().map(PresentedKey::normalised);
        key.previous = normalised.and_then(|key| self.worker.shared.hasher.previous_fingerprint(&key));
        let may_claim = claims && self.worker.shared.profile.is_claim_path(&self.path);
        Box::pin(claim::find_or_claim(self.worker, key, may_claim, &self.arrival))
            .await
            .map_err(|breach| self.refuse(breach))
    }

    /// Whether the key may be used from here. Learns a further network where that is allowed, counts the outcome, and records what was refused or
    /// would have been.
    pub(crate) async fn judge(&self, mut standing: Standing) -> Result<(Permit, Standing), Refusal> {
        let (worker, client_ip, now) = (self.worker, self.arrival.client_ip, self.arrival.at);
        let shared = &worker.shared;
        let mut verdict = decide(standing.subject(), client_ip, &shared.rules.now(), now, true);
        if matches!(verdict, Verdict::Learnable) {
            standing = Box::pin(claim::learn(worker, standing, &self.arrival)).await;
            verdict = decide(standing.subject(), client_ip, &shared.rules.now(), now, false);
        }
        let breach = |reason| Breach::of(reason, standing.known(), self.evidence());
        match verdict {
            Verdict::Allowed(permit) => {
                worker.figures().allowed.increment();
                Ok((permit, standing))
            }
            Verdict::Observed(permit, reason) => {
                worker.figures().observed.increment();
                let record = intercept(
                    self.arrival.request,
                    self.presented(),
                    breach(reason),
                    InterceptOutcome::Observed,
                    client_ip,
                    now,
                );
                // It goes on, and waits for nothing.
                let _ = shared.intercepts.record(record);
                Ok((permit, standing))
            }
            Verdict::Refused(reason) => Err(self.refuse(breach(reason))),
            Verdict::Learnable => Err(self.refuse(breach(RefusalReason::KeyIpMismatch))),
        }
    }

    /// Records the breach and words the refusal.
    pub(crate) fn refuse(&self, breach: Breach) -> Refusal {
        self.arrival.refuse(self.worker, self.presented(), breach)
    }

    /// The key in clear, only to be kept out of what is written down.
    fn presented(&self) -> Option<&str> {
        self.key.as_ref().map(|key| key.key().expose())
    }

    /// What may be written down of the key.
    fn evidence(&self) -> Option<KeyEvidence> {
        let (key, fingerprint) = (self.key.as_ref()?, self.fingerprint?);
        Some(KeyEvidence {
            fingerprint,
            previous: None,
            hint: key.key().hint(),
        })
    }
}

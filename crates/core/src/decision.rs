//! The decision: may this key be used from this address, now?
//!
//! One function decides, and only it makes a [`Permit`]; forwarding takes the permit, so no way to the upstream leads
//! around the decision.

use crate::binding::{Binding, BindingId, BindingStatus};
use crate::network::ClientIp;
use crate::policy::{Failsafe, Keyless, Mode, Rules};
use crate::time::Timestamp;

/// What the lookup found out about the request's key.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'b> {
    /// A key with a binding, or one that was bound just now.
    Bound(&'b Binding),
    /// No key at all.
    Keyless,
    /// An unknown key outside the claim paths: nothing to hold it against.
    UnknownOffClaimPath,
    /// An unknown key that the upstream refused a moment ago: it goes on without a claim, so that guesses bind nothing.
    ClaimHeld,
    /// The store did not answer, so the key may be bound or not.
    StoreUnavailable,
    /// The store has more to do than it can queue, so the key may be bound or not. Clients can bring that about.
    StoreBusy,
    /// Keys are hashed under another secret by now than here, so the key may be bound or not. It stays so until this replica is restarted.
    SecretOutdated,
}

/// The proof that a request may go on. Only [`decide`] makes one.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    binding: Option<BindingId>,
}

impl Permit {
    /// The binding that the permit rests on, if the key has one.
    pub fn binding(&self) -> Option<BindingId> {
        self.binding
    }
}

/// Why a request gets no answer from the upstream. Each is a stable code towards the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusalReason {
    /// The key is bound to other networks.
    KeyIpMismatch,
    /// The key is banned.
    KeyBanned,
    /// Nobody can tell where the request comes from.
    ClientIpUnresolvable,
    /// The request carries credentials that gateways could read in different ways.
    CredentialAmbiguous,
    /// No key, and the policy wants one.
    KeyMissing,
    /// Too many unknown keys from one address.
    ClaimRateLimited,
    /// The store does not answer.
    BindingStoreUnavailable,
    /// The upstream does not answer at all. Never decided here: the request was permitted, and failed on its way.
    UpstreamUnreachable,
    /// The upstream did not answer in time. Never decided here either.
    UpstreamTimeout,
}

impl RefusalReason {
    /// Every reason, for metrics and documentation.
    pub const ALL: [Self; 9] = [
        Self::KeyIpMismatch,
        Self::KeyBanned,
        Self::ClientIpUnresolvable,
        Self::CredentialAmbiguous,
        Self::KeyMissing,
        Self::ClaimRateLimited,
        Self::BindingStoreUnavailable,
        Self::UpstreamUnreachable,
        Self::UpstreamTimeout,
    ];

    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::KeyIpMismatch => "key_ip_mismatch",
            Self::KeyBanned => "key_banned",
            Self::ClientIpUnresolvable => "client_ip_unresolvable",
            Self::CredentialAmbiguous => "credential_ambiguous",
            Self::KeyMissing => "key_missing",
            Self::ClaimRateLimited => "claim_rate_limited",
            Self::BindingStoreUnavailable => "binding_store_unavailable",
            Self::UpstreamUnreachable => "upstream_unreachable",
            Self::UpstreamTimeout => "upstream_timeout",
        }
    }

    /// Whether the request was permitted, and only got no answer of the upstream.
    pub const fn is_of_upstream(self) -> bool {
        matches!(self, Self::UpstreamUnreachable | Self::UpstreamTimeout)
    }

    /// The reason with this code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }
}

/// What was decided.
#[derive(Debug)]
pub enum Verdict {
    /// Goes on.
    Allowed(Permit),
    /// Goes on because nothing is enforced; what would have refused it is recorded.
    Observed(Permit, RefusalReason),
    /// Would be refused, but the key may still learn this network: learn it, then decide again.
    Learnable,
    /// Refused.
    Refused(RefusalReason),
}

/// Decides. `may_learn` is false once learning was tried, so that a decision is asked for at most twice.
pub fn decide(
    subject: Subject<'_>,
    address: ClientIp,
    rules: &Rules,
    now: Timestamp,
    may_learn: bool,
) -> Verdict {
    let unbound = Permit { binding: None };
    match subject {
        Subject::Bound(binding) => judge(binding, address, rules, now, may_learn),
        Subject::Keyless => match rules.keyless {
            Keyless::Pass => Verdict::Allowed(unbound),
            Keyless::Deny => Verdict::Refused(RefusalReason::KeyMissing),
        },
        Subject::UnknownOffClaimPath | Subject::ClaimHeld => Verdict::Allowed(unbound),
        Subject::StoreUnavailable => match rules.failsafe {
            Failsafe::Closed => Verdict::Refused(RefusalReason::BindingStoreUnavailable),
            Failsafe::Open => Verdict::Observed(unbound, RefusalReason::BindingStoreUnavailable),
        },
        // Refused whatever the failsafe says: otherwise a flood of unknown keys would open the door for every one of them.
        // And a replica that cannot see all bindings would let banned keys through for as long as nobody looks after it.
        Subject::StoreBusy | Subject::SecretOutdated => {
            Verdict::Refused(RefusalReason::BindingStoreUnavailable)
        }
    }
}

fn judge(binding: &Binding, address: ClientIp, rules: &Rules, now: Timestamp, may_learn: bool) -> Verdict {
    if binding.status == BindingStatus::Banned {
        return Verdict::Refused(RefusalReason::KeyBanned);
    }
    let permit = Permit {
        binding: Some(binding.id),
    };
    if binding.covers(address) {
        return Verdict::Allowed(permit);
    }
    if may_learn && can_learn(binding, rules, now) {
        return Verdict::Learnable;
    }
    match binding.policy.mode(rules) {
        Mode::Enforce => Verdict::Refused(RefusalReason::KeyIpMismatch),
        Mode::Observe => Verdict::Observed(permit, RefusalReason::KeyIpMismatch),
    }
}

fn can_learn(binding: &Binding, rules: &Rules, now: Timestamp) -> bool {
    let has_room = binding.networks.len() < usize::from(binding.policy.slots(rules));
    let in_window = binding
        .policy
        .learning_window(rules)
        .is_none_or(|window| now.since(binding.bound_at) <= window);
    has_room && in_window
}

#[cfg(test)]
mod tests;

//! What happens once per key: looking it up in the store, claiming it at first use, taking the claim back when the upstream
//! does not know the key, learning a further network.
//!
//! The store decides every race. A key that the upstream refused a moment ago is not claimed again at once; it goes on to the upstream, and
//! is claimed after all should the upstream accept it: no answer but a 401 leaves a key unbound.

use sentinel_core::binding::NewBinding;
use sentinel_core::decision::{RefusalReason, Subject, Verdict, decide};
use sentinel_core::known::Known;
use sentinel_core::network::{ClientIp, Network};
use sentinel_core::ports::{Claim, StoreError};
use sentinel_core::time::Timestamp;

use crate::client::Stream;
use crate::exchange::{Exchange, ExchangeError};
use crate::judgement::Arrival;
use crate::record::{Breach, KeyEvidence};
use crate::upstream::UpstreamError;
use crate::worker::Worker;

/// How an upstream says that it does not know a key.
pub(crate) const UNAUTHORIZED: u16 = 401;

/// What is known of a request's key.
pub(crate) enum Standing {
    /// There is none.
    Keyless,
    /// It has a binding.
    Bound(Known),
    /// This request bound it.
    Claimed(Known),
    /// It has no binding, and this path makes none.
    OffClaimPath,
    /// It has no binding because the upstream refused it a moment ago.
    Held(KeyEvidence),
    /// The store did not say.
    Unavailable,
    /// The store has more to do than it can; clients may be the cause.
    Busy,
    /// This replica's secret is not the current one any more, so that it cannot tell.
    Outdated,
}

impl Standing {
    /// As the decision sees it.
    pub(crate) fn subject(&self) -> Subject<'_> {
        match self {
            Self::Keyless => Subject::Keyless,
            Self::Bound(known) | Self::Claimed(known) => Subject::Bound(&known.binding),
            Self::OffClaimPath => Subject::UnknownOffClaimPath,
            Self::Held(_) => Subject::ClaimHeld,
            Self::Unavailable => Subject::StoreUnavailable,
            Self::Busy => Subject::StoreBusy,
            Self::Outdated => Subject::SecretOutdated,
        }
    }

    /// The binding, if there is one.
    pub(crate) fn known(&self) -> Option<&Known> {
        match self {
            Self::Bound(known) | Self::Claimed(known) => Some(known),
            _ => None,
        }
    }

    /// Whether the upstream's answer still changes something.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Self::Claimed(_) | Self::Held(_))
    }
}

/// Asks the store; where it may be claimed, an unknown key is bound to the client's address.
pub(crate) async fn find_or_claim(
    worker: &Worker,
    key: KeyEvidence,
    may_claim: bool,
    arrival: &Arrival<'_>,
) -> Result<Standing, Breach> {
    let shared = &worker.shared;
    let (client_ip, now) = (arrival.client_ip, arrival.at);
    let found = match &key.previous {
        None => shared.lookup.find(&key.fingerprint, now).await,
        Some(previous) => shared.lookup.find_either(&key.fingerprint, previous, now).await,
    };
    match found {
        Ok(Some(known)) => return Ok(Standing::Bound(known)),
        Ok(None) => {}
        Err(error) => return Ok(unanswered(worker, &error)),
    }
    if !may_claim {
        return Ok(Standing::OffClaimPath);
    }
    let breach = |reason, key| Breach::of(reason, None, Some(key));
    if arrival.is_from_proxy() {
        tracing::warn!(%client_ip, "a trusted proxy's own address is never bound: narrow the trusted proxies");
        return Err(breach(RefusalReason::ClientIpUnresolvable, key));
    }
    if shared.throttle.is_held(key.fingerprint, client_ip, now) {
        return Ok(Standing::Held(key));
    }
    if !shared
        .throttle
        .admit(client_ip, shared.rules.now().claims_per_minute, now)
    {
        return Err(breach(RefusalReason::ClaimRateLimited, key));
    }
    Ok(claim(worker, key, client_ip, now).await)
}

async fn claim(worker: &Worker, key: KeyEvidence, client_ip: ClientIp, now: Timestamp) -> Standing {
    let shared = &worker.shared;
    let new = NewBinding {
        fingerprint: key.fingerprint,
        previous: key.previous,
        hint: key.hint,
        network: widened(worker, client_ip),
        bound_at: now,
        profile: shared.profile.name.as_ref().into(),
    };
    match shared.lookup.claim(new).await {
        Ok(Claim::Won(known)) => {
            worker.figures().claimed.increment();
            Standing::Claimed(known)
        }
        Ok(Claim::Lost(known)) => Standing::Bound(known),
        Err(error) => unanswered(worker, &error),
    }
}

/// Adds the client's address to the networks of a key that still has room; gives the binding as it is then. Where nothing can be learned, as from a
/// trusted proxy's own address, the binding stays as it was, and is judged as it is.
pub(crate) async fn learn(worker: &Worker, standing: Standing, arrival: &Arrival<'_>) -> Standing {
    let shared = &worker.shared;
    let (client_ip, now) = (arrival.client_ip, arrival.at);
    let Some(known) = standing.known().filter(|_| !arrival.is_from_proxy()) else {
        return standing;
    };
    let slots = known.binding.policy.slots(&shared.rules.now());
    match shared
        .lookup
        .learn(known, widened(worker, client_ip), slots, now)
        .await
    {
        Ok(Some(learned)) => {
            worker.figures().learned.increment();
            Standing::Bound(learned)
        }
        Ok(None) => standing,
        Err(error) => {
            tracing::debug!(%error, "a key could not learn a network");
            standing
        }
    }
}

/// What the upstream's answer means for a claim: a 401 takes it back, anything else makes up for one that was held. Gives the binding that the
/// request has afterwards.
pub(crate) async fn settle(
    worker: &Worker,
    standing: Standing,
    status: u16,
    client_ip: ClientIp,
    now: Timestamp,
) -> Result<Option<Known>, Breach> {
    let is_unknown = status == UNAUTHORIZED;
    match standing {
        // A claim that was in use meanwhile stands: its key is known, whatever this one answer says.
        Standing::Claimed(known) if is_unknown && !known.uses.is_confirmed() => {
            worker
                .shared
                .throttle
                .hold(known.binding.fingerprint, client_ip, now);
            release(worker, &known).await;
            Ok(None)
        }
        Standing::Held(key) if !is_unknown => claim_late(worker, key, client_ip, now).await,
        standing => Ok(standing.known().cloned()),
    }
}

/// What it means for a claim that nobody got an answer. A client that leaves must not be a way around the answer, in neither direction: not
/// for whoever invents keys and leaves before the 401, and not for a thief who hopes that the owner's first, slow request was given up.
///
/// So the answer is still awaited for a while, if all of the request is on its way: a gateway looks at the key before it does anything else,
/// so one that stays silent for so long is at work, and the claim stands. If the upstream cannot answer, because it never got all of the
/// request or broke off, the key was not used, and the claim is taken back: its next use claims it anew.
pub(crate) async fn settle_unanswered<S: Stream>(
    worker: &Worker,
    standing: Standing,
    pending: Option<Box<Exchange<'_, S>>>,
    client_ip: ClientIp,
    now: Timestamp,
) -> Result<(), Breach> {
    let limit = worker.shared.bounds.claim_answer_wait;
    let status = match pending {
        Some(mut exchange) => exchange.status_without_client(limit).await,
        None => Err(UpstreamError::Closed.into()),
    };
    match (status, &standing) {
        (Ok(Some(status)), _) => {
            if let Some(known) = standing.known().filter(|_| status != UNAUTHORIZED) {
                known.uses.confirm();
            }
            settle(worker, standing, status, client_ip, now).await.map(drop)
        }
        (Ok(None) | Err(ExchangeError::Upstream(UpstreamError::Silent)), _) => Ok(()),
        (Err(_), Standing::Claimed(known)) => {
            release(worker, known).await;
            Ok(())
        }
        (Err(_), _) => Ok(()),
    }
}

/// Takes a claim back, unless its key is in use. What else goes on under it has no binding to lose then.
async fn release(worker: &Worker, known: &Known) {
    if known.uses.is_confirmed() {
        return;
    }
    let shared = &worker.shared;
    let binding = known.binding.id;
    shared.released.remember(binding, shared.clock.now());
    let key = &known.binding.fingerprint;
    worker.connections.borrow_mut().let_go(key, |id| id == binding);
    match shared.lookup.release(known).await {
        Ok(()) => worker.figures().released.increment(),
        Err(error) => {
            tracing::warn!(%error, %binding, "the claim of a key that the upstream does not know stands");
        }
    }
}

/// Claims a key that the upstream accepted although it was held; whoever came first in the meantime keeps it.
async fn claim_late(
    worker: &Worker,
    key: KeyEvidence,
    client_ip: ClientIp,
    now: Timestamp,
) -> Result<Option<Known>, Breach> {
    let standing = claim(worker, key.clone(), client_ip, now).await;
    let rules = worker.shared.rules.now();
    match decide(standing.subject(), client_ip, &rules, now, false) {
        Verdict::Refused(reason) => Err(Breach::of(reason, standing.known(), Some(key))),
        _ => Ok(standing.known().cloned()),
    }
}

fn widened(worker: &Worker, client_ip: ClientIp) -> Network {
    let rules = worker.shared.rules.now();
    Network::widen(client_ip, rules.ipv4_prefix, rules.ipv6_prefix)
}

/// The store did not answer. Said in the log now and then only: it would say so for every request.
fn unanswered(worker: &Worker, error: &StoreError) -> Standing {
    if worker.may_complain() {
        tracing::warn!(%error, "keys cannot be looked up");
    }
    match error {
        StoreError::Busy => Standing::Busy,
        StoreError::SecretOutdated => Standing::Outdated,
        _ => Standing::Unavailable,
    }
}

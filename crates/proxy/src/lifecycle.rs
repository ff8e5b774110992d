//! One request, from its head to the head of its answer, in one function that reads from top to bottom: [`serve`].
//!
//! It knows no socket: what it is given is a head and who sent it. While a key is in the in-process cache nothing in it waits
//! before the request is on its way.

use std::rc::Rc;

use http::Method;
use sentinel_core::credential::{self, CredentialAmbiguous, PresentedKey};
use sentinel_core::decision::{RefusalReason, Verdict, decide};
use sentinel_core::event::InterceptOutcome;
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::known::Known;
use sentinel_core::network::ClientIp;
use sentinel_core::path::RequestPath;
use sentinel_core::time::Timestamp;

use crate::claim::{self, Standing, UNAUTHORIZED};
use crate::client::{Client, Stream};
use crate::connections::Live;
use crate::exchange::ExchangeError;
use crate::forward::{Forwarded, Unanswered, forward};
use crate::http1::request::RequestHead;
use crate::listener::Peer;
use crate::malformed::Malformed;
use crate::record::{Breach, KeyEvidence, intercept};
use crate::refusal::{self, Refusal};
use crate::worker::Worker;

/// Why a request has no answer of the upstream.
pub(crate) enum Stop {
    /// It is answered by ourselves.
    Refused(Refusal),
    /// Its client is gone: there is nobody to answer.
    ClientGone,
}

/// What is known of a request before anything is decided.
struct Arrival<'r> {
    request: &'r RequestHead,
    client_ip: ClientIp,
    at: Timestamp,
}

/// Decides on a request and forwards it; gives the exchange whose answer has begun.
pub(crate) async fn serve<'e, S: Stream>(
    worker: &'e Rc<Worker>,
    peer: &Peer,
    client: &'e mut Client<S>,
    request: &RequestHead,
) -> Result<Forwarded<'e, S>, Stop> {
    let shared = &worker.shared;
    worker.figures().requests.increment();
    if request.method() == Method::CONNECT.as_str() {
        let client_ip = peer.proxied().unwrap_or(peer.ip());
        let refusal = refusal::malformed(worker, Malformed::Method, client_ip);
        return Err(Stop::Refused(refusal));
    }

    // Who sent it?
    let arrival = arrive(worker, peer, request)?;
    let (client_ip, now) = (arrival.client_ip, arrival.at);

    // Which key will the gateway use, and what do we know of it?
    let path = RequestPath::new(request.path());
    let key = credential::read(&shared.profile, &path, request.query(), request.lines())
        .map_err(|error| ambiguous(worker, &arrival, error))?;
    let presented = key.as_ref().map(|key| key.key().expose());
    let refused = |breach| {
        Stop::Refused(refusal::refuse(
            worker, request, presented, breach, client_ip, now,
        ))
    };
    let fingerprint = key
        .as_ref()
        .map(|key| shared.hasher.fingerprint(&key.normalised()));
    let mut standing = match (&key, fingerprint) {
        (Some(key), Some(fingerprint)) => match shared.lookup.cached(&fingerprint, now) {
            Some(known) => Standing::Bound(known),
            None => look_up(worker, &arrival, &path, evidence(key, fingerprint))
                .await
                .map_err(refused)?,
        },
        _ => Standing::Keyless,
    };

    // May it be used from here?
    let mut verdict = decide(standing.subject(), client_ip, &shared.rules.now(), now, true);
    if matches!(verdict, Verdict::Learnable) {
        standing = Box::pin(claim::learn(worker, standing, client_ip, now)).await;
        verdict = decide(standing.subject(), client_ip, &shared.rules.now(), now, false);
    }
    let breach = |reason| {
        let key = key.as_ref().zip(fingerprint);
        let key = key.map(|(key, fingerprint)| evidence(key, fingerprint));
        Breach::of(reason, standing.known(), key)
    };
    let permit = match verdict {
        Verdict::Allowed(permit) => {
            worker.figures().allowed.increment();
            permit
        }
        Verdict::Observed(permit, reason) => {
            worker.figures().observed.increment();
            let record = intercept(
                request,
                presented,
                breach(reason),
                InterceptOutcome::Observed,
                client_ip,
                now,
            );
            // It goes on, and waits for nothing.
            let _ = shared.intercepts.record(record);
            permit
        }
        Verdict::Refused(reason) => return Err(refused(breach(reason))),
        Verdict::Learnable => return Err(refused(breach(RefusalReason::KeyIpMismatch))),
    };
    if let Some(known) = standing.known() {
        shared.lookup.record_use(known, now);
    }
    // From here on a change of the binding reaches the request, too, be it bound only later.
    let place = client.place;
    let set_live = |known: Option<&Known>| {
        let live = fingerprint.map(|fingerprint| Live {
            fingerprint,
            client_ip,
            binding: known.map(|known| known.binding.id),
        });
        worker.connections.borrow_mut().set_live(place, live);
    };
    set_live(standing.known());

    // On its way, with the checked credential and no other.
    let checked = key.as_ref().map(PresentedKey::carrier);
    let forwarded = match forward(permit, worker, peer, client, request, client_ip, checked).await {
        Ok(forwarded) => forwarded,
        Err(Unanswered { error, pending }) => {
            if standing.is_open() {
                let settled = claim::settle_unanswered(worker, standing, pending, client_ip, now);
                Box::pin(settled).await.map_err(refused)?;
            }
            return Err(unanswered(worker, &arrival, presented, error));
        }
    };
    let status = forwarded.head.status;
    if let Some(known) = standing.known().filter(|_| status != UNAUTHORIZED) {
        known.uses.confirm();
    }
    if standing.is_open() {
        let settled = claim::settle(worker, standing, status, client_ip, now);
        set_live(Box::pin(settled).await.map_err(refused)?.as_ref());
    }
    Ok(forwarded)
}

/// The client's address: whom the PROXY protocol named, or else what the rules make of peer and headers.
fn arrive<'r>(worker: &Worker, peer: &Peer, request: &'r RequestHead) -> Result<Arrival<'r>, Stop> {
    let at = worker.shared.clock.now();
    let resolved = match peer.proxied() {
        Some(client_ip) => Ok(client_ip),
        None => worker.shared.client_ip.resolve(peer.address(), request.lines()),
    };
    if let Ok(client_ip) = resolved {
        return Ok(Arrival {
            request,
            client_ip,
            at,
        });
    }
    let breach = RefusalReason::ClientIpUnresolvable.into();
    Err(Stop::Refused(refusal::refuse(
        worker,
        request,
        None,
        breach,
        peer.ip(),
        at,
    )))
}

/// What happens once per key; its future is large and rare, so it has no place in every connection's memory.
async fn look_up(
    worker: &Worker,
    arrival: &Arrival<'_>,
    path: &RequestPath<'_>,
    key: KeyEvidence,
) -> Result<Standing, Breach> {
    let is_claim_path = worker.shared.profile.is_claim_path(path);
    Box::pin(claim::find_or_claim(
        worker,
        key,
        is_claim_path,
        arrival.client_ip,
        arrival.at,
    ))
    .await
}

/// What may be written down of a key.
fn evidence(key: &PresentedKey<'_, '_>, fingerprint: KeyFingerprint) -> KeyEvidence {
    KeyEvidence {
        fingerprint,
        hint: key.key().hint(),
    }
}

fn ambiguous(worker: &Worker, arrival: &Arrival<'_>, error: CredentialAmbiguous) -> Stop {
    tracing::debug!(%error, "a request's credentials are ambiguous");
    let breach = RefusalReason::CredentialAmbiguous.into();
    Stop::Refused(refusal::refuse(
        worker,
        arrival.request,
        None,
        breach,
        arrival.client_ip,
        arrival.at,
    ))
}

fn unanswered(worker: &Worker, arrival: &Arrival<'_>, presented: Option<&str>, error: ExchangeError) -> Stop {
    let error = match error {
        ExchangeError::ClientGone => return Stop::ClientGone,
        ExchangeError::ClientMalformed => {
            let refusal = refusal::malformed(worker, Malformed::Body, arrival.client_ip);
            return Stop::Refused(refusal);
        }
        ExchangeError::Unsent => crate::upstream::UpstreamError::ClosedUnused,
        ExchangeError::Upstream(error) => error,
    };
    if worker.may_complain() {
        tracing::warn!(%error, "a request could not be forwarded");
    }
    let breach = error.reason().into();
    Stop::Refused(refusal::refuse(
        worker,
        arrival.request,
        presented,
        breach,
        arrival.client_ip,
        arrival.at,
    ))
}

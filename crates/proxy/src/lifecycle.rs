//! One request, from its head to the head of its answer, in one function that reads from top to bottom: [`serve`].
//!
//! It knows no socket: what it is given is a request and who sent it. While a key is in the in-process cache nothing in it waits
//! before the request is on its way.

use std::rc::Rc;

use http::{Method, Request, Response};
use hyper::body::Incoming;
use sentinel_core::credential::{self, CredentialAmbiguous, PresentedKey};
use sentinel_core::decision::{RefusalReason, Verdict, decide};
use sentinel_core::event::InterceptOutcome;
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::network::ClientIp;
use sentinel_core::path::RequestPath;
use sentinel_core::time::Timestamp;

use crate::body::ResponseBody;
use crate::claim::{self, Standing};
use crate::forward::{ForwardError, forward};
use crate::listener::Peer;
use crate::record::{Breach, KeyEvidence, Summary, intercept};
use crate::refusal;
use crate::worker::Worker;

/// Why a request has no answer of the upstream.
pub(crate) enum Stop {
    /// It is answered with a refusal.
    Refused(Breach),
    /// Its client is gone or broke its own request off: there is nobody to answer.
    ClientGone(ClientGone),
}

/// The client left, or sent a body that is no HTTP.
#[derive(Debug, thiserror::Error)]
#[error("the client broke off")]
pub(crate) struct ClientGone;

/// Answers one request: by the upstream, or by a refusal.
pub(crate) async fn handle(
    worker: Rc<Worker>,
    peer: Rc<Peer>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, ClientGone> {
    worker.figures().requests.increment();
    if request.method() == Method::CONNECT {
        return Ok(refusal::connect_unsupported());
    }
    let summary = Summary::of(&request);
    let now = worker.shared.clock.now();
    let Ok(client_ip) = worker.shared.client_ip.resolve(peer.address(), request.headers()) else {
        let breach = RefusalReason::ClientIpUnresolvable.into();
        return Ok(refusal::refuse(&worker, &summary, breach, peer.ip(), now));
    };
    match serve(&worker, &peer, request, &summary, client_ip, now).await {
        Ok(response) => Ok(response),
        Err(Stop::Refused(breach)) => Ok(refusal::refuse(&worker, &summary, breach, client_ip, now)),
        Err(Stop::ClientGone(gone)) => Err(gone),
    }
}

/// Decides on a request and forwards it.
async fn serve(
    worker: &Rc<Worker>,
    peer: &Peer,
    request: Request<Incoming>,
    summary: &Summary,
    client_ip: ClientIp,
    now: Timestamp,
) -> Result<Response<ResponseBody>, Stop> {
    let shared = &worker.shared;

    // Which key will the gateway use, and what do we know of it?
    let path = RequestPath::new(summary.uri.path());
    let key = credential::read(&shared.profile, &path, summary.uri.query(), request.headers())?;
    let fingerprint = key
        .as_ref()
        .map(|key| shared.hasher.fingerprint(&key.normalised()));
    let mut standing = match (&key, fingerprint) {
        (Some(key), Some(fingerprint)) => {
            if let Some(known) = shared.lookup.cached(&fingerprint, now) {
                Standing::Bound(known)
            } else {
                let is_claim_path = shared.profile.is_claim_path(&path);
                let evidence = evidence(key, fingerprint);
                Box::pin(claim::find_or_claim(
                    worker,
                    evidence,
                    is_claim_path,
                    client_ip,
                    now,
                ))
                .await?
            }
        }
        _ => Standing::Keyless,
    };

    // May it be used from here?
    let mut verdict = decide(standing.subject(), client_ip, &shared.rules, now, true);
    if matches!(verdict, Verdict::Learnable) {
        standing = Box::pin(claim::learn(worker, standing, client_ip, now)).await;
        verdict = decide(standing.subject(), client_ip, &shared.rules, now, false);
    }
    let breach = |reason| Breach {
        reason,
        binding: standing.known().map(|known| known.binding.id),
        key: key
            .as_ref()
            .zip(fingerprint)
            .map(|(key, fingerprint)| evidence(key, fingerprint)),
    };
    let permit = match verdict {
        Verdict::Allowed(permit) => {
            worker.figures().allowed.increment();
            permit
        }
        Verdict::Observed(permit, reason) => {
            worker.figures().observed.increment();
            let record = intercept(
                summary,
                breach(reason),
                InterceptOutcome::Observed,
                client_ip,
                now,
            );
            shared.intercepts.record(record);
            permit
        }
        Verdict::Refused(reason) => return Err(breach(reason).into()),
        Verdict::Learnable => return Err(breach(RefusalReason::KeyIpMismatch).into()),
    };
    if let Some(known) = standing.known() {
        shared.lookup.record_use(known, now);
    }

    // On its way, with the checked credential and no other.
    let checked = key.as_ref().map(PresentedKey::carrier);
    drop(key);
    let response = forward(permit, worker, peer, request, client_ip, checked).await?;
    if standing.is_open() {
        Box::pin(claim::settle(worker, standing, response.status(), client_ip, now)).await?;
    }
    Ok(response)
}

/// What may be written down of a key.
fn evidence(key: &PresentedKey<'_, '_>, fingerprint: KeyFingerprint) -> KeyEvidence {
    KeyEvidence {
        fingerprint,
        hint: key.key().hint(),
    }
}

impl From<Breach> for Stop {
    fn from(breach: Breach) -> Self {
        Self::Refused(breach)
    }
}

impl From<CredentialAmbiguous> for Stop {
    fn from(error: CredentialAmbiguous) -> Self {
        tracing::debug!(%error, "a request's credentials are ambiguous");
        Self::Refused(RefusalReason::CredentialAmbiguous.into())
    }
}

impl From<ForwardError> for Stop {
    fn from(error: ForwardError) -> Self {
        match error {
            ForwardError::ClientGone => Self::ClientGone(ClientGone),
            ForwardError::Upstream(error) => {
                tracing::warn!(%error, "a request could not be forwarded");
                Self::Refused(error.reason().into())
            }
        }
    }
}

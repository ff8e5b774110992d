//! One request, from its head to the head of its answer, in one function that reads from top to bottom: [`serve`].
//!
//! It knows no socket: what it is given is a head and who sent it. While a key is in the in-process cache nothing in it waits
//! before the request is on its way.

use std::rc::Rc;

use http::Method;
use sentinel_core::credential::{self, PresentedKey};
use sentinel_core::known::Known;
use sentinel_core::path::RequestPath;

use crate::claim::{self, UNAUTHORIZED};
use crate::client::{Client, Stream};
use crate::connections::Live;
use crate::exchange::ExchangeError;
use crate::forward::{Forwarded, Unanswered, forward};
use crate::http1::request::RequestHead;
use crate::judgement::{Arrival, Case};
use crate::listener::Peer;
use crate::malformed::Malformed;
use crate::refusal::{self, Refusal};
use crate::upstream::UpstreamError;
use crate::worker::Worker;

/// Why a request has no answer of the upstream.
pub(crate) enum Stop {
    /// It is answered by ourselves.
    Refused(Refusal),
    /// Its client is gone: there is nobody to answer.
    ClientGone,
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
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
        return Err(refusal::malformed(worker, Malformed::Method, client_ip).into());
    }

    // Who sent it?
    let arrival = Arrival::of(worker, peer, request)?;
    let (client_ip, now) = (arrival.client_ip, arrival.at);

    // Which key will the gateway use, and what do we know of it?
    let path = RequestPath::new(request.path());
    let key = credential::read(&shared.profile, &path, request.query(), request.lines())
        .map_err(|error| arrival.ambiguous(worker, error))?;
    let case = Case::new(worker, arrival, path, key);
    let standing = case.standing(true).await?;

    // May it be used from here?
    let (permit, standing) = case.judge(standing).await?;
    if let Some(known) = standing.known() {
        shared.lookup.record_use(known, now);
    }
    // From here on a change of the binding reaches the request, too, be it bound only later.
    let place = client.place;
    let set_live = |known: Option<&Known>| {
        let live = case.fingerprint.map(|fingerprint| Live {
            // Where its binding lies, changes of it are told.
            fingerprint: known.map_or(fingerprint, |known| known.binding.fingerprint),
            client_ip,
            binding: known.map(|known| known.binding.id),
        });
        worker.connections.borrow_mut().set_live(place, live);
    };
    set_live(standing.known());

    // On its way, with the checked credential and no other.
    let checked = case.key.as_ref().map(PresentedKey::carrier);
    let refused = |breach| case.refuse(breach);
    let forwarded = match forward(permit, worker, peer, client, request, client_ip, checked).await {
        Ok(forwarded) => forwarded,
        Err(Unanswered { error, pending }) => {
            if standing.is_open() {
                let settled = claim::settle_unanswered(worker, standing, pending, client_ip, now);
                Box::pin(settled).await.map_err(refused)?;
            }
            return Err(unanswered(worker, &case, error));
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

fn unanswered(worker: &Worker, case: &Case<'_, '_>, error: ExchangeError) -> Stop {
    let error = match error {
        ExchangeError::ClientGone => return Stop::ClientGone,
        ExchangeError::ClientMalformed => {
            return refusal::malformed(worker, Malformed::Body, case.arrival.client_ip).into();
        }
        ExchangeError::Unsent => UpstreamError::ClosedUnused,
        ExchangeError::Upstream(error) => error,
    };
    if worker.may_complain() {
        tracing::warn!(%error, "a request could not be forwarded");
    }
    case.refuse(error.reason().into()).into()
}

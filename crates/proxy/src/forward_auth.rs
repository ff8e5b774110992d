//! Forward authentication: another proxy asks whether a request may go on, and forwards it by itself. One question, from its head to the
//! answer, in one function that reads from top to bottom: [`serve`].
//!
//! It decides as the proxy does. But nothing is held back here and no answer of the gateway is seen, so what the proxy would filter out is refused, and
//! a claim stands. Must never answer whoever is not one of its peers, and never guess what it is asked about.

mod original;

use std::rc::Rc;

use http::Method;
use sentinel_core::credential;
use sentinel_core::decision::Permit;
use sentinel_core::path::RequestPath;

use crate::config::{AuthConvention, ForwardAuth};
use crate::headers::names_another_path;
use crate::http1::request::RequestHead;
use crate::judgement::{Arrival, Case};
use crate::listener::Peer;
use crate::malformed::Malformed;
use crate::refusal::{self, Refusal};
use crate::worker::Worker;

use original::original;

/// Answers a question: the permit is all of the good answer.
pub(crate) async fn serve(
    worker: &Rc<Worker>,
    forward_auth: &ForwardAuth,
    peer: &Peer,
    question: &RequestHead,
) -> Result<Permit, Refusal> {
    worker.figures().requests.increment();
    worker.figures().auth_requests.increment();
    let judged = judge(worker, forward_auth, peer, question).await;
    if judged.is_ok() {
        worker.figures().auth_permitted.increment();
    }
    // Nginx hands its client no body of ours; it can hand on a header.
    let is_nginx = forward_auth.convention == AuthConvention::Original;
    judged.map_err(|refusal| {
        if is_nginx {
            refusal.with_body_in_header()
        } else {
            refusal
        }
    })
}

async fn judge(
    worker: &Rc<Worker>,
    forward_auth: &ForwardAuth,
    peer: &Peer,
    question: &RequestHead,
) -> Result<Permit, Refusal> {
    let shared = &worker.shared;

    // Who asks, and about which request?
    if !forward_auth.may_ask(peer.ip()) {
        return Err(untrusted(worker, peer));
    }
    let request = original(question, forward_auth.convention).map_err(|unclear| {
        if worker.may_complain() {
            tracing::warn!(%unclear, peer = %peer.ip(), "a proxy asked about a request that is not clear");
        }
        refusal::malformed(worker, unclear.kind(), peer.ip())
    })?;
    if request.method() == Method::CONNECT.as_str() {
        return Err(refusal::malformed(worker, Malformed::Method, peer.ip()));
    }
    if names_another_path(request.lines()) {
        return Err(refusal::malformed(worker, Malformed::Request, peer.ip()));
    }

    // Who sent that?
    let arrival = Arrival::of(worker, peer, &request)?;

    // Which key will the gateway use, and is it the only one that it will see?
    let path = RequestPath::new(request.path());
    let (query, lines) = (request.query(), request.lines());
    let ambiguous = |error| arrival.ambiguous(worker, error);
    let key = credential::read(&shared.profile, &path, query, lines).map_err(ambiguous)?;
    credential::refuse_others(&shared.profile, &path, query, lines, key.as_ref()).map_err(ambiguous)?;

    // What do we know of it, and may it be used from here?
    let case = Case::new(worker, arrival, path, key);
    let standing = case.standing(forward_auth.claims).await?;
    let (permit, standing) = case.judge(standing).await?;
    if let Some(known) = standing.known() {
        shared.lookup.record_use(known, arrival.at);
    }
    Ok(permit)
}

fn untrusted(worker: &Worker, peer: &Peer) -> Refusal {
    if worker.may_complain() {
        tracing::warn!(
            peer = %peer.ip(),
            "somebody asked the forward-auth listener who may not: if it is your proxy, add it to SENTINEL_FORWARD_AUTH_TRUSTED_PEERS"
        );
    }
    refusal::malformed(worker, Malformed::UntrustedPeer, peer.ip())
}

/// Writes the good answer: nothing but that the request may go on.
pub(crate) fn write_permitted(permit: Permit, closes: bool, out: &mut Vec<u8>) {
    drop(permit);
    out.extend_from_slice(b"HTTP/1.1 200 OK\r\ncache-control: no-store\r\ncontent-length: 0\r\n");
    if closes {
        out.extend_from_slice(b"connection: close\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

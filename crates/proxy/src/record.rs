//! What is remembered of a request until it is answered, and the record that is made of it when a rule was broken.
//!
//! A refusal is told to its client only when its record is settled ([`settled`]), or when that takes too long. Nothing else waits for one.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use http::header::USER_AGENT;
use sentinel_core::binding::{BindingId, Networks};
use sentinel_core::decision::RefusalReason;
use sentinel_core::event::{
    Intercept, InterceptOutcome, Reference, networks_shown, path_shown, printable_without_keys,
    user_agent_shown,
};
use sentinel_core::fingerprint::{KeyFingerprint, KeyHint};
use sentinel_core::known::Known;
use sentinel_core::network::ClientIp;
use sentinel_core::ports::RecordTicket;
use sentinel_core::time::Timestamp;
use tokio::time::{Instant, sleep_until};

use crate::http1::request::RequestHead;
use crate::worker::Worker;

/// For how long a refused client waits for its record to be settled.
pub const RECORD_WAIT_MAX: Duration = Duration::from_millis(50);
/// The most refused requests that go on in one turn of a worker: whoever is permitted waits for no more of them, however many were settled
/// together.
const WAKES_MAX: usize = 32;
/// The most characters of a method that are kept.
const METHOD_CHARACTERS_MAX: usize = 16;

/// The key that a request presented, as far as it may be written down.
#[derive(Clone, Debug)]
pub(crate) struct KeyEvidence {
    pub(crate) fingerprint: KeyFingerprint,
    /// Under the installation's other secret, while there is one and the key has to be looked for.
    pub(crate) previous: Option<KeyFingerprint>,
    pub(crate) hint: KeyHint,
}

/// A broken rule: which one, and what it was held against.
#[derive(Debug)]
pub(crate) struct Breach {
    pub(crate) reason: RefusalReason,
    pub(crate) binding: Option<BindingId>,
    /// The binding's networks.
    pub(crate) networks: Networks,
    pub(crate) key: Option<KeyEvidence>,
}

impl Breach {
    /// What a key did, held against its binding if it has one.
    pub(crate) fn of(reason: RefusalReason, known: Option<&Known>, key: Option<KeyEvidence>) -> Self {
        let binding = known.map(|known| &known.binding);
        Self {
            reason,
            binding: binding.map(|binding| binding.id),
            networks: binding.map_or_else(Networks::default, |binding| networks_shown(&binding.networks)),
            key,
        }
    }
}

impl From<RefusalReason> for Breach {
    fn from(reason: RefusalReason) -> Self {
        Self::of(reason, None, None)
    }
}

/// The record of a breach. No key goes into it, wherever in the request it stood; `presented` is the one that was read.
pub(crate) fn intercept(
    request: &RequestHead,
    presented: Option<&str>,
    breach: Breach,
    outcome: InterceptOutcome,
    client_ip: ClientIp,
    at: Timestamp,
) -> Intercept {
    let (fingerprint, hint) = breach.key.map(|key| (key.fingerprint, key.hint)).unzip();
    let user_agent = request
        .lines()
        .first(&USER_AGENT)
        .map_or(&[][..], |line| line.value);
    Intercept {
        reference: Reference::random(),
        at,
        last_at: at,
        reason: breach.reason,
        outcome,
        binding: breach.binding,
        networks: breach.networks,
        fingerprint,
        hint,
        client_ip,
        method: printable_without_keys(request.method().as_bytes(), METHOD_CHARACTERS_MAX, presented),
        path: path_shown(request.path(), presented),
        user_agent: user_agent_shown(user_agent, presented),
        count: 1,
        // Whoever keeps the record knows both.
        profile: Arc::default(),
        replica: Arc::default(),
    }
}

/// Waits until the record is settled; for [`RECORD_WAIT_MAX`] at most, and counts when it was not.
pub(crate) async fn settled(worker: &Rc<Worker>, ticket: RecordTicket) {
    let sink = &*worker.shared.intercepts;
    if sink.settled() >= ticket {
        return;
    }
    let deadline = worker.now() + RECORD_WAIT_MAX;
    let mut is_first = true;
    let is_settled = poll_fn(|context| {
        if sink.settled() >= ticket {
            return Poll::Ready(true);
        }
        if !std::mem::take(&mut is_first) && Instant::now() >= deadline {
            return Poll::Ready(false);
        }
        worker.records.wait(worker, ticket, deadline, context.waker());
        Poll::Pending
    });
    if !is_settled.await {
        worker.figures().records_unsettled.increment();
        if worker.may_complain() {
            tracing::warn!("refusals are answered before they are recorded: the record spool is slow");
        }
    }
}

/// One wait. When its client goes meanwhile, it stays until its record is settled or its time is over.
struct Wait {
    ticket: RecordTicket,
    deadline: Instant,
    waker: Waker,
}

/// The refused requests of one worker that wait for their records. All of them together are woken once for each batch that is settled,
/// and have one timer.
#[derive(Default)]
pub(crate) struct RecordWaits {
    /// In the order of their tickets, which is nearly that of their deadlines.
    waiting: RefCell<VecDeque<Wait>>,
    /// Of the task that wakes them, while it has nothing to do.
    keeper: RefCell<Option<Waker>>,
    has_keeper: Cell<bool>,
}

impl RecordWaits {
    fn wait(&self, worker: &Rc<Worker>, ticket: RecordTicket, deadline: Instant, waker: &Waker) {
        {
            let mut waiting = self.waiting.borrow_mut();
            // A worker takes its tickets in order, and nearly always waits for them in order.
            let place = match waiting.back() {
                Some(last) if last.ticket >= ticket => {
                    waiting.binary_search_by_key(&ticket, |wait| wait.ticket)
                }
                _ => Err(waiting.len()),
            };
            match place {
                Ok(place) => waiting[place].waker.clone_from(waker),
                Err(place) => {
                    let waker = waker.clone();
                    let wait = Wait {
                        ticket,
                        deadline,
                        waker,
                    };
                    waiting.insert(place, wait);
                }
            }
        }
        if !self.has_keeper.replace(true) {
            tokio::task::spawn_local(keep_waking(Rc::clone(worker)));
        } else if let Some(keeper) = self.keeper.take() {
            keeper.wake();
        }
    }

    /// Wakes those whose records are settled, and those whose time is over, [`WAKES_MAX`] at most; says what is to be done about the others.
    fn wake_until(&self, settled: RecordTicket, now: Instant) -> Others {
        let mut waiting = self.waiting.borrow_mut();
        let is_over = |wait: &Wait| wait.ticket <= settled || wait.deadline <= now;
        for _ in 0..WAKES_MAX {
            match waiting.front() {
                None => return Others::None,
                Some(wait) if !is_over(wait) => return Others::Wait(wait.deadline),
                Some(_) => {}
            }
            // Waking a task of this thread only puts it in line.
            if let Some(wait) = waiting.pop_front() {
                wait.waker.wake();
            }
        }
        Others::NextTurn
    }
}

/// Those who were not woken.
#[derive(Debug, PartialEq, Eq)]
enum Others {
    /// There is none.
    None,
    /// They wait for their records, the first one until then.
    Wait(Instant),
    /// They have to be looked at again, once all others had their turn.
    NextTurn,
}

/// Wakes the waits of one worker. Ends with the worker.
async fn keep_waking(worker: Rc<Worker>) {
    let sink = &*worker.shared.intercepts;
    let mut timer = pin!(sleep_until(Instant::now()));
    poll_fn::<(), _>(|context| {
        loop {
            let settled = sink.settled();
            let deadline = match worker.records.wake_until(settled, Instant::now()) {
                Others::Wait(deadline) => deadline,
                Others::None => {
                    worker.records.keeper.replace(Some(context.waker().clone()));
                    return Poll::Pending;
                }
                Others::NextTurn => {
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
            };
            timer.as_mut().reset(deadline);
            if timer.as_mut().poll(context).is_pending() {
                sink.wake_beyond(settled, context.waker());
                return Poll::Pending;
            }
        }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use sentinel_core::event::{PATH_CHARACTERS_MAX, USER_AGENT_CHARACTERS_MAX};

    use super::*;
    use crate::http1::request::HeadBounds;

    #[test]
    fn so_many_go_on_in_one_turn() {
        let waits = RecordWaits::default();
        let now = Instant::now();
        let later = now + RECORD_WAIT_MAX;
        let count = u64::try_from(WAKES_MAX).expect("small") + 2;
        waits.waiting.borrow_mut().extend((1..=count).map(|ticket| Wait {
            ticket: RecordTicket(ticket),
            deadline: later,
            waker: Waker::noop().clone(),
        }));
        let settled = RecordTicket(count - 1);
        assert_eq!(waits.wake_until(settled, now), Others::NextTurn);
        assert_eq!(waits.waiting.borrow().len(), 2);
        assert_eq!(waits.wake_until(settled, now), Others::Wait(later));
        assert_eq!(waits.wake_until(settled, later), Others::None);
    }

    #[test]
    fn a_record_holds_no_query_and_nothing_too_long() {
        let long = "/x".repeat(1_000);
        let text = format!(
            "M{} {long}?key=sk-secret HTTP/1.1\r\nHost: a\r\nUser-Agent: {long}\r\n\r\n",
            "M".repeat(20)
        );
        let bounds = HeadBounds {
            bytes_max: 10_000,
            headers_max: 10,
        };
        let request = RequestHead::take(&mut text.into_bytes(), 0, bounds)
            .expect("a head")
            .expect("a whole one");
        let address = ClientIp::new([192, 0, 2, 1].into());
        let at = Timestamp::from_unix_ms(0);
        let breach = RefusalReason::KeyMissing.into();
        let record = intercept(&request, None, breach, InterceptOutcome::Refused, address, at);
        assert!(!format!("{record:?}").contains("secret"));
        assert_eq!(record.method.chars().count(), METHOD_CHARACTERS_MAX + 1);
        assert_eq!(record.path.chars().count(), PATH_CHARACTERS_MAX + 1);
        assert_eq!(record.user_agent.chars().count(), USER_AGENT_CHARACTERS_MAX + 1);
    }
}

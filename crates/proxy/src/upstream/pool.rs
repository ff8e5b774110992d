//! The upstream connections of one worker: which address the next request goes to, and what idles there. The last connection returned is
//! the first one taken, so that a small number stays warm and the rest can go.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::coop::unconstrained;
use tokio::time::{Instant, timeout, timeout_at};

use super::directory::{Directory, Listing};
use super::endpoint::Endpoint;
use super::health::Failure;
use super::stream::UpstreamStream;
use super::{Connection, UpstreamError};
use crate::config::Bounds;
use crate::worker::Scratch;

/// How many addresses are tried for one request.
pub(crate) const CONNECT_ATTEMPTS_MAX: usize = 3;

struct Idle {
    stream: UpstreamStream,
    place: OwnedSemaphorePermit,
    since: Instant,
}

/// An address as one worker has it.
pub(crate) struct Member {
    endpoint: Arc<Endpoint>,
    idle: RefCell<VecDeque<Idle>>,
    in_use: Cell<usize>,
    is_retired: Cell<bool>,
}

impl Member {
    fn new(endpoint: Arc<Endpoint>) -> Self {
        Self {
            endpoint,
            idle: RefCell::default(),
            in_use: Cell::new(0),
            is_retired: Cell::new(false),
        }
    }

    fn pop_idle(&self) -> Option<Idle> {
        self.idle.borrow_mut().pop_back()
    }

    /// What all workers share of it.
    pub(crate) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }
}

/// One use of an address, counted while it lasts.
pub(crate) struct InUse(Rc<Member>);

impl InUse {
    fn new(member: &Rc<Member>) -> Self {
        member.in_use.set(member.in_use.get() + 1);
        Self(Rc::clone(member))
    }

    /// The address.
    pub(crate) fn member(&self) -> &Rc<Member> {
        &self.0
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.in_use.set(self.0.in_use.get() - 1);
    }
}

/// The pool.
pub(crate) struct Pool {
    directory: Arc<Directory>,
    listing: RefCell<watch::Receiver<Listing>>,
    members: RefCell<Vec<Rc<Member>>>,
    next: Cell<usize>,
    /// One permit for each connection that may be open.
    places: Arc<Semaphore>,
    /// How many requests wait for such a place.
    waiting: Cell<usize>,
    connecting: Semaphore,
    connect_timeout: Duration,
    idle_life: Duration,
    idle_max: usize,
}

impl Pool {
    /// For one of so many workers.
    pub(crate) fn new(directory: Arc<Directory>, bounds: &Bounds, workers: usize) -> Self {
        let places = bounds.upstream_connections_max.div_ceil(workers).max(1);
        let mut listing = directory.subscribe();
        listing.mark_changed();
        Self {
            listing: RefCell::new(listing),
            directory,
            members: RefCell::default(),
            next: Cell::new(0),
            places: Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))),
            waiting: Cell::new(0),
            connecting: Semaphore::new(bounds.upstream_connects_max.max(1)),
            connect_timeout: bounds.connect_timeout,
            idle_life: bounds.upstream_idle,
            idle_max: bounds.upstream_idle_connections_max,
        }
    }

    /// The address for the next request: the one with the fewest under way among those that work. None while no address is known.
    pub(crate) fn choose(&self) -> Option<InUse> {
        self.choose_besides(&[])
    }

    /// An address whose time of being avoided is over comes first, for one request; when none works, the one that failed the longest
    /// time ago.
    fn choose_besides(&self, tried: &[Rc<Member>]) -> Option<InUse> {
        self.follow_listing();
        let members = self.members.borrow();
        let count = members.len();
        if count <= 1 && tried.is_empty() {
            return members.first().map(InUse::new);
        }
        let start = self.next.get() % count.max(1);
        self.next.set(start + 1);
        let in_turn = || {
            let (before, from) = members.split_at(start);
            let is_untried = |member: &&Rc<Member>| !tried.iter().any(|other| Rc::ptr_eq(other, member));
            from.iter().chain(before).filter(is_untried)
        };
        let mut best: Option<&Rc<Member>> = None;
        for member in in_turn() {
            if !member.endpoint.is_up() {
                if member.endpoint.take_trial(self.connect_timeout) {
                    return Some(InUse::new(member));
                }
            } else if best.is_none_or(|best| member.in_use.get() < best.in_use.get()) {
                best = Some(member);
            }
        }
        best.or_else(|| in_turn().min_by_key(|member| member.endpoint.failed_at()))
            .map(InUse::new)
    }

    /// Takes over which addresses there are. An address that is gone keeps what is under way, and no idle connection.
    fn follow_listing(&self) {
        let mut listing = self.listing.borrow_mut();
        // The other end lives as long as the directory.
        if !listing.has_changed().unwrap_or(false) {
            return;
        }
        let endpoints = listing.borrow_and_update().endpoints.clone();
        let mut members = self.members.borrow_mut();
        let mut old = std::mem::take(&mut *members);
        for endpoint in endpoints {
            let known = old
                .iter()
                .position(|member| Arc::ptr_eq(&member.endpoint, &endpoint));
            let member = known.map_or_else(|| Rc::new(Member::new(endpoint)), |index| old.swap_remove(index));
            members.push(member);
        }
        for member in old {
            member.is_retired.set(true);
            member.idle.borrow_mut().clear();
        }
    }

    /// An idle connection to this address that still seems open and has nothing to say; the address itself when there is none. What an
    /// upstream says unasked would be taken for the answer to the next request, so a connection with any of it is closed.
    pub(crate) async fn take_idle(&self, address: InUse, scratch: &Scratch) -> Result<Connection, InUse> {
        // Without tokio's budget: once that is spent, a poll is pending whatever the socket holds.
        let found = unconstrained(poll_fn(|context| {
            while let Some(mut idle) = address.0.pop_idle() {
                let is_young = idle.since.elapsed() < self.idle_life;
                if is_young && scratch.poll_read(&mut idle.stream, context, |_| ()).is_pending() {
                    return Poll::Ready(Some((idle.stream, idle.place)));
                }
            }
            Poll::Ready(None)
        }))
        .await;
        match found {
            Some((stream, place)) => Ok(Connection::used(stream, address, place)),
            None => Err(address),
        }
    }

    /// A fresh connection: to this address, else to another one. Nothing was sent yet, so that there is no harm in trying several.
    pub(crate) async fn connect(&self, first: Option<InUse>) -> Result<Connection, UpstreamError> {
        let deadline = Instant::now() + self.connect_timeout;
        let mut next = match first {
            Some(address) => Some(address),
            None => Some(self.first_known(deadline).await?),
        };
        let place = self.place(deadline).await?;
        let _turn = timeout_at(deadline, self.connecting.acquire())
            .await
            .map_err(|_| UpstreamError::ConnectsFull)?
            .expect("the semaphore is never closed");
        let mut tried = Vec::new();
        let mut outcome = Err(UpstreamError::ConnectTimeout);
        while let Some(address) = next.take() {
            let share = self.share_of_time(deadline, &tried, &address);
            let connecting = self.directory.connector.connect(address.0.endpoint());
            let connected = timeout(share, connecting)
                .await
                .unwrap_or(Err(UpstreamError::ConnectTimeout));
            match connected {
                Ok(stream) => return Ok(Connection::fresh(stream, address, place)),
                Err(error @ UpstreamError::Local(_)) => outcome = Err(error),
                Err(error) => {
                    address.0.endpoint.failed(Failure::Connect, &error);
                    outcome = Err(error);
                }
            }
            tried.push(Rc::clone(&address.0));
            if tried.len() < CONNECT_ATTEMPTS_MAX && Instant::now() < deadline {
                next = self.choose_besides(&tried);
            }
        }
        outcome
    }

    /// A place for one more connection. One that idles, as to an address that is not wanted now, gives its own up.
    async fn place(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, UpstreamError> {
        for _ in 0..2 {
            if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
                return Ok(place);
            }
            self.close_oldest_idle();
        }
        let _waits = Waits::new(&self.waiting);
        timeout_at(deadline, Arc::clone(&self.places).acquire_owned())
            .await
            .map_err(|_| UpstreamError::ConnectionsFull)
            .map(|place| place.expect("the semaphore is never closed"))
    }

    fn close_oldest_idle(&self) {
        let members = self.members.borrow();
        let since = |member: &&Rc<Member>| member.idle.borrow().front().map(|oldest| oldest.since);
        let with_idle = members.iter().filter(|member| since(member).is_some());
        if let Some(member) = with_idle.min_by_key(since) {
            member.idle.borrow_mut().pop_front();
        }
    }

    /// Waits until a first address is known, or none is to be expected.
    async fn first_known(&self, deadline: Instant) -> Result<InUse, UpstreamError> {
        let mut listing = self.directory.subscribe();
        timeout_at(deadline, listing.wait_for(Listing::is_settled))
            .await
            .map_err(|_| UpstreamError::ConnectTimeout)?
            .map_err(|_| UpstreamError::Unresolved("the server is stopping".to_owned()))
            .map(drop)?;
        self.choose().ok_or_else(|| listing.borrow().error())
    }

    /// How long an attempt may take, so that time is left for the other addresses that may take the request.
    fn share_of_time(&self, deadline: Instant, tried: &[Rc<Member>], address: &InUse) -> Duration {
        let members = self.members.borrow();
        let is_other = |member: &&Rc<Member>| {
            member.endpoint.is_up()
                && !tried
                    .iter()
                    .chain([&address.0])
                    .any(|one| Rc::ptr_eq(one, member))
        };
        let others = members.iter().filter(is_other).count();
        let attempts = (others + 1).min(CONNECT_ATTEMPTS_MAX - tried.len());
        deadline.duration_since(Instant::now()) / u32::try_from(attempts).unwrap_or(1).max(1)
    }

    /// Takes a connection back whose exchange is over. Beyond the bound it is closed, also while somebody waits for its place, and so is one
    /// with bytes that wait in either direction: the rest of a request would run into the next one, and the rest of an answer be taken for
    /// its answer.
    pub(crate) fn give_back(&self, connection: Connection) {
        let is_clean = connection.outbound.is_empty() && connection.inbound.is_empty();
        let Connection {
            stream,
            address,
            place,
            ..
        } = connection;
        let has_room = self.idle_count() < self.idle_max && self.waiting.get() == 0;
        if !is_clean || address.0.is_retired.get() || !has_room {
            return;
        }
        address.0.idle.borrow_mut().push_back(Idle {
            stream,
            place,
            since: Instant::now(),
        });
    }

    fn idle_count(&self) -> usize {
        let members = self.members.borrow();
        members.iter().map(|member| member.idle.borrow().len()).sum()
    }

    /// Closes what has been idle for too long.
    pub(crate) fn reap(&self) {
        self.follow_listing();
        for member in self.members.borrow().iter() {
            let mut idle = member.idle.borrow_mut();
            while idle
                .front()
                .is_some_and(|oldest| oldest.since.elapsed() >= self.idle_life)
            {
                idle.pop_front();
            }
        }
    }
}

/// Counts one who waits while it does.
struct Waits<'p>(&'p Cell<usize>);

impl<'p> Waits<'p> {
    fn new(count: &'p Cell<usize>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[cfg(test)]
mod tests;

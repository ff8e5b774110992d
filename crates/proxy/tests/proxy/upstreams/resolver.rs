//! A resolver that says what a test wants, and when.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};

use sentinel_proxy::Resolver;
use sentinel_testkit::bounded;
use tokio::sync::watch;

type Found = Result<Vec<SocketAddr>, &'static str>;

/// Answers every lookup with what was said last.
pub(super) struct ScriptedResolver {
    answer: Mutex<Option<Found>>,
    answered: Condvar,
    lookups: watch::Sender<usize>,
}

impl ScriptedResolver {
    pub(super) fn new(answer: Found) -> Arc<Self> {
        Self::start(Some(answer))
    }

    /// Answers nothing until [`ScriptedResolver::answer`].
    pub(super) fn hanging() -> Arc<Self> {
        Self::start(None)
    }

    fn start(answer: Option<Found>) -> Arc<Self> {
        Arc::new(Self {
            answer: Mutex::new(answer),
            answered: Condvar::new(),
            lookups: watch::Sender::new(0),
        })
    }

    pub(super) fn answer(&self, answer: Found) {
        *self.answer.lock().expect("no panic while locked") = Some(answer);
        self.answered.notify_all();
    }

    /// Waits for so many more lookups.
    pub(super) async fn wait_for_lookups(&self, count: usize) {
        let mut lookups = self.lookups.subscribe();
        let wanted = *lookups.borrow() + count;
        bounded("lookups", lookups.wait_for(|now| *now >= wanted))
            .await
            .expect("the resolver holds the sender");
    }
}

impl Resolver for ScriptedResolver {
    fn resolve(&self, _host: &str, _port: u16) -> io::Result<Vec<SocketAddr>> {
        let answer = self.answer.lock().expect("no panic while locked");
        let answer = self
            .answered
            .wait_while(answer, |answer| answer.is_none())
            .expect("no panic while locked");
        let found = answer.clone().expect("it was waited for");
        drop(answer);
        self.lookups.send_modify(|lookups| *lookups += 1);
        found.map_err(io::Error::other)
    }
}

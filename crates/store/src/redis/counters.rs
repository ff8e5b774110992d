//! Counts in sliding windows, shared by all replicas, by the server's clock.
//!
//! Every batch has a number, and the server remembers the last one of each replica: so a batch whose answer was lost is sent again and
//! counts once. While Redis is away this replica's own counts are given, and what it counted waits to be merged, each part with its age.
//! Nothing is lost as long as at most [`UNMERGED_MAX`] parts wait and the window has not passed them by; nothing is doubled unless the
//! server forgets the number and not the counts, which lie side by side.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::counting::{COUNT_BATCH_MAX, COUNT_WINDOW_MIN, Count, SLICES, WindowCounters};
use sentinel_core::ports::StoreError;
use tokio::sync::Mutex;

use super::link::RedisLink;
use super::milliseconds;
use super::script::{LazyScript, lua_script};
use crate::counting::{SlidingCounts, check};

/// The most parts, each a name's times in one slice, that wait to be merged; what comes beyond them is lost, and counted.
pub(super) const UNMERGED_MAX: usize = 65_536;

static COUNT: LazyScript = lua_script!("scripts/count.lua");

/// [`WindowCounters`] on Redis. Knows one window at a time: a call with another one begins anew, and what waited for the old one is let go.
pub struct RedisCounters {
    link: RedisLink,
    /// Tells this replica's batches from all others'.
    replica: u64,
    state: Mutex<Option<State>>,
    lost: AtomicU64,
}

/// A name's times in one slice.
#[derive(Clone, Debug)]
struct Part {
    name: String,
    slice: u64,
    times: u64,
}

struct State {
    own: SlidingCounts,
    waiting: HashMap<(String, u64), u64>,
    /// The batch that was sent last, until its answer has come: sent again as it was, under the same number.
    sent: Vec<Part>,
    number: u64,
}

impl RedisCounters {
    /// Counts at the end of `link`. Fails when the system has no random numbers.
    pub fn new(link: RedisLink) -> Result<Self, StoreError> {
        let mut replica = [0; 8];
        getrandom::fill(&mut replica)
            .map_err(|error| StoreError::Unavailable(format!("no random numbers: {error}")))?;
        Ok(Self {
            link,
            replica: u64::from_le_bytes(replica),
            state: Mutex::default(),
            lost: AtomicU64::new(0),
        })
    }

    /// How many times could not wait to be merged.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Sends a batch, and asks for names.
    async fn send(&self, state: &State, asked: &[Count]) -> Result<Vec<u64>, StoreError> {
        let prefix = &self.link.settings().prefix;
        let window_ms = milliseconds(state.own.slices.window());
        let key = |name: &str| format!("{prefix}{{count}}:{window_ms}:{name}");
        let mut keys = vec![format!(
            "{prefix}{{count}}:batch:{:016x}:{window_ms}",
            self.replica
        )];
        let mut places = HashMap::new();
        let names = asked.iter().map(|count| &count.name);
        for name in names.chain(state.sent.iter().map(|part| &part.name)) {
            places.entry(name.as_str()).or_insert_with(|| {
                keys.push(key(name));
                keys.len() - 1
            });
        }
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let batch = |command: &mut redis::Cmd| {
            command
                .arg(state.number)
                .arg(window_ms)
                .arg(SLICES)
                .arg(asked.len());
            for part in &state.sent {
                command
                    .arg(places[part.name.as_str()])
                    .arg(milliseconds(state.own.slices.age(part.slice)))
                    .arg(part.times);
            }
        };
        self.link.run(&COUNT, &keys, batch).await
    }
}

impl State {
    fn new(window: Duration) -> Self {
        Self {
            own: SlidingCounts::new(window),
            waiting: HashMap::new(),
            sent: Vec::new(),
            number: 0,
        }
    }

    /// Lets a count wait to be merged; gives how many times found no room.
    fn wait(&mut self, count: &Count) -> u64 {
        // More than any batch holds, and few enough for the server to add up.
        let times = count.times.min(u64::from(u32::MAX));
        if times == 0 {
            return 0;
        }
        if self.waiting.len() >= UNMERGED_MAX {
            self.let_go_of_the_past();
        }
        let place = (count.name.clone(), self.own.slices.current());
        if self.waiting.len() >= UNMERGED_MAX && !self.waiting.contains_key(&place) {
            return count.times;
        }
        let waiting = self.waiting.entry(place).or_default();
        *waiting = waiting.saturating_add(times).min(u64::from(u32::MAX));
        0
    }

    fn let_go_of_the_past(&mut self) {
        let first = self.own.slices.first();
        self.waiting.retain(|(_, slice), _| *slice >= first);
    }

    /// Makes sure that a batch is ready to be sent, if anything waits.
    fn next_batch(&mut self) {
        if !self.sent.is_empty() || self.waiting.is_empty() {
            return;
        }
        self.let_go_of_the_past();
        let places: Vec<_> = self.waiting.keys().take(COUNT_BATCH_MAX).cloned().collect();
        for place in places {
            if let Some(times) = self.waiting.remove(&place) {
                let (name, slice) = place;
                self.sent.push(Part { name, slice, times });
            }
        }
        self.number += 1;
    }
}

#[async_trait]
impl WindowCounters for RedisCounters {
    async fn add(&self, window: Duration, batch: Vec<Count>) -> Result<Vec<u64>, StoreError> {
        check(&batch)?;
        let window = window.max(COUNT_WINDOW_MIN);
        let mut state = self.state.lock().await;
        if state
            .as_ref()
            .is_some_and(|state| state.own.slices.window() != window)
        {
            *state = None;
        }
        let state = state.get_or_insert_with(|| State::new(window));
        let own = state.own.add(&batch);
        for count in &batch {
            let lost = state.wait(count);
            self.lost.fetch_add(lost, Ordering::Relaxed);
        }
        loop {
            state.next_batch();
            let is_last = state.waiting.is_empty();
            let asked = if is_last { batch.as_slice() } else { &[] };
            match self.send(state, asked).await {
                Ok(counts) => {
                    state.sent.clear();
                    if is_last {
                        return Ok(counts);
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "counts are this replica's own until Redis is back");
                    return Ok(own);
                }
            }
        }
    }
}

impl fmt::Debug for RedisCounters {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("RedisCounters").field(&self.link).finish()
    }
}

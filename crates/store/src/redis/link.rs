//! The way to Redis, with a breaker: after a failure calls fail at once, until the server has proved itself to a task in the background.
//!
//! The proof is a write, so that a read replica, a server without memory and a user without rights count as away, too. The same is asked
//! every second while all is well; so a server that froze is often noticed before a request meets it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::{Cmd, FromRedisValue};
use sentinel_core::ports::{Health, StoreError};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::connect::{Connection, Place, in_time};
use super::failure::Failure;
use super::script::{LazyScript, LuaScript, lua_script};
use super::url::Kind;
use super::{RECONNECT_PAUSE_MAX, RESPONSE_WAIT_MAX, RedisSettings};
use crate::pace::Pace;

/// The pause before the second attempt to connect; each further one doubles it.
const RECONNECT_PAUSE_FIRST: Duration = Duration::from_millis(50);
/// A connection that has worked for so long is replaced without a pause.
const STEADY_AFTER: Duration = Duration::from_secs(5);
/// How often a server that works has to prove it.
const PROVED_EVERY: Duration = Duration::from_secs(1);
/// How often the Sentinels are asked whether the primary is still the same: every so many proofs.
const PLACE_ASKED_EVERY: u32 = 5;

static PROBE: LazyScript = lua_script!("scripts/probe.lua");

#[derive(Clone)]
enum State {
    /// Which connection: counts them, so that a late failure of an earlier one is not held against this one.
    Up(u64, Connection),
    Down(Failure),
}

/// The way to one Redis, for all that is kept there. Clones share it; it closes with the last one.
#[derive(Clone)]
pub struct RedisLink(Arc<Inner>);

struct Inner {
    settings: RedisSettings,
    state: watch::Sender<State>,
    upkeep: JoinHandle<()>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.upkeep.abort();
    }
}

impl RedisLink {
    /// Begins to connect, and keeps at it. Needs a tokio runtime.
    pub fn open(settings: RedisSettings) -> Self {
        let (state, _) = watch::channel(State::Down(Failure::of_the_server("not connected yet")));
        let upkeep = tokio::spawn(keep_up(settings.clone(), state.clone()));
        Self(Arc::new(Inner {
            settings,
            state,
            upkeep,
        }))
    }

    /// One attempt, for a check before anything is served: connects, and has the server prove that it can be used.
    pub async fn try_out(settings: &RedisSettings) -> Result<(), StoreError> {
        let outcome = connect_and_prove(settings).await;
        outcome.map(|_| ()).map_err(StoreError::from)
    }

    pub(super) fn settings(&self) -> &RedisSettings {
        &self.0.settings
    }

    /// Runs a script, bounded by [`RESPONSE_WAIT_MAX`].
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        script: &LuaScript,
        keys: &[&str],
        arguments: impl Fn(&mut Cmd),
    ) -> Result<T, StoreError> {
        self.with(async |connection| script.run(connection, keys, &arguments).await)
            .await
    }

    /// Runs a command, bounded by [`RESPONSE_WAIT_MAX`].
    pub(super) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        self.with(async |connection| command.query_async(connection).await)
            .await
    }

    async fn with<T>(
        &self,
        call: impl AsyncFnOnce(&mut Connection) -> redis::RedisResult<T>,
    ) -> Result<T, StoreError> {
        let state = self.0.state.borrow().clone();
        let (number, mut connection) = match state {
            State::Up(number, connection) => (number, connection),
            State::Down(failure) => return Err(failure.into()),
        };
        let outcome = in_time(RESPONSE_WAIT_MAX, call(&mut connection)).await;
        outcome.map_err(|failure| {
            if failure.is_everybodys {
                self.0.state.send_if_modified(|state| {
                    let is_up = matches!(state, State::Up(current, _) if *current == number);
                    if is_up {
                        *state = State::Down(failure.clone());
                    }
                    is_up
                });
            }
            failure.into()
        })
    }

    /// Waits until the server works.
    #[cfg(test)]
    pub(super) async fn up(&self) {
        let mut states = self.0.state.subscribe();
        let up = states.wait_for(|state| matches!(state, State::Up(..)));
        let up = sentinel_testkit::bounded("Redis to be back", up).await;
        drop(up.expect("the sender lives"));
    }

    /// Waits until the server is known to be away, and says why.
    #[cfg(test)]
    pub(super) async fn down(&self) -> String {
        let mut states = self.0.state.subscribe();
        let down = states.wait_for(|state| matches!(state, State::Down(_)));
        let down = sentinel_testkit::bounded("Redis to be missed", down).await;
        match &*down.expect("the sender lives") {
            State::Down(failure) => failure.words.clone(),
            State::Up(..) => unreachable!("waited for the other one"),
        }
    }
}

/// Connects, again and again, and replaces what no longer works.
async fn keep_up(settings: RedisSettings, state: watch::Sender<State>) {
    let mut number = 0;
    let mut pause = Duration::ZERO;
    let said = Pace::default();
    let mut is_said = false;
    loop {
        tokio::time::sleep(pause).await;
        match connect_and_prove(&settings).await {
            Ok((connection, place)) => {
                number += 1;
                if is_said || number == 1 {
                    tracing::info!(redis = %settings.url, "Redis works");
                    is_said = false;
                }
                let since = Instant::now();
                state.send_replace(State::Up(number, connection.clone()));
                let failure = until_it_fails(&settings, &state, connection, place).await;
                say(&settings, &failure, &said, &mut is_said);
                if since.elapsed() >= STEADY_AFTER {
                    pause = Duration::ZERO;
                    continue;
                }
            }
            Err(failure) => {
                say(&settings, &failure, &said, &mut is_said);
                state.send_replace(State::Down(failure));
            }
        }
        pause = next_pause(pause);
    }
}

/// The pause after one of this length.
pub(super) fn next_pause(pause: Duration) -> Duration {
    (pause * 2).clamp(RECONNECT_PAUSE_FIRST, RECONNECT_PAUSE_MAX)
}

fn say(settings: &RedisSettings, failure: &Failure, said: &Pace, is_said: &mut bool) {
    if said.is_due() {
        *is_said = true;
        tracing::warn!(
            redis = %settings.url, error = failure.words,
            "Redis is away: Sentinel goes on without it and tries to reach it"
        );
    }
}

/// Waits until a call, or a proof, fails; says why.
async fn until_it_fails(
    settings: &RedisSettings,
    state: &watch::Sender<State>,
    mut connection: Connection,
    place: Option<Place>,
) -> Failure {
    let mut states = state.subscribe();
    let mut proofs = 0_u32;
    loop {
        let failed = states.wait_for(|state| matches!(state, State::Down(_)));
        if let Ok(failed) = tokio::time::timeout(PROVED_EVERY, failed).await {
            return match failed.as_deref() {
                Ok(State::Down(failure)) => failure.clone(),
                _ => Failure::of_the_server("closed"),
            };
        }
        proofs = proofs.wrapping_add(1);
        let mut proof = prove(settings, &mut connection).await;
        if proof.is_ok() && proofs.is_multiple_of(PLACE_ASKED_EVERY) {
            proof = is_still_there(settings, place.as_ref()).await;
        }
        if let Err(failure) = proof {
            state.send_replace(State::Down(failure.clone()));
            return failure;
        }
    }
}

/// Whether the Sentinels still name the same primary. That none answers says nothing.
pub(super) async fn is_still_there(settings: &RedisSettings, place: Option<&Place>) -> Result<(), Failure> {
    if !matches!(settings.url.kind, Kind::Sentinel { .. }) {
        return Ok(());
    }
    match settings.place().await {
        Ok(now) if place.is_some_and(|place| *place != now) => {
            Err(Failure::of_the_server("another server is the primary now"))
        }
        _ => Ok(()),
    }
}

async fn connect_and_prove(settings: &RedisSettings) -> Result<(Connection, Option<Place>), Failure> {
    let (mut connection, place) = settings.connect().await?;
    prove(settings, &mut connection).await?;
    Ok((connection, place))
}

/// Has the server write; in a Cluster, has all primaries answer, too.
async fn prove(settings: &RedisSettings, connection: &mut Connection) -> Result<(), Failure> {
    let key = format!("{}probe", settings.prefix);
    let proof = async {
        if matches!(connection, Connection::Cluster(_)) {
            let () = redis::cmd("PING").query_async(connection).await?;
        }
        let proof: redis::RedisResult<()> = PROBE.run(connection, &[&key], |_| {}).await;
        proof
    };
    in_time(RESPONSE_WAIT_MAX, proof).await
}

#[async_trait]
impl Health for RedisLink {
    async fn check(&self) -> Result<(), StoreError> {
        match &*self.0.state.borrow() {
            State::Up(..) => Ok(()),
            State::Down(failure) => Err(failure.clone().into()),
        }
    }
}

impl fmt::Debug for RedisLink {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("RedisLink")
            .field(&self.0.settings)
            .finish()
    }
}

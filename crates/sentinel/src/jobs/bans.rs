//! Lifts bans whose time has come.
//!
//! Each ban is lifted under the version that was seen with it: of many replicas one does it, and a ban that an operator made anew
//! meanwhile stays. Must never lift a ban before its time.

use std::sync::Arc;
use std::time::Duration;

use sentinel_core::binding::{BindingEdit, BindingStatus, Edited};
use sentinel_core::event::Actor;
use sentinel_core::ports::{BindingAdmin, BindingFilter, StoreError};
use sentinel_core::time::Clock;
use tokio::sync::watch;

use super::rounds::Rounds;

/// How often it looks: a ban lasts at most this much longer than it was to last.
const INTERVAL: Duration = Duration::from_secs(5);
/// The most bans that one look lifts; the next one goes on.
const BATCH_MAX: u32 = 200;
/// Who does it, in the admin events.
const ACTOR: &str = "system";

/// Runs until `stopping` says so.
pub(super) async fn run(
    bindings: Arc<dyn BindingAdmin>,
    clock: Arc<dyn Clock>,
    stopping: watch::Receiver<bool>,
) {
    let mut rounds = Rounds::every(INTERVAL, stopping);
    while rounds.next().await {
        match lift(&*bindings, &*clock).await {
            Ok(0) => {}
            Ok(bans) => tracing::info!(bans, "bans ended with their time"),
            Err(error) => tracing::warn!(%error, "bans could not be lifted; the next look goes on"),
        }
    }
}

/// One look; gives how many bans were lifted here.
async fn lift(bindings: &dyn BindingAdmin, clock: &dyn Clock) -> Result<u32, StoreError> {
    let now = clock.now();
    let due = bindings
        .list(BindingFilter {
            status: Some(BindingStatus::Banned),
            ban_expires_until: Some(now),
            limit: BATCH_MAX,
            ..BindingFilter::default()
        })
        .await?;
    let mut lifted = 0;
    for record in due {
        let actor = Actor {
            name: ACTOR.to_owned(),
            client_ip: None,
            at: now,
        };
        let binding = record.binding;
        let edited = bindings.edit(binding.id, BindingEdit::Unban, Some(binding.version), actor);
        lifted += u32::from(matches!(edited.await?, Edited::Done(_)));
    }
    Ok(lifted)
}

#[cfg(test)]
mod tests {
    use sentinel_core::binding::{BindingId, NewBinding};
    use sentinel_core::fingerprint::{KeyFingerprint, KeyHint};
    use sentinel_core::ports::{AdminEventStore as _, BindingLookup as _, BindingStore as _, Claim};
    use sentinel_core::time::Timestamp;
    use sentinel_store::{CacheBounds, CachedLookup, InvalidatingAdmin, MemoryStore};
    use sentinel_testkit::SettableClock;

    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_unix_ms(milliseconds)
    }

    fn fingerprint(number: u32) -> KeyFingerprint {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        KeyFingerprint::from_bytes(bytes)
    }

    async fn banned(store: &MemoryStore, number: u32, expires_at: Option<Timestamp>) -> BindingId {
        let new = NewBinding {
            fingerprint: fingerprint(number),
            hint: KeyHint::from_stored("sk-…".to_owned()),
            network: "192.0.2.1".parse().expect("a network"),
            bound_at: at(1),
            profile: "".into(),
        };
        let Ok(Claim::Won(binding)) = store.claim(new).await else {
            panic!("nobody else claims");
        };
        let actor = Actor {
            name: "root".to_owned(),
            client_ip: None,
            at: at(1),
        };
        let ban = BindingEdit::Ban {
            reason: String::new(),
            expires_at,
        };
        store
            .edit(binding.id, ban, None, actor)
            .await
            .expect("memory works");
        binding.id
    }

    async fn status(store: &MemoryStore, id: BindingId) -> BindingStatus {
        let record = store.show(id).await.expect("memory works").expect("there");
        record.binding.status
    }

    #[tokio::test]
    async fn a_ban_ends_with_its_time_and_the_cache_knows() {
        let store = MemoryStore::new();
        let clock = SettableClock::default();
        let lookup = Arc::new(CachedLookup::new(
            Arc::new(store.clone()),
            &CacheBounds::default(),
        ));
        let admin = InvalidatingAdmin::new(Arc::new(store.clone()), Arc::clone(&lookup));
        let (brief, lasting) = (
            banned(&store, 1, Some(at(5_000))).await,
            banned(&store, 2, None).await,
        );
        lookup
            .find(&fingerprint(1), at(4_999))
            .await
            .expect("memory works");
        clock.set(at(4_999));
        assert_eq!(lift(&admin, &clock).await, Ok(0));
        assert_eq!(status(&store, brief).await, BindingStatus::Banned);
        clock.set(at(5_000));
        assert_eq!(lift(&admin, &clock).await, Ok(1));
        assert_eq!(status(&store, brief).await, BindingStatus::Active);
        assert_eq!(status(&store, lasting).await, BindingStatus::Banned);
        let known = lookup.cached(&fingerprint(1), at(5_000)).expect("cached");
        assert_eq!(known.binding.status, BindingStatus::Active);
        let events = store.newest(1).await.expect("memory works");
        assert_eq!(
            (events[0].action.as_str(), events[0].actor.as_str()),
            ("unban", ACTOR)
        );
    }

    #[tokio::test]
    async fn of_many_replicas_one_lifts_a_ban() {
        let store = MemoryStore::new();
        let clock = Arc::new(SettableClock::default());
        banned(&store, 1, Some(at(5_000))).await;
        clock.set(at(6_000));
        let mut replicas = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let (store, clock) = (store.clone(), Arc::clone(&clock));
            replicas.spawn(async move { lift(&store, &*clock).await.expect("memory works") });
        }
        assert_eq!(replicas.join_all().await.into_iter().sum::<u32>(), 1);
        let events = store.newest(10).await.expect("memory works");
        assert_eq!(events.iter().filter(|event| event.action == "unban").count(), 1);
    }

    #[tokio::test]
    async fn one_look_lifts_up_to_batch_max() {
        let store = MemoryStore::new();
        let clock = SettableClock::default();
        for number in 0..=BATCH_MAX {
            banned(&store, number, Some(at(5_000))).await;
        }
        clock.set(at(5_000));
        assert_eq!(lift(&store, &clock).await, Ok(BATCH_MAX));
        assert_eq!(lift(&store, &clock).await, Ok(1));
    }
}

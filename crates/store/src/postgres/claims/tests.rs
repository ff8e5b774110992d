use std::collections::HashMap;

use sentinel_core::fingerprint::KeyHint;
use sentinel_core::ports::{BindingAdmin as _, BindingStore as _};
use sentinel_testkit::bounded;
use tokio::task::JoinSet;

use super::super::PostgresStore;
use super::super::tests::{fixture, lock_waiters, outside, replica};
use super::*;
use crate::conformance::{actor, claimed, fingerprint, network, new_binding};

/// Hands claims to the batch that settles them, and gives their outcomes in order.
async fn settled(store: &PostgresStore, claims: Vec<NewBinding>) -> Vec<Result<Claim<Binding>, StoreError>> {
    let (waiting, answers): (Vec<_>, Vec<_>) = claims
        .into_iter()
        .map(|new| {
            let (answer, answered) = oneshot::channel();
            (Waiting { new, answer }, answered)
        })
        .unzip();
    settle(&store.sessions, &store.own, grouped(waiting)).await;
    let answers = futures_util::future::join_all(answers).await;
    answers
        .into_iter()
        .map(|answer| answer.expect("each is answered"))
        .collect()
}

fn is_won(outcome: &Result<Claim<Binding>, StoreError>) -> bool {
    matches!(outcome, Ok(Claim::Won(_)))
}

#[tokio::test]
async fn one_of_all_claims_of_a_key_wins_whichever_replica_they_come_from() {
    const KEYS: u32 = 2_500;
    const EACH: u32 = 2;
    let (store, server) = fixture().await;
    let stores = [store, replica(&server).await];
    let mut claims = JoinSet::new();
    for number in 0..KEYS {
        for (place, store) in stores.iter().enumerate() {
            for turn in 0..EACH {
                let store = store.clone();
                let from = format!("10.{place}.{turn}.{}", number % 250);
                claims.spawn(async move {
                    loop {
                        match store.claim(new_binding(number, &from)).await {
                            // More than the queue holds come at once.
                            Err(StoreError::Busy) => tokio::task::yield_now().await,
                            outcome => return (number, outcome.expect("the store works")),
                        }
                    }
                });
            }
        }
    }
    let mut stored = HashMap::<u32, Vec<Binding>>::new();
    let mut won = 0;
    while let Some(claim) = claims.join_next().await {
        let (number, outcome) = claim.unwrap();
        won += u32::from(matches!(outcome, Claim::Won(_)));
        let (Claim::Won(binding) | Claim::Lost(binding)) = outcome;
        stored.entry(number).or_default().push(binding);
    }
    assert_eq!(won, KEYS);
    for bindings in stored.values() {
        assert_eq!(bindings.len(), 2 * EACH as usize);
        assert!(bindings.iter().all(|binding| *binding == bindings[0]));
    }
}

#[tokio::test]
async fn a_claim_is_made_although_its_caller_left() {
    let (store, _server) = fixture().await;
    let claim = store.claim(new_binding(1, "192.0.2.1"));
    let left = tokio::time::timeout(std::time::Duration::ZERO, claim).await;
    assert!(left.is_err(), "nothing is committed without waiting");
    bounded("the binding", async {
        while store.find(&fingerprint(1)).await.unwrap().is_none() {}
    })
    .await;
}

#[tokio::test]
async fn within_a_batch_the_first_claim_of_a_key_wins() {
    let (store, _server) = fixture().await;
    claimed(&store, 9, "192.0.2.9").await;
    let new = [
        (1, "192.0.2.1"),
        (2, "192.0.2.2"),
        (1, "192.0.2.3"),
        (9, "192.0.2.4"),
    ];
    let outcomes = settled(
        &store,
        new.map(|(number, from)| new_binding(number, from)).to_vec(),
    )
    .await;
    let won: Vec<bool> = outcomes.iter().map(is_won).collect();
    assert_eq!(won, [true, true, false, false]);
    let Ok(Claim::Lost(binding)) = &outcomes[2] else {
        panic!("{outcomes:?}");
    };
    assert_eq!(*binding.networks, [network("192.0.2.1")]);
}

/// Lets the database refuse keys whose hint says so.
async fn refuse_bad_hints(client: &tokio_postgres::Client) {
    client
        .batch_execute("ALTER TABLE bindings ADD CONSTRAINT no_bad_hints CHECK (hint <> 'bad')")
        .await
        .unwrap();
}

fn bad(number: u32) -> NewBinding {
    NewBinding {
        hint: KeyHint::from_stored("bad".to_owned()),
        ..new_binding(number, "192.0.2.1")
    }
}

#[tokio::test]
async fn a_key_that_is_refused_takes_no_other_down() {
    let (store, server) = fixture().await;
    refuse_bad_hints(&outside(&server).await).await;
    let mut claims: Vec<NewBinding> = (0..50).map(|number| new_binding(number, "192.0.2.1")).collect();
    claims.insert(20, bad(100));
    let outcomes = settled(&store, claims).await;
    for (place, outcome) in outcomes.iter().enumerate() {
        assert_eq!(is_won(outcome), place != 20, "{place}: {outcome:?}");
    }
    assert_eq!(store.counts().await.unwrap().active, 50);
}

#[tokio::test]
async fn a_batch_of_refusals_is_given_up_at_the_bound() {
    let (store, server) = fixture().await;
    let outside = outside(&server).await;
    refuse_bad_hints(&outside).await;
    let claims: Vec<NewBinding> = (0..100).map(bad).collect();
    let outcomes = settled(&store, claims).await;
    assert!(outcomes.iter().all(Result::is_err));
    // Each attempt took a version: the batch, those alone, and those that were under way when the bound was reached.
    let versions: i64 = outside
        .query_one("SELECT last_value FROM binding_version", &[])
        .await
        .unwrap()
        .get(0);
    let attempts = CLAIMS_FAILED_ALONE_MAX + 1..=CLAIMS_FAILED_ALONE_MAX + CLAIM_BATCHES_MAX;
    assert!(
        attempts.contains(&usize::try_from(versions).unwrap()),
        "{versions}"
    );
}

#[tokio::test]
async fn a_locked_key_makes_no_other_wait_for_longer_than_the_lock() {
    let (store, server) = fixture().await;
    let outside = outside(&server).await;
    // Somebody else is making the same binding, and takes long to end it.
    let fingerprint = fingerprint(7);
    let insert = "INSERT INTO bindings (fingerprint, hint, status, policy, version, bound_at, updated_at) \
         VALUES ($1, '', 'active', '{}', 0, now(), now())";
    outside.batch_execute("BEGIN").await.unwrap();
    outside
        .execute(insert, &[&fingerprint.as_bytes().as_slice()])
        .await
        .unwrap();
    let claims = (0..50).map(|number| new_binding(number, "192.0.2.1")).collect();
    let outcomes = settled(&store, claims).await;
    for (number, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Err(StoreError::Busy) => assert_eq!(number, 7),
            outcome => assert!(is_won(outcome), "{number}: {outcome:?}"),
        }
    }
    outside.batch_execute("ROLLBACK").await.unwrap();
    claimed(&store, 7, "192.0.2.1").await;
}

#[tokio::test]
async fn a_key_whose_binding_comes_and_goes_is_tried_up_to_the_bound() {
    let (store, server) = fixture().await;
    let outside = outside(&server).await;
    // To the claim it looks as if the binding had been there, and was gone when it is read.
    outside
        .batch_execute(
            "CREATE SEQUENCE attempts; CREATE FUNCTION vanish() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN PERFORM nextval('attempts'); RETURN NULL; END $$; \
             CREATE TRIGGER vanish BEFORE INSERT ON bindings FOR EACH ROW EXECUTE FUNCTION vanish()",
        )
        .await
        .unwrap();
    let claim = store.claim(new_binding(1, "192.0.2.1")).await;
    assert!(matches!(claim, Err(StoreError::Busy)), "{claim:?}");
    let attempts: i64 = outside
        .query_one("SELECT last_value FROM attempts", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(attempts, i64::from(CLAIM_ATTEMPTS_MAX));
    outside
        .batch_execute("DROP TRIGGER vanish ON bindings")
        .await
        .unwrap();
    claimed(&store, 1, "192.0.2.1").await;
}

#[tokio::test]
async fn a_binding_is_newer_than_the_one_that_made_way_for_it() {
    let (store, server) = fixture().await;
    let old = claimed(&store, 1, "192.0.2.1").await;
    let outside = outside(&server).await;
    let set_version = "UPDATE bindings SET version = nextval('binding_version')";
    // The row is being changed when the claim comes, which takes its version and waits; then it is changed again, and taken away.
    outside
        .batch_execute(&format!("BEGIN; SELECT FROM bindings FOR UPDATE; {set_version}"))
        .await
        .unwrap();
    let claim = tokio::spawn({
        let store = store.clone();
        async move { store.claim(new_binding(1, "192.0.2.2")).await }
    });
    lock_waiters(&outside, 1).await;
    let row = outside
        .query_one(&format!("{set_version} RETURNING version"), &[])
        .await
        .unwrap();
    let last = sentinel_core::binding::Version(row.get(0));
    outside
        .batch_execute("DELETE FROM bindings; SELECT nextval('binding_removals'); COMMIT")
        .await
        .unwrap();
    let Ok(Claim::Won(new)) = claim.await.unwrap() else {
        panic!("the key was free");
    };
    assert!(new.version >= last.of_absence(), "{new:?} after {last:?}");
    assert_ne!(new.id, old.id);
    assert_eq!(
        store.find(&fingerprint(1)).await.unwrap().expect("bound").binding,
        new
    );
    // A ban after it is newer still.
    let banned = store
        .ban(new.id, String::new(), actor(1))
        .await
        .unwrap()
        .expect("bound");
    assert!(banned.binding.version > new.version);
}

#[tokio::test]
async fn claims_beyond_the_queue_are_busy_and_the_others_are_made() {
    let (store, server) = fixture().await;
    server.freeze().await;
    let mut claims = JoinSet::new();
    let most = CLAIMS_QUEUED_MAX + CLAIM_BATCHES_MAX * CLAIMS_BATCH_MAX;
    for number in 0..u32::try_from(most + 100).unwrap() {
        let store = store.clone();
        claims.spawn(async move { store.claim(new_binding(number, "192.0.2.1")).await });
    }
    // The ones that found no room have been told when the first hundred are back.
    let mut busy = 0;
    while busy < 100 {
        let outcome = bounded("a refusal", claims.join_next())
            .await
            .expect("many wait")
            .unwrap();
        assert!(matches!(outcome, Err(StoreError::Busy)), "{outcome:?}");
        busy += 1;
    }
    server.thaw();
    let others = claims.join_all().await;
    let won = others.iter().filter(|outcome| is_won(outcome)).count();
    let refused = others
        .iter()
        .filter(|outcome| matches!(outcome, Err(StoreError::Busy)))
        .count();
    assert_eq!(won + refused, others.len());
    assert!(won >= CLAIMS_QUEUED_MAX, "{won}");
}

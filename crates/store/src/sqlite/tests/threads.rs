//! The threads: groups, bounds, and what becomes of callers when something ends.

use std::sync::mpsc::{Receiver, Sender, channel};

use rusqlite::Connection;
use sentinel_core::ports::{BindingStore, Claim, Health, StoreError};
use tokio::sync::oneshot;

use super::super::failure::Failure;
use super::super::threads::prepare;
use super::super::{
    GROUP_COMMANDS_MAX, HEALTH_WAIT_MAX, READER_THREADS, READS_QUEUED_MAX, SqliteStore, WRITES_QUEUED_MAX,
    bindings,
};
use super::{fixture, new_path, outside};
use crate::conformance::{claimed, fingerprint, new_binding};
use crate::secret::OwnSecret;

/// Holds a thread of the store until it is dropped.
struct Gate {
    _held: Sender<()>,
}

/// What to run on the thread that is to be held, and how to hear that it is.
fn gate() -> (impl FnOnce() + Send + 'static, Receiver<()>, Gate) {
    let (entered, is_entered) = channel();
    let (held, is_held) = channel::<()>();
    let hold = move || {
        entered.send(()).unwrap();
        // Ends with an error, when the gate is dropped.
        let _ = is_held.recv();
    };
    (hold, is_entered, Gate { _held: held })
}

fn hold_writer(store: &SqliteStore) -> Gate {
    let (hold, entered, gate) = gate();
    let held = queue(store, move |_| {
        hold();
        Ok(())
    });
    drop(held);
    entered.recv().unwrap();
    gate
}

/// Queues a command without a caller that waits.
fn queue<T: Send + 'static>(
    store: &SqliteStore,
    command: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
) -> oneshot::Receiver<Result<T, StoreError>> {
    try_queue(store, command).unwrap()
}

fn try_queue<T: Send + 'static>(
    store: &SqliteStore,
    command: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
) -> Result<oneshot::Receiver<Result<T, StoreError>>, StoreError> {
    let (answer, answered) = oneshot::channel();
    let write = prepare(command, |outcome| {
        let _ = answer.send(outcome);
    });
    store.threads.queue_write(write)?;
    Ok(answered)
}

fn claim(number: u32) -> impl FnOnce(&Connection) -> Result<bool, Failure> + Send + 'static {
    move |connection| {
        let claim = bindings::claim(
            connection,
            &OwnSecret::default(),
            &new_binding(number, "192.0.2.1"),
        )?;
        Ok(matches!(claim, Claim::Won(_)))
    }
}

#[tokio::test]
async fn a_full_queue_of_changes_is_busy_and_none_of_it_is_lost() {
    let (store, _folder) = fixture();
    let gate = hold_writer(&store);
    let queued = u32::try_from(WRITES_QUEUED_MAX).unwrap();
    let answers: Vec<_> = (0..queued).map(|number| queue(&store, claim(number))).collect();
    assert!(matches!(try_queue(&store, claim(queued)), Err(StoreError::Busy)));
    let busy = store.claim(new_binding(queued, "192.0.2.1")).await;
    assert!(matches!(busy, Err(StoreError::Busy)), "{busy:?}");
    drop(gate);
    for answer in answers {
        assert_eq!(answer.await.unwrap(), Ok(true));
    }
    assert!(store.claim(new_binding(queued, "192.0.2.1")).await.is_ok());
}

#[tokio::test]
async fn a_full_queue_of_questions_is_busy() {
    let (store, _folder) = fixture();
    let mut gates = Vec::new();
    for _ in 0..READER_THREADS {
        let (hold, entered, gate) = gate();
        store.threads.queue_read(Box::new(|_| hold())).unwrap();
        entered.recv().unwrap();
        gates.push(gate);
    }
    for _ in 0..READS_QUEUED_MAX {
        store.threads.queue_read(Box::new(|_| ())).unwrap();
    }
    assert_eq!(store.find(&fingerprint(1)).await, Err(StoreError::Busy));
    gates.clear();
    // Readers empty the queue; the room they make is used as soon as there is some.
    let found = loop {
        match store.find(&fingerprint(1)).await {
            Err(StoreError::Busy) => tokio::task::yield_now().await,
            other => break other,
        }
    };
    assert_eq!(found, Ok(None));
}

#[tokio::test]
async fn a_command_that_fails_takes_no_other_one_down() {
    let (store, _folder) = fixture();
    let gate = hold_writer(&store);
    let before = queue(&store, claim(1));
    let failing = queue(&store, |connection| {
        claim(2)(connection)?;
        Err::<(), _>(Failure::damaged("on purpose"))
    });
    let after = queue(&store, claim(3));
    drop(gate);
    assert_eq!(before.await.unwrap(), Ok(true));
    assert_eq!(
        failing.await.unwrap(),
        Err(StoreError::Damaged("on purpose".to_owned()))
    );
    assert_eq!(after.await.unwrap(), Ok(true));
    assert!(store.find(&fingerprint(1)).await.unwrap().is_some());
    assert!(store.find(&fingerprint(2)).await.unwrap().is_none());
    assert!(store.find(&fingerprint(3)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_transaction_that_is_lost_is_lost_for_all_who_were_in_it_and_for_nobody_else() {
    let (store, _folder) = fixture();
    let gate = hold_writer(&store);
    let before = queue(&store, claim(1));
    // What SQLite does by itself when the disk is full or fails.
    let severe = queue(&store, |connection| {
        connection.execute_batch("ROLLBACK")?;
        Err::<(), _>(Failure::damaged("on purpose"))
    });
    let after = queue(&store, claim(3));
    drop(gate);
    assert!(matches!(before.await.unwrap(), Err(StoreError::Unavailable(_))));
    assert!(matches!(severe.await.unwrap(), Err(StoreError::Unavailable(_))));
    assert_eq!(after.await.unwrap(), Ok(true));
    assert!(store.find(&fingerprint(1)).await.unwrap().is_none());
    assert!(store.find(&fingerprint(3)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_group_has_a_maximum() {
    let (path, _folder) = new_path();
    let store = SqliteStore::open(&path).unwrap();
    let gate = hold_writer(&store);
    // Counts, from outside, what is committed while the command runs.
    let committed = |number: usize| {
        let outside = outside(&path);
        queue(&store, move |connection| {
            claim(u32::try_from(number).expect("small"))(connection)?;
            let count: i64 = outside.query_row("SELECT count(*) FROM bindings", [], |row| row.get(0))?;
            Ok(count)
        })
    };
    let answers: Vec<_> = (0..=GROUP_COMMANDS_MAX).map(committed).collect();
    drop(gate);
    for (number, answer) in answers.into_iter().enumerate() {
        let whole_groups = number / GROUP_COMMANDS_MAX * GROUP_COMMANDS_MAX;
        let expected = i64::try_from(whole_groups).unwrap();
        assert_eq!(answer.await.unwrap(), Ok(expected), "command {number}");
    }
}

#[tokio::test]
async fn what_was_accepted_is_done_without_its_caller() {
    let (store, _folder) = fixture();
    let gate = hold_writer(&store);
    {
        let mut claim = store.claim(new_binding(1, "192.0.2.1"));
        let pending =
            std::future::poll_fn(|context| std::task::Poll::Ready(claim.as_mut().poll(context).is_pending()));
        assert!(pending.await);
    }
    drop(gate);
    let lost = store.claim(new_binding(1, "192.0.2.9")).await;
    assert!(matches!(lost, Ok(Claim::Lost(_))), "{lost:?}");
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_does_not_answer_is_unhealthy_after_the_bound() {
    let (store, _folder) = fixture();
    let gate = hold_writer(&store);
    let asked_at = tokio::time::Instant::now();
    assert_eq!(
        Health::check(&store).await,
        Err(StoreError::Unavailable("the store does not answer".to_owned()))
    );
    assert_eq!(asked_at.elapsed(), HEALTH_WAIT_MAX);
    drop(gate);
}

#[tokio::test]
async fn nobody_hangs_when_the_writer_dies() {
    let (store, _folder) = fixture();
    let gate = hold_writer(&store);
    let before = queue(&store, claim(1));
    let fatal = queue(&store, |_| -> Result<(), Failure> { panic!("on purpose") });
    let after = queue(&store, claim(2));
    drop(gate);
    assert!(before.await.is_err());
    assert!(fatal.await.is_err());
    assert!(after.await.is_err());
    let refused = store.claim(new_binding(3, "192.0.2.1")).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert!(matches!(
        Health::check(&store).await,
        Err(StoreError::Unavailable(_))
    ));
    // Nothing of the group was committed, and questions are still answered.
    assert_eq!(store.find(&fingerprint(1)).await, Ok(None));
    assert!(store.close().is_err());
}

#[tokio::test]
async fn nobody_hangs_when_readers_die() {
    let (store, _folder) = fixture();
    for _ in 0..READER_THREADS {
        let died = store
            .read(|_| -> Result<(), Failure> { panic!("on purpose") })
            .await;
        assert!(matches!(died, Err(StoreError::Unavailable(_))), "{died:?}");
    }
    let refused = store.find(&fingerprint(1)).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert!(matches!(
        Health::check(&store).await,
        Err(StoreError::Unavailable(_))
    ));
    assert!(store.close().is_err());
}

#[tokio::test]
async fn closing_does_what_was_accepted_and_refuses_the_rest() {
    let (path, folder) = new_path();
    let store = SqliteStore::open(&path).unwrap();
    let gate = hold_writer(&store);
    let answers: Vec<_> = (0..1_000).map(|number| queue(&store, claim(number))).collect();
    let closing = std::thread::spawn({
        let store = store.clone();
        move || store.close()
    });
    drop(gate);
    closing.join().unwrap().unwrap();
    for answer in answers {
        assert_eq!(answer.await.unwrap(), Ok(true));
    }
    let refused = store.claim(new_binding(1, "192.0.2.1")).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    let refused = store.find(&fingerprint(1)).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert_eq!(store.close(), Ok(()));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let count: i64 = outside(&path)
        .query_row("SELECT count(*) FROM bindings", [], |row| row.get(0))
        .unwrap();
    assert_eq!(count, 1_000);
}

#[tokio::test]
async fn two_stores_on_one_file_work_side_by_side() {
    let (path, _folder) = new_path();
    let stores = [
        SqliteStore::open(&path).unwrap(),
        SqliteStore::open(&path).unwrap(),
    ];
    let mut claims = tokio::task::JoinSet::new();
    for number in 0..400 {
        let store = stores[number % 2].clone();
        // Each key is claimed through both stores.
        let key = u32::try_from(number / 2).unwrap();
        claims.spawn(async move { store.claim(new_binding(key, "192.0.2.1")).await });
    }
    let claims = claims.join_all().await;
    let won = claims
        .iter()
        .filter(|claim| matches!(claim, Ok(Claim::Won(_))))
        .count();
    let lost = claims
        .iter()
        .filter(|claim| matches!(claim, Ok(Claim::Lost(_))))
        .count();
    assert_eq!((won, lost), (200, 200));
    for key in 0..200 {
        let one = stores[0].find(&fingerprint(key)).await.unwrap();
        assert!(one.is_some());
        assert_eq!(stores[1].find(&fingerprint(key)).await.unwrap(), one);
    }
}

#[tokio::test]
async fn a_process_that_holds_the_file_makes_changes_busy_and_questions_not() {
    let (path, _folder) = new_path();
    let store = SqliteStore::open(&path).unwrap();
    let holder = outside(&path);
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(store.find(&fingerprint(1)).await, Ok(None));
    let claim = store.claim(new_binding(1, "192.0.2.1")).await;
    assert!(matches!(claim, Err(StoreError::Busy)), "{claim:?}");
    drop(holder);
    claimed(&store, 1, "192.0.2.1").await;
}

#[tokio::test]
async fn what_cannot_be_read_is_said_with_its_cause() {
    let (path, _folder) = new_path();
    let store = SqliteStore::open(&path).unwrap();
    claimed(&store, 1, "192.0.2.1").await;
    let outside = outside(&path);
    outside
        .execute_batch(r#"UPDATE bindings SET policy = '{"unheard_of": 1}'"#)
        .unwrap();
    assert_eq!(
        store.find(&fingerprint(1)).await,
        Err(StoreError::Damaged("bindings.policy".to_owned()))
    );
    outside.execute_batch("DROP TABLE binding_networks").unwrap();
    match store.find(&fingerprint(1)).await {
        Err(StoreError::Unavailable(cause)) => assert!(cause.contains("binding_networks"), "{cause}"),
        other => panic!("{other:?}"),
    }
}

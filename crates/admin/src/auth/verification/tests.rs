use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};

use tokio::task::JoinSet;

use super::*;
use crate::auth::password::tests::cheap_hash;

fn password() -> Password {
    Password::new("x".to_owned())
}

/// A check that holds every password until the gate opens, and remembers how many it held at once.
#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
    running: AtomicUsize,
    running_max: AtomicUsize,
}

impl Gate {
    fn pass(&self) {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.running_max.fetch_max(running, Ordering::SeqCst);
        let guard = self.is_open.lock().expect("not poisoned");
        drop(
            self.opened
                .wait_while(guard, |is_open| !*is_open)
                .expect("not poisoned"),
        );
        self.running.fetch_sub(1, Ordering::SeqCst);
    }

    fn open(&self) {
        *self.is_open.lock().expect("not poisoned") = true;
        self.opened.notify_all();
    }
}

fn gated(wait_max: Duration) -> (Arc<Gate>, Arc<Verification>) {
    let gate = Arc::new(Gate::default());
    let inner = Arc::clone(&gate);
    let verification = Verification::with_check(wait_max, move |_, _| {
        inner.pass();
        true
    });
    (gate, Arc::new(verification))
}

fn spawn(running: &mut JoinSet<Option<bool>>, verification: &Arc<Verification>, count: usize) {
    for _ in 0..count {
        let verification = Arc::clone(verification);
        running.spawn(async move { verification.verify(cheap_hash("x"), password()).await });
    }
}

#[tokio::test]
async fn a_flood_runs_few_at_a_time_and_the_rest_is_turned_away() {
    let (gate, verification) = gated(Duration::from_hours(1));
    let admitted = VERIFICATIONS_MAX + WAITING_MAX;
    let mut running = JoinSet::new();
    spawn(&mut running, &verification, admitted);
    while verification.places.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(verification.verify(cheap_hash("x"), password()).await, None);
    assert!(
        verification.hash(password()).await.is_none(),
        "hashing waits in the same queue"
    );

    gate.open();
    while let Some(outcome) = running.join_next().await {
        assert_eq!(outcome.expect("ran"), Some(true));
    }
    assert!(gate.running_max.load(Ordering::SeqCst) <= VERIFICATIONS_MAX);
    assert_eq!(verification.places.available_permits(), admitted);
}

#[tokio::test]
async fn a_password_waits_for_a_bounded_time() {
    assert!(WAIT_MAX < crate::middleware::REQUEST_TIME_MAX);
    let (gate, verification) = gated(Duration::ZERO);
    let mut running = JoinSet::new();
    spawn(&mut running, &verification, VERIFICATIONS_MAX);
    while verification.turns.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(verification.verify(cheap_hash("x"), password()).await, None);
    gate.open();
    while let Some(outcome) = running.join_next().await {
        assert_eq!(outcome.expect("ran"), Some(true));
    }
    assert_eq!(verification.verify(cheap_hash("x"), password()).await, Some(true));
}

#[tokio::test]
async fn a_caller_who_leaves_keeps_the_turn_until_the_work_is_done() {
    let (gate, verification) = gated(Duration::from_hours(1));
    let leaving = Arc::clone(&verification);
    let attempt = tokio::spawn(async move { leaving.verify(cheap_hash("x"), password()).await });
    while gate.running.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    attempt.abort();
    assert!(attempt.await.expect_err("was aborted").is_cancelled());
    assert_eq!(verification.turns.available_permits(), VERIFICATIONS_MAX - 1);
    gate.open();
    while verification.turns.available_permits() < VERIFICATIONS_MAX {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn others_go_before_the_threads_that_verify_and_nobody_gives_way_for_good() {
    let verification = Verification::default();
    let niceness = || rustix::process::nice(0).expect("Linux tells");
    let before = niceness();
    let meanwhile = verification.run(niceness).await;
    assert_eq!(meanwhile, Some((before + NICENESS).min(19)));
    assert_eq!(niceness(), before, "only the thread itself gives way");
}

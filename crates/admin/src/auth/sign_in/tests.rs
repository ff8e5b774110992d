use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};

use tokio::task::JoinSet;

use super::*;
use sentinel_core::attempts::{FREE_FAILURES_PER_ACCOUNT_MAX, InProcessAttempts};

const NOW: Timestamp = Timestamp::from_unix_ms(1_800_000_000_000);

fn caller(number: usize) -> ClientIp {
    let last = u8::try_from(number).expect("small");
    ClientIp::new(std::net::IpAddr::from([192, 0, 2, last]))
}

fn attempts() -> Arc<dyn AttemptLimiter> {
    Arc::new(InProcessAttempts::default())
}

fn password(text: &str) -> Password {
    Password::new(text.to_owned())
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

fn gated(wait_max: Duration) -> (Arc<Gate>, Arc<SignIn>) {
    let gate = Arc::new(Gate::default());
    let inner = Arc::clone(&gate);
    let sign_in = SignIn::with_check("admin".to_owned(), attempts(), wait_max, move |_| {
        inner.pass();
        true
    });
    (gate, Arc::new(sign_in))
}

#[tokio::test]
async fn a_flood_runs_few_at_a_time_and_the_rest_is_turned_away() {
    let (gate, sign_in) = gated(Duration::from_hours(1));
    let admitted = VERIFICATIONS_MAX + WAITING_MAX;
    let mut attempts = JoinSet::new();
    for number in 0..admitted {
        let sign_in = Arc::clone(&sign_in);
        attempts.spawn(async move { sign_in.attempt("admin", password("x"), caller(number), NOW).await });
    }
    while sign_in.places.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    let one_more = sign_in
        .attempt("admin", password("x"), caller(admitted), NOW)
        .await;
    assert_eq!(one_more, Err(SignInRefused::Busy));

    gate.open();
    while let Some(outcome) = attempts.join_next().await {
        assert_eq!(outcome.expect("ran"), Ok(()));
    }
    assert!(gate.running_max.load(Ordering::SeqCst) <= VERIFICATIONS_MAX);
    assert_eq!(sign_in.places.available_permits(), admitted);
}

#[tokio::test]
async fn an_attempt_waits_for_a_bounded_time_and_is_not_held_against_the_caller() {
    let (gate, sign_in) = gated(Duration::ZERO);
    let mut running = JoinSet::new();
    for number in 0..VERIFICATIONS_MAX {
        let sign_in = Arc::clone(&sign_in);
        running.spawn(async move { sign_in.attempt("admin", password("x"), caller(number), NOW).await });
    }
    while sign_in.verifications.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    for _ in 0..=FREE_FAILURES_PER_ACCOUNT_MAX {
        let outcome = sign_in.attempt("admin", password("x"), caller(99), NOW).await;
        assert_eq!(outcome, Err(SignInRefused::Busy));
    }
    gate.open();
    while let Some(outcome) = running.join_next().await {
        assert_eq!(outcome.expect("ran"), Ok(()));
    }
    assert_eq!(
        sign_in.attempt("admin", password("x"), caller(99), NOW).await,
        Ok(())
    );
}

#[tokio::test]
async fn a_caller_who_leaves_keeps_the_turn_until_the_work_is_done() {
    let (gate, sign_in) = gated(Duration::from_hours(1));
    let leaving = Arc::clone(&sign_in);
    let attempt = tokio::spawn(async move { leaving.attempt("admin", password("x"), caller(1), NOW).await });
    while gate.running.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    attempt.abort();
    assert!(attempt.await.expect_err("was aborted").is_cancelled());
    assert_eq!(sign_in.verifications.available_permits(), VERIFICATIONS_MAX - 1);
    gate.open();
    while sign_in.verifications.available_permits() < VERIFICATIONS_MAX {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_unknown_name_is_verified_like_a_known_one() {
    let checked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&checked);
    let sign_in = SignIn::with_check("admin".to_owned(), attempts(), WAIT_MAX, move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        true
    });
    let outcome = sign_in.attempt("nobody", password("right"), caller(1), NOW).await;
    assert_eq!(outcome, Err(SignInRefused::Wrong));
    assert_eq!(checked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_locked_out_caller_costs_no_verification() {
    let checked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&checked);
    let sign_in = SignIn::with_check("admin".to_owned(), attempts(), WAIT_MAX, move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        false
    });
    for _ in 0..FREE_FAILURES_PER_ACCOUNT_MAX {
        let outcome = sign_in.attempt("admin", password("x"), caller(1), NOW).await;
        assert_eq!(outcome, Err(SignInRefused::Wrong));
    }
    let outcome = sign_in.attempt("admin", password("x"), caller(1), NOW).await;
    assert_eq!(outcome, Err(SignInRefused::LockedOut(Duration::from_secs(1))));
    let failures = usize::try_from(FREE_FAILURES_PER_ACCOUNT_MAX).expect("small");
    assert_eq!(checked.load(Ordering::SeqCst), failures);
}

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use sentinel_core::account::memory::MemoryAccounts;
use sentinel_core::attempts::{Attempt, FREE_FAILURES_PER_ACCOUNT_MAX, InProcessAttempts};

use super::*;
use crate::auth::password::tests::cheap_hash;
use crate::auth::second_factor::SealingSecret;
use crate::testing::ip;

const NOW: Timestamp = Timestamp::from_unix_ms(1_800_000_000_000);

/// Signs in with a check that says this, and counts how often it was asked.
fn sign_in(says: bool, attempts: Arc<dyn AttemptLimiter>) -> (Arc<AtomicUsize>, SignIn) {
    let checked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&checked);
    let verification = Verification::with_check(Duration::from_secs(1), move |_, _| {
        counter.fetch_add(1, Ordering::SeqCst);
        says
    });
    let secret = SealingSecret::new([1; 32]).expect("long enough");
    let sign_in = SignIn::new(
        Account::new("admin", cheap_hash("right")).expect("a good name"),
        Arc::new(MemoryAccounts::default()),
        attempts,
        Arc::new(verification),
        Arc::new(SecondFactors::new(&secret)),
    );
    (checked, sign_in)
}

fn credentials(username: &str) -> Credentials {
    Credentials {
        username: username.to_owned(),
        password: Password::new("right".to_owned()),
        otp: None,
    }
}

#[tokio::test]
async fn an_unknown_name_is_verified_like_a_known_one() {
    let (checked, sign_in) = sign_in(true, Arc::new(InProcessAttempts::default()));
    let outcome = sign_in.attempt(credentials("nobody"), ip("192.0.2.1"), NOW).await;
    assert_eq!(outcome, Err(SignInRefused::Wrong));
    assert_eq!(checked.load(Ordering::SeqCst), 1);
    let shown = format!("{:?}", PasswordHash::parse(NOBODYS_HASH).map(|_| ()));
    assert_eq!(shown, "Ok(())");
    let ours = crate::auth::password::hash_password(&Password::new("x".to_owned())).expect("hashes");
    let cost = |phc: &str| phc.split('$').nth(3).map(str::to_owned);
    assert_eq!(
        cost(NOBODYS_HASH),
        cost(&ours),
        "it takes as long as a hash that is made today"
    );
}

#[tokio::test]
async fn a_locked_out_caller_costs_no_verification() {
    let (checked, sign_in) = sign_in(false, Arc::new(InProcessAttempts::default()));
    for _ in 0..FREE_FAILURES_PER_ACCOUNT_MAX {
        let outcome = sign_in.attempt(credentials("admin"), ip("192.0.2.1"), NOW).await;
        assert_eq!(outcome, Err(SignInRefused::Wrong));
    }
    let outcome = sign_in.attempt(credentials("admin"), ip("192.0.2.1"), NOW).await;
    assert_eq!(outcome, Err(SignInRefused::LockedOut(Duration::from_secs(1))));
    let failures = usize::try_from(FREE_FAILURES_PER_ACCOUNT_MAX).expect("small");
    assert_eq!(checked.load(Ordering::SeqCst), failures);
}

/// Remembers how attempts ended.
#[derive(Default)]
struct Outcomes(std::sync::Mutex<Vec<AttemptOutcome>>);

#[async_trait]
impl AttemptLimiter for Outcomes {
    async fn begin(&self, account: &str, client_ip: ClientIp, now: Timestamp) -> Result<Attempt, Duration> {
        InProcessAttempts::default().begin_here(account, client_ip, now)
    }

    async fn settle(&self, _attempt: Attempt, outcome: AttemptOutcome) {
        self.0.lock().expect("not poisoned").push(outcome);
    }
}

#[tokio::test]
async fn what_was_not_checked_is_not_held_against_the_caller() {
    let outcomes = Arc::new(Outcomes::default());
    let (_, sign_in) = sign_in(true, outcomes.clone());
    let places = u32::try_from(sign_in.verification.places.available_permits()).expect("small");
    let all = sign_in
        .verification
        .places
        .try_acquire_many(places)
        .expect("free");
    let outcome = sign_in.attempt(credentials("admin"), ip("192.0.2.1"), NOW).await;
    assert_eq!(outcome, Err(SignInRefused::Busy));
    drop(all);
    let outcome = sign_in.attempt(credentials("admin"), ip("192.0.2.1"), NOW).await;
    assert_eq!(outcome.map(|signed_in| signed_in.holder), Ok(Holder::Configured));
    let seen = outcomes.0.lock().expect("not poisoned").clone();
    assert_eq!(seen, [AttemptOutcome::NotChecked, AttemptOutcome::Succeeded]);
}

#[tokio::test(start_paused = true)]
async fn the_configured_account_waits_for_a_silent_store_for_a_bounded_time() {
    let silent = MemoryAccounts::default();
    let (_, mut sign_in) = sign_in(true, Arc::new(InProcessAttempts::default()));
    silent.fall_silent();
    sign_in.accounts = Arc::new(silent);
    let begun = tokio::time::Instant::now();
    let outcome = sign_in.attempt(credentials("admin"), ip("192.0.2.1"), NOW).await;
    assert_eq!(outcome.map(|signed_in| signed_in.holder), Ok(Holder::Configured));
    assert!(begun.elapsed() >= LOOKUP_WAIT_MAX && begun.elapsed() < LOOKUP_WAIT_MAX * 2);
    let outcome = sign_in.attempt(credentials("ann"), ip("192.0.2.1"), NOW).await;
    assert!(matches!(outcome, Err(SignInRefused::Store(_))), "{outcome:?}");
}

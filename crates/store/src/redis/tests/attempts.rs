//! Failed attempts to sign in: the rules, in process and on Redis alike; and what holds when Redis comes and goes.

use std::time::Duration;

use sentinel_core::attempts::{
    AttemptLimiter, AttemptOutcome, CountedBy, DELAY_FIRST, DELAY_MAX, FORGET_AFTER,
    FREE_FAILURES_PER_ACCOUNT_MAX, FREE_FAILURES_PER_ADDRESS_MAX, InProcessAttempts,
};
use sentinel_core::network::ClientIp;
use sentinel_core::time::Timestamp;
use sentinel_testkit::RedisServer;

use super::support::link;
use crate::conformance::address as ip;
use crate::redis::{RedisAttempts, RedisLink};

const NOW: Timestamp = Timestamp::from_unix_ms(1_800_000_000_000);

/// Makes one test of each rule, on the limiter that `$fixture` gives.
macro_rules! attempts_suite {
    ($fixture:path; $($rule:ident)+) => {
        $(
            #[tokio::test]
            async fn $rule() {
                let (limiter, _kept) = $fixture().await;
                super::$rule(&limiter).await;
            }
        )+
    };
    ($fixture:path) => {
        attempts_suite! { $fixture;
            the_delay_begins_at_the_bound_and_doubles_up_to_its_maximum
            attempts_during_a_lock_do_not_prolong_it
            a_stranger_elsewhere_locks_nobody_out
            many_accounts_from_one_address_lock_the_address
            an_ipv6_caller_cannot_move_within_its_network
            a_right_password_forgives_the_pair_and_not_the_address
            what_was_not_checked_is_taken_back
            many_at_once_cannot_slip_past
            an_hour_of_quiet_forgets
            a_clock_set_back_does_not_prolong_a_lock
        }
    };
}

mod in_process {
    use std::future::{Ready, ready};

    fn fixture() -> Ready<(super::InProcessAttempts, ())> {
        ready((super::InProcessAttempts::default(), ()))
    }

    attempts_suite!(fixture);
}

mod on_redis {
    async fn fixture() -> (super::RedisAttempts, super::RedisServer) {
        let (limiter, server, _) = super::start().await;
        (limiter, server)
    }

    attempts_suite!(fixture);
}

async fn start() -> (RedisAttempts, RedisServer, RedisLink) {
    let server = RedisServer::start().await;
    let link = link(&server.url()).await;
    (RedisAttempts::new(link.clone()), server, link)
}

async fn fail(limiter: &dyn AttemptLimiter, account: &str, client_ip: ClientIp, times: u32) {
    for _ in 0..times {
        let attempt = limiter.begin(account, client_ip, NOW).await.expect("no wait yet");
        limiter.settle(attempt, AttemptOutcome::Failed).await;
    }
}

/// For how many seconds the caller would have to wait.
async fn wait(
    limiter: &dyn AttemptLimiter,
    account: &str,
    client_ip: ClientIp,
    now: Timestamp,
) -> Option<u64> {
    match limiter.begin(account, client_ip, now).await {
        Ok(attempt) => {
            limiter.settle(attempt, AttemptOutcome::NotChecked).await;
            None
        }
        Err(wait) => Some(wait.as_secs()),
    }
}

async fn the_delay_begins_at_the_bound_and_doubles_up_to_its_maximum(limiter: &dyn AttemptLimiter) {
    let caller = ip("192.0.2.1");
    fail(limiter, "admin", caller, FREE_FAILURES_PER_ACCOUNT_MAX).await;
    let mut now = NOW;
    let doubling = (0..9).map(|doublings| DELAY_FIRST.as_secs() << doublings);
    for expected in doubling.chain([DELAY_MAX.as_secs(); 2]) {
        assert_eq!(wait(limiter, "admin", caller, now).await, Some(expected));
        now = now.plus(Duration::from_secs(expected));
        assert!(limiter.begin("admin", caller, now).await.is_ok());
    }
}

async fn attempts_during_a_lock_do_not_prolong_it(limiter: &dyn AttemptLimiter) {
    let caller = ip("192.0.2.1");
    fail(limiter, "admin", caller, FREE_FAILURES_PER_ACCOUNT_MAX).await;
    for _ in 0..100 {
        assert!(limiter.begin("admin", caller, NOW).await.is_err());
    }
    assert_eq!(wait(limiter, "admin", caller, NOW.plus(DELAY_FIRST)).await, None);
}

async fn a_stranger_elsewhere_locks_nobody_out(limiter: &dyn AttemptLimiter) {
    fail(limiter, "admin", ip("192.0.2.1"), FREE_FAILURES_PER_ACCOUNT_MAX).await;
    assert!(wait(limiter, "admin", ip("192.0.2.1"), NOW).await.is_some());
    assert_eq!(wait(limiter, "admin", ip("192.0.2.2"), NOW).await, None);
}

async fn many_accounts_from_one_address_lock_the_address(limiter: &dyn AttemptLimiter) {
    let caller = ip("192.0.2.1");
    for account in 0..FREE_FAILURES_PER_ADDRESS_MAX {
        fail(limiter, &account.to_string(), caller, 1).await;
    }
    assert_eq!(wait(limiter, "another", caller, NOW).await, Some(1));
}

async fn an_ipv6_caller_cannot_move_within_its_network(limiter: &dyn AttemptLimiter) {
    fail(limiter, "admin", ip("2001:db8::1"), FREE_FAILURES_PER_ACCOUNT_MAX).await;
    assert!(
        wait(limiter, "admin", ip("2001:db8::ffff:2"), NOW)
            .await
            .is_some()
    );
    assert_eq!(wait(limiter, "admin", ip("2001:db8:0:1::1"), NOW).await, None);
}

async fn a_right_password_forgives_the_pair_and_not_the_address(limiter: &dyn AttemptLimiter) {
    let caller = ip("192.0.2.1");
    for account in 1..FREE_FAILURES_PER_ADDRESS_MAX {
        fail(limiter, &account.to_string(), caller, 1).await;
    }
    let attempt = limiter.begin("admin", caller, NOW).await.expect("one is left");
    limiter.settle(attempt, AttemptOutcome::Succeeded).await;
    assert!(limiter.begin("admin", caller, NOW).await.is_ok());
    assert_eq!(wait(limiter, "admin", caller, NOW).await, Some(1));
}

async fn what_was_not_checked_is_taken_back(limiter: &dyn AttemptLimiter) {
    let caller = ip("192.0.2.1");
    fail(limiter, "admin", caller, FREE_FAILURES_PER_ACCOUNT_MAX - 1).await;
    for _ in 0..2 * FREE_FAILURES_PER_ADDRESS_MAX {
        assert_eq!(wait(limiter, "admin", caller, NOW).await, None);
    }
    fail(limiter, "admin", caller, 1).await;
    assert_eq!(wait(limiter, "admin", caller, NOW).await, Some(1));
}

async fn many_at_once_cannot_slip_past(limiter: &dyn AttemptLimiter) {
    let attempts = (0..50).map(|_| limiter.begin("admin", ip("192.0.2.1"), NOW));
    let begun = futures_util::future::join_all(attempts).await;
    let counted = begun.iter().filter(|attempt| attempt.is_ok()).count();
    assert_eq!(counted, FREE_FAILURES_PER_ACCOUNT_MAX as usize);
}

async fn an_hour_of_quiet_forgets(limiter: &dyn AttemptLimiter) {
    let caller = ip("192.0.2.1");
    fail(limiter, "admin", caller, FREE_FAILURES_PER_ACCOUNT_MAX).await;
    let later = NOW.plus(FORGET_AFTER);
    assert!(limiter.begin("admin", caller, later).await.is_ok());
    assert_eq!(wait(limiter, "admin", caller, later).await, None);
}

async fn a_clock_set_back_does_not_prolong_a_lock(limiter: &dyn AttemptLimiter) {
    let caller = ip("192.0.2.1");
    fail(limiter, "admin", caller, FREE_FAILURES_PER_ACCOUNT_MAX).await;
    let earlier = Timestamp::from_unix_ms(NOW.unix_ms() - 86_400_000);
    assert_eq!(wait(limiter, "admin", caller, earlier).await, Some(1));
    assert_eq!(
        wait(limiter, "admin", caller, earlier.plus(DELAY_FIRST)).await,
        None
    );
}

#[tokio::test]
async fn replicas_count_together_and_forgive_together() {
    let (one, server, _link) = start().await;
    let other = RedisAttempts::new(link(&server.url()).await);
    let caller = ip("192.0.2.1");
    fail(&one, "admin", caller, FREE_FAILURES_PER_ACCOUNT_MAX - 1).await;
    fail(&other, "admin", caller, 1).await;
    assert_eq!(wait(&one, "admin", caller, NOW).await, Some(1));
    assert_eq!(wait(&other, "admin", caller, NOW).await, Some(1));
    let later = NOW.plus(DELAY_FIRST);
    let attempt = other.begin("admin", caller, later).await.expect("after the wait");
    other.settle(attempt, AttemptOutcome::Succeeded).await;
    for _ in 0..FREE_FAILURES_PER_ACCOUNT_MAX {
        let attempt = one.begin("admin", caller, later).await;
        assert!(attempt.is_ok(), "forgiven elsewhere, whatever is remembered here");
    }
}

#[tokio::test]
async fn without_redis_this_replica_goes_on_with_what_it_counted() {
    let (limiter, server, link) = start().await;
    let caller = ip("192.0.2.1");
    fail(&limiter, "admin", caller, FREE_FAILURES_PER_ACCOUNT_MAX - 1).await;
    server.kill().await;
    link.down().await;
    let attempt = limiter.begin("admin", caller, NOW).await.expect("one is left");
    assert_eq!(attempt.counted_by, CountedBy::Process);
    limiter.settle(attempt, AttemptOutcome::Failed).await;
    assert_eq!(wait(&limiter, "admin", caller, NOW).await, Some(1));
    server.restart().await;
    link.up().await;
    let attempt = limiter
        .begin("admin", caller, NOW)
        .await
        .expect("Redis forgot, and decides");
    assert_eq!(attempt.counted_by, CountedBy::Replicas);
    limiter.settle(attempt, AttemptOutcome::NotChecked).await;
}

#[tokio::test]
async fn what_is_remembered_names_no_account_and_is_forgotten_by_itself() {
    let (limiter, server, _link) = start().await;
    fail(&limiter, "carol {attempts}", ip("2001:db8::1"), 1).await;
    let keys: Vec<String> = server.command(&["KEYS", "*attempts*"]).await;
    assert_eq!(keys.len(), 2, "{keys:?}");
    for key in &keys {
        assert!(key.starts_with("sentinel:{attempts:2001:db8::/64}:"), "{key}");
        assert!(!key.contains("carol"), "{key}");
        let kept: i64 = server.command(&["PTTL", key]).await;
        assert!(kept > 0 && kept <= 3_600_000, "{kept}");
    }
}

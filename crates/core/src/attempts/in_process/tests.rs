use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::attempts::{DELAY_FIRST, DELAY_MAX};

const NOW: Timestamp = Timestamp::from_unix_ms(1_800_000_000_000);

fn ip(text: &str) -> ClientIp {
    ClientIp::new(text.parse().expect("an address"))
}

fn fail(lockout: &InProcessAttempts, account: &str, client_ip: ClientIp, times: u32) {
    for _ in 0..times {
        assert!(lockout.begin_here(account, client_ip, NOW).is_ok());
    }
}

fn wait(lockout: &InProcessAttempts, account: &str, client_ip: ClientIp, now: Timestamp) -> Option<u64> {
    match lockout.begin_here(account, client_ip, now) {
        Ok(attempt) => {
            lockout.settle_here(&attempt, AttemptOutcome::NotChecked);
            None
        }
        Err(wait) => Some(wait.as_secs()),
    }
}

#[test]
fn the_delay_begins_at_the_bound_and_doubles_up_to_its_maximum() {
    let lockout = InProcessAttempts::default();
    let caller = ip("192.0.2.1");
    fail(&lockout, "admin", caller, FREE_FAILURES_PER_ACCOUNT_MAX);
    let mut now = NOW;
    for expected in [
        1,
        2,
        4,
        8,
        16,
        32,
        64,
        128,
        256,
        DELAY_MAX.as_secs(),
        DELAY_MAX.as_secs(),
    ] {
        assert_eq!(wait(&lockout, "admin", caller, now), Some(expected));
        now = now.plus(Duration::from_secs(expected));
        assert!(lockout.begin_here("admin", caller, now).is_ok());
    }
}

#[test]
fn attempts_during_a_lock_do_not_prolong_it() {
    let lockout = InProcessAttempts::default();
    let caller = ip("192.0.2.1");
    fail(&lockout, "admin", caller, FREE_FAILURES_PER_ACCOUNT_MAX);
    for _ in 0..100 {
        assert!(lockout.begin_here("admin", caller, NOW).is_err());
    }
    assert_eq!(wait(&lockout, "admin", caller, NOW.plus(DELAY_FIRST)), None);
}

#[test]
fn a_stranger_elsewhere_locks_nobody_out() {
    let lockout = InProcessAttempts::default();
    fail(&lockout, "admin", ip("192.0.2.1"), FREE_FAILURES_PER_ACCOUNT_MAX);
    assert!(wait(&lockout, "admin", ip("192.0.2.1"), NOW).is_some());
    assert_eq!(wait(&lockout, "admin", ip("192.0.2.2"), NOW), None);
}

#[test]
fn many_accounts_from_one_address_lock_the_address() {
    let lockout = InProcessAttempts::default();
    let caller = ip("192.0.2.1");
    for account in 0..FREE_FAILURES_PER_ADDRESS_MAX {
        fail(&lockout, &account.to_string(), caller, 1);
    }
    assert_eq!(wait(&lockout, "another", caller, NOW), Some(1));
}

#[test]
fn an_ipv6_caller_cannot_move_within_its_network() {
    let lockout = InProcessAttempts::default();
    fail(
        &lockout,
        "admin",
        ip("2001:db8::1"),
        FREE_FAILURES_PER_ACCOUNT_MAX,
    );
    assert!(wait(&lockout, "admin", ip("2001:db8::ffff:2"), NOW).is_some());
    assert_eq!(wait(&lockout, "admin", ip("2001:db8:0:1::1"), NOW), None);
}

#[test]
fn a_right_password_forgives_the_pair_and_not_the_address() {
    let lockout = InProcessAttempts::default();
    let caller = ip("192.0.2.1");
    for account in 1..FREE_FAILURES_PER_ADDRESS_MAX {
        fail(&lockout, &account.to_string(), caller, 1);
    }
    let attempt = lockout.begin_here("admin", caller, NOW).expect("one is left");
    lockout.settle_here(&attempt, AttemptOutcome::Succeeded);
    assert!(lockout.begin_here("admin", caller, NOW).is_ok());
    assert_eq!(wait(&lockout, "admin", caller, NOW), Some(1));
}

#[test]
fn an_hour_of_quiet_forgets() {
    let lockout = InProcessAttempts::default();
    let caller = ip("192.0.2.1");
    fail(&lockout, "admin", caller, FREE_FAILURES_PER_ACCOUNT_MAX);
    let later = NOW.plus(FORGET_AFTER);
    assert!(lockout.begin_here("admin", caller, later).is_ok());
    assert_eq!(wait(&lockout, "admin", caller, later), None);
}

#[test]
fn a_clock_set_back_does_not_prolong_a_lock() {
    let lockout = InProcessAttempts::default();
    let caller = ip("192.0.2.1");
    fail(&lockout, "admin", caller, FREE_FAILURES_PER_ACCOUNT_MAX);
    let earlier = Timestamp::from_unix_ms(NOW.unix_ms() - 86_400_000);
    assert_eq!(wait(&lockout, "admin", caller, earlier), Some(1));
    assert_eq!(wait(&lockout, "admin", caller, earlier.plus(DELAY_FIRST)), None);
}

#[test]
fn what_is_remembered_is_bounded_and_the_longest_quiet_goes_first() {
    let lockout = InProcessAttempts::default();
    let guesser = ip("198.51.100.1");
    fail(&lockout, "admin", guesser, FREE_FAILURES_PER_ACCOUNT_MAX);
    let later = NOW.plus(Duration::from_millis(1));
    let pairs = u32::try_from(REMEMBERED_MAX / 2).expect("small");
    for number in 0..pairs {
        let caller = ClientIp::new(IpAddr::V4(Ipv4Addr::from(0x0A00_0000 + number)));
        assert!(lockout.begin_here("admin", caller, later).is_ok());
        assert!(lockout.remembered().len() <= REMEMBERED_MAX);
    }
    assert_eq!(lockout.remembered().len(), REMEMBERED_MAX);
    assert_eq!(wait(&lockout, "admin", guesser, later), None);
}

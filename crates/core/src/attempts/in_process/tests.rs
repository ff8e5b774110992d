//! What is special to one process: its memory is bounded. The rules are tested with the limiter that replicas share, in the store crate.

use std::net::{IpAddr, Ipv4Addr};

use super::*;

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

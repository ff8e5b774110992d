//! How fast one address may claim keys, and which keys it may not claim for a moment.
//!
//! Guessed keys would otherwise fill the table with claims. Both maps are bounded: under a flood of addresses the oldest
//! entries go, which only forgets a count, never a binding.

use std::time::Duration;

use quick_cache::sync::Cache;
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::network::{ClientIp, Network};
use sentinel_core::time::Timestamp;

/// The most addresses whose claims are counted at one time.
pub(crate) const THROTTLED_ADDRESSES_MAX: usize = 65_536;
/// The most keys that are held back at one time.
pub(crate) const HELD_KEYS_MAX: usize = 65_536;
/// How long a key that the upstream did not know is not claimed again from the same address.
pub(crate) const HOLD: Duration = Duration::from_secs(10);
/// The stretch of time in which claims are counted.
pub(crate) const WINDOW: Duration = Duration::from_mins(1);
/// The part of an IPv6 address that one customer of a network usually has.
const IPV6_PREFIX: u8 = 64;

#[derive(Clone, Copy, Debug)]
struct Window {
    since: Timestamp,
    claims: u32,
}

/// Counts claims per address, and holds keys.
#[derive(Debug)]
pub(crate) struct ClaimThrottle {
    windows: Cache<Network, Window>,
    held: Cache<(KeyFingerprint, Network), Timestamp>,
}

impl ClaimThrottle {
    pub(crate) fn new() -> Self {
        Self {
            windows: Cache::new(THROTTLED_ADDRESSES_MAX),
            held: Cache::new(HELD_KEYS_MAX),
        }
    }

    /// Counts one claim; false when the address has had its share: so many per [`WINDOW`], zero for no bound. Concurrent
    /// claims may count as one: the bound is a brake, not a book.
    pub(crate) fn admit(&self, address: ClientIp, claims_per_window: u32, now: Timestamp) -> bool {
        if claims_per_window == 0 {
            return true;
        }
        let source = source(address);
        let current = self
            .windows
            .get(&source)
            .filter(|window| now.since(window.since) < WINDOW);
        let mut window = current.unwrap_or(Window {
            since: now,
            claims: 0,
        });
        if window.claims >= claims_per_window {
            return false;
        }
        window.claims += 1;
        self.windows.insert(source, window);
        true
    }

    /// Remembers that the upstream did not know the key.
    pub(crate) fn hold(&self, fingerprint: KeyFingerprint, address: ClientIp, now: Timestamp) {
        self.held.insert((fingerprint, source(address)), now);
    }

    /// Whether the key is not to be claimed from this address yet.
    pub(crate) fn is_held(&self, fingerprint: KeyFingerprint, address: ClientIp, now: Timestamp) -> bool {
        let held = self.held.get(&(fingerprint, source(address)));
        held.is_some_and(|since| now.since(since) < HOLD)
    }
}

/// Whom an address stands for where strangers are counted: itself, or the /64 that one customer usually has.
pub(crate) fn source(address: ClientIp) -> Network {
    Network::widen(address, 32, IPV6_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> ClientIp {
        ClientIp::new(text.parse().expect("an address"))
    }

    #[test]
    fn an_address_has_its_share_per_window() {
        let throttle = ClaimThrottle::new();
        let at = Timestamp::from_unix_ms;
        assert!(throttle.admit(ip("2001:db8::1"), 2, at(0)));
        assert!(throttle.admit(ip("2001:db8::2"), 2, at(1)));
        assert!(
            !throttle.admit(ip("2001:db8::3"), 2, at(59_999)),
            "one /64 is one source"
        );
        assert!(throttle.admit(ip("2001:db8:0:1::1"), 2, at(2)));
        assert!(throttle.admit(ip("2001:db8::1"), 2, at(60_000)));
        assert!((0..1_000).all(|_| throttle.admit(ip("192.0.2.1"), 0, at(0))));
    }

    #[test]
    fn a_held_key_is_held_for_its_address_and_for_a_while() {
        let throttle = ClaimThrottle::new();
        let key = KeyFingerprint::from_bytes([1; 32]);
        let at = Timestamp::from_unix_ms;
        throttle.hold(key, ip("192.0.2.1"), at(0));
        assert!(throttle.is_held(key, ip("192.0.2.1"), at(9_999)));
        assert!(!throttle.is_held(key, ip("192.0.2.1"), at(10_000)));
        assert!(!throttle.is_held(key, ip("192.0.2.2"), at(1)));
    }

    #[test]
    fn floods_of_addresses_and_keys_stay_within_the_bounds() {
        let throttle = ClaimThrottle::new();
        for number in 0..u32::try_from(THROTTLED_ADDRESSES_MAX.max(HELD_KEYS_MAX)).expect("fits") * 2 {
            let address = ClientIp::new(std::net::IpAddr::V4(number.into()));
            throttle.admit(address, 2, Timestamp::from_unix_ms(0));
            throttle.hold(
                KeyFingerprint::from_bytes([2; 32]),
                address,
                Timestamp::from_unix_ms(0),
            );
        }
        assert!(throttle.windows.len() <= THROTTLED_ADDRESSES_MAX);
        assert!(throttle.held.len() <= HELD_KEYS_MAX);
    }
}

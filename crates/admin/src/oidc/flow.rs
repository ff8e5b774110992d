//! Sign-ins that a browser has begun: what ties the provider's answer to this browser, kept in its own cookie and sealed, so that no
//! server has to remember it. The cookie holds the newest few; each is good once, and for minutes only.

use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use data_encoding::BASE64URL_NOPAD;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use sentinel_core::time::Timestamp;
use subtle::ConstantTimeEq as _;

use crate::auth::token::JwtSecret;

/// For so long a sign-in may take at the provider.
pub(crate) const FLOW_LIFE_MAX: Duration = Duration::from_mins(10);
/// The most sign-ins that one browser has under way; beyond, the oldest is forgotten.
pub(crate) const FLOWS_MAX: usize = 4;
/// The most bytes of a cookie's value that are looked at.
const COOKIE_BYTES_MAX: usize = 640;
/// What the key is made for, and what the seal says that it is.
const SEAL_TEXT: &[u8] = b"sentinel: sign-ins by a provider that are under way";
/// With https a name that no page of another host of the same domain can set.
const SECURE_COOKIE_NAME: &str = "__Host-sentinel_oidc";
const COOKIE_NAME: &str = "sentinel_oidc";
const STATE_BYTES: usize = 24;
const NONCE_BYTES: usize = 24;
const VERIFIER_BYTES: usize = 32;
/// As one is written: moment, state, nonce, verifier.
const FLOW_BYTES: usize = 8 + STATE_BYTES + NONCE_BYTES + VERIFIER_BYTES;

/// One sign-in that was begun. Does not print.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Flow([u8; FLOW_BYTES]);

impl Flow {
    /// A new one; none without randomness.
    fn begun(now: Timestamp) -> Option<Self> {
        let mut bytes = [0; FLOW_BYTES];
        getrandom::fill(&mut bytes).ok()?;
        bytes[..8].copy_from_slice(&now.unix_ms().to_be_bytes());
        Some(Self(bytes))
    }

    fn part(&self, start: usize, length: usize) -> String {
        BASE64URL_NOPAD.encode(&self.0[start..start + length])
    }

    /// What the provider hands back with its answer.
    pub(crate) fn state(&self) -> String {
        self.part(8, STATE_BYTES)
    }

    /// What the token has to repeat.
    pub(crate) fn nonce(&self) -> String {
        self.part(8 + STATE_BYTES, NONCE_BYTES)
    }

    /// What shows the provider that whoever brings the code is who asked for it (RFC 7636).
    pub(crate) fn verifier(&self) -> String {
        self.part(8 + STATE_BYTES + NONCE_BYTES, VERIFIER_BYTES)
    }

    /// What the provider is shown of it beforehand.
    pub(crate) fn challenge(&self) -> String {
        BASE64URL_NOPAD.encode(digest(&SHA256, self.verifier().as_bytes()).as_ref())
    }

    fn is_current(&self, now: Timestamp) -> bool {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.0[..8]);
        let begun_at = Timestamp::from_unix_ms(i64::from_be_bytes(bytes));
        // Another replica's clock may be a little ahead.
        now.since(begun_at) < FLOW_LIFE_MAX && begun_at.since(now) < FLOW_LIFE_MAX
    }
}

/// Makes and opens the cookies.
pub(crate) struct FlowCookies {
    key: LessSafeKey,
    is_secure: bool,
}

impl FlowCookies {
    pub(crate) fn new(secret: &JwtSecret, is_secure: bool) -> Self {
        let key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.expose()), SEAL_TEXT);
        let key = UnboundKey::new(&AES_256_GCM, key.as_ref()).expect("an HMAC-SHA-256 is as long as the key");
        Self {
            key: LessSafeKey::new(key),
            is_secure,
        }
    }

    /// Begins one, beside those that the browser has under way; none without randomness.
    pub(crate) fn begin(&self, headers: &HeaderMap, now: Timestamp) -> Option<(Flow, HeaderValue)> {
        let flow = Flow::begun(now)?;
        let mut flows = self.under_way(headers, now);
        flows.push(flow.clone());
        let surplus = flows.len().saturating_sub(FLOWS_MAX);
        let cookie = self.set(&flows[surplus..])?;
        Some((flow, cookie))
    }

    /// The one with this state, if this browser has begun it, and the cookie without it.
    pub(crate) fn take(
        &self,
        headers: &HeaderMap,
        state: &str,
        now: Timestamp,
    ) -> Option<(Flow, HeaderValue)> {
        let mut flows = self.under_way(headers, now);
        let is_it = |flow: &Flow| bool::from(flow.state().as_bytes().ct_eq(state.as_bytes()));
        let flow = flows.remove(flows.iter().position(is_it)?);
        Some((flow, self.set(&flows)?))
    }

    fn under_way(&self, headers: &HeaderMap, now: Timestamp) -> Vec<Flow> {
        let opened = self.open(headers).unwrap_or_default();
        let (flows, _) = opened.as_chunks::<FLOW_BYTES>();
        let flows = flows.iter().copied().map(Flow);
        flows
            .filter(|flow| flow.is_current(now))
            .take(FLOWS_MAX)
            .collect()
    }

    fn name(&self) -> &'static str {
        if self.is_secure {
            SECURE_COOKIE_NAME
        } else {
            COOKIE_NAME
        }
    }

    fn open(&self, headers: &HeaderMap) -> Option<Vec<u8>> {
        let lines = headers.get_all(COOKIE).iter();
        let pairs = lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'));
        let mut values = pairs.filter_map(|pair| pair.trim().strip_prefix(self.name())?.strip_prefix('='));
        // Of two nobody could say which one counts.
        let (value, None) = (values.next()?, values.next()) else {
            return None;
        };
        if value.len() > COOKIE_BYTES_MAX {
            return None;
        }
        let mut bytes = BASE64URL_NOPAD.decode(value.as_bytes()).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk_mut::<NONCE_LEN>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.key.open_in_place(nonce, Aad::from(SEAL_TEXT), sealed).ok()?;
        Some(opened.to_vec())
    }

    fn set(&self, flows: &[Flow]) -> Option<HeaderValue> {
        let (value, life_seconds) = if flows.is_empty() {
            (String::new(), 0)
        } else {
            (self.seal(flows)?, FLOW_LIFE_MAX.as_secs())
        };
        let (name, secure) = (self.name(), if self.is_secure { "; Secure" } else { "" });
        let text = format!("{name}={value}; Path=/; Max-Age={life_seconds}; HttpOnly; SameSite=Lax{secure}");
        HeaderValue::from_str(&text).ok()
    }

    fn seal(&self, flows: &[Flow]) -> Option<String> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).ok()?;
        let mut bytes: Vec<u8> = flows.iter().flat_map(|flow| flow.0).collect();
        let unique = Nonce::assume_unique_for_key(nonce);
        self.key
            .seal_in_place_append_tag(unique, Aad::from(SEAL_TEXT), &mut bytes)
            .ok()?;
        bytes.splice(0..0, nonce);
        Some(BASE64URL_NOPAD.encode(&bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_ms(1_800_000_000_000);

    fn cookies(byte: u8, is_secure: bool) -> FlowCookies {
        FlowCookies::new(&JwtSecret::new(vec![byte; 32]).expect("long enough"), is_secure)
    }

    fn sent(set: &HeaderValue) -> HeaderMap {
        let text = set.to_str().expect("text");
        let pair = text.split(';').next().unwrap_or_default();
        HeaderMap::from_iter([(COOKIE, HeaderValue::from_str(pair).expect("a value"))])
    }

    #[test]
    fn a_flow_is_taken_once_and_only_with_its_cookie() {
        let cookies = cookies(1, false);
        let (flow, set) = cookies.begin(&HeaderMap::new(), NOW).expect("randomness");
        let browser = sent(&set);
        assert!(cookies.take(&HeaderMap::new(), &flow.state(), NOW).is_none());
        assert!(cookies.take(&browser, "", NOW).is_none());
        assert!(cookies.take(&browser, &flow.nonce(), NOW).is_none());
        let another = FlowCookies::new(&JwtSecret::new(vec![2; 32]).expect("long"), false);
        assert!(
            another.take(&browser, &flow.state(), NOW).is_none(),
            "another secret"
        );
        let (taken, left) = cookies.take(&browser, &flow.state(), NOW).expect("begun here");
        assert!(taken == flow && taken.verifier() == flow.verifier());
        assert_eq!(
            left, "sentinel_oidc=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax",
            "nothing is left"
        );
        assert!(cookies.take(&sent(&left), &flow.state(), NOW).is_none());
    }

    #[test]
    fn a_cookie_is_the_hosts_own_sealed_and_no_scripts() {
        let cookies = cookies(1, true);
        let (flow, set) = cookies.begin(&HeaderMap::new(), NOW).expect("randomness");
        let set = set.to_str().expect("text");
        assert!(set.starts_with("__Host-sentinel_oidc="), "{set}");
        assert!(
            set.ends_with("; Path=/; Max-Age=600; HttpOnly; SameSite=Lax; Secure"),
            "{set}"
        );
        for secret in [flow.state(), flow.nonce(), flow.verifier()] {
            assert!(!set.contains(&secret));
            assert!(secret.len() >= 32);
        }
        assert_ne!(flow.challenge(), flow.verifier());
    }

    #[test]
    fn a_browser_has_so_many_under_way_and_each_for_so_long() {
        let cookies = cookies(1, true);
        let mut headers = HeaderMap::new();
        let mut begun = Vec::new();
        for _ in 0..=FLOWS_MAX {
            let (flow, set) = cookies.begin(&headers, NOW).expect("randomness");
            let value = set
                .to_str()
                .expect("text")
                .split(['=', ';'])
                .nth(1)
                .expect("a value");
            assert!(value.len() <= COOKIE_BYTES_MAX);
            headers = sent(&set);
            begun.push(flow);
        }
        assert!(cookies.take(&headers, &begun[0].state(), NOW).is_none());
        let (_, left) = cookies.take(&headers, &begun[1].state(), NOW).expect("kept");
        assert!(
            cookies
                .take(&sent(&left), &begun[FLOWS_MAX].state(), NOW)
                .is_some()
        );
        let last = Timestamp::from_unix_ms(NOW.plus(FLOW_LIFE_MAX).unix_ms() - 1);
        assert!(cookies.take(&headers, &begun[1].state(), last).is_some());
        let over = NOW.plus(FLOW_LIFE_MAX);
        assert!(cookies.take(&headers, &begun[1].state(), over).is_none());
    }

    #[test]
    fn a_damaged_doubled_or_endless_cookie_is_none() {
        let cookies = cookies(1, false);
        let (flow, set) = cookies.begin(&HeaderMap::new(), NOW).expect("randomness");
        let good = set.to_str().expect("text").split(';').next().expect("a pair");
        let is_taken = |lines: &[&str]| {
            let headers: HeaderMap = lines
                .iter()
                .map(|line| (COOKIE, HeaderValue::from_str(line).expect("a value")))
                .collect();
            cookies.take(&headers, &flow.state(), NOW).is_some()
        };
        assert!(is_taken(&[good]) && is_taken(&[&format!("a=b; {good}")]));
        let long = format!("{good}{}", "A".repeat(COOKIE_BYTES_MAX));
        assert!(!is_taken(&[good, good]) && !is_taken(&[&long]));
        let shifted = good.replacen('=', "=A", 1);
        for broken in [
            "sentinel_oidc=",
            "sentinel_oidc=AAAA",
            &good[..good.len() - 2],
            &shifted,
        ] {
            assert!(!is_taken(&[broken]), "{broken}");
        }
    }
}

//! Whether a call that claims to come from a chat platform does. Each platform has its own proof; a caller without it learns nothing.
//!
//! All comparisons take the same time whatever is wrong. Must never be asked after the body was parsed: the proof is over its bytes.

use std::fmt::Write as _;
use std::time::Duration;

use sentinel_core::time::Timestamp;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::mac::hmac_sha256;
use crate::secret::Secret;

/// How far a call's time stamp may be off, either way ("Verifying requests from Slack": five minutes).
pub const CALL_AGE_MAX: Duration = Duration::from_mins(5);

/// The call has no valid proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the call does not prove that it comes from the platform")]
pub struct NotFromPlatform;

/// Slack: `X-Slack-Signature` is `v0=` and the hexadecimal HMAC-SHA256 of `v0:`, the value of `X-Slack-Request-Timestamp`, `:` and the body
/// under the app's signing secret ("Verifying requests from Slack").
pub fn verify_slack(
    signing_secret: &Secret,
    timestamp: &str,
    signature: &str,
    body: &[u8],
    now: Timestamp,
) -> Result<(), NotFromPlatform> {
    is_recent(timestamp, now)?;
    let parts = [b"v0:", timestamp.as_bytes(), b":", body];
    let expected = format!(
        "v0={}",
        hexadecimal(&hmac_sha256(signing_secret.expose().as_bytes(), &parts))
    );
    same(&expected, signature)
}

/// Telegram: `X-Telegram-Bot-Api-Secret-Token` is the `secret_token` that was given to `setWebhook` (Bot API).
pub fn verify_telegram(secret_token: &Secret, header: &str) -> Result<(), NotFromPlatform> {
    same(secret_token.expose(), header)
}

/// Feishu with an encryption key: `X-Lark-Signature` is the hexadecimal SHA-256 of `X-Lark-Request-Timestamp`, `X-Lark-Request-Nonce`, the key and
/// the body ("Receive callbacks", signature check).
pub fn verify_feishu_signature(
    encrypt_key: &Secret,
    (timestamp, nonce): (&str, &str),
    signature: &str,
    body: &[u8],
    now: Timestamp,
) -> Result<(), NotFromPlatform> {
    is_recent(timestamp, now)?;
    let mut hash = Sha256::new();
    for part in [
        timestamp.as_bytes(),
        nonce.as_bytes(),
        encrypt_key.expose().as_bytes(),
        body,
    ] {
        hash.update(part);
    }
    same(&hexadecimal(&hash.finalize()), signature)
}

/// Feishu without an encryption key: the call's `token` (in `header` since version 2) is the app's verification token.
pub fn verify_feishu_token(verification_token: &Secret, token: &str) -> Result<(), NotFromPlatform> {
    same(verification_token.expose(), token)
}

fn is_recent(timestamp: &str, now: Timestamp) -> Result<(), NotFromPlatform> {
    let seconds: i64 = timestamp.parse().map_err(|_| NotFromPlatform)?;
    let off = now
        .unix_ms()
        .div_euclid(1_000)
        .checked_sub(seconds)
        .ok_or(NotFromPlatform)?;
    if off.unsigned_abs() <= CALL_AGE_MAX.as_secs() {
        Ok(())
    } else {
        Err(NotFromPlatform)
    }
}

/// An empty secret proves nothing.
fn same(expected: &str, given: &str) -> Result<(), NotFromPlatform> {
    let is_same = bool::from(expected.as_bytes().ct_eq(given.as_bytes()));
    if is_same && !expected.is_empty() {
        Ok(())
    } else {
        Err(NotFromPlatform)
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_531_420_618;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_ms(seconds * 1_000)
    }

    /// The example of Slack's own documentation.
    #[test]
    fn slack_signs_as_its_documentation_says() {
        let secret = Secret::new("8f742231b10e8888abcd99yyyzzz85a5");
        let body = b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&\
            channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&\
            response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&\
            trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
        let signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
        let stamp = NOW.to_string();
        let judged = |stamp: &str, signature: &str, body: &[u8], now| {
            verify_slack(&secret, stamp, signature, body, now)
        };
        assert_eq!(judged(&stamp, signature, body, at(NOW)), Ok(()));
        let age_max = i64::try_from(CALL_AGE_MAX.as_secs()).expect("small");
        assert_eq!(judged(&stamp, signature, body, at(NOW + age_max)), Ok(()));
        for (stamp, signature, body, now) in [
            (stamp.as_str(), signature, &body[..], NOW + age_max + 1),
            (&stamp, signature, &body[..], NOW - age_max - 1),
            (&stamp, signature, &body[1..], NOW),
            (&stamp, &signature[3..], &body[..], NOW),
            (&stamp, "", &body[..], NOW),
            ("1531420617", signature, &body[..], NOW),
            ("-9223372036854775808", signature, &body[..], NOW),
            ("soon", signature, &body[..], NOW),
        ] {
            assert_eq!(judged(stamp, signature, body, at(now)), Err(NotFromPlatform));
        }
    }

    #[test]
    fn telegram_sends_the_token_that_it_was_given() {
        let token = Secret::new("A-1_b");
        assert_eq!(verify_telegram(&token, "A-1_b"), Ok(()));
        for given in ["", "A-1_", "A-1_b ", "a-1_b"] {
            assert_eq!(verify_telegram(&token, given), Err(NotFromPlatform));
        }
        assert_eq!(verify_telegram(&Secret::new(""), ""), Err(NotFromPlatform));
    }

    #[test]
    fn feishu_hashes_stamp_nonce_key_and_body() {
        let key = Secret::new("kudryavka");
        let stamp = NOW.to_string();
        let body = br#"{"encrypt":"x"}"#;
        let joined = [stamp.as_bytes(), b"nonce", b"kudryavka", body].concat();
        let signature = hexadecimal(&Sha256::digest(&joined));
        let judged = |stamp: &str, nonce: &str, body: &[u8], now| {
            verify_feishu_signature(&key, (stamp, nonce), &signature, body, now)
        };
        assert_eq!(judged(&stamp, "nonce", body, at(NOW)), Ok(()));
        assert_eq!(judged(&stamp, "other", body, at(NOW)), Err(NotFromPlatform));
        assert_eq!(judged(&stamp, "nonce", b"{}", at(NOW)), Err(NotFromPlatform));
        assert_eq!(judged(&stamp, "nonce", body, at(NOW + 301)), Err(NotFromPlatform));
        assert_eq!(judged("1", "nonce", body, at(NOW)), Err(NotFromPlatform));
        assert_eq!(verify_feishu_token(&Secret::new("v"), "v"), Ok(()));
        assert_eq!(verify_feishu_token(&Secret::new("v"), "w"), Err(NotFromPlatform));
    }
}

//! What refreshes a session: its name and generation, signed. It lives in a cookie that no script can read, and the store holds nothing
//! that it could be made from.

use std::fmt::Write as _;

use aws_lc_rs::hmac;
use http::header::{COOKIE, ORIGIN};
use http::{HeaderMap, HeaderValue};
use sentinel_core::account::session::{AdminSession, SessionId};
use sentinel_core::time::Timestamp;

use crate::auth::token::JwtSecret;

/// The cookie's name.
const COOKIE_NAME: &str = "sentinel_refresh";
/// Where the browser sends it.
const COOKIE_PATH: &str = "/admin/api/session";
/// What the key is made for.
const KEY_TEXT: &[u8] = b"sentinel: refresh of admin sessions";
/// The most bytes of a cookie's value that are looked at.
const COOKIE_BYTES_MAX: usize = 128;

/// The right to refresh a session once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RefreshRight {
    pub(crate) session: SessionId,
    pub(crate) generation: i64,
}

/// Makes and checks the cookies.
pub(crate) struct RefreshCookies(hmac::Key);

impl RefreshCookies {
    pub(crate) fn new(secret: &JwtSecret) -> Self {
        let key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.expose()), KEY_TEXT);
        Self(hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()))
    }

    /// The `Set-Cookie` that lets the caller refresh this session.
    pub(crate) fn set(&self, session: &AdminSession, now: Timestamp, is_secure: bool) -> HeaderValue {
        let mut value = format!("{}.{}", session.id, session.generation);
        let tag = hmac::sign(&self.0, value.as_bytes());
        value.push('.');
        for byte in tag.as_ref() {
            let _ = write!(value, "{byte:02x}");
        }
        header(&value, session.expires_at.since(now).as_secs(), is_secure)
    }

    /// The `Set-Cookie` that takes it away.
    pub(crate) fn clear(is_secure: bool) -> HeaderValue {
        header("", 0, is_secure)
    }

    /// What the request's one cookie gives a right to.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Option<RefreshRight> {
        let lines = headers.get_all(COOKIE).iter();
        let pairs = lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'));
        let mut values = pairs.filter_map(|pair| pair.trim().strip_prefix(COOKIE_NAME)?.strip_prefix('='));
        // Of two nobody could say which one counts.
        let (value, None) = (values.next()?, values.next()) else {
            return None;
        };
        if value.len() > COOKIE_BYTES_MAX {
            return None;
        }
        let (signed, tag) = value.rsplit_once('.')?;
        hmac::verify(&self.0, signed.as_bytes(), &bytes_of(tag)?).ok()?;
        let (session, generation) = signed.split_once('.')?;
        Some(RefreshRight {
            session: SessionId::parse(session)?,
            generation: generation.parse().ok()?,
        })
    }
}

/// Whether the browser's page came over https; who lies about it harms only himself.
pub(crate) fn is_secure(headers: &HeaderMap) -> bool {
    let origin = headers.get(ORIGIN).map(HeaderValue::as_bytes);
    origin.is_some_and(|origin| origin.starts_with(b"https://"))
}

fn header(value: &str, life_seconds: u64, is_secure: bool) -> HeaderValue {
    let secure = if is_secure { "; Secure" } else { "" };
    let text = format!(
        "{COOKIE_NAME}={value}; Path={COOKIE_PATH}; Max-Age={life_seconds}; HttpOnly; SameSite=Strict{secure}"
    );
    HeaderValue::from_str(&text).expect("digits, letters and dots are a header value")
}

fn bytes_of(hexadecimal: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let (pairs, []) = hexadecimal.as_bytes().as_chunks::<2>() else {
        return None;
    };
    pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookies(byte: u8) -> RefreshCookies {
        RefreshCookies::new(&JwtSecret::new(vec![byte; 32]).expect("long enough"))
    }

    fn session() -> AdminSession {
        let start = Timestamp::from_unix_ms(1_000);
        AdminSession {
            id: SessionId::from_bytes([7; 16]),
            administrator: None,
            account: "root".to_owned(),
            generation: 3,
            client_ip: crate::testing::ip("192.0.2.1"),
            user_agent: String::new(),
            created_at: start,
            refreshed_at: start,
            last_seen_at: start,
            expires_at: start.plus(std::time::Duration::from_mins(1)),
        }
    }

    fn sent(cookies: &[&str]) -> HeaderMap {
        cookies
            .iter()
            .map(|cookie| (COOKIE, HeaderValue::from_str(cookie).expect("a value")))
            .collect()
    }

    #[test]
    fn a_cookie_is_its_session_and_generation_and_no_script_s() {
        let set = cookies(1).set(&session(), Timestamp::from_unix_ms(1_000), true);
        let set = set.to_str().expect("text");
        let (pair, attributes) = set.split_once(';').expect("attributes");
        assert_eq!(
            attributes,
            " Path=/admin/api/session; Max-Age=60; HttpOnly; SameSite=Strict; Secure"
        );
        let right = RefreshRight {
            session: session().id,
            generation: 3,
        };
        assert_eq!(cookies(1).check(&sent(&[pair])), Some(right));
        assert_eq!(cookies(1).check(&sent(&[&format!("a=b; {pair}")])), Some(right));
        assert_eq!(cookies(2).check(&sent(&[pair])), None, "another secret");
        assert_eq!(cookies(1).check(&sent(&[pair, pair])), None, "twice");
        assert_eq!(cookies(1).check(&sent(&[&pair.replace(".3.", ".4.")])), None);
        for value in [
            "",
            ".",
            "..",
            "a.b.c",
            &pair[..pair.len() - 1],
            &pair[..pair.len() - 2],
        ] {
            assert_eq!(
                cookies(1).check(&sent(&[&format!("{COOKIE_NAME}={value}")])),
                None,
                "{value}"
            );
        }
        let long = format!("{pair}{}", "0".repeat(COOKIE_BYTES_MAX));
        assert_eq!(cookies(1).check(&sent(&[&long])), None);
    }

    #[test]
    fn only_a_page_over_https_gets_a_secure_cookie() {
        let origin = |text: &'static str| HeaderMap::from_iter([(ORIGIN, HeaderValue::from_static(text))]);
        assert!(is_secure(&origin("https://console.example")));
        assert!(!is_secure(&origin("http://console.example")) && !is_secure(&HeaderMap::new()));
        assert!(
            !RefreshCookies::clear(false)
                .to_str()
                .expect("text")
                .contains("Secure")
        );
    }
}

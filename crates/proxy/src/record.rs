//! What is remembered of a request until it is answered, and the record that is made of it when a rule was broken.

use http::header::{HeaderValue, USER_AGENT};
use http::{Method, Request, Uri};
use sentinel_core::binding::BindingId;
use sentinel_core::decision::RefusalReason;
use sentinel_core::event::{
    Intercept, InterceptOutcome, PATH_CHARACTERS_MAX, Reference, USER_AGENT_CHARACTERS_MAX, printable,
};
use sentinel_core::fingerprint::{KeyFingerprint, KeyHint};
use sentinel_core::network::ClientIp;
use sentinel_core::time::Timestamp;

/// The most characters of a method that are kept.
const METHOD_CHARACTERS_MAX: usize = 16;

/// A request's head, as far as a record or a refusal needs it. Cheap to make: its parts are shared with the request.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    user_agent: Option<HeaderValue>,
}

impl Summary {
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            user_agent: request.headers().get(USER_AGENT).cloned(),
        }
    }
}

/// The key that a request presented, as far as it may be written down.
#[derive(Clone, Debug)]
pub(crate) struct KeyEvidence {
    pub(crate) fingerprint: KeyFingerprint,
    pub(crate) hint: KeyHint,
}

/// A broken rule: which one, and what it was held against.
#[derive(Debug)]
pub(crate) struct Breach {
    pub(crate) reason: RefusalReason,
    pub(crate) binding: Option<BindingId>,
    pub(crate) key: Option<KeyEvidence>,
}

impl From<RefusalReason> for Breach {
    fn from(reason: RefusalReason) -> Self {
        Self {
            reason,
            binding: None,
            key: None,
        }
    }
}

/// The record of a breach.
pub(crate) fn intercept(
    summary: &Summary,
    breach: Breach,
    outcome: InterceptOutcome,
    client_ip: ClientIp,
    at: Timestamp,
) -> Intercept {
    let (fingerprint, hint) = breach.key.map(|key| (key.fingerprint, key.hint)).unzip();
    let user_agent = summary.user_agent.as_ref().map_or(&[][..], HeaderValue::as_bytes);
    Intercept {
        reference: Reference::random(),
        at,
        reason: breach.reason,
        outcome,
        binding: breach.binding,
        fingerprint,
        hint,
        client_ip,
        method: printable(summary.method.as_str().as_bytes(), METHOD_CHARACTERS_MAX),
        path: printable(summary.uri.path().as_bytes(), PATH_CHARACTERS_MAX),
        user_agent: printable(user_agent, USER_AGENT_CHARACTERS_MAX),
        count: 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_holds_no_query_and_nothing_too_long() {
        let long = "x".repeat(2_000);
        let request = Request::builder()
            .method(Method::from_bytes(long.as_bytes()).expect("a method"))
            .uri(format!("/{long}?key=sk-secret"))
            .header("user-agent", &long)
            .body(())
            .expect("a request");
        let address = ClientIp::new([192, 0, 2, 1].into());
        let at = Timestamp::from_unix_ms(0);
        let breach = RefusalReason::KeyMissing.into();
        let record = intercept(
            &Summary::of(&request),
            breach,
            InterceptOutcome::Refused,
            address,
            at,
        );
        assert!(!format!("{record:?}").contains("secret"));
        assert_eq!(record.method.chars().count(), METHOD_CHARACTERS_MAX + 1);
        assert_eq!(record.path.chars().count(), PATH_CHARACTERS_MAX + 1);
        assert_eq!(record.user_agent.chars().count(), USER_AGENT_CHARACTERS_MAX + 1);
    }
}

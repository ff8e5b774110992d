//! What is remembered of a request until it is answered, and the record that is made of it when a rule was broken.

use http::header::USER_AGENT;
use sentinel_core::binding::BindingId;
use sentinel_core::decision::RefusalReason;
use sentinel_core::event::{
    Intercept, InterceptOutcome, Reference, path_shown, printable_without_keys, user_agent_shown,
};
use sentinel_core::fingerprint::{KeyFingerprint, KeyHint};
use sentinel_core::network::ClientIp;
use sentinel_core::time::Timestamp;

use crate::http1::request::RequestHead;

/// The most characters of a method that are kept.
const METHOD_CHARACTERS_MAX: usize = 16;

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

/// The record of a breach. No key goes into it, wherever in the request it stood; `presented` is the one that was read.
pub(crate) fn intercept(
    request: &RequestHead,
    presented: Option<&str>,
    breach: Breach,
    outcome: InterceptOutcome,
    client_ip: ClientIp,
    at: Timestamp,
) -> Intercept {
    let (fingerprint, hint) = breach.key.map(|key| (key.fingerprint, key.hint)).unzip();
    let user_agent = request
        .lines()
        .first(&USER_AGENT)
        .map_or(&[][..], |line| line.value);
    Intercept {
        reference: Reference::random(),
        at,
        reason: breach.reason,
        outcome,
        binding: breach.binding,
        fingerprint,
        hint,
        client_ip,
        method: printable_without_keys(request.method().as_bytes(), METHOD_CHARACTERS_MAX, presented),
        path: path_shown(request.path(), presented),
        user_agent: user_agent_shown(user_agent, presented),
        count: 1,
    }
}

#[cfg(test)]
mod tests {
    use sentinel_core::event::{PATH_CHARACTERS_MAX, USER_AGENT_CHARACTERS_MAX};

    use super::*;
    use crate::http1::request::HeadBounds;

    #[test]
    fn a_record_holds_no_query_and_nothing_too_long() {
        let long = "/x".repeat(1_000);
        let text = format!(
            "M{} {long}?key=sk-secret HTTP/1.1\r\nHost: a\r\nUser-Agent: {long}\r\n\r\n",
            "M".repeat(20)
        );
        let bounds = HeadBounds {
            bytes_max: 10_000,
            headers_max: 10,
        };
        let request = RequestHead::take(&mut text.into_bytes(), 0, bounds)
            .expect("a head")
            .expect("a whole one");
        let address = ClientIp::new([192, 0, 2, 1].into());
        let at = Timestamp::from_unix_ms(0);
        let breach = RefusalReason::KeyMissing.into();
        let record = intercept(&request, None, breach, InterceptOutcome::Refused, address, at);
        assert!(!format!("{record:?}").contains("secret"));
        assert_eq!(record.method.chars().count(), METHOD_CHARACTERS_MAX + 1);
        assert_eq!(record.path.chars().count(), PATH_CHARACTERS_MAX + 1);
        assert_eq!(record.user_agent.chars().count(), USER_AGENT_CHARACTERS_MAX + 1);
    }
}

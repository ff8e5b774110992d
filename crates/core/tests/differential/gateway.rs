//! The two properties that hold of every gateway, and how a gateway's test states them.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};
use sentinel_core::path::RequestPath;
use sentinel_core::profile::{Place, Profile};

use crate::proxy::{self, Checked};
use crate::request::{Request, SECRETS, honest_requests, requests};

/// What a gateway does, in its own words.
pub(crate) struct Gateway {
    /// The profile that stands for it.
    pub(crate) profile: &'static str,
    /// Every key that some version of it takes out of the request.
    pub(crate) keys: fn(&Request) -> Vec<String>,
    /// What its database compares of a key.
    pub(crate) normal: fn(&str) -> String,
}

/// Whether such a key can be in a database: it holds a generated secret, and no white space.
fn exists(key: &str) -> bool {
    holds_secret(key.as_bytes()) && !key.contains(char::is_whitespace) && !key.contains(char::is_control)
}

fn holds_secret(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text).to_lowercase();
    SECRETS.iter().any(|secret| text.contains(&secret.to_lowercase()))
}

impl Gateway {
    /// The keys that could open something, as the database compares them.
    fn used(&self, request: &Request) -> BTreeSet<String> {
        (self.keys)(request)
            .iter()
            .map(|key| (self.normal)(key))
            .filter(|key| exists(key))
            .collect()
    }

    /// Judges generated requests, as many as `PROPTEST_CASES` says: hostile ones and honest ones.
    pub(crate) fn judge_generated(&self) {
        self.run(&requests(), Self::judge);
        self.run(&honest_requests(), |gateway, request| {
            gateway.judge(request)?;
            gateway.judge_service(request)
        });
    }

    fn run<S: Strategy<Value = Request>>(
        &self,
        requests: &S,
        judge: impl Fn(&Self, &Request) -> Result<(), TestCaseError>,
    ) {
        let config = ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        let outcome = TestRunner::new(config).run(requests, |request| judge(self, &request));
        if let Err(error) = outcome {
            panic!("{}: {error}", self.profile);
        }
    }

    /// Fails when the gateway would use another key than the checked one, or could find another credential.
    fn judge(&self, request: &Request) -> Result<(), TestCaseError> {
        let profile = Profile::built_in(self.profile).expect("built in");
        self.judge_permitted(&profile, request)?;
        let Ok(checked) = proxy::pass(&profile, request) else {
            return Ok(());
        };
        let normal = checked.key.as_deref().map(self.normal);
        let used = self.used(&checked.forwarded);
        prop_assert!(
            used.iter().all(|key| Some(key) == normal.as_ref()),
            "checked {:?}, used {used:?}, forwarded {:?}",
            checked.key,
            checked.forwarded
        );
        // What the database takes for one key has one fingerprint.
        let fingerprint = |key: &String| proxy::fingerprint(&profile, key);
        prop_assert!(
            used.iter().all(|key| fingerprint(key) == checked.fingerprint),
            "checked {:?}, used {used:?} under another fingerprint",
            checked.key
        );
        no_other_goes_on(&profile, request, &checked)
    }
}

impl Gateway {
    /// Fails when another proxy would be let forward a request in which the gateway finds another key than the checked one: it gets all of it.
    fn judge_permitted(&self, profile: &Profile, request: &Request) -> Result<(), TestCaseError> {
        let Ok(checked) = proxy::permit(profile, request) else {
            return Ok(());
        };
        let used = self.used(request);
        prop_assert!(
            used.iter().all(|key| proxy::fingerprint(profile, key) == checked),
            "checked {checked:?}, used {used:?}, of all of {request:?}"
        );
        Ok(())
    }

    /// Fails when the gateway would have served an honest request, and with the proxy in front it would not, or under a key
    /// that it would not have taken.
    fn judge_service(&self, request: &Request) -> Result<(), TestCaseError> {
        let profile = Profile::built_in(self.profile).expect("built in");
        let meant = self.used(request);
        if meant.is_empty() {
            return Ok(());
        }
        let Ok(checked) = proxy::pass(&profile, request) else {
            return Err(TestCaseError::fail("an honest request is refused"));
        };
        let used = self.used(&checked.forwarded);
        prop_assert!(
            !used.is_empty() && used.is_subset(&meant),
            "meant {meant:?}, checked {:?}, used {used:?}",
            checked.key
        );
        Ok(())
    }
}

fn no_other_goes_on(profile: &Profile, request: &Request, checked: &Checked) -> Result<(), TestCaseError> {
    let reads_protocols = profile
        .carriers
        .iter()
        .any(|carrier| carrier.place == Place::WebSocketProtocol);
    let path = RequestPath::new(&request.path);
    let mut holders = BTreeSet::new();
    for (name, value) in &checked.forwarded.headers {
        if name == "sec-websocket-protocol" {
            let tokens = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            let is_key = |token: &[u8]| {
                let token = String::from_utf8_lossy(token).to_lowercase();
                reads_protocols || token.contains("openai-insecure-api-key")
            };
            let keys = tokens.filter(|token| holds_secret(token) && is_key(token));
            holders.extend(keys.map(<[u8]>::to_vec));
        } else if holds_secret(value) || value.starts_with(b"Basic ") {
            holders.insert(value.clone());
        }
    }
    // Elsewhere a query's `key` may mean anything, and no gateway looks there.
    if profile.is_claim_path(&path) || profile.reads_query(&path) {
        let query = checked.forwarded.query.as_deref().unwrap_or_default();
        let decoded = |part: &str| {
            let value = part
                .split_once('=')
                .map_or("", |(_, value)| value)
                .replace('+', " ");
            percent_encoding::percent_decode_str(&value).collect::<Vec<u8>>()
        };
        let is_hidden = |part: &str| {
            part.split('=')
                .next()
                .is_some_and(|name| IGNORED_QUERIES.contains(&name))
        };
        let parts = query.split('&').filter(|part| !is_hidden(part));
        holders.extend(parts.map(decoded).filter(|value| holds_secret(value)));
    }
    prop_assert!(
        holders.len() <= usize::from(checked.key.is_some()),
        "checked {:?}, holders {holders:?}",
        checked.key
    );
    Ok(())
}

/// Names that no gateway reads as one of its own.
const IGNORED_QUERIES: [&str; 6] = ["key+", "+key", "key%00", "key%zz", "k%25%36%35y", "x;key"];

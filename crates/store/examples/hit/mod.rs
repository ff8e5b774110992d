//! One known key and everything that is asked of it at each request, for the test that counts allocations and the example that
//! takes the time. Shared by both, and by nothing else.

use std::sync::Arc;

use http::HeaderName;
use sentinel_core::binding::NewBinding;
use sentinel_core::client_ip::{ClientIpRules, ClientIpSource};
use sentinel_core::credential;
use sentinel_core::decision::{Subject, Verdict, decide};
use sentinel_core::fingerprint::{FingerprintHasher, KeyHint};
use sentinel_core::header::OwnedHeaderLines;
use sentinel_core::network::{ClientIp, Network, PeerAddr};
use sentinel_core::path::RequestPath;
use sentinel_core::policy::{LiveRules, Rules};
use sentinel_core::ports::BindingLookup as _;
use sentinel_core::profile::Profile;
use sentinel_core::time::Timestamp;
use sentinel_store::{CacheBounds, CachedLookup, MemoryStore};

const NOW: Timestamp = Timestamp::from_unix_ms(1);
const PATH: &str = "/v1/chat/completions";

/// A key that is bound to 192.0.2.1 and cached, and a request that carries it.
pub(crate) struct KnownKey {
    profile: Profile,
    client_ip: ClientIpRules,
    hasher: FingerprintHasher,
    lookup: CachedLookup,
    rules: LiveRules,
    lines: OwnedHeaderLines,
}

impl KnownKey {
    /// Binds it.
    pub(crate) async fn bound() -> Self {
        let lines = [
            ("Host", "api.example"),
            ("User-Agent", "OpenAI/Python 3.0"),
            ("Accept", "application/json"),
            ("Content-Type", "application/json"),
            (
                "Authorization",
                "Bearer sk-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            ),
            ("Content-Length", "300"),
        ];
        let known = Self {
            profile: Profile::built_in("new-api").expect("built in"),
            client_ip: ClientIpRules::new([], ClientIpSource::Single(HeaderName::from_static("x-real-ip"))),
            hasher: FingerprintHasher::new(b"a secret for tests only").expect("long enough"),
            lookup: CachedLookup::new(Arc::new(MemoryStore::new()), &CacheBounds::default()),
            rules: LiveRules::new(Rules::default()),
            lines: lines.into_iter().collect(),
        };
        let path = RequestPath::new(PATH);
        let key = credential::read(&known.profile, &path, None, known.lines.lines())
            .expect("one reading")
            .expect("a key");
        let new = NewBinding {
            fingerprint: known.hasher.fingerprint(&key.normalised()),
            previous: None,
            hint: KeyHint::from_stored("sk-…".to_owned()),
            network: Network::widen(address(1), 32, 64),
            bound_at: NOW,
            profile: "".into(),
        };
        known.lookup.claim(new).await.expect("memory works");
        drop(key);
        known
    }

    /// Whether a request from its own network is let on.
    pub(crate) fn decide(&self) -> bool {
        self.decide_from(1)
    }

    /// Whether one from elsewhere is.
    pub(crate) fn decide_from_elsewhere(&self) -> bool {
        self.decide_from(2)
    }

    fn decide_from(&self, last: u8) -> bool {
        let peer = PeerAddr(([192, 0, 2, last], 5_000).into());
        let Ok(client_ip) = self.client_ip.resolve(peer, self.lines.lines()) else {
            return false;
        };
        let path = RequestPath::new(PATH);
        let Ok(Some(key)) = credential::read(&self.profile, &path, None, self.lines.lines()) else {
            return false;
        };
        let fingerprint = self.hasher.fingerprint(&key.normalised());
        let Some(known) = self.lookup.cached(&fingerprint, NOW) else {
            return false;
        };
        let rules = self.rules.now();
        let verdict = decide(Subject::Bound(&known.binding), client_ip, &rules, NOW, true);
        self.lookup.record_use(&known, NOW);
        matches!(verdict, Verdict::Allowed(_))
    }
}

fn address(last: u8) -> ClientIp {
    ClientIp::new([192, 0, 2, last].into())
}

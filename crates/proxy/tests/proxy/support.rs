//! A running data plane in front of a scripted upstream, with a lookup that tests can look into, change and break.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderName;
use sentinel_core::binding::{Binding, BindingId, BindingStatus, NewBinding, Version};
use sentinel_core::client_ip::{ClientIpRules, ClientIpSource};
use sentinel_core::fingerprint::{FingerprintHasher, KeyFingerprint};
use sentinel_core::known::{Known, KnownBinding};
use sentinel_core::network::Network;
use sentinel_core::policy::{LiveRules, OwnPolicy, Rules};
use sentinel_core::ports::{BindingLookup, Claim, StoreError};
use sentinel_core::profile::Profile;
use sentinel_core::time::Timestamp;
use sentinel_proxy::{
    Bounds, Dependencies, Engine, ForwardAuth, HostHeader, ProxyConfig, StartError, TlsConfig, Upstream,
    UpstreamTarget,
};
use sentinel_testkit::{MemorySink, RawClient, RawResponse, ScriptedUpstream, SettableClock};
use tokio::sync::oneshot;

pub(crate) const CHAT: &str = "/v1/chat/completions";
pub(crate) const KEY: &str = "Bearer sk-AAAAAAAAAAAAAAAAAAAAAAAA";
pub(crate) const OTHER_ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));

/// Bindings in a map. `cached` answers only for keys that were found before, as a cache would.
#[derive(Default)]
pub(crate) struct ScriptedLookup {
    bindings: Mutex<HashMap<KeyFingerprint, Known>>,
    cached: Mutex<HashMap<KeyFingerprint, Known>>,
    next: AtomicI64,
    uses: AtomicU64,
    failure: Mutex<Option<StoreError>>,
    hold: Mutex<Option<oneshot::Sender<oneshot::Sender<()>>>>,
}

impl ScriptedLookup {
    /// The next question is answered with what is there when it is asked, but only when the test lets it go: by what this gives then.
    pub(crate) fn hold_next_find(&self) -> oneshot::Receiver<oneshot::Sender<()>> {
        let (asked, is_asked) = oneshot::channel();
        *self.hold.lock().expect("no panic while locked") = Some(asked);
        is_asked
    }

    /// From now on the store fails like this, or works again.
    pub(crate) fn fail_with(&self, failure: Option<StoreError>) {
        *self.failure.lock().expect("no panic while locked") = failure;
    }

    pub(crate) fn bindings(&self) -> Vec<Binding> {
        let bindings = self.bindings.lock().expect("no panic while locked");
        bindings.values().map(|known| known.binding.clone()).collect()
    }

    pub(crate) fn uses(&self) -> u64 {
        self.uses.load(Ordering::SeqCst)
    }

    /// The only binding is changed, as an operator would.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Binding)) {
        let mut bindings = self.bindings();
        assert_eq!(bindings.len(), 1, "one binding to change");
        let mut binding = bindings.remove(0);
        change(&mut binding);
        self.put(binding);
    }

    pub(crate) fn forget(&self, fingerprint: &KeyFingerprint) {
        self.bindings
            .lock()
            .expect("no panic while locked")
            .remove(fingerprint);
        self.cached
            .lock()
            .expect("no panic while locked")
            .remove(fingerprint);
    }

    fn put(&self, mut binding: Binding) -> Known {
        binding.version = Version(self.next.fetch_add(1, Ordering::SeqCst));
        let fingerprint = binding.fingerprint;
        let known = KnownBinding::new(binding);
        self.bindings
            .lock()
            .expect("no panic while locked")
            .insert(fingerprint, known.clone());
        self.cached
            .lock()
            .expect("no panic while locked")
            .remove(&fingerprint);
        known
    }

    fn works(&self) -> Result<(), StoreError> {
        self.failure
            .lock()
            .expect("no panic while locked")
            .clone()
            .map_or(Ok(()), Err)
    }
}

#[async_trait]
impl BindingLookup for ScriptedLookup {
    fn cached(&self, fingerprint: &KeyFingerprint, _now: Timestamp) -> Option<Known> {
        self.cached
            .lock()
            .expect("no panic while locked")
            .get(fingerprint)
            .cloned()
    }

    async fn find(&self, fingerprint: &KeyFingerprint, _now: Timestamp) -> Result<Option<Known>, StoreError> {
        self.works()?;
        let found = self
            .bindings
            .lock()
            .expect("no panic while locked")
            .get(fingerprint)
            .cloned();
        let hold = self.hold.lock().expect("no panic while locked").take();
        if let Some(hold) = hold {
            let (let_go, is_let_go) = oneshot::channel();
            hold.send(let_go).expect("the test waits for the question");
            is_let_go.await.expect("the test lets it go");
        }
        if let Some(known) = &found {
            self.cached
                .lock()
                .expect("no panic while locked")
                .insert(*fingerprint, known.clone());
        }
        Ok(found)
    }

    async fn find_either(
        &self,
        fingerprint: &KeyFingerprint,
        previous: &KeyFingerprint,
        now: Timestamp,
    ) -> Result<Option<Known>, StoreError> {
        match self.find(fingerprint, now).await? {
            Some(known) => Ok(Some(known)),
            None => self.find(previous, now).await,
        }
    }

    async fn claim(&self, new: NewBinding) -> Result<Claim<Known>, StoreError> {
        self.works()?;
        if let Some(known) = self
            .bindings
            .lock()
            .expect("no panic while locked")
            .get(&new.fingerprint)
        {
            return Ok(Claim::Lost(known.clone()));
        }
        Ok(Claim::Won(self.put(Binding {
            id: BindingId(self.next.fetch_add(1, Ordering::SeqCst)),
            fingerprint: new.fingerprint,
            status: BindingStatus::Active,
            networks: new.network.into(),
            policy: OwnPolicy::default(),
            version: Version(0),
            bound_at: new.bound_at,
        })))
    }

    async fn release(&self, claimed: &KnownBinding) -> Result<(), StoreError> {
        self.works()?;
        self.forget(&claimed.binding.fingerprint);
        Ok(())
    }

    async fn learn(
        &self,
        known: &KnownBinding,
        network: Network,
        networks_max: u16,
        _now: Timestamp,
    ) -> Result<Option<Known>, StoreError> {
        self.works()?;
        let mut binding = known.binding.clone();
        if binding.networks.len() < usize::from(networks_max) {
            binding.networks = binding.networks.iter().copied().chain([network]).collect();
        }
        Ok(Some(self.put(binding)))
    }

    fn record_use(&self, _known: &Known, _now: Timestamp) {
        self.uses.fetch_add(1, Ordering::SeqCst);
    }
}

/// What a test may set before the start.
pub(crate) struct Options {
    pub(crate) rules: Rules,
    pub(crate) bounds: Bounds,
    pub(crate) trusted: Vec<Network>,
    pub(crate) host_header: HostHeader,
    pub(crate) cores: usize,
    pub(crate) tls: Option<TlsConfig>,
    pub(crate) source: ClientIpSource,
    pub(crate) forward_auth: Option<ForwardAuth>,
    /// In place of the one address that the test names.
    pub(crate) upstream: Option<Upstream>,
    /// Where records go.
    pub(crate) sink: MemorySink,
}

impl Options {
    fn config(self, listen: SocketAddr, upstream: SocketAddr) -> ProxyConfig {
        ProxyConfig {
            listen,
            forward_auth: self.forward_auth,
            cores: self.cores,
            upstream: self.upstream.unwrap_or_else(|| {
                Upstream::new(UpstreamTarget::parse(&format!("http://{upstream}")).expect("an origin"))
            }),
            host_header: self.host_header,
            profile: Profile::built_in("new-api").expect("built in"),
            client_ip: ClientIpRules::new(self.trusted, self.source),
            rules: LiveRules::new(self.rules),
            bounds: self.bounds,
            tls: self.tls,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rules: Rules::default(),
            bounds: Bounds::default(),
            trusted: Vec::new(),
            host_header: HostHeader::default(),
            cores: 1,
            tls: None,
            source: ClientIpSource::from_header(HeaderName::from_static("x-real-ip")),
            forward_auth: None,
            upstream: None,
            sink: MemorySink::new(),
        }
    }
}

/// Starts another data plane on a port of the test's choice.
pub(crate) fn start_on(listen: SocketAddr, upstream: SocketAddr) -> Result<Engine, StartError> {
    try_start(listen, upstream, |_| {})
}

/// The same, with what the test sets.
pub(crate) fn try_start(
    listen: SocketAddr,
    upstream: SocketAddr,
    set: impl FnOnce(&mut Options),
) -> Result<Engine, StartError> {
    let mut options = Options::default();
    set(&mut options);
    let dependencies = Dependencies {
        hasher: FingerprintHasher::new(b"a secret for tests only").expect("long enough"),
        lookup: Arc::<ScriptedLookup>::default(),
        intercepts: Arc::<MemorySink>::default(),
        clock: Arc::<SettableClock>::default(),
    };
    Engine::start(options.config(listen, upstream), dependencies)
}

/// The data plane under test.
pub(crate) struct Sentinel {
    pub(crate) address: SocketAddr,
    pub(crate) engine: Engine,
    pub(crate) lookup: Arc<ScriptedLookup>,
    pub(crate) sink: Arc<MemorySink>,
    pub(crate) clock: Arc<SettableClock>,
    pub(crate) rules: LiveRules,
}

impl Sentinel {
    pub(crate) fn start(upstream: SocketAddr) -> Self {
        Self::start_with(upstream, |_| {})
    }

    pub(crate) fn start_with(upstream: SocketAddr, set: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options::default();
        set(&mut options);
        let lookup = Arc::<ScriptedLookup>::default();
        let sink = Arc::new(std::mem::take(&mut options.sink));
        let clock = Arc::new(SettableClock::default());
        let dependencies = Dependencies {
            hasher: FingerprintHasher::new(b"a secret for tests only").expect("long enough"),
            lookup: lookup.clone(),
            intercepts: sink.clone(),
            clock: clock.clone(),
        };
        let listen = ([127, 0, 0, 1], 0).into();
        let config = options.config(listen, upstream);
        let rules = config.rules.clone();
        let engine = Engine::start(config, dependencies).expect("a free port");
        Self {
            address: engine.local_addr(),
            engine,
            lookup,
            sink,
            clock,
            rules,
        }
    }

    pub(crate) async fn client(&self) -> RawClient {
        RawClient::connect(self.address).await
    }

    /// A connection to the listener that other proxies ask.
    pub(crate) async fn asking_proxy(&self) -> RawClient {
        RawClient::connect(self.engine.forward_auth_addr().expect("it listens")).await
    }

    pub(crate) async fn client_elsewhere(&self) -> RawClient {
        RawClient::connect_from(OTHER_ADDRESS, self.address).await
    }

    /// One chat request with [`KEY`] from 127.0.0.1.
    pub(crate) async fn chat(&self) -> RawResponse {
        self.client()
            .await
            .post(CHAT, &[("authorization", KEY)], "{}")
            .await
    }

    /// The same from 127.0.0.2.
    pub(crate) async fn chat_elsewhere(&self) -> RawResponse {
        self.client_elsewhere()
            .await
            .post(CHAT, &[("authorization", KEY)], "{}")
            .await
    }

    /// Stops it and says whether all requests had finished in time.
    pub(crate) async fn stop(self, drain: Duration) -> bool {
        self.engine.shutdown(drain).await
    }
}

/// An upstream that says yes.
pub(crate) async fn upstream() -> ScriptedUpstream {
    ScriptedUpstream::start(sentinel_testkit::Answer::new(200, r#"{"ok":true}"#)).await
}

/// The code in an OpenAI-style error.
pub(crate) fn code(response: &RawResponse) -> String {
    let body: serde_json::Value = serde_json::from_slice(&response.body).expect("a JSON body");
    body["error"]["code"].as_str().unwrap_or_default().to_owned()
}

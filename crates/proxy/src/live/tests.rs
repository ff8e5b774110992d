use std::cell::Cell;
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::task::{Wake, Waker};

use async_trait::async_trait;
use sentinel_core::binding::{BindingStatus, NewBinding, Version};
use sentinel_core::client_ip::{ClientIpRules, ClientIpSource};
use sentinel_core::fingerprint::FingerprintHasher;
use sentinel_core::known::KnownBinding;
use sentinel_core::network::{ClientIp, Network};
use sentinel_core::policy::{LiveRules, OwnPolicy, Rules};
use sentinel_core::ports::{BindingLookup, Claim};
use sentinel_core::profile::Profile;
use sentinel_testkit::{MemorySink, SettableClock};

use super::*;
use crate::config::{Bounds, Dependencies, HostHeader, ProxyConfig, Upstream, UpstreamTarget};
use crate::figures::Figures;
use crate::upstream::Directory;
use crate::worker::Shared;

#[tokio::test]
async fn what_does_not_fit_the_queue_is_looked_up() {
    let (side, mut heard) = changes();
    let watcher = Watcher::new(vec![side]);
    let gone = || BindingChange::Gone(KeyFingerprint::from_bytes([1; 32]));
    for _ in 0..CHANGES_QUEUED_MAX {
        watcher.changed(gone());
    }
    assert!(matches!(heard.next().await, BindingChange::Gone(_)));
    watcher.changed(gone());
    watcher.changed(gone());
    assert!(
        matches!(heard.next().await, BindingChange::Unknown),
        "one too many"
    );
    assert!(matches!(heard.next().await, BindingChange::Gone(_)));
}

#[test]
fn released_claims_are_remembered_for_a_while_and_within_the_bound() {
    let released = Released::default();
    let at = Timestamp::from_unix_ms;
    released.remember(BindingId(1), at(0));
    assert!(released.is_remembered(BindingId(1), at(14_999)));
    assert!(!released.is_remembered(BindingId(1), at(15_000)));
    assert!(!released.is_remembered(BindingId(2), at(0)));
    assert!(
        RELEASED_REMEMBERED_FOR > 2 * RECHECK_INTERVAL,
        "each worker looks in time"
    );
    for id in 0..2 * i64::try_from(RELEASED_REMEMBERED_MAX).expect("fits") {
        released.remember(BindingId(id), at(0));
    }
    assert!(released.0.len() <= RELEASED_REMEMBERED_MAX);
}

/// More keys than one worker should ever have to look up at one go.
const KEYS: u32 = 10_000;
/// After so many keys something happens elsewhere.
const KEYS_BEFORE: usize = 3_000;

fn key(number: u32) -> KeyFingerprint {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    KeyFingerprint::from_bytes(bytes)
}

fn client_ip() -> ClientIp {
    ClientIp::new([192, 0, 2, 1].into())
}

fn binding(fingerprint: KeyFingerprint, status: BindingStatus) -> Binding {
    Binding {
        id: BindingId(1),
        fingerprint,
        status,
        networks: Network::widen(client_ip(), 32, 64).into(),
        policy: OwnPolicy::default(),
        version: Version(1),
        bound_at: Timestamp::from_unix_ms(0),
    }
}

/// Knows every key; counts how often it is asked, and says a word after [`KEYS_BEFORE`] times.
#[derive(Default)]
struct Counting {
    asked: AtomicUsize,
    then: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Counting {
    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl BindingLookup for Counting {
    fn cached(&self, fingerprint: &KeyFingerprint, _: Timestamp) -> Option<Known> {
        if self.asked.fetch_add(1, Ordering::Relaxed) + 1 == KEYS_BEFORE
            && let Some(then) = self.then.lock().expect("no panic while locked").take()
        {
            then();
        }
        let mut binding = binding(*fingerprint, BindingStatus::Active);
        binding.version = Version(0);
        Some(KnownBinding::new(binding))
    }

    async fn find(&self, _: &KeyFingerprint, _: Timestamp) -> Result<Option<Known>, StoreError> {
        unreachable!("every key is cached")
    }

    async fn find_either(
        &self,
        _: &KeyFingerprint,
        _: &KeyFingerprint,
        _: Timestamp,
    ) -> Result<Option<Known>, StoreError> {
        unreachable!("every key is cached")
    }

    async fn claim(&self, _: NewBinding) -> Result<Claim<Known>, StoreError> {
        unreachable!("nothing is claimed")
    }

    async fn release(&self, _: &KnownBinding) -> Result<(), StoreError> {
        unreachable!("nothing is released")
    }

    async fn learn(
        &self,
        _: &KnownBinding,
        _: Network,
        _: u16,
        _: Timestamp,
    ) -> Result<Option<Known>, StoreError> {
        unreachable!("nothing is learned")
    }

    fn record_use(&self, _: &Known, _: Timestamp) {}
}

/// A connection's task, which is woken when it is cut: how many keys had been asked for by then.
struct Cut {
    lookup: Arc<Counting>,
    asked: AtomicUsize,
}

impl Wake for Cut {
    fn wake(self: Arc<Self>) {
        self.asked.store(self.lookup.asked(), Ordering::Relaxed);
    }
}

fn worker(lookup: Arc<Counting>) -> Rc<Worker> {
    let config = ProxyConfig {
        listen: ([127, 0, 0, 1], 0).into(),
        tls: None,
        forward_auth: None,
        cores: 1,
        upstream: Upstream::new(UpstreamTarget::parse("http://127.0.0.1:1").expect("an origin")),
        host_header: HostHeader::default(),
        profile: Profile::built_in("new-api").expect("built in"),
        client_ip: ClientIpRules::new([], ClientIpSource::Forwarded),
        rules: LiveRules::new(Rules::default()),
        bounds: Bounds::default(),
    };
    let dependencies = Dependencies {
        hasher: FingerprintHasher::new(b"a secret for tests only").expect("long enough"),
        lookup,
        intercepts: Arc::<MemorySink>::default(),
        clock: Arc::<SettableClock>::default(),
    };
    let directory = Directory::new(&config.upstream, &config.bounds);
    let figures = Arc::new(Figures::new(1, Arc::new(directory)));
    let shared = Shared::new(config, dependencies, figures, None);
    Rc::new(Worker::new(Arc::new(shared), 0))
}

/// However many keys are under way: while they are looked up, requests have their turns, and a ban does not wait for the rest of them.
#[tokio::test]
async fn a_ban_and_requests_do_not_wait_for_the_keys_that_are_looked_up() {
    let lookup = Arc::<Counting>::default();
    let worker = worker(Arc::clone(&lookup));
    let (side, mut heard) = changes();
    let watcher = Watcher::new(vec![side]);
    let cut = Arc::new(Cut {
        lookup: Arc::clone(&lookup),
        asked: AtomicUsize::new(0),
    });
    let mut banned_place = 0;
    for number in 0..KEYS {
        let is_banned = number == KEYS - 1;
        let waker = if is_banned {
            Waker::from(Arc::clone(&cut))
        } else {
            Waker::noop().clone()
        };
        let mut connections = worker.connections.borrow_mut();
        let place = connections.enter(waker);
        let live = Live {
            fingerprint: key(number),
            client_ip: client_ip(),
            binding: Some(BindingId(1)),
        };
        connections.set_live(place, Some(live));
        if is_banned {
            banned_place = place;
        }
    }
    let ban = move || {
        let banned = binding(key(KEYS - 1), BindingStatus::Banned);
        watcher.changed(BindingChange::Now(Box::new(banned)));
    };
    *lookup.then.lock().expect("no panic while locked") = Some(Box::new(ban));
    let turns = Cell::new(0);
    let requests = async {
        loop {
            turns.set(turns.get() + 1);
            yield_now().await;
        }
    };
    tokio::select! {
        () = recheck(&worker, &mut heard) => {}
        () = requests => {}
    }
    assert!(worker.connections.borrow().is_over(banned_place));
    assert_eq!(worker.shared.figures.snapshot().requests_ended, 1);
    assert!(lookup.asked() >= KEYS as usize, "all were looked up");
    let waited = cut.asked.load(Ordering::Relaxed) - KEYS_BEFORE;
    assert!(waited <= KEYS_PER_TURN_MAX, "{waited} keys went before the ban");
    let turns_min = KEYS as usize / KEYS_PER_TURN_MAX;
    assert!(turns.get() >= turns_min, "{} turns", turns.get());
}

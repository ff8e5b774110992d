//! What the tests of this crate share: an alert, a way out to receivers on this machine, clocks, and counters that count exactly. Must
//! never be compiled into the product.

mod flaky;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::alert::{
    Alert, AlertId, AlertState, ChannelId, Example, RuleKind, Seen, Severity, Subject,
};
use sentinel_core::binding::BindingId;
use sentinel_core::counting::{
    COUNT_BATCH_MAX, COUNT_NAME_BYTES_MAX, COUNT_WINDOW_MIN, Count, WindowCounters,
};
use sentinel_core::decision::RefusalReason;
use sentinel_core::event::{Intercept, InterceptOutcome, Reference};
use sentinel_core::fingerprint::{KeyFingerprint, KeyHint};
use sentinel_core::network::{ClientIp, Network};
use sentinel_core::ports::StoreError;
use sentinel_core::time::{Clock, Timestamp};
use sentinel_testkit::SettableClock;

pub(crate) use flaky::FlakyOutbox;

use crate::links::{Console, LinkSigner};
use crate::outbound::{Dialer, Guard, HttpClient, HttpUrl, Resolve, trust};
use crate::watch::MakeCounters;

/// 2026-01-01T00:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp::from_unix_ms(1_767_225_600_000);

pub(crate) fn network(text: &str) -> Network {
    text.parse().expect("a network")
}

pub(crate) fn channel_id(name: &str) -> ChannelId {
    ChannelId::new(name).expect("a name")
}

/// An alert on a bound key, with texts that an attacker chose.
pub(crate) fn alert() -> Alert {
    Alert {
        id: AlertId::from_stored("al_aaaabbbbccccdddd".to_owned()),
        sequence: 0,
        state: AlertState::Firing,
        rule: RuleKind::RefusalsPerBinding,
        severity: Severity::Warning,
        subject: Subject::Binding(BindingId(42)),
        binding: Some(BindingId(42)),
        hint: Some(KeyHint::from_stored("sk-ab…wxyz".to_owned())),
        seen: Seen {
            count: 12,
            peak: 12,
            networks: vec![network("198.51.100.7")],
            example: Some(Example {
                reference: Reference::from_stored("sr_abcdefghijklmnop".to_owned()),
                reason: RefusalReason::KeyIpMismatch,
                client_ip: ClientIp::new("198.51.100.7".parse().expect("an address")),
                method: "POST".to_owned(),
                path: "/v1/<b>&[x](https://evil)".to_owned(),
                user_agent: "<at id=all></at> <!channel> @all \"'`*".to_owned(),
            }),
            ..Seen::nothing(NOW)
        },
        told: 12,
        threshold: 10,
        window: Duration::from_mins(1),
        raised_at: NOW,
        at: NOW,
        replica: "replica-a".to_owned(),
    }
}

/// The record of three refusals.
pub(crate) fn intercept(
    reason: RefusalReason,
    binding: Option<i64>,
    key: Option<u8>,
    from: &str,
) -> Intercept {
    Intercept {
        reference: Reference::random(),
        at: Timestamp::from_unix_ms(5_000),
        last_at: Timestamp::from_unix_ms(5_000),
        reason,
        outcome: InterceptOutcome::Refused,
        binding: binding.map(BindingId),
        networks: Vec::new().into(),
        fingerprint: key.map(|fill| KeyFingerprint::from_bytes([fill; 32])),
        hint: key.map(|_| KeyHint::from_stored("sk-…".to_owned())),
        client_ip: ClientIp::new(from.parse().expect("an address")),
        method: "POST".to_owned(),
        path: "/v1/chat/completions".to_owned(),
        user_agent: "curl/8".to_owned(),
        count: 3,
        profile: "".into(),
        replica: "".into(),
    }
}

/// The same with texts as long as they can get, in the widest characters.
pub(crate) fn long_alert() -> Alert {
    let mut alert = alert();
    for last in 1..=9 {
        alert
            .seen
            .add_network(network(&format!("2001:db8:ffff:{last:x}::/64")));
    }
    if let Some(example) = &mut alert.seen.example {
        example.path = "\u{1f512}\"\\".repeat(85);
        example.user_agent = "\u{1f512}\"\\".repeat(85);
    }
    alert.replica = "\u{1f512}".repeat(400);
    alert
}

pub(crate) fn console() -> Arc<Console> {
    let signer = LinkSigner::new(b"the installation's secret");
    Arc::new(Console::new("https://sentinel.example.com/base/", signer).expect("a URL"))
}

/// Resolves names as a script says: each answer once, the last one for ever. Counts the questions.
#[derive(Default)]
pub(crate) struct ScriptedResolver {
    answers: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
    asked: Mutex<Vec<String>>,
}

impl ScriptedResolver {
    pub(crate) fn with(self, name: &str, answers: &[&[&str]]) -> Self {
        let parse = |texts: &&[&str]| -> Vec<IpAddr> {
            texts
                .iter()
                .map(|text| text.parse().expect("an address"))
                .collect()
        };
        let answers = answers.iter().map(parse).collect();
        self.answers
            .lock()
            .expect("not poisoned")
            .insert(name.to_owned(), answers);
        self
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("not poisoned").clone()
    }
}

#[async_trait]
impl Resolve for ScriptedResolver {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.lock().expect("not poisoned").push(name.to_owned());
        let mut answers = self.answers.lock().expect("not poisoned");
        let own = answers
            .get_mut(name)
            .ok_or_else(|| io::Error::other("no such name"))?;
        Ok(if own.len() > 1 {
            own.remove(0)
        } else {
            own[0].clone()
        })
    }
}

/// Connects to public addresses and to `allowed`.
pub(crate) fn dialer(resolver: Arc<dyn Resolve>, allowed: &[&str], extra_pem: &[u8]) -> Dialer {
    let allowed: Vec<Network> = allowed.iter().map(|text| network(text)).collect();
    Dialer::new(
        Guard::new(resolver, allowed),
        trust(extra_pem).expect("certificates"),
    )
}

/// Connects to this machine.
pub(crate) fn local_dialer() -> Dialer {
    dialer(Arc::new(ScriptedResolver::default()), &["127.0.0.1"], b"")
}

pub(crate) fn local_client() -> HttpClient {
    HttpClient::new(local_dialer())
}

pub(crate) fn http(text: &str) -> HttpUrl {
    HttpUrl::parse(text, true).expect("a URL")
}

/// Shows the time of tokio's clock, which a test may pause.
pub(crate) struct TokioClock(tokio::time::Instant);

impl TokioClock {
    pub(crate) fn start() -> Arc<Self> {
        Arc::new(Self(tokio::time::Instant::now()))
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        NOW.plus(self.0.elapsed())
    }
}

/// When each name was counted, and how often, per window.
type Counted = HashMap<(Duration, String), Vec<(Timestamp, u64)>>;

/// Counts exactly, for all replicas, and sees to it that it is asked as counters want to be asked.
pub(crate) struct ExactCounters {
    clock: Arc<SettableClock>,
    counted: Mutex<Counted>,
    is_away: AtomicBool,
    made: AtomicUsize,
    asked: AtomicUsize,
}

impl ExactCounters {
    pub(crate) fn new(clock: Arc<SettableClock>) -> Arc<Self> {
        Arc::new(Self {
            clock,
            counted: Mutex::default(),
            is_away: AtomicBool::new(false),
            made: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
        })
    }

    pub(crate) fn maker(self: &Arc<Self>) -> MakeCounters {
        let exact = Arc::clone(self);
        Arc::new(move || {
            exact.made.fetch_add(1, Ordering::SeqCst);
            Ok(Arc::new(OneWindow {
                exact: Arc::clone(&exact),
                window: OnceLock::new(),
            }))
        })
    }

    pub(crate) fn made(&self) -> usize {
        self.made.load(Ordering::SeqCst)
    }

    /// How many batches it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    pub(crate) fn set_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::SeqCst);
    }
}

struct OneWindow {
    exact: Arc<ExactCounters>,
    window: OnceLock<Duration>,
}

#[async_trait]
impl WindowCounters for OneWindow {
    async fn add(&self, window: Duration, batch: Vec<Count>) -> Result<Vec<u64>, StoreError> {
        self.exact.asked.fetch_add(1, Ordering::SeqCst);
        assert_eq!(*self.window.get_or_init(|| window), window, "one window each");
        assert!(window >= COUNT_WINDOW_MIN && batch.len() <= COUNT_BATCH_MAX);
        if self.exact.is_away.load(Ordering::SeqCst) {
            return Err(StoreError::Busy);
        }
        let now = self.exact.clock.now();
        let names: BTreeSet<&str> = batch.iter().map(|count| count.name.as_str()).collect();
        assert_eq!(names.len(), batch.len(), "no name twice");
        let mut counted = self.exact.counted.lock().expect("not poisoned");
        let mut answers = Vec::new();
        for Count { name, times } in batch {
            let length = name.len();
            assert!((1..=COUNT_NAME_BYTES_MAX).contains(&length), "{name}");
            let events = counted.entry((window, name)).or_default();
            if times > 0 {
                events.push((now, times));
            }
            events.retain(|(at, _)| now.since(*at) < window);
            answers.push(events.iter().map(|(_, times)| times).sum());
        }
        Ok(answers)
    }
}

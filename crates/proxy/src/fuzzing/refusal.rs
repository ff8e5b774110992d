//! What must hold of refusals: nothing that a client wrote may stand in one, nor a key of its own in the record of it.

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use sentinel_core::binding::NewBinding;
use sentinel_core::client_ip::{ClientIpRules, ClientIpSource};
use sentinel_core::credential;
use sentinel_core::decision::RefusalReason;
use sentinel_core::event::{Intercept, PATH_CHARACTERS_MAX, USER_AGENT_CHARACTERS_MAX};
use sentinel_core::fingerprint::{FingerprintHasher, KeyFingerprint};
use sentinel_core::known::{Known, KnownBinding};
use sentinel_core::network::{ClientIp, Network};
use sentinel_core::path::RequestPath;
use sentinel_core::policy::{LiveRules, Rules};
use sentinel_core::ports::{BindingLookup, Claim, InterceptSink, RecordTicket, StoreError};
use sentinel_core::profile::{Dialect, Profile};
use sentinel_core::time::{SystemClock, Timestamp};

use super::taken;
use crate::config::{Bounds, Dependencies, HostHeader, ProxyConfig, Upstream, UpstreamTarget};
use crate::figures::Figures;
use crate::http1::request::RequestHead;
use crate::http1::response::ResponseHead;
use crate::malformed::Malformed;
use crate::record::{Breach, KeyEvidence};
use crate::refusal::{self, Refusal};
use crate::upstream::Directory;
use crate::worker::{Shared, Worker};

/// Whatever a request says, its refusal is one answer in which nothing of it stands, and the record holds no key that it presented.
/// `choice` says why it is refused, whether the connection closes, and whether the client wants the head only.
///
/// # Panics
///
/// When that does not hold.
pub fn refusal(bytes: &[u8], choice: usize) {
    let head = match taken(bytes, bytes.len()) {
        Ok(Some(head)) => head,
        Ok(None) => return,
        Err(error) => {
            judge_malformed(error.into(), choice);
            return;
        }
    };
    if head.method() == "CONNECT" {
        judge_malformed(Malformed::Method, choice);
        return;
    }
    REFUSING.with(|refusing| {
        let profile = &refusing.worker.shared.profile;
        let path = RequestPath::new(head.path());
        let key = credential::read(profile, &path, head.query(), head.lines())
            .ok()
            .flatten();
        let reason = RefusalReason::ALL[choice / 4 % RefusalReason::ALL.len()];
        let breach = |key| Breach::of(reason, None, key);
        let evidence = key.as_ref().map(|key| KeyEvidence {
            fingerprint: refusing.worker.shared.hasher.fingerprint(&key.normalised()),
            previous: None,
            hint: key.key().hint(),
        });
        let presented = key.as_ref().map(|key| key.key().expose());
        let (refused, record) = refusing.refuse(&head, presented, breach(evidence));
        judge_record(&record, presented);
        let dialect = profile.dialect(&path);
        let written = judge_refusal(&refused, choice, dialect);
        // Another request on a path of the same dialect, which says nothing else.
        let plain = DIALECT_PATHS.iter().find(|(_, other)| *other == dialect);
        let (plain, _) = plain.expect("each dialect has a path");
        let plain = format!("GET {plain} HTTP/1.1\r\nhost: x\r\n\r\n");
        let plain = taken(plain.as_bytes(), 0).expect("well formed").expect("whole");
        let (other, other_record) = refusing.refuse(&plain, None, breach(None));
        assert_eq!(
            written.replace(record.reference.as_str(), ""),
            judge_refusal(&other, choice, dialect).replace(other_record.reference.as_str(), ""),
            "nothing of the request stands in it"
        );
    });
}

fn judge_malformed(kind: Malformed, choice: usize) {
    let client_ip = ClientIp::new([192, 0, 2, 1].into());
    let refused = REFUSING.with(|refusing| refusal::malformed(&refusing.worker, kind, client_ip));
    judge_refusal(&refused, choice, Dialect::Plain);
}

/// A path of each dialect.
const DIALECT_PATHS: [(&str, Dialect); 4] = [
    ("/v1/chat/completions", Dialect::OpenAi),
    ("/v1/messages", Dialect::Anthropic),
    ("/v1beta/models/m:generateContent", Dialect::Gemini),
    ("/", Dialect::Plain),
];

/// One head, one body of the length that it says, JSON where the dialect is. Gives what was written.
fn judge_refusal(refused: &Refusal, choice: usize, dialect: Dialect) -> String {
    let (closes, to_head) = (choice & 1 == 1, choice & 2 == 2);
    let mut written = Vec::new();
    refused.write(closes, to_head, &mut written);
    let text = String::from_utf8(written.clone()).expect("text");
    let (lines, body) = text.split_once("\r\n\r\n").expect("a head and its end");
    let visible = |line: &str| line.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    assert!(lines.split("\r\n").all(visible), "{lines:?}");
    let read = ResponseHead::take(&mut written, to_head)
        .expect("ours is well formed")
        .expect("ours is whole");
    assert_eq!(
        read.following(),
        body.as_bytes(),
        "the first head's end is its own"
    );
    let mut length = None;
    let mut names = Vec::new();
    for line in read.lines().iter() {
        assert!(!names.contains(&line.name), "{lines:?}");
        names.push(line.name);
        match line.name {
            b"content-length" => length = line.text().and_then(|text| text.parse().ok()),
            b"connection" => assert!(closes && line.value == b"close"),
            b"cache-control" | b"content-type" | b"retry-after" | b"x-sentinel-reference" => {}
            _ => panic!("a line that no refusal has: {lines:?}"),
        }
    }
    let length: usize = length.expect("it says its length");
    if to_head {
        assert_eq!(body, "", "an answer to HEAD has no body");
        return text;
    }
    assert_eq!(body.len(), length);
    if dialect == Dialect::Plain {
        let line = body.strip_suffix('\n').expect("a line");
        assert!(visible(line), "one line: {body:?}");
    } else {
        let json: serde_json::Value = serde_json::from_str(body).expect("JSON");
        assert!(json["error"].is_object());
    }
    text
}

/// What of a request is written down: bounded, printable, and without its key.
fn judge_record(record: &Intercept, presented: Option<&str>) {
    let presented = presented.map(str::to_ascii_lowercase);
    for (text, characters_max) in [
        (&record.path, PATH_CHARACTERS_MAX),
        (&record.user_agent, USER_AGENT_CHARACTERS_MAX),
    ] {
        assert!(!text.contains(char::is_control), "{text:?}");
        // What does not print is written as `\u{…}`.
        assert!(text.chars().count() <= 10 * characters_max + 1);
        if let Some(key) = &presented {
            assert!(
                !text.to_ascii_lowercase().contains(key),
                "the key is in the record"
            );
        }
    }
    assert!(!record.method.contains(char::is_control));
    if let (Some(hint), Some(key)) = (&record.hint, &presented) {
        assert!(
            !hint.as_str().to_ascii_lowercase().contains(key),
            "the key is its own hint"
        );
    }
}

thread_local! {
    static REFUSING: Refusing = Refusing::new();
}

/// A worker that serves nobody, and the last record that it made.
struct Refusing {
    worker: Worker,
    record: Arc<LastRecord>,
}

impl Refusing {
    fn new() -> Self {
        let record = Arc::<LastRecord>::default();
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
            hasher: FingerprintHasher::new(b"a secret for fuzzing only").expect("long enough"),
            lookup: Arc::new(NoLookup),
            intercepts: record.clone(),
            clock: Arc::new(SystemClock),
        };
        let directory = Directory::new(&config.upstream, &config.bounds);
        let figures = Arc::new(Figures::new(1, Arc::new(directory)));
        let shared = Shared::new(config, dependencies, figures, None);
        Self {
            worker: Worker::new(Arc::new(shared), 0),
            record,
        }
    }

    fn refuse(&self, head: &RequestHead, presented: Option<&str>, breach: Breach) -> (Refusal, Intercept) {
        let client_ip = ClientIp::new([192, 0, 2, 1].into());
        let at = Timestamp::from_unix_ms(0);
        let refused = refusal::refuse(&self.worker, head, presented, breach, client_ip, at);
        let mut last = self.record.0.lock().unwrap_or_else(PoisonError::into_inner);
        (refused, last.take().expect("each refusal is recorded"))
    }
}

#[derive(Default)]
struct LastRecord(Mutex<Option<Intercept>>);

impl InterceptSink for LastRecord {
    fn record(&self, intercept: Intercept) -> RecordTicket {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(intercept);
        RecordTicket::default()
    }

    fn settled(&self) -> RecordTicket {
        RecordTicket::default()
    }

    fn wake_beyond(&self, _: RecordTicket, _: &Waker) {}
}

/// A refusal looks nothing up.
struct NoLookup;

type Answered<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

fn away<'a, T: Send + 'a>() -> Answered<'a, T> {
    Box::pin(ready(Err(StoreError::Unavailable("fuzzing".to_owned()))))
}

impl BindingLookup for NoLookup {
    fn cached(&self, _: &KeyFingerprint, _: Timestamp) -> Option<Known> {
        None
    }

    fn find<'a, 'b, 'c>(&'a self, _: &'b KeyFingerprint, _: Timestamp) -> Answered<'c, Option<Known>>
    where
        'a: 'c,
        'b: 'c,
    {
        away()
    }

    fn find_either<'a, 'b, 'd, 'c>(
        &'a self,
        _: &'b KeyFingerprint,
        _: &'d KeyFingerprint,
        _: Timestamp,
    ) -> Answered<'c, Option<Known>>
    where
        'a: 'c,
        'b: 'c,
        'd: 'c,
    {
        away()
    }

    fn claim<'a, 'c>(&'a self, _: NewBinding) -> Answered<'c, Claim<Known>>
    where
        'a: 'c,
    {
        away()
    }

    fn release<'a, 'b, 'c>(&'a self, _: &'b KnownBinding) -> Answered<'c, ()>
    where
        'a: 'c,
        'b: 'c,
    {
        away()
    }

    fn learn<'a, 'b, 'c>(
        &'a self,
        _: &'b KnownBinding,
        _: Network,
        _: u16,
        _: Timestamp,
    ) -> Answered<'c, Option<Known>>
    where
        'a: 'c,
        'b: 'c,
    {
        away()
    }

    fn record_use(&self, _: &Known, _: Timestamp) {}
}

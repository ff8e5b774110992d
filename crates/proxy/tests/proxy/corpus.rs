//! Raw bytes against a running engine, case by case: what the client gets, whether its connection stays, and exactly what the upstream
//! saw. A case never looks at the engine's inside.
//!
//! Text stands for bytes: each character, up to U+00FF, is one byte. Where the right outcome is debatable the stricter reading of RFC 9112
//! counts, and the case says so.

mod answers;
mod chunks;
mod cut;
mod expectations;
mod fields;
mod framing;
mod heads;
mod pipelines;
mod seeds;
mod sizes;
mod targets;

use std::collections::BTreeSet;
use std::time::Duration;

use sentinel_testkit::{Answer, RawClient, RawHead, ScriptedUpstream, SeenRequest};
use tokio::task::JoinSet;

use crate::support::{Options, Sentinel};

/// What follows every refused request on its connection: nobody may ever see it.
const BEHIND: &str = "GET /behind HTTP/1.1\r\nhost: x\r\n\r\n";
/// What is asked on a connection that must have stayed good.
const PROBE: &str = "GET /probe HTTP/1.1\r\nhost: probe\r\n\r\n";
/// How long the engine may take to end once its client is gone.
const DRAIN: Duration = Duration::from_secs(5);

/// What becomes of the client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// It carries another request, and its answer.
    Open,
    /// The engine closes it, with nothing more on it.
    Closed,
    /// The engine waits for more; the client leaves instead.
    Waits,
}

/// A request as the upstream must have seen it.
#[derive(Clone, Debug)]
struct Seen {
    line: String,
    lines: Vec<String>,
    body: String,
    complete: bool,
}

impl Seen {
    /// This method and target and these header lines in their order, beside the three that say who the client is.
    fn new(line: &str, lines: &[&str]) -> Self {
        Self {
            line: line.to_owned(),
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
            body: String::new(),
            complete: true,
        }
    }

    fn body(mut self, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self
    }

    /// The body never came to its end.
    fn cut(mut self) -> Self {
        self.complete = false;
        self
    }

    /// What differs from what the upstream saw.
    fn differs(&self, seen: &SeenRequest) -> Option<String> {
        let head = text(&seen.head);
        let mut lines = head.trim_end_matches("\r\n").split("\r\n");
        let first = lines.next().unwrap_or_default();
        let (ours, passed): (Vec<&str>, Vec<&str>) = lines.partition(|line| OURS.contains(line));
        let is_same = first == format!("{} HTTP/1.1", self.line)
            && passed == self.lines
            && ours.len() == OURS.len()
            && text(&seen.body) == self.body
            && seen.complete == self.complete;
        let body = text(&seen.body);
        (!is_same).then(|| {
            format!(
                "the upstream saw {head:?} {body:?} complete={}, not {self:?}",
                seen.complete
            )
        })
    }
}

/// The lines that say who the client is.
const OURS: [&str; 3] = [
    "x-forwarded-for: 127.0.0.1",
    "x-real-ip: 127.0.0.1",
    "x-forwarded-proto: http",
];

/// One connection's bytes, and all that may come of them.
#[derive(Clone, Debug)]
struct Case {
    name: String,
    sent: String,
    statuses: Vec<u16>,
    then: Then,
    seen: Vec<Seen>,
    /// What comes of it depends on what of it is there at once: it is not sent byte by byte as well.
    at_once: bool,
}

impl Case {
    fn new(name: &str, sent: impl Into<String>, statuses: &[u16], then: Then, seen: &[Seen]) -> Self {
        Self {
            name: name.to_owned(),
            sent: sent.into(),
            statuses: statuses.to_vec(),
            then,
            seen: seen.to_vec(),
            at_once: false,
        }
    }

    /// Sent in one piece only.
    fn at_once(mut self) -> Self {
        self.at_once = true;
        self
    }

    /// Refused and closed, whatever follows; the upstream sees nothing.
    fn refused(name: &str, sent: impl Into<String>, status: u16) -> Self {
        Self::new(name, sent.into() + BEHIND, &[status], Then::Closed, &[])
    }

    /// Forwarded; the connection stays.
    fn passes(name: &str, sent: impl Into<String>, seen: Seen) -> Self {
        Self::new(name, sent, &[200], Then::Open, &[seen])
    }

    /// No verdict yet when the client leaves; the upstream sees nothing.
    fn waits(name: &str, sent: impl Into<String>) -> Self {
        Self::new(name, sent, &[], Then::Waits, &[])
    }
}

/// A GET with these lines beside `Host`.
fn get(lines: &str) -> String {
    format!("GET /v1/models HTTP/1.1\r\nhost: x\r\n{lines}\r\n")
}

/// A POST with these lines beside `Host`, and what follows its head.
fn post(lines: &str, body: &str) -> String {
    format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{lines}\r\n{body}")
}

/// The same as the upstream sees it.
fn seen_post(lines: &[&str], body: &str) -> Seen {
    let all: Vec<&str> = std::iter::once("host: x").chain(lines.iter().copied()).collect();
    Seen::new("POST /v1/chat/completions", &all).body(body)
}

fn seen_get(lines: &[&str]) -> Seen {
    let all: Vec<&str> = std::iter::once("host: x").chain(lines.iter().copied()).collect();
    Seen::new("GET /v1/models", &all)
}

fn bytes(text: &str) -> Vec<u8> {
    text.chars()
        .map(|character| u8::try_from(character).expect("one byte each"))
        .collect()
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// Cuts long text, so that a fault can be read.
fn shortened(text: &str) -> String {
    let start: String = text.chars().take(300).collect();
    let dots = if start.len() < text.len() { " …" } else { "" };
    format!("{start:?}{dots}")
}

/// Cases up to this length are sent byte by byte as well.
const PIECEWISE_BYTES: usize = 2_000;

/// Runs all cases at once, each with an engine and an upstream of its own, and reports all faults together. Wherever the bytes are cut,
/// the outcome is the same.
async fn run(cases: Vec<Case>) {
    run_with(cases, |_| {}).await;
}

async fn run_with(cases: Vec<Case>, set: fn(&mut Options)) {
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), cases.len(), "each case has a name of its own");
    let mut running = JoinSet::new();
    for case in cases {
        if !case.at_once && case.sent.len() <= PIECEWISE_BYTES {
            running.spawn(told(case.clone(), set, 1));
        }
        running.spawn(told(case, set, usize::MAX));
    }
    report(running).await;
}

/// Judges one case, and puts its name and bytes in front of its fault.
async fn told(case: Case, set: fn(&mut Options), piece_bytes: usize) -> Result<(), String> {
    let pieces = if piece_bytes == 1 { ", byte by byte" } else { "" };
    let told = format!("{}{pieces}\n    sent {}", case.name, shortened(&case.sent));
    let outcome = tokio::spawn(judge(case, set, piece_bytes)).await;
    outcome
        .unwrap_or_else(|panic| Err(why(panic)))
        .map_err(|why| format!("{told}\n    {why}"))
}

fn why(error: tokio::task::JoinError) -> String {
    let panic = error.into_panic();
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_default()
}

async fn report(mut running: JoinSet<Result<(), String>>) {
    let mut faults = Vec::new();
    let mut count = 0;
    while let Some(outcome) = running.join_next().await {
        count += 1;
        faults.extend(outcome.expect("a case reports its panic").err());
    }
    faults.sort();
    assert!(
        faults.is_empty(),
        "{} of {count} cases:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

/// An upstream whose answers say which request they answer.
async fn echoing_upstream() -> ScriptedUpstream {
    ScriptedUpstream::start_with(|request| Answer::new(200, echo_of(&request.method, &request.target))).await
}

fn echo_of(method: &str, target: &str) -> String {
    format!("{method} {target}")
}

async fn judge(case: Case, set: fn(&mut Options), piece_bytes: usize) -> Result<(), String> {
    let upstream = echoing_upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), set);
    let mut client = sentinel.client().await;
    for piece in bytes(&case.sent).chunks(piece_bytes) {
        // The engine may close while it is still being sent to.
        let _ = client.try_send(piece).await;
    }
    let mut answered = case.seen.iter();
    for status in &case.statuses {
        let head = client.read_head().await;
        let request = (head.status == 200).then(|| answered.next()).flatten();
        judge_answer(&mut client, &head, *status, request).await?;
    }
    let mut seen = case.seen.clone();
    match case.then {
        Then::Open => {
            let answer = client.request(PROBE).await;
            if (answer.status(), answer.text().as_str()) != (200, "GET /probe") {
                return Err(format!(
                    "the next request got {} {:?}",
                    answer.status(),
                    answer.text()
                ));
            }
            seen.push(Seen::new("GET /probe", &["host: probe"]));
        }
        Then::Closed => {
            let more = client.wait_for_close().await;
            if !more.is_empty() {
                return Err(format!("more came: {}", shortened(&text(&more))));
            }
        }
        Then::Waits => wait_for(&upstream, &seen).await,
    }
    leave(client, case.then);
    if !sentinel.stop(DRAIN).await {
        return Err("the engine did not end when its client had left".to_owned());
    }
    compare(&seen, &all_seen(&upstream).await)
}

/// Hundreds of cases at once must not use up the machine's ports: a reset leaves none waiting. Where leaving is the case, it is an orderly
/// one.
fn leave(client: RawClient, then: Then) {
    match then {
        Then::Open => client.reset(),
        Then::Closed | Then::Waits => drop(client),
    }
}

/// Reads one answer's body and compares both with what is expected.
async fn judge_answer(
    client: &mut RawClient,
    head: &RawHead,
    status: u16,
    request: Option<&Seen>,
) -> Result<(), String> {
    if head.status != status {
        return Err(format!("got {}, not {status}", head.status));
    }
    if request.is_some_and(|request| request.line.starts_with("HEAD ")) {
        return Ok(());
    }
    let body = text(&client.read_body().await);
    match request {
        Some(request) if body != request.line => {
            Err(format!("the answer to {:?} was {body:?}", request.line))
        }
        _ => Ok(()),
    }
}

async fn wait_for(upstream: &ScriptedUpstream, seen: &[Seen]) {
    upstream.wait_for_requests(seen.len()).await;
    for (index, request) in seen.iter().enumerate() {
        upstream
            .wait_for_body_bytes(index, request.body.len() as u64)
            .await;
    }
}

/// All that the upstream saw, once the engine has ended: a last connection stands behind all of its connections in the queue, and each of
/// them is read to its end.
async fn all_seen(upstream: &ScriptedUpstream) -> Vec<SeenRequest> {
    let mut last = RawClient::connect(upstream.address()).await;
    last.get("/last", &[]).await;
    upstream.wait_for_clients_gone(upstream.connections() - 1).await;
    let mut seen = upstream.requests();
    seen.retain(|request| request.target != "/last");
    last.reset();
    seen
}

fn compare(expected: &[Seen], seen: &[SeenRequest]) -> Result<(), String> {
    if expected.len() != seen.len() {
        let lines: Vec<String> = seen
            .iter()
            .map(|request| shortened(&text(&request.head)))
            .collect();
        return Err(format!(
            "the upstream saw {} requests, not {}: {}",
            seen.len(),
            expected.len(),
            lines.join(" ")
        ));
    }
    expected
        .iter()
        .zip(seen)
        .find_map(|(expected, seen)| expected.differs(seen))
        .map_or(Ok(()), Err)
}

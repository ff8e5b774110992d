use axum::body::{Body, BodyDataStream};
use futures_util::StreamExt as _;
use http::{Method, Request, StatusCode, header};
use sentinel_core::account::Role;
use sentinel_core::event::InterceptOutcome;
use sentinel_core::network::PeerAddr;
use serde_json::Value;
use tower::ServiceExt as _;

use super::*;
use crate::TOKEN_LIFE_DEFAULT;
use crate::tails::{LOOK_PAUSE, MISSING_RUNS_MAX, TAILS_OF_ACCOUNT_MAX};
use crate::testing::{Console, intercept};

const TAIL: &str = "/admin/api/logs/tail";

/// An event as a browser reads it.
#[derive(Debug)]
struct Read {
    kind: String,
    id: Option<String>,
    data: Value,
}

impl Read {
    fn of(text: &str) -> Self {
        let field = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.strip_prefix(name));
            lines.next().map(|value| value.trim().to_owned())
        };
        Self {
            kind: field("event:").expect("a kind"),
            id: field("id:"),
            data: serde_json::from_str(&field("data:").expect("data")).expect("JSON"),
        }
    }
}

/// A tail that is read.
struct Reader {
    body: BodyDataStream,
    text: String,
}

impl Reader {
    async fn open(console: &Console, token: &str, query: &str, last: Option<&str>) -> Self {
        let mut request = Request::get(format!("{TAIL}{query}"));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        Self::open_with(console, token, request).await
    }

    async fn open_with(console: &Console, token: &str, request: http::request::Builder) -> Self {
        let mut request = request
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .body(Body::empty())
            .expect("a good request");
        request
            .extensions_mut()
            .insert(PeerAddr(([192, 0, 2, 1], 50_000).into()));
        let response = console.router.clone().oneshot(request).await.expect("infallible");
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        Self {
            body: response.into_body().into_data_stream(),
            text: String::new(),
        }
    }

    /// The next event; none when the tail has ended.
    async fn next(&mut self) -> Option<Read> {
        while !self.text.contains("\n\n") {
            let bytes = self.body.next().await?.expect("in memory");
            self.text.push_str(std::str::from_utf8(&bytes).expect("text"));
        }
        let (event, rest) = self.text.split_once("\n\n").expect("a whole event");
        let event = Read::of(event);
        self.text = rest.to_owned();
        Some(event)
    }

    /// The next one that is not a ping.
    async fn event(&mut self) -> Read {
        loop {
            let event = self.next().await.expect("it goes on");
            if event.kind != "ping" {
                return event;
            }
        }
    }

    /// The ids of the next rows, and where their events say to go on.
    async fn rows(&mut self, count: usize) -> Vec<(i64, i64)> {
        let mut rows = Vec::new();
        while rows.len() < count {
            let event = self.event().await;
            assert_eq!(event.kind, "intercept", "{event:?}");
            let go_on = event.id.expect("an id").parse().expect("a number");
            rows.push((event.data["id"].as_i64().expect("a number"), go_on));
        }
        rows
    }

    async fn ended(&mut self, reason: &str) {
        let end = self.event().await;
        assert_eq!((end.kind.as_str(), &end.data["reason"]), ("end", &json!(reason)));
        assert!(self.next().await.is_none());
    }
}

fn write(console: &Console, ids: impl IntoIterator<Item = i64>) {
    console
        .store
        .lock()
        .intercepts
        .extend(ids.into_iter().map(intercept));
}

#[tokio::test(start_paused = true)]
async fn rows_come_as_they_are_written_within_two_seconds() {
    let console = Console::new();
    write(&console, [1, 2]);
    let mut reader = Reader::open(&console, &console.token().await, "", None).await;
    let first = reader.next().await.expect("a ping at once");
    assert_eq!((first.kind.as_str(), first.id.as_deref()), ("ping", Some("2")));
    write(&console, [3]);
    let begun = Instant::now();
    let event = reader.event().await;
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!(
        (event.kind.as_str(), event.id.as_deref()),
        ("intercept", Some("3"))
    );
    let list = console.get("/admin/api/logs?limit=1").await;
    assert_eq!(
        event.data["reference"], "sr_0000000000000003",
        "the row as it is: {list:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_row_that_appears_late_is_shown_and_no_id_leads_past_it() {
    let console = Console::new();
    let token = console.token().await;
    let mut reader = Reader::open(&console, &token, "", None).await;
    write(&console, [1, 3, 4]);
    assert_eq!(reader.rows(3).await, [(1, 1), (3, 1), (4, 1)]);
    // Whoever connects again now still gets it, and gets no other row twice on this connection.
    let mut again = Reader::open(&console, &token, "", Some("1")).await;
    assert_eq!(again.rows(2).await, [(3, 1), (4, 1)]);
    write(&console, [2, 5]);
    for reader in [&mut reader, &mut again] {
        assert_eq!(reader.rows(2).await, [(2, 2), (5, 5)]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_filters_of_the_list_hold() {
    let console = Console::new();
    let token = console.token().await;
    let query = "?outcome=observed&network=198.51.100.0/24&path=CHAT&hint=WXYZ&q=curl&binding=1";
    let mut reader = Reader::open(&console, &token, query, None).await;
    let mut observed = intercept(2);
    observed.intercept.outcome = InterceptOutcome::Observed;
    console.store.lock().intercepts = vec![intercept(1), observed, intercept(3)];
    assert_eq!(reader.rows(1).await, [(2, 2)]);
    // A ping moves past what nobody asked for.
    let ping = reader.next().await.expect("it goes on");
    assert_eq!((ping.kind.as_str(), ping.id.as_deref()), ("ping", Some("3")));
    for (query, field) in [
        ("?limit=5", "limit"),
        ("?before=5", "before"),
        ("?format=csv", "format"),
        ("?network=x", "network"),
    ] {
        console.get(&format!("{TAIL}{query}")).await.names_field(field);
    }
}

#[tokio::test(start_paused = true)]
async fn a_tail_goes_on_where_it_was_left() {
    let console = Console::new();
    let token = console.token().await;
    write(&console, 1..=1_200);
    let mut reader = Reader::open(&console, &token, "", Some("100")).await;
    let rows = reader.rows(1_100).await;
    assert!(rows.iter().map(|(id, _)| *id).eq(101..=1_200));
    for (last, next) in [("1200", 1_201), ("999999999", 1_202)] {
        let mut reader = Reader::open(&console, &token, "", Some(last)).await;
        write(&console, [next]);
        assert_eq!(reader.rows(1).await, [(next, next)]);
    }
    let request = Request::get(TAIL).header("last-event-id", "x");
    let request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    let answer = console.send(request.body(Body::empty()).expect("good")).await;
    answer.names_field("Last-Event-ID");
}

#[tokio::test(start_paused = true)]
async fn of_more_than_catch_up_rows_max_the_last_ones_come_and_the_others_are_counted() {
    let console = Console::new();
    let left_out = 7;
    let newest = i64::try_from(CATCH_UP_ROWS_MAX).expect("small") + left_out;
    write(&console, 1..=newest);
    let mut reader = Reader::open(&console, &console.token().await, "?path=nothing", Some("0")).await;
    let skipped = reader.event().await;
    assert_eq!(
        (skipped.kind.as_str(), &skipped.data),
        ("skipped", &json!({"count": left_out}))
    );
    let ping = reader.next().await.expect("it goes on");
    assert_eq!(ping.id, Some(newest.to_string()));
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_gets_every_row_once() {
    let console = Console::new();
    let mut reader = Reader::open(&console, &console.token().await, "", None).await;
    assert_eq!(reader.next().await.expect("a ping").kind, "ping");
    // More answers than wait, and more rows than are taken on the way: they come from the store.
    for ten in 0..40 {
        write(&console, ten * 10 + 1..=ten * 10 + 10);
        tokio::time::sleep(LOOK_PAUSE).await;
    }
    let rows = reader.rows(400).await;
    assert!(rows.iter().map(|(id, _)| *id).eq(1..=400), "{rows:?}");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_nothing_is_left_after_reader_wait_max() {
    let console = Console::new();
    let token = console.token().await;
    let reader = Reader::open(&console, &token, "", None).await;
    write(
        &console,
        1..=i64::try_from(EVENTS_WAITING_MAX).expect("small") * 2,
    );
    tokio::time::sleep(READER_WAIT_MAX + 4 * LOOK_PAUSE).await;
    // Its place is free again.
    let mut others = Vec::new();
    for _ in 0..TAILS_OF_ACCOUNT_MAX {
        others.push(Reader::open(&console, &token, "", None).await);
    }
    drop(reader);
}

#[tokio::test(start_paused = true)]
async fn an_account_has_so_many_tails() {
    let console = Console::new();
    let token = console.token().await;
    let mut readers = Vec::new();
    for _ in 0..TAILS_OF_ACCOUNT_MAX {
        readers.push(Reader::open(&console, &token, "", None).await);
    }
    let refused = console.call(Method::GET, TAIL, Some(&token), &Value::Null).await;
    refused.is_problem(StatusCode::CONFLICT, "limit_reached");
    readers.pop();
    tokio::time::sleep(Duration::from_millis(1)).await;
    readers.push(Reader::open(&console, &token, "", None).await);
}

#[tokio::test(start_paused = true)]
async fn a_tail_ends_with_its_session_its_token_or_the_role() {
    let console = Console::new();
    let viewer = console.token_of(Role::Viewer).await;
    let mut reader = Reader::open(&console, &viewer, "", None).await;
    console.end_session(&viewer).await;
    let begun = Instant::now();
    reader.ended("signed_out").await;
    assert!(begun.elapsed() <= CHECK_PAUSE);

    let expires = console.token().await;
    let mut reader = Reader::open(&console, &expires, "", None).await;
    console.clock.advance(TOKEN_LIFE_DEFAULT);
    reader.ended("signed_out").await;

    let made = console
        .post("/admin/api/tokens", &json!({"name": "watcher", "role": "viewer"}))
        .await;
    let program = made.body["token"].as_str().expect("shown once").to_owned();
    let mut reader = Reader::open(&console, &program, "", None).await;
    let path = format!("/admin/api/tokens/{}", made.body["id"]);
    let owner = console.token().await;
    console
        .call(Method::DELETE, &path, Some(&owner), &Value::Null)
        .await;
    reader.ended("signed_out").await;
}

#[tokio::test(start_paused = true)]
async fn a_tail_that_catches_up_for_a_slow_reader_ends_with_its_session_all_the_same() {
    let console = Console::new();
    write(&console, 1..=2_000);
    let viewer = console.token_of(Role::Viewer).await;
    let mut reader = Reader::open(&console, &viewer, "", Some("0")).await;
    assert_eq!(reader.rows(1).await.len(), 1);
    console.end_session(&viewer).await;
    // It takes one event in ten seconds: the rest would take hours.
    let mut later = 0;
    loop {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let Some(event) = reader.next().await else {
            break;
        };
        later += u32::from(event.kind == "intercept");
    }
    assert!(
        later <= 2 * u32::try_from(EVENTS_WAITING_MAX).expect("small"),
        "{later}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_say_who_follows_signs_nobody_out() {
    let console = Console::new();
    let viewer = console.token_of(Role::Viewer).await;
    let mut reader = Reader::open(&console, &viewer, "", None).await;
    console.store.lock().failure = Some(StoreError::Unavailable("away".to_owned()));
    tokio::time::sleep(3 * CHECK_PAUSE).await;
    console.store.lock().failure = None;
    write(&console, [1]);
    assert_eq!(reader.rows(1).await, [(1, 1)]);
}

#[tokio::test(start_paused = true)]
async fn rows_that_are_not_waited_for_any_more_are_told_of() {
    let console = Console::new();
    let mut reader = Reader::open(&console, &console.token().await, "?path=nothing", None).await;
    assert_eq!(reader.next().await.expect("a ping").kind, "ping");
    // Each look brings as many rows as it may, and between any two of them one is missing.
    let each = i64::from(LOOK_ROWS_MAX);
    let rows = i64::try_from(MISSING_RUNS_MAX).expect("few") + each;
    write(&console, (1..=rows).map(|number| 2 * number));
    let skipped = reader.event().await;
    assert_eq!(skipped.kind, "skipped");
    let count = skipped.data["count"].as_i64().expect("a number");
    assert!((1..=each).contains(&count), "{count}");
}

#[tokio::test(start_paused = true)]
async fn a_tail_ends_when_the_listener_stops() {
    let console = Console::new();
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let request = Request::get(TAIL).extension(Stopping::told_by(stopping));
    let mut reader = Reader::open_with(&console, &console.token().await, request).await;
    stop.send_replace(true);
    reader.ended("stopping").await;
}

#[test]
fn what_lies_behind_goes_out_of_the_way() {
    let mut way = vec![1..=3, 5..=9, 12..=20];
    behind(&mut way, 3);
    assert_eq!(way, [5..=9, 12..=20]);
    behind(&mut way, 7);
    assert_eq!(way, [8..=9, 12..=20]);
    behind(&mut way, 20);
    assert!(way.is_empty());
}

//! Clients and upstreams that vanish, in numbers: the right outcome, and afterwards nothing is left of them. Sockets are counted by port in the
//! kernel's own table, so that tests beside this one do not disturb the count. That an engine stops within its drain says that no task is left.

use std::collections::BTreeSet;
use std::time::Duration;

use sentinel_testkit::{Answer, RawClient, ScriptedUpstream, bounded};
use tokio::net::TcpListener;
use tokio::time::interval;

use crate::support::{CHAT, KEY, Sentinel, code, upstream};

const DRAIN: Duration = Duration::from_secs(5);
/// How often a state that tells nobody of its changes is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// Waits until `holds`.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let mut looks = interval(LOOK_INTERVAL);
    bounded(what, async {
        while !holds() {
            looks.tick().await;
        }
    })
    .await;
}

/// How many open sockets have this port at their other end: those of the engine towards the upstream, or of clients towards the engine.
fn sockets_towards(port: u16) -> usize {
    sockets(|_, remote| remote == port)
}

/// How many open sockets have this port at their own end, apart from those that listen.
fn sockets_from(port: u16) -> usize {
    sockets(|local, remote| local == port && remote != 0)
}

/// The kernel's table has one line for each socket: its ends as `address:port` in hexadecimal, and in its tenth column the inode, which is 0 when
/// no process holds the socket any more. While it is read, sockets that come and go elsewhere can make it repeat a line.
fn sockets(counts: impl Fn(u16, u16) -> bool) -> usize {
    let table = std::fs::read_to_string("/proc/self/net/tcp").expect("the kernel's table");
    let port = |end: &str| u16::from_str_radix(end.rsplit(':').next()?, 16).ok();
    let inode = |line: &'_ str| -> Option<u64> {
        let mut columns = line.split_whitespace().skip(1);
        let (local, remote) = (port(columns.next()?)?, port(columns.next()?)?);
        let inode = columns.nth(6)?.parse().ok()?;
        (inode != 0 && counts(local, remote)).then_some(inode)
    };
    table
        .lines()
        .skip(1)
        .filter_map(inode)
        .collect::<BTreeSet<u64>>()
        .len()
}

/// Nothing is left: no connection that the engine counts, no socket of its on either side, and no task.
async fn nothing_is_left(sentinel: Sentinel, upstream: &ScriptedUpstream) {
    let (port, upstream_port) = (sentinel.address.port(), upstream.address().port());
    let figures = sentinel.engine.figures();
    until("no connection to be open", || {
        figures.snapshot().connections_open == 0
    })
    .await;
    until("the engine to hold no client's socket", || {
        sockets_from(port) == 0
    })
    .await;
    assert!(sentinel.stop(DRAIN).await, "no task outlives its client");
    until("the engine to hold no upstream's socket", || {
        sockets_towards(upstream_port) == 0
    })
    .await;
    until("the upstream to hold none either", || {
        sockets_from(upstream_port) == 0
    })
    .await;
}

fn chat(framing: &str, body: &str) -> String {
    format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: {KEY}\r\n{framing}\r\n{body}")
}

/// Some clients close their connections, and most reset them: a port that was closed in an orderly way is not free for a minute.
fn vanish(client: RawClient, number: usize) {
    if number.is_multiple_of(4) {
        drop(client);
    } else {
        client.reset();
    }
}

#[tokio::test]
async fn clients_that_vanish_within_their_bodies_leave_nothing() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let mut clients = Vec::new();
    for number in 0..60_usize {
        let mut client = sentinel.client().await;
        client
            .send(match number % 3 {
                0 => chat("content-length: 1000\r\n", "begin"),
                1 => chat("transfer-encoding: chunked\r\n", "5\r\nbegin\r\n"),
                _ => chat("transfer-encoding: chunked\r\n", "9\r\nbegin"),
            })
            .await;
        clients.push(client);
    }
    for index in 0..60 {
        upstream.wait_for_body_bytes(index, 5).await;
    }
    clients
        .into_iter()
        .enumerate()
        .for_each(|(number, client)| vanish(client, number));
    upstream.wait_for_clients_gone(60).await;
    assert!(
        upstream.requests().iter().all(|request| !request.complete),
        "cut, and seen to be cut"
    );
    nothing_is_left(sentinel, &upstream).await;
}

#[tokio::test]
async fn clients_that_abort_at_any_moment_leave_nothing() {
    let upstream = ScriptedUpstream::start(Answer::never()).await;
    let sentinel = Sentinel::start(upstream.address());
    let (events, streamed) = Answer::events();
    let whole = chat("content-length: 2\r\n", "{}");
    let mut clients = Vec::new();
    let mut at_upstream = 0;
    for number in 0..300_usize {
        let mut client = sentinel.client().await;
        match number % 5 {
            // Within the head.
            0 => client.send(&whole[..number % whole.len()]).await,
            // Before a byte.
            1 => {}
            // Within the body.
            2 => client.send(chat("content-length: 5\r\n", "be")).await,
            // Waiting for the answer.
            3 => client.send(&whole).await,
            // Within the answer.
            _ => {
                upstream.answer_next(streamed.clone());
                client.send(&whole).await;
                client.read_head().await;
            }
        }
        at_upstream += usize::from(number % 5 >= 2);
        // The answer that was queued is for this one.
        upstream.wait_for_requests(at_upstream).await;
        clients.push(client);
    }
    let figures = sentinel.engine.figures();
    until("all connections to be open", || {
        figures.snapshot().connections_open == 300
    })
    .await;
    clients
        .into_iter()
        .enumerate()
        .for_each(|(number, client)| vanish(client, number));
    upstream.wait_for_clients_gone(at_upstream).await;
    assert_eq!(upstream.requests().len(), at_upstream, "nothing was sent twice");
    drop(events);
    nothing_is_left(sentinel, &upstream).await;
}

/// Ten thousand, or as many as the machine lets one process have both ends of.
fn many_clients() -> usize {
    const OTHER_DESCRIPTORS: u64 = 200;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let possible = limit
        .current
        .map_or(u64::MAX, |current| (current - OTHER_DESCRIPTORS) / 2);
    usize::try_from(possible).unwrap_or(usize::MAX).min(10_000)
}

#[tokio::test]
async fn ten_thousand_idle_connections_are_served_and_leave_nothing() {
    let upstream = upstream().await;
    let many = many_clients();
    let sentinel = Sentinel::start_with(upstream.address(), |options| {
        options.bounds.connections_max = many + 1;
        options.bounds.connections_per_address_max = many + 1;
    });
    let figures = sentinel.engine.figures();
    let mut clients = Vec::with_capacity(many);
    for _ in 0..many {
        clients.push(sentinel.client().await);
    }
    until("all connections to be open", || {
        figures.snapshot().connections_open == many as u64
    })
    .await;
    for client in &mut clients {
        assert_eq!(client.get("/v1/models", &[]).await.status(), 200);
    }
    let kept = upstream.connections();
    assert_eq!(kept, 1, "one after the other they need one connection");
    until("one socket for each client", || {
        sockets_from(sentinel.address.port()) == many
    })
    .await;
    clients
        .into_iter()
        .enumerate()
        .for_each(|(number, client)| vanish(client, number));
    until("no connection to be open", || {
        figures.snapshot().connections_open == 0
    })
    .await;
    assert_eq!(sentinel.chat().await.status(), 200, "there is room again");
    nothing_is_left(sentinel, &upstream).await;
}

/// A listener that accepts and closes, or resets, at once; gives how many connections it has got.
async fn closes_at_accept(resets: bool) -> (std::net::SocketAddr, tokio::sync::watch::Receiver<usize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (count, counted) = tokio::sync::watch::channel(0);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if resets {
                let _ = stream.set_zero_linger();
            }
            drop(stream);
            count.send_modify(|count| *count += 1);
        }
    });
    (address, counted)
}

#[tokio::test]
async fn an_upstream_that_vanishes_at_accept_is_a_502() {
    for resets in [false, true] {
        let (address, counted) = closes_at_accept(resets).await;
        let sentinel = Sentinel::start(address);
        for _ in 0..20 {
            let refused = sentinel.chat().await;
            assert_eq!(
                (refused.status(), code(&refused).as_str()),
                (502, "upstream_unreachable")
            );
        }
        // Each request was tried at least once and at most as often as nothing of it was sent.
        let tries = *counted.borrow();
        assert!((20..=80).contains(&tries), "{tries}");
        assert!(sentinel.stop(DRAIN).await);
        until("no socket to be left", || sockets_towards(address.port()) == 0).await;
    }
}

#[tokio::test]
async fn an_upstream_that_vanishes_before_a_byte_is_a_502_and_asked_once() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let interim = "HTTP/1.1 100 Continue\r\n\r\n";
    let ways = [
        Answer::close(),
        Answer::reset(),
        Answer::close().before_body(),
        Answer::close().after_interim(interim),
        Answer::reset().after_interim(interim),
        Answer::raw("HTTP/1.1 200 OK\r\ncontent-le").then_close(),
    ];
    for (index, way) in ways.iter().cycle().take(30).enumerate() {
        upstream.answer_next(way.clone());
        let mut client = sentinel.client().await;
        let refused = client.request(chat("content-length: 2\r\n", "{}")).await;
        assert_eq!(
            (refused.status(), code(&refused).as_str()),
            (502, "upstream_unreachable"),
            "{way:?}"
        );
        assert_eq!(upstream.requests().len(), index + 1, "sent once: {way:?}");
    }
    assert_eq!(sentinel.chat().await.status(), 200);
    nothing_is_left(sentinel, &upstream).await;
}

#[tokio::test]
async fn an_upstream_that_vanishes_after_a_100_does_not_keep_the_client_waiting() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    upstream.answer_next(
        Answer::close()
            .before_body()
            .after_interim("HTTP/1.1 100 Continue\r\n\r\n"),
    );
    let mut client = sentinel.client().await;
    client
        .send(chat("expect: 100-continue\r\ncontent-length: 5\r\n", ""))
        .await;
    assert_eq!(client.read_head().await.status, 100, "ours");
    assert_eq!(client.read_response().await.status(), 502);
    assert!(
        client.wait_for_close().await.is_empty(),
        "its body was never wanted"
    );
    nothing_is_left(sentinel, &upstream).await;
}

#[tokio::test]
async fn an_upstream_that_vanishes_within_its_answer_leaves_nothing() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    for number in 0..30_usize {
        let (events, streamed) = Answer::events();
        let is_short = number.is_multiple_of(2);
        upstream.answer_next(if is_short {
            Answer::cut_short(100, "partial")
        } else {
            streamed
        });
        let mut client = sentinel.client().await;
        client.send(chat("content-length: 2\r\n", "{}")).await;
        assert_eq!(client.read_head().await.status, 200);
        events.send("partial");
        assert_eq!(client.read_chunk().await.as_deref(), Some(&b"partial"[..]));
        events.abort();
        assert!(client.try_read_chunk().await.is_err(), "cut, and seen to be cut");
    }
    assert_eq!(upstream.requests().len(), 30);
    nothing_is_left(sentinel, &upstream).await;
}

/// The time for a head runs from its beginning, whatever comes in it.
/// Slowloris: a byte now and then must not begin the time anew.
#[tokio::test]
async fn a_head_that_comes_byte_by_byte_ends_by_the_header_timeout() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| {
        options.bounds.header_timeout = Duration::from_millis(300);
    });
    let head = format!("GET /v1/models HTTP/1.1\r\nhost: x\r\na: {}", "v".repeat(30_000));
    for is_used in [false, true] {
        let mut client = sentinel.client().await;
        if is_used {
            assert_eq!(client.get("/v1/models", &[]).await.status(), 200);
        }
        let mut ticks = interval(Duration::from_millis(10));
        let mut sent = 0;
        for byte in head.as_bytes() {
            ticks.tick().await;
            if client.try_send([*byte]).await.is_err() {
                break;
            }
            sent += 1;
        }
        assert!((10..200).contains(&sent), "{sent} bytes were taken");
    }
    assert_eq!(upstream.requests().len(), 1);
    nothing_is_left(sentinel, &upstream).await;
}

/// Empty lines in front of a request are read past (RFC 9112, 2.2), but not for ever.
#[tokio::test]
async fn empty_lines_without_end_end_by_the_header_timeout() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| {
        options.bounds.header_timeout = Duration::from_millis(300);
    });
    let mut client = sentinel.client().await;
    let flood = "\r\n".repeat(30_000);
    bounded("the engine to close", async {
        while client.try_send(&flood).await.is_ok() {}
    })
    .await;
    assert!(upstream.requests().is_empty());
    nothing_is_left(sentinel, &upstream).await;
}

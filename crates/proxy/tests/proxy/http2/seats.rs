//! Streams count as connections do: one address cannot have more of them than it could have connections.

use h2::Reason;
use http::{Request, StatusCode};
use sentinel_testkit::{Answer, ScriptedUpstream, bounded};

use super::client::{Http2Client, read};
use crate::support::{Sentinel, upstream};

fn get() -> Request<()> {
    let request = Request::get("http://api.example/v1/models");
    request.body(()).expect("a request")
}

/// Begins a stream; none when it is refused.
async fn stream(client: &mut Http2Client) -> Option<h2::RecvStream> {
    let (answer, _) = client.begin(get(), true).await;
    match bounded("an answer or a refusal", answer).await {
        Ok(answer) => Some(answer.into_body()),
        Err(error) => {
            assert_eq!(
                error.reason(),
                Some(Reason::REFUSED_STREAM),
                "it may be sent again"
            );
            None
        }
    }
}

async fn events_without_end() -> ScriptedUpstream {
    ScriptedUpstream::start_with(|_| Answer::events().1).await
}

#[tokio::test]
async fn an_address_has_so_many_streams_on_all_its_connections() {
    let upstream = events_without_end().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| {
        options.bounds.connections_per_address_max = 4;
        options.trusted = vec!["127.0.0.9/32".parse().expect("a network")];
    });
    let mut first = Http2Client::connect(sentinel.address).await;
    let mut second = Http2Client::connect(sentinel.address).await;
    let mut open = Vec::new();
    // Two connections with a stream each, and two more streams.
    for _ in 0..2 {
        open.push(stream(&mut first).await.expect("there is room"));
        open.push(stream(&mut second).await.expect("there is room"));
    }
    assert!(stream(&mut first).await.is_none() && stream(&mut second).await.is_none());
    assert_eq!(sentinel.engine.figures().snapshot().streams_refused, 2);
    assert_eq!(upstream.requests().len(), 4);
    sentinel.client().await.wait_for_close().await;
    let mut proxy = Http2Client::connect_from([127, 0, 0, 9].into(), sentinel.address).await;
    for _ in 0..6 {
        let request = Request::get("http://api.example/v1/models").header("x-real-ip", "192.0.2.1");
        let (answer, _) = proxy.begin(request.body(()).expect("a request"), true).await;
        let answer = bounded("an answer", answer)
            .await
            .expect("a trusted proxy is many");
        open.push(answer.into_body());
    }
    // The connection stays, and there is room again when a stream ends: the first one that this connection began.
    drop(open.remove(2));
    upstream.wait_for_clients_gone(1).await;
    assert!(stream(&mut first).await.is_some());
}

/// All streams of a connection are on one worker, which may use up what all workers have together.
#[tokio::test]
async fn one_connection_has_them_all_on_any_number_of_cores() {
    let upstream = events_without_end().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| {
        options.cores = 4;
        options.bounds.connections_per_address_max = 8;
        options.bounds.connections_max = 9;
    });
    let mut client = Http2Client::connect(sentinel.address).await;
    let mut open = Vec::new();
    for number in 0..8 {
        let stream = stream(&mut client).await;
        open.push(stream.unwrap_or_else(|| panic!("stream {number} has room")));
    }
    assert!(stream(&mut client).await.is_none());
}

#[tokio::test]
async fn all_clients_together_have_so_many() {
    let upstream = events_without_end().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| options.bounds.connections_max = 4);
    // One place is kept for the next connection, so that streams cannot take all of them.
    let mut client = Http2Client::connect(sentinel.address).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(stream(&mut client).await.expect("there is room"));
    }
    assert!(stream(&mut client).await.is_none());
    let mut other = sentinel.client().await;
    other.send("GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(other.read_head().await.status, 200);
}

/// However full the server is, a client that asks one thing after the other gets its answers.
#[tokio::test]
async fn one_stream_at_a_time_needs_no_more_than_the_connection() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| {
        options.bounds.connections_max = 1;
        options.bounds.connections_per_address_max = 1;
    });
    let mut client = Http2Client::connect(sentinel.address).await;
    for _ in 0..3 {
        let (answer, _) = client.begin(get(), true).await;
        assert_eq!(read(answer).await.expect("an answer").status, StatusCode::OK);
    }
    assert_eq!(sentinel.engine.figures().snapshot().streams_refused, 0);
}

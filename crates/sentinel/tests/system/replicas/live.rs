//! What is under way on one replica ends when its key's binding is changed on another.

use sentinel_testkit::{Answer, ChunkSender, RawClient};

use super::{BOTH, hearing};
use crate::cluster::Cluster;
use crate::console::Console;
use crate::replica::Replica;
use crate::{HOME, KEY};

/// Another key, which nobody changes.
const OTHER: &str = "sk-otherotherotherother0123456789";

/// A stream that has begun.
pub(crate) async fn stream(cluster: &Cluster, replica: &Replica, key: &str) -> (RawClient, ChunkSender) {
    let (events, answer) = Answer::events();
    cluster.upstream.answer_next(answer);
    let mut client = replica.client(HOME).await;
    client
        .send(format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-length: 2\r\n\r\n{{}}"
        ))
        .await;
    assert_eq!(client.read_head().await.status, 200);
    events.send("data: 1\n\n");
    client.read_chunk().await;
    (client, events)
}

/// A tunnel that carries bytes.
async fn tunnel(cluster: &Cluster, replica: &Replica, key: &str) -> RawClient {
    cluster
        .upstream
        .answer_next(Answer::upgrade("websocket", &[("sec-websocket-accept", "x")]));
    let mut client = replica.client(HOME).await;
    client
        .send(format!(
            "GET /v1/realtime?model=x HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\nconnection: Upgrade\r\n\
             upgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
        ))
        .await;
    assert_eq!(client.read_head().await.status, 101);
    client.send("hello").await;
    assert_eq!(client.read_exactly(5).await, b"hello");
    client
}

/// Changes the key's binding on the first replica, and has its stream and its tunnel end on the second.
async fn ends(cluster: &Cluster, console: &Console, change: impl AsyncFnOnce(&Console, i64)) {
    let there = &cluster.replicas[1];
    let (mut ended, _events) = stream(cluster, there, KEY).await;
    let mut tunnelled = tunnel(cluster, there, KEY).await;
    let row = cluster.number("SELECT min(id) FROM bindings").await;
    change(console, row).await;
    assert!(ended.try_read_chunk().await.is_err(), "it ends, and is seen to");
    tunnelled.wait_for_close().await;
}

#[tokio::test]
async fn a_stream_and_a_tunnel_end_when_another_replica_changes_their_binding() {
    for with_redis in BOTH {
        let cluster = hearing(2, with_redis).await;
        let (here, there) = (&cluster.replicas[0], &cluster.replicas[1]);
        assert_eq!(here.get(HOME, KEY).await.status(), 200);
        let (mut other, other_events) = stream(&cluster, there, OTHER).await;
        let console = here.console().await;
        let id = cluster.number("SELECT min(id) FROM bindings").await;
        ends(&cluster, &console, async |console, id| {
            console.set_networks(id, &["127.0.0.9"]).await;
        })
        .await;
        console.set_networks(id, &["127.0.0.2"]).await;
        there.until_status(HOME, KEY, 200).await;
        ends(&cluster, &console, async |console, id| {
            console.ban(id).await;
        })
        .await;
        console.unban(id).await;
        there.until_status(HOME, KEY, 200).await;
        ends(&cluster, &console, async |console, id| {
            console.unbind(id).await;
        })
        .await;
        other_events.send("data: 2\n\n");
        assert_eq!(other.read_chunk().await.as_deref(), Some(&b"data: 2\n\n"[..]));
    }
}

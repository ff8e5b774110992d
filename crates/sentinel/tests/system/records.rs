//! No refusal is lost: under an attack, whatever is killed, frozen or full in the middle of it, the audit log counts every refusal that a
//! client has seen, and none that was never sent.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sentinel_testkit::PostgresServer;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::HOME;
use crate::cluster::{Cluster, SPOOL_DISK_KIB};
use crate::replica::Replica;

/// How many clients attack at once, each on a connection of its own.
const CLIENTS: u8 = 24;
/// From how many addresses.
const ADDRESSES: u8 = 8;
/// With how many keys that are bound elsewhere.
const KEYS: u8 = 4;

fn key(number: u8) -> String {
    format!("sk-recorded{number}recorded{number}0123456789")
}

/// Binds the keys at home.
async fn bind_keys(replica: &Replica) {
    for number in 0..KEYS {
        assert_eq!(replica.get(HOME, &key(number)).await.status(), 200);
    }
}

/// What all clients together did.
#[derive(Default)]
struct Seen {
    /// Requests of which at least a byte may have been sent.
    sent: AtomicU64,
    /// Refusals that were read to their end.
    refused: AtomicU64,
    is_over: AtomicBool,
}

/// Clients that use keys from where they may not, until they are told to stop.
struct Attack {
    seen: Arc<Seen>,
    clients: JoinSet<()>,
}

impl Attack {
    fn begin(proxy: SocketAddr) -> Self {
        let seen = Arc::<Seen>::default();
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            let from = Ipv4Addr::new(127, 0, 1, 1 + number % ADDRESSES);
            clients.spawn(attack(proxy, from.into(), key(number % KEYS), Arc::clone(&seen)));
        }
        Self { seen, clients }
    }

    fn refused(&self) -> u64 {
        self.seen.refused.load(Ordering::SeqCst)
    }

    /// Waits until so many more refusals were seen.
    async fn goes_on(&self, replica: &Replica, more: u64) {
        let wanted = self.refused() + more;
        replica
            .until("the attack to go on", async || self.refused() >= wanted)
            .await;
    }

    /// Ends it; gives how many refusals were seen, and how many requests may have been sent.
    async fn end(mut self) -> (u64, u64) {
        self.seen.is_over.store(true, Ordering::SeqCst);
        while let Some(ended) = self.clients.join_next().await {
            ended.expect("a client does not panic");
        }
        (self.refused(), self.seen.sent.load(Ordering::SeqCst))
    }
}

/// One client: request after request, on a new connection when one ends.
async fn attack(proxy: SocketAddr, from: IpAddr, key: String, seen: Arc<Seen>) {
    let request = format!("GET /v1/models HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {key}\r\n\r\n");
    while !seen.is_over.load(Ordering::SeqCst) {
        let Ok(mut stream) = connect(proxy, from).await else {
            tokio::task::yield_now().await;
            continue;
        };
        while !seen.is_over.load(Ordering::SeqCst) {
            seen.sent.fetch_add(1, Ordering::SeqCst);
            if stream.write_all(request.as_bytes()).await.is_err() {
                break;
            }
            match is_refused(&mut stream).await {
                Some(true) => seen.refused.fetch_add(1, Ordering::SeqCst),
                Some(false) => 0,
                None => break,
            };
        }
    }
}

async fn connect(proxy: SocketAddr, from: IpAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    socket.connect(proxy).await
}

/// Reads an answer to its end; whether it is a refusal, none when the connection ended before.
async fn is_refused(stream: &mut TcpStream) -> Option<bool> {
    let mut answer = Vec::new();
    loop {
        if let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.expect("a length").parse().expect("a number");
            if answer.len() >= end + 4 + length {
                return Some(head.contains("x-sentinel-reference: "));
            }
        }
        if stream.read_buf(&mut answer).await.ok()? == 0 {
            return None;
        }
    }
}

/// Stops the replica, which brings all that is recorded into the store, and compares.
async fn assert_all_counted(mut cluster: Cluster, attack: Attack) {
    let (seen, sent) = attack.end().await;
    cluster.replicas[0].until_ready().await;
    let status = cluster.replicas[0].stop().await;
    assert!(status.success(), "{}", cluster.replicas[0].log());
    let export = cluster.done(&["export", "--with-logs"]);
    let rows = export
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .filter(|line| line["kind"] == "intercept");
    let counts: Vec<u64> = rows.map(|row| row["count"].as_u64().expect("a number")).collect();
    let counted: u64 = counts.iter().sum();
    assert!(
        seen <= counted && counted <= sent,
        "{seen} refusals were seen, {counted} are counted in {} rows, {sent} requests were sent",
        counts.len()
    );
    assert!(seen > 1_000, "{seen} refusals are no attack");
}

async fn on_postgres(server: PostgresServer) -> Cluster {
    let cluster = Cluster::builder().start_on(1, Some(server), None).await;
    bind_keys(cluster.replica()).await;
    cluster
}

#[tokio::test]
async fn a_sentinel_that_is_killed_again_and_again() {
    for mut cluster in [
        Cluster::builder().embedded().start(1).await,
        Cluster::builder().without_redis().start(1).await,
    ] {
        bind_keys(cluster.replica()).await;
        let attack = Attack::begin(cluster.replica().proxy);
        for _ in 0..3 {
            attack.goes_on(cluster.replica(), 700).await;
            cluster.replicas[0].restart().await;
        }
        attack.goes_on(cluster.replica(), 100).await;
        assert_all_counted(cluster, attack).await;
    }
}

#[tokio::test]
async fn a_postgresql_that_is_killed() {
    let cluster = on_postgres(PostgresServer::builder().durable().start().await).await;
    let attack = Attack::begin(cluster.replica().proxy);
    attack.goes_on(cluster.replica(), 500).await;
    let postgres = cluster.postgres.as_ref().expect("it was started");
    postgres.kill().await;
    attack.goes_on(cluster.replica(), 1_000).await;
    postgres.restart().await;
    attack.goes_on(cluster.replica(), 500).await;
    assert_all_counted(cluster, attack).await;
}

#[tokio::test]
async fn a_postgresql_that_is_frozen_and_a_sentinel_that_is_killed_meanwhile() {
    let mut cluster = on_postgres(PostgresServer::start().await).await;
    let attack = Attack::begin(cluster.replica().proxy);
    attack.goes_on(cluster.replica(), 500).await;
    cluster.postgres.as_ref().expect("it was started").freeze().await;
    attack.goes_on(cluster.replica(), 1_000).await;
    cluster.replicas[0].kill();
    cluster.postgres.as_ref().expect("it was started").thaw();
    cluster.replicas[0].restart().await;
    attack.goes_on(cluster.replica(), 500).await;
    assert_all_counted(cluster, attack).await;
}

#[tokio::test]
async fn a_disk_that_is_full_until_the_store_is_back() {
    let postgres = PostgresServer::start().await;
    let cluster = Cluster::builder()
        .variable(SPOOL_DISK_KIB, "96")
        .start_on(1, Some(postgres), None)
        .await;
    let replica = cluster.replica();
    bind_keys(replica).await;
    let attack = Attack::begin(replica.proxy);
    attack.goes_on(replica, 100).await;
    let postgres = cluster.postgres.as_ref().expect("it was started");
    postgres.freeze().await;
    replica
        .until("refusals that are only counted", async || {
            replica.metric("sentinel_intercepts_lost_total").await >= Some(500.0)
        })
        .await;
    assert!(replica.metric("sentinel_spool_failures_total").await > Some(0.0));
    attack.goes_on(replica, 100).await;
    postgres.thaw();
    // Nothing is restarted: there is room again when the store has taken what is there.
    let of_many = async || -> i64 {
        let count = "SELECT count(*) FROM intercept_logs WHERE client_ip = '::'";
        let row = cluster.database().await.query_one(count, &[]).await;
        row.expect("the table is there").get(0)
    };
    replica
        .until("what was only counted to be a row", async || of_many().await > 0)
        .await;
    assert_all_counted(cluster, attack).await;
}

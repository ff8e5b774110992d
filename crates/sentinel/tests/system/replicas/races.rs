//! First uses of one key from several addresses on several replicas at once: exactly one wins, and it is the one in PostgreSQL.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use sentinel_core::binding::NewBinding;
use sentinel_core::fingerprint::{KeyFingerprint, KeyHint};
use sentinel_core::network::Network;
use sentinel_core::ports::{BindingLookup as _, BindingStore, Claim};
use sentinel_core::time::{Clock as _, SystemClock};
use sentinel_store::redis::{RedisAnnouncer, RedisCache, RedisLink, RedisSettings};
use sentinel_store::shared::{SharedBounds, SharedStore};
use sentinel_store::{CacheBounds, CachedLookup, PostgresOptions, PostgresStore};
use sentinel_testkit::{PostgresServer, RawClient, RedisServer, bounded};
use tokio::task::JoinSet;

use super::hearing;

const REPLICAS: usize = 3;
/// How many addresses want each key, on each replica.
const ADDRESSES: u8 = 3;
/// Keys that are raced for over HTTP.
const KEYS_OVER_HTTP: usize = 400;
/// Keys that are raced for in one process, by one contender for each replica: more than 100 000 claims.
const KEYS: u32 = 34_000;
/// How many of them at a time.
const KEYS_AT_ONCE: u32 = 200;

fn address(number: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 1, number).into()
}

#[expect(
    clippy::print_stderr,
    reason = "for whoever runs the test with its output shown"
)]
fn measured(what: &str, races: usize, begun: Instant) {
    let seconds = begun.elapsed().as_secs_f64();
    let rate = f64::from(u32::try_from(races).expect("a sensible number")) / seconds;
    eprintln!("{what}: {races} races in {seconds:.1} s, {rate:.0}/s");
}

/// Asks with each key in turn, on one connection; gives which ones were let on.
async fn contend(mut client: RawClient) -> Vec<bool> {
    let mut allowed = Vec::with_capacity(KEYS_OVER_HTTP);
    for number in 0..KEYS_OVER_HTTP {
        let authorization = format!("Bearer {}", key(number));
        let answer = client
            .get("/v1/models", &[("authorization", &authorization)])
            .await;
        let status = answer.status();
        assert!(matches!(status, 200 | 403), "{status}: {}", answer.text());
        allowed.push(status == 200);
    }
    allowed
}

fn key(number: usize) -> String {
    format!("sk-race{number:05}race0123456789")
}

#[tokio::test]
async fn over_http_one_address_wins_each_key_on_all_replicas() {
    let cluster = hearing(REPLICAS, true).await;
    let begun = Instant::now();
    let mut contenders = JoinSet::new();
    for replica in &cluster.replicas {
        for number in 0..ADDRESSES {
            let client = replica.client(address(number)).await;
            contenders.spawn(async move { (number, contend(client).await) });
        }
    }
    let mut winners: Vec<Vec<u8>> = vec![Vec::new(); KEYS_OVER_HTTP];
    let races = KEYS_OVER_HTTP * contenders.len();
    while let Some(contender) = contenders.join_next().await {
        let (number, allowed) = contender.expect("no contender panics");
        for (winners, allowed) in winners.iter_mut().zip(allowed) {
            if allowed {
                winners.push(number);
            }
        }
    }
    measured("first uses over HTTP", races, begun);
    let select = "SELECT host(network)::text FROM bindings JOIN binding_networks ON binding_id = id ORDER BY bindings.id";
    let rows = cluster
        .database()
        .await
        .query(select, &[])
        .await
        .expect("our tables");
    assert_eq!(
        rows.len(),
        KEYS_OVER_HTTP,
        "one binding for each key, with one network"
    );
    for (number, mut winners) in winners.into_iter().enumerate() {
        // The winner's other requests are let on, too, on every replica.
        assert_eq!(winners.len(), REPLICAS, "{}: {winners:?}", key(number));
        winners.dedup();
        assert_eq!(winners.len(), 1, "{}: {winners:?}", key(number));
        // And the database names the same one.
        let answer = cluster.replicas[number % REPLICAS]
            .get(address(winners[0]), &key(number))
            .await;
        assert_eq!(answer.status(), 200, "{}", key(number));
    }
    let wins: f64 = {
        let mut wins = 0.0;
        for replica in &cluster.replicas {
            wins += replica.metric("sentinel_claims_total").await.expect("a number");
        }
        wins
    };
    assert!(
        (wins - f64::from(u32::try_from(KEYS_OVER_HTTP).expect("small"))).abs() < 0.5,
        "{wins}"
    );
}

/// What one replica looks keys up with, all of it but its HTTP.
async fn lookup(postgres: &str, redis: &str) -> Arc<CachedLookup> {
    let dsn = postgres.parse().expect("a DSN");
    let store = PostgresStore::open(&dsn, PostgresOptions::default()).await;
    let link = RedisLink::open(RedisSettings::new(redis.parse().expect("a URL")));
    let shared: Arc<dyn BindingStore> = Arc::new(SharedStore::new(
        Arc::new(store.expect("it can be opened")),
        Arc::new(RedisCache::new(link.clone())),
        Arc::new(RedisAnnouncer::new(link)),
        Arc::new(SystemClock),
        &SharedBounds::default(),
    ));
    Arc::new(CachedLookup::new(shared, &CacheBounds::default()))
}

fn fingerprint(number: u32) -> KeyFingerprint {
    let mut bytes = [0; 32];
    // The first byte says where in Redis an entry is.
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    KeyFingerprint::from_bytes(bytes)
}

/// One contender's first use of a key; gives whether it won, and whose the key is.
async fn claim(lookup: Arc<CachedLookup>, number: u32, contender: u8) -> (u32, bool, Network) {
    let new = NewBinding {
        fingerprint: fingerprint(number),
        previous: None,
        hint: KeyHint::from_stored("sk-…".to_owned()),
        network: format!("{}/32", address(contender)).parse().expect("a network"),
        bound_at: SystemClock.now(),
        profile: "".into(),
    };
    let claim = lookup.claim(new).await.expect("the store works");
    let won = matches!(claim, Claim::Won(_));
    let (Claim::Won(known) | Claim::Lost(known)) = claim;
    (number, won, known.binding.networks[0])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_hundred_thousand_first_uses_one_wins_each_key() {
    let (postgres, redis) = tokio::join!(PostgresServer::start(), RedisServer::start());
    let dsn = postgres.create_database("sentinel").await;
    let mut lookups = Vec::new();
    for _ in 0..REPLICAS {
        lookups.push(lookup(&dsn, &redis.url()).await);
    }
    let begun = Instant::now();
    let mut owners: BTreeMap<u32, Network> = BTreeMap::new();
    let mut wins = 0;
    for first in (0..KEYS).step_by(usize::try_from(KEYS_AT_ONCE).expect("small")) {
        let mut contenders = JoinSet::new();
        for number in first..first + KEYS_AT_ONCE {
            for (contender, lookup) in (0..).zip(&lookups) {
                contenders.spawn(claim(Arc::clone(lookup), number, contender));
            }
        }
        let outcomes = bounded("a round of claims", contenders.join_all()).await;
        for (number, won, owner) in outcomes {
            wins += u32::from(won);
            assert_eq!(*owners.entry(number).or_insert(owner), owner, "key {number}");
        }
    }
    measured("first uses in one process", 3 * owners.len(), begun);
    assert_eq!(wins, KEYS, "each key was won once");
    let (client, connection) = tokio_postgres::connect(&dsn, tokio_postgres::NoTls)
        .await
        .expect("it works");
    tokio::spawn(connection);
    let select = "SELECT fingerprint, network::text FROM bindings JOIN binding_networks ON binding_id = id";
    let rows = client.query(select, &[]).await.expect("our tables");
    assert_eq!(rows.len(), owners.len());
    for row in rows {
        let (bytes, network): (Vec<u8>, String) = (row.get(0), row.get(1));
        let number = u32::from_le_bytes(bytes[..4].try_into().expect("32 bytes"));
        assert_eq!(owners[&number].to_string(), network, "key {number}");
    }
}

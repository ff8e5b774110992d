use std::net::SocketAddr;

use sentinel_testkit::{bounded, unreachable_address};
use tokio::net::TcpListener;

use super::*;
use crate::config::{Upstream, UpstreamTarget};

fn pool(addresses: &[SocketAddr], set: impl FnOnce(&mut Bounds)) -> (Pool, Arc<Directory>) {
    let urls: Vec<_> = addresses
        .iter()
        .map(|address| format!("http://{address}"))
        .collect();
    let mut bounds = Bounds::default();
    set(&mut bounds);
    let target = UpstreamTarget::parse(&urls.join(",")).expect("origins");
    let directory = Arc::new(Directory::new(&Upstream::new(target), &bounds));
    (Pool::new(Arc::clone(&directory), &bounds), directory)
}

fn somewhere(count: u8) -> Vec<SocketAddr> {
    (1..=count)
        .map(|last| SocketAddr::from(([192, 0, 2, last], 80)))
        .collect()
}

fn address_of(in_use: &InUse) -> SocketAddr {
    in_use.member().endpoint().address
}

#[test]
fn the_address_with_the_fewest_under_way_is_chosen_and_equals_in_turn() {
    let addresses = somewhere(3);
    let (pool, _) = pool(&addresses, |_| {});
    let chosen: Vec<_> = (0..6).map(|_| pool.choose().expect("one")).collect();
    for address in &addresses {
        assert_eq!(chosen.iter().filter(|one| address_of(one) == *address).count(), 2);
    }
    let free = addresses[1];
    let chosen: Vec<_> = chosen.into_iter().filter(|one| address_of(one) != free).collect();
    for _ in 0..3 {
        assert_eq!(
            pool.choose().map(|one| address_of(&one)),
            Some(free),
            "while used for a moment only"
        );
    }
    drop(chosen);
}

#[test]
fn a_failed_address_is_avoided_and_among_failed_ones_the_oldest_failure_counts() {
    let addresses = somewhere(2);
    let (pool, directory) = pool(&addresses, |_| {});
    let endpoints = directory.endpoints();
    endpoints[0].failed(Failure::Connect, &"refused");
    for _ in 0..3 {
        assert_eq!(pool.choose().map(|one| address_of(&one)), Some(addresses[1]));
    }
    std::iter::repeat_with(|| endpoints[1].failed(Failure::Connect, &"refused"))
        .take_while(|()| endpoints[1].failed_at() == endpoints[0].failed_at())
        .for_each(drop);
    for _ in 0..3 {
        assert_eq!(pool.choose().map(|one| address_of(&one)), Some(addresses[0]));
    }
}

#[tokio::test]
async fn a_request_tries_a_bounded_number_of_addresses() {
    let mut addresses = Vec::new();
    for _ in 0..CONNECT_ATTEMPTS_MAX {
        addresses.push(unreachable_address().await);
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let last = listener.local_addr().expect("it is bound");
    let reached = |addresses: Vec<SocketAddr>| async move {
        let (pool, directory) = pool(&addresses, |_| {});
        let connected = bounded("an outcome", pool.connect(pool.choose())).await;
        (
            connected.map(|connection| address_of(&connection.address)),
            directory.counts(),
        )
    };
    let (outcome, counts) = reached([&addresses[1..], &[last]].concat()).await;
    assert_eq!(outcome.expect("the last attempt"), last);
    assert_eq!(counts, (CONNECT_ATTEMPTS_MAX, 1));
    let (outcome, counts) = reached([&addresses[..], &[last]].concat()).await;
    assert!(matches!(outcome, Err(UpstreamError::Connect(..))));
    assert_eq!(counts, (CONNECT_ATTEMPTS_MAX + 1, 1), "the fourth was not tried");
}

#[tokio::test]
async fn an_attempt_leaves_time_for_the_addresses_that_may_follow() {
    let addresses = somewhere(5);
    let (pool, directory) = pool(&addresses, |_| {});
    let deadline = Instant::now() + Duration::from_secs(12);
    let first = pool.choose().expect("one");
    let seconds = |tried: &[Rc<Member>]| pool.share_of_time(deadline, tried, &first).as_secs_f64().round();
    assert_eq!(seconds(&[]).to_string(), "4", "three attempts");
    for endpoint in &directory.endpoints()[1..4] {
        endpoint.failed(Failure::Connect, &"refused");
    }
    assert_eq!(seconds(&[]).to_string(), "6", "one other works");
    directory.endpoints()[4].failed(Failure::Connect, &"refused");
    assert_eq!(seconds(&[]).to_string(), "12", "no other works");
}

#[tokio::test]
async fn idle_connections_are_bounded_and_go_with_their_address() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let target = UpstreamTarget::parse("http://gateway").expect("an origin");
    let bounds = Bounds {
        upstream_idle_connections_max: 2,
        ..Bounds::default()
    };
    let directory = Arc::new(Directory::new(&Upstream::new(target), &bounds));
    let pool = Pool::new(Arc::clone(&directory), &bounds);
    let origin = Arc::clone(directory.names().next().expect("one name"));
    directory.found(&origin, vec![address]);
    let mut connections = Vec::new();
    for _ in 0..4 {
        connections.push(pool.connect(None).await.expect("it listens"));
    }
    for connection in connections.drain(1..) {
        pool.give_back(connection);
    }
    assert_eq!(pool.idle_count(), 2);
    directory.found(&origin, somewhere(1));
    pool.reap();
    assert_eq!(pool.idle_count(), 0);
    pool.give_back(connections.remove(0));
    assert_eq!(pool.idle_count(), 0, "nobody would take it");
}

use std::net::SocketAddr;
use std::task::Context;

use sentinel_testkit::{bounded, unreachable_address};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket};

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
    (Pool::new(Arc::clone(&directory), &bounds, 1), directory)
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
    let pool = Pool::new(Arc::clone(&directory), &bounds, 1);
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

/// Half a request that waits would run into the next one. The upstream takes little at a time, and answers early.
#[tokio::test]
async fn a_connection_with_half_a_request_on_it_is_not_taken_back() {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("an open socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    let listener = socket.listen(1).expect("it is bound");
    let (pool, _) = pool(&[listener.local_addr().expect("it is bound")], |_| {});
    let mut connection = pool.connect(pool.choose()).await.expect("it listens");
    let (mut upstream, _) = listener.accept().await.expect("a connection");
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    upstream.write_all(answer).await.expect("it is taken");
    connection.outbound.buffer().resize(16 * 1024 * 1024, b'x');
    let mut flush =
        |context: &mut Context<'_>| connection.outbound.poll_flush(&mut connection.stream, context);
    let flushed = poll_fn(|context| Poll::Ready(flush(context))).await;
    assert!(flushed.is_pending(), "more than every buffer holds");
    let mut early = vec![0; answer.len()];
    connection
        .stream
        .read_exact(&mut early)
        .await
        .expect("the answer comes");
    pool.give_back(connection);
    assert_eq!(pool.idle_count(), 0);
}

/// Tokio's budget for one poll is 128: once it is spent, a closed connection seems open.
#[tokio::test]
async fn any_number_of_stale_connections_is_told_from_a_live_one() {
    const CONNECTIONS: usize = 200;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let (pool, _) = pool(&[address], |_| {});
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let connection = pool.connect(pool.choose()).await.expect("it listens");
        drop(listener.accept().await.expect("a connection"));
        connections.push(connection);
    }
    for connection in connections {
        let UpstreamStream::Plain(stream) = &connection.stream else {
            unreachable!("there is no TLS here");
        };
        bounded("its end", stream.readable())
            .await
            .expect("an open socket");
        pool.give_back(connection);
    }
    assert_eq!(pool.idle_count(), CONNECTIONS);
    let taken = pool.take_idle(pool.choose().expect("one"), &Scratch::new()).await;
    assert!(taken.is_err(), "all of them are closed");
    assert_eq!(pool.idle_count(), 0);
}

#[tokio::test]
async fn open_connections_are_bounded_and_idle_ones_make_room() {
    let mut listeners = Vec::new();
    for _ in 0..2 {
        listeners.push(TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port"));
    }
    let addresses = [0, 1].map(|index: usize| listeners[index].local_addr().expect("it is bound"));
    let (pool, directory) = pool(&addresses, |bounds| {
        bounds.upstream_connections_max = 2;
        bounds.connect_timeout = Duration::from_millis(200);
    });
    let at = |index: usize| {
        let wanted = |in_use: &InUse| address_of(in_use) == addresses[index];
        std::iter::from_fn(|| pool.choose()).take(4).find(wanted)
    };
    let idle = pool.connect(at(0)).await.expect("it listens");
    pool.give_back(idle);
    let first = pool.connect(at(1)).await.expect("it listens");
    let second = pool.connect(at(1)).await.expect("the idle one makes room");
    assert_eq!(pool.idle_count(), 0);
    let refused = pool.connect(at(1)).await.err().expect("no room");
    assert!(matches!(refused, UpstreamError::ConnectionsFull), "{refused}");
    assert_eq!(directory.counts(), (2, 2), "nothing is wrong with the addresses");
    // Whoever waits gets the place of the next one that is given back, although that one could idle.
    let (third, ()) = tokio::join!(pool.connect(at(0)), async {
        tokio::task::yield_now().await;
        pool.give_back(first);
    });
    third.expect("there is room");
    pool.give_back(second);
    assert_eq!(pool.idle_count(), 1, "nobody waits any more");
}

use std::io::ErrorKind;

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::relay::{QUEUE_BYTES_MAX, Way};
use super::*;

/// A server that takes one connection after the other and hands each to the test.
async fn server() -> (SocketAddr, mpsc::Receiver<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (accepted, connections) = mpsc::channel(PROXIED_CONNECTIONS_MAX + 1);
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            if accepted.send(connection).await.is_err() {
                return;
            }
        }
    });
    (address, connections)
}

/// A proxy, and both ends of a connection through it.
async fn connected() -> (FaultProxy, TcpStream, TcpStream, mpsc::Receiver<TcpStream>) {
    let (address, mut connections) = server().await;
    let proxy = FaultProxy::in_front_of(address).await;
    let (client, server) = connection(&proxy, &mut connections).await;
    (proxy, client, server, connections)
}

async fn connection(
    proxy: &FaultProxy,
    connections: &mut mpsc::Receiver<TcpStream>,
) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect(proxy.address())
        .await
        .expect("the proxy accepts");
    let server = bounded("the server's end", connections.recv()).await;
    (client, server.expect("the server runs"))
}

async fn passes(from: &mut TcpStream, to: &mut TcpStream) {
    from.write_all(b"ping").await.expect("the connection is open");
    let mut came = [0; 4];
    let read = bounded("four bytes", to.read_exact(&mut came)).await;
    read.expect("the connection is open");
    assert_eq!(&came, b"ping");
}

/// Waits for the end of a connection without a byte before it: a proper one or a reset.
async fn end_of(connection: &mut TcpStream) -> Result<(), ErrorKind> {
    let read = bounded("the end", connection.read_u8()).await;
    match read.expect_err("nothing more comes").kind() {
        ErrorKind::UnexpectedEof => Ok(()),
        kind => Err(kind),
    }
}

#[tokio::test]
async fn all_passes_both_ways_and_ends_one_way_at_a_time() {
    let (proxy, mut client, mut server, _connections) = connected().await;
    passes(&mut client, &mut server).await;
    passes(&mut server, &mut client).await;
    client.shutdown().await.expect("it is open");
    assert_eq!(end_of(&mut server).await, Ok(()));
    passes(&mut server, &mut client).await;
    drop(server);
    assert_eq!(end_of(&mut client).await, Ok(()));
    bounded("the connection to be gone", async {
        while proxy.connections() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_reset_is_passed_on() {
    let (_proxy, mut client, server, _connections) = connected().await;
    server.set_zero_linger().expect("a socket");
    drop(server);
    assert_eq!(end_of(&mut client).await, Err(ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn a_server_that_is_away_resets_its_clients() {
    let proxy = FaultProxy::in_front_of(crate::unreachable_address().await).await;
    let mut client = TcpStream::connect(proxy.address())
        .await
        .expect("the proxy is there");
    assert_eq!(end_of(&mut client).await, Err(ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn a_blackhole_swallows_and_what_lost_bytes_is_reset() {
    let (proxy, mut client, mut server, mut connections) = connected().await;
    proxy.set(Fault::Blackhole).await;
    let mut silent = TcpStream::connect(proxy.address()).await.expect("it accepts");
    let mut late = TcpStream::connect(proxy.address()).await.expect("it accepts");
    for end in [&mut client, &mut server, &mut late] {
        end.write_all(b"lost").await.expect("it is open");
        proxy.swallowed().await;
        // Counts anew.
        proxy.set(Fault::Blackhole).await;
    }
    assert!(
        connections.try_recv().is_err(),
        "the server hears of no connection"
    );
    proxy.set(Fault::None).await;
    for end in [&mut client, &mut server, &mut late] {
        assert_eq!(end_of(end).await, Err(ErrorKind::ConnectionReset));
    }
    let mut heard = bounded("the one that lost nothing", connections.recv())
        .await
        .expect("it runs");
    passes(&mut silent, &mut heard).await;
}

#[tokio::test]
async fn one_way_may_be_lost_while_the_other_passes() {
    let (proxy, mut client, mut server, mut connections) = connected().await;
    proxy.set(Fault::DropToClient).await;
    passes(&mut client, &mut server).await;
    server.write_all(b"lost").await.expect("it is open");
    proxy.swallowed().await;
    passes(&mut client, &mut server).await;
    proxy.set(Fault::None).await;
    assert_eq!(end_of(&mut client).await, Err(ErrorKind::ConnectionReset));
    let (mut client, mut server) = connection(&proxy, &mut connections).await;
    proxy.set(Fault::DropToServer).await;
    client.write_all(b"lost").await.expect("it is open");
    proxy.swallowed().await;
    passes(&mut server, &mut client).await;
}

#[tokio::test]
async fn refused_is_who_comes_and_not_who_is_there() {
    let (proxy, mut client, mut server, mut connections) = connected().await;
    proxy.set(Fault::Refuse).await;
    let refused = TcpStream::connect(proxy.address()).await;
    assert_eq!(
        refused.expect_err("nothing listens").kind(),
        ErrorKind::ConnectionRefused
    );
    passes(&mut client, &mut server).await;
    proxy.set(Fault::None).await;
    let (mut client, mut server) = connection(&proxy, &mut connections).await;
    passes(&mut client, &mut server).await;
}

#[tokio::test]
async fn a_cut_resets_what_is_open_and_nothing_else() {
    let (proxy, mut client, mut server, mut connections) = connected().await;
    assert_eq!(proxy.connections(), 1);
    proxy.cut().await;
    assert_eq!(proxy.connections(), 0);
    for end in [&mut client, &mut server] {
        assert_eq!(end_of(end).await, Err(ErrorKind::ConnectionReset));
    }
    let (mut client, mut server) = connection(&proxy, &mut connections).await;
    passes(&mut client, &mut server).await;
    drop(proxy);
    assert_eq!(end_of(&mut client).await, Err(ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn connections_are_bounded() {
    let (proxy, mut first, mut server, mut connections) = connected().await;
    let mut open = Vec::new();
    while open.len() + 1 < PROXIED_CONNECTIONS_MAX {
        open.push(connection(&proxy, &mut connections).await);
    }
    let mut one_more = TcpStream::connect(proxy.address()).await.expect("it accepts");
    assert_eq!(end_of(&mut one_more).await, Err(ErrorKind::ConnectionReset));
    passes(&mut first, &mut server).await;
}

/// What fits into the pipe from the sender to the proxy.
const PIPE_BYTES: usize = 4096;

/// Both outer ends of one direction under a fault, with a clock that jumps.
fn direction(
    fault: Fault,
) -> (
    tokio::io::DuplexStream,
    tokio::io::DuplexStream,
    watch::Sender<Fault>,
) {
    let (sender, from) = duplex(PIPE_BYTES);
    let (to, receiver) = duplex(QUEUE_BYTES_MAX);
    let faults = watch::Sender::new(fault);
    let relay = Relay {
        server: ([127, 0, 0, 1], 0).into(),
        faults: faults.subscribe(),
        swallowed_bytes: watch::Sender::new(0),
    };
    tokio::spawn(relay.carry(from, to, Way::ToClient));
    (sender, receiver, faults)
}

#[tokio::test(start_paused = true)]
async fn delayed_bytes_come_later_and_keep_their_pace() {
    let delay = Duration::from_secs(5);
    let fault = Fault::Delay {
        to_server: Duration::ZERO,
        to_client: delay,
    };
    let (mut sender, mut receiver, faults) = direction(fault);
    let begun = Instant::now();
    for pause in [0, 1] {
        tokio::time::sleep(Duration::from_secs(pause)).await;
        sender.write_u8(7).await.expect("it is open");
    }
    for seconds in [5, 6] {
        receiver.read_u8().await.expect("it comes");
        assert_eq!(begun.elapsed().as_secs(), seconds);
    }
    // What waits goes at once when the fault does.
    sender.write_u8(7).await.expect("it is open");
    tokio::task::yield_now().await;
    faults.send_replace(Fault::None);
    receiver.read_u8().await.expect("it comes");
    assert_eq!(begun.elapsed().as_secs(), 6);
}

#[tokio::test(start_paused = true)]
async fn throttled_bytes_come_at_their_rate() {
    let (mut sender, mut receiver, _faults) = direction(Fault::Throttle {
        bytes_per_second: 1000,
    });
    let begun = Instant::now();
    tokio::spawn(async move { sender.write_all(&[7; 10_000]).await });
    let mut all = vec![0; 10_000];
    receiver.read_exact(&mut all).await.expect("it comes");
    let took = begun.elapsed();
    assert!(
        took > Duration::from_millis(9_900) && took < Duration::from_millis(10_100),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn bytes_that_wait_are_bounded() {
    let delay = Duration::from_hours(1);
    let fault = Fault::Delay {
        to_server: delay,
        to_client: delay,
    };
    let (mut sender, _receiver, _faults) = direction(fault);
    let begun = Instant::now();
    sender
        .write_all(&vec![7; QUEUE_BYTES_MAX + PIPE_BYTES])
        .await
        .expect("it is open");
    assert_eq!(begun.elapsed(), Duration::ZERO);
    sender.write_u8(7).await.expect("it is open");
    assert_eq!(
        begun.elapsed().as_secs(),
        3600,
        "it waits until something has left"
    );
}

#[tokio::test]
async fn real_servers_are_reached_through_it() {
    let postgres = crate::PostgresServer::start().await;
    let proxy = FaultProxy::in_front_of(postgres.address()).await;
    postgres.create_database("bindings").await;
    let dsn = postgres.database_dsn_through("bindings", proxy.address());
    let (session, connection) = tokio_postgres::connect(&dsn, tokio_postgres::NoTls)
        .await
        .expect("the role may log in");
    tokio::spawn(connection);
    session.batch_execute("SELECT 1").await.expect("all passes");
    proxy.cut().await;
    assert!(session.batch_execute("SELECT 1").await.is_err());

    let redis = crate::RedisServer::builder().password("secret").start().await;
    let proxy = FaultProxy::in_front_of(redis.address()).await;
    let client = ::redis::Client::open(redis.url_through(proxy.address())).expect("a URL");
    let mut connection = client
        .get_multiplexed_async_connection()
        .await
        .expect("a connection");
    let pong = ::redis::cmd("PING").query_async::<String>(&mut connection).await;
    assert_eq!(pong.expect("all passes"), "PONG");
    proxy.cut().await;
    let cut = ::redis::cmd("PING").query_async::<String>(&mut connection).await;
    assert!(cut.is_err());
}

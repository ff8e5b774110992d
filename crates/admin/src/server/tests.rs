use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::testing::Console;

struct Served {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<io::Result<()>>,
}

async fn served() -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (stop, stopped) = oneshot::channel();
    let shutdown = async move {
        let _ = stopped.await;
    };
    let task = tokio::spawn(serve(listener, Console::new().router, shutdown));
    Served { address, stop, task }
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("the listener accepts")
}

/// Sends the text and reads until the server closes.
async fn exchange(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), text: &str) -> String {
    stream.write_all(text.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .await
        .expect("answered and closed");
    String::from_utf8(answer).expect("text")
}

/// Asks for the health on a connection that stays open, and reads the whole answer.
async fn ask(stream: &mut TcpStream) {
    stream
        .write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .expect("sent");
    let mut answer = Vec::new();
    while !answer.ends_with(b"{\"status\":\"ok\"}") {
        let read = stream.read_buf(&mut answer).await.expect("answered");
        assert!(read > 0, "still open");
    }
}

const HEALTH: &str = "GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn it_serves_with_the_peers_address_and_stops_when_told() {
    let served = served().await;
    let answer = exchange(&mut connect(served.address).await, HEALTH).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("{\"status\":\"ok\"}"), "{answer}");
    let settings = "GET /admin/api/settings HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answer = exchange(&mut connect(served.address).await, settings).await;
    assert!(
        answer.starts_with("HTTP/1.1 401 "),
        "the peer's address is known: {answer}"
    );

    let mut idle = connect(served.address).await;
    ask(&mut idle).await;
    served.stop.send(()).expect("still running");
    served.task.await.expect("ran").expect("served");
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest)
        .await
        .expect("an idle connection is closed at shutdown");
    assert!(TcpStream::connect(served.address).await.is_err());
}

#[tokio::test]
async fn headers_are_bounded_in_number_and_size() {
    let served = served().await;
    let with_headers = |count: usize| {
        let headers: Vec<String> = (0..count).map(|number| format!("x-{number}: y\r\n")).collect();
        let headers = headers.concat();
        format!("GET /health HTTP/1.1\r\n{headers}\r\n")
    };
    let closing = with_headers(HEADERS_MAX - 1).replace("x-0: y", "connection: close");
    let answer = exchange(&mut connect(served.address).await, &closing).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let answer = exchange(&mut connect(served.address).await, &with_headers(HEADERS_MAX + 1)).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    // Without an end, so that nothing of it is left unread when the server closes.
    let endless = format!("GET /health HTTP/1.1\r\nx: {}", "y".repeat(HEADER_BYTES_MAX));
    let answer = exchange(&mut connect(served.address).await, &endless).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn further_connections_wait_for_a_place() {
    let served = served().await;
    let mut open = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        let mut stream = connect(served.address).await;
        ask(&mut stream).await;
        open.push(stream);
    }
    let mut waiting = connect(served.address).await;
    waiting.write_all(HEALTH.as_bytes()).await.expect("sent");
    // The server runs in this very thread: it cannot answer these without having had its chance to accept.
    for stream in &mut open[..8] {
        ask(stream).await;
    }
    let mut byte = [0; 1];
    let early = waiting.try_read(&mut byte).expect_err("no place, so no answer");
    assert_eq!(early.kind(), io::ErrorKind::WouldBlock);
    open.pop();
    let answer = exchange(&mut waiting, "").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

/// A connection in memory, so that the paused clock moves only once both ends are idle.
fn connected(places: &Arc<Semaphore>, stopping: &watch::Receiver<bool>) -> (DuplexStream, JoinSet<()>) {
    let (client, server) = tokio::io::duplex(4096);
    let peer = PeerAddr(SocketAddr::from(([192, 0, 2, 1], 50_000)));
    let place = Arc::clone(places).try_acquire_owned().expect("a place");
    let mut connections = JoinSet::new();
    connections.spawn(run_connection(
        server,
        peer,
        Console::new().router,
        stopping.clone(),
        place,
    ));
    (client, connections)
}

#[tokio::test(start_paused = true)]
async fn a_header_that_never_ends_is_cut_at_its_time_bound() {
    let places = Arc::new(Semaphore::new(1));
    let (_stop, stopping) = watch::channel(false);
    let (mut client, _connections) = connected(&places, &stopping);
    let asked_at = tokio::time::Instant::now();
    let answer = exchange(&mut client, "GET /health HTTP/1.1\r\nhost: ").await;
    let waited = asked_at.elapsed();
    assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
    assert!(
        waited >= HEADER_TIME_MAX && waited < HEADER_TIME_MAX + Duration::from_secs(1),
        "{waited:?}"
    );
    assert_eq!(places.available_permits(), 1, "the place is free again");
}

#[tokio::test(start_paused = true)]
async fn shutdown_waits_for_running_requests_up_to_its_bound() {
    let places = Arc::new(Semaphore::new(1));
    let (stop, stopping) = watch::channel(false);
    let (mut client, connections) = connected(&places, &stopping);
    let head = "POST /admin/api/login HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n\
        content-type: application/json\r\ncontent-length: 9\r\n\r\n";
    client.write_all(head.as_bytes()).await.expect("sent");
    // The server asks for the body once the handler reads it: from here on the request runs.
    client.read_u8().await.expect("100 Continue");
    let stopped_at = tokio::time::Instant::now();
    stop.send_replace(true);
    drain(connections).await;
    let waited = stopped_at.elapsed();
    assert!(
        waited >= DRAIN_MAX && waited < DRAIN_MAX + Duration::from_secs(1),
        "{waited:?}"
    );
    assert_eq!(places.available_permits(), 1, "the connection was cut");
}

#[tokio::test]
async fn who_follows_the_log_is_told_that_the_listener_stops() {
    let console = Console::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async move {
        let _ = stopped.await;
    };
    let task = tokio::spawn(serve(listener, console.router.clone(), shutdown));
    let mut stream = connect(address).await;
    let token = console.token().await;
    let ask =
        format!("GET /admin/api/logs/tail HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
    stream.write_all(ask.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    while !String::from_utf8_lossy(&answer).contains("event: ping") {
        let read = stream.read_buf(&mut answer).await.expect("answered");
        assert!(read > 0, "still open");
    }
    let begun = std::time::Instant::now();
    stop.send(()).expect("still running");
    stream
        .read_to_end(&mut answer)
        .await
        .expect("answered and closed");
    let text = String::from_utf8(answer).expect("text");
    assert!(
        text.contains("event: end\n") && text.contains("\"stopping\""),
        "{text}"
    );
    task.await.expect("ran").expect("served");
    assert!(begun.elapsed() < DRAIN_MAX, "nobody waited for it");
}

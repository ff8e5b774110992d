use std::future::poll_fn;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::*;
use crate::config::Bounds;
use crate::http2::builder;

/// A connection in memory, a client with this much room for an answer, and its one request as a stream.
async fn begun(
    window: u32,
) -> (
    h2::server::Connection<DuplexStream, Bytes>,
    Http2Stream,
    tokio::task::JoinHandle<Vec<u8>>,
) {
    let (near, far) = duplex(16 * 1024);
    let client = tokio::spawn(async move {
        let mut client = h2::client::Builder::new();
        let handshake = client.initial_window_size(window).handshake::<_, Bytes>(near);
        let (mut requests, connection) = handshake.await.expect("a handshake");
        tokio::spawn(connection);
        let request = Request::get("http://api.example/").body(()).expect("a request");
        let (answer, _) = requests.send_request(request, true).expect("it goes");
        let mut incoming = answer.await.expect("an answer").into_body();
        let mut body = Vec::new();
        while let Some(piece) = incoming.data().await {
            body.extend_from_slice(&piece.expect("it goes on"));
        }
        body
    });
    let mut server: h2::server::Connection<_, Bytes> = builder(&Bounds::default())
        .handshake(far)
        .await
        .expect("a handshake");
    let (request, respond) = server.accept().await.expect("a request").expect("a good one");
    let stream = Http2Stream::begin(request, respond, &Rc::default()).expect("well formed");
    (server, stream, client)
}

#[tokio::test]
async fn an_answer_waits_when_so_much_of_it_was_handed_over() {
    let (_server, mut stream, _client) = begun(1024 * 1024).await;
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
    stream.write_all(head).await.expect("it is taken");
    // The connection is not driven meanwhile: nothing leaves.
    let mut taken = 0;
    poll_fn(|context| {
        while let Poll::Ready(written) = Pin::new(&mut stream).poll_write(context, &[b'x'; 10_000]) {
            taken += written.expect("it is taken");
        }
        Poll::Ready(())
    })
    .await;
    assert_eq!(taken, SEND_BUFFER_BYTES_MAX);
}

#[tokio::test]
async fn the_end_needs_no_room() {
    let (mut server, mut stream, client) = begun(5).await;
    let answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let writing = async {
        stream.write_all(answer).await.expect("it is taken");
        stream.write_all(b"0\r\n\r\n").await.expect("it is taken");
    };
    tokio::select! {
        () = writing => {}
        _ = server.accept() => panic!("the connection ended"),
    }
    // Nothing follows it.
    assert_eq!(stream.read(&mut [0; 10]).await.expect("an end"), 0);
    stream.write_all(b"x").await.expect_err("it has ended");
    drop(stream);
    let driving = async { while server.accept().await.is_some() {} };
    let (body, ()) = tokio::join!(client, driving);
    assert_eq!(body.expect("no panic"), b"hello");
}

#[tokio::test]
async fn a_stream_is_one_request() {
    let (_server, mut stream, _client) = begun(1024).await;
    let mut bytes = [0; 100];
    let length = stream.read(&mut bytes[..10]).await.expect("a part of the head");
    assert_eq!(&bytes[..length], b"GET / HTTP");
    let length = stream.read(&mut bytes).await.expect("the rest of it");
    assert_eq!(&bytes[..length], b"/1.1\r\nhost: api.example\r\n\r\n");
    let silent = poll_fn(|context| {
        let mut buffer = ReadBuf::new(&mut bytes);
        Poll::Ready(Pin::new(&mut stream).poll_read(context, &mut buffer).is_pending())
    });
    assert!(silent.await, "its client is there, and says nothing more");
}

#[tokio::test]
async fn a_client_that_left_is_known_to_have_without_being_read() {
    let (mut server, mut stream, client) = begun(5).await;
    let looked = |stream: &mut Http2Stream| {
        let mut context = Context::from_waker(std::task::Waker::noop());
        stream.has_left(&mut context)
    };
    assert!(!looked(&mut stream));
    client.abort();
    while server.accept().await.is_some_and(|accepted| accepted.is_ok()) {}
    drop(server);
    assert!(looked(&mut stream));
}

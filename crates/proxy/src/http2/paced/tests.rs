use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::time::{sleep, timeout};

use super::*;
use crate::config::Bounds;
use crate::http2::builder;
use crate::http2::conduct::{FRAMES_AHEAD_MAX, TURN_BYTES_MAX, TURN_FRAMES_MAX};

/// What one read may take at most in these tests.
const READ_BYTES: usize = 8 * 1024;

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, 0, 0, 0, 0, 0];
    bytes.extend_from_slice(payload);
    bytes
}

/// How many bytes come of `frames` before it is somebody else's turn, and how often that has to be before all have come.
async fn turns(frames: &[u8]) -> (usize, usize) {
    let conduct = Rc::new(Conduct::default());
    let (mut near, far) = duplex(1024 * 1024);
    near.write_all(&[b'x'; PREFACE_BYTES]).await.expect("room");
    near.write_all(frames).await.expect("room");
    let mut stream = Paced::new(far, Rc::clone(&conduct));
    let (mut largest, mut came, mut turns) = (0, 0, 0);
    while came < PREFACE_BYTES + frames.len() {
        conduct.begin_turn();
        turns += 1;
        let mut read = 0;
        poll_fn(|context| {
            let mut bytes = [0; READ_BYTES];
            let mut buffer = ReadBuf::new(&mut bytes);
            while Pin::new(&mut stream).poll_read(context, &mut buffer).is_ready() {
                read += buffer.filled().len();
                buffer.clear();
            }
            Poll::Ready(())
        })
        .await;
        assert!(read > 0, "each turn brings something");
        largest = largest.max(read);
        came += read;
    }
    (largest, turns)
}

#[tokio::test]
async fn a_turn_has_so_many_bytes() {
    let bodies = frame(0, &[0; 16_384]).repeat(40);
    let (largest, turns) = turns(&bodies).await;
    assert!((TURN_BYTES_MAX..TURN_BYTES_MAX + READ_BYTES).contains(&largest));
    assert_eq!(turns, (PREFACE_BYTES + bodies.len()).div_ceil(TURN_BYTES_MAX));
}

#[tokio::test]
async fn and_so_many_frames() {
    let updates = frame(8, &[0; 4]).repeat(8_000);
    let (largest, turns) = turns(&updates).await;
    assert_eq!(largest, READ_BYTES, "it holds more than TURN_FRAMES_MAX");
    assert!(READ_BYTES / 13 > TURN_FRAMES_MAX as usize);
    assert_eq!(turns, (PREFACE_BYTES + updates.len()).div_ceil(READ_BYTES));
}

#[tokio::test]
async fn whoever_used_up_its_turn_is_called_again() {
    let (mut near, far) = duplex(1024 * 1024);
    let conduct = Rc::new(Conduct::default());
    let mut stream = Paced::new(far, Rc::clone(&conduct));
    near.write_all(&[0; 100]).await.expect("room");
    conduct.read(TURN_BYTES_MAX, 0);
    let mut polls = 0;
    let reading = poll_fn(|context| {
        polls += 1;
        let mut bytes = [0; 100];
        let read = Pin::new(&mut stream).poll_read(context, &mut ReadBuf::new(&mut bytes));
        conduct.begin_turn();
        read
    });
    let read = timeout(Duration::from_secs(10), reading).await;
    read.expect("it is woken").expect("it comes");
    assert_eq!(polls, 2);
}

#[test]
fn frames_are_found_however_they_are_cut() {
    let mut bytes = vec![b'x'; PREFACE_BYTES];
    for payload in [&b""[..], &[0; 4], &[9; 300], b"", &[0xff; 17]] {
        bytes.extend(frame(6, payload));
    }
    for piece in 1..=bytes.len() {
        let mut frames = Frames::default();
        let count: u32 = bytes.chunks(piece).map(|piece| frames.count(piece)).sum();
        assert_eq!(count, 5, "in pieces of {piece}");
        assert_eq!((frames.head_came, frames.payload_left), (0, 0));
    }
}

/// Longer than `FRAMES_AHEAD_MAX` pings.
#[tokio::test(start_paused = true)]
async fn a_ping_now_and_then_is_answered_for_ever() {
    let (mut near, far) = duplex(64 * 1024);
    let conduct = Rc::new(Conduct::default());
    let paced = Paced::new(far, Rc::clone(&conduct));
    near.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .expect("room");
    near.write_all(&frame(4, &[])).await.expect("room");
    let mut server = builder(&Bounds::default())
        .handshake::<_, Bytes>(paced)
        .await
        .expect("a handshake");
    let serving = poll_fn(|context| {
        conduct.begin_turn();
        server.poll_accept(context).map(drop)
    });
    let pinging = async {
        let mut pongs = 0;
        while pongs < FRAMES_AHEAD_MAX + 100 {
            near.write_all(&frame(6, &[0; 8])).await.expect("it is open");
            loop {
                let mut head = [0; FRAME_HEAD_BYTES];
                near.read_exact(&mut head).await.expect("it is open");
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                near.read_exact(&mut vec![0; length as usize])
                    .await
                    .expect("it is open");
                if head[3] == 6 {
                    break;
                }
            }
            pongs += 1;
            sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        () = serving => panic!("the connection ended"),
        () = pinging => {}
    }
    assert!(!conduct.is_flood());
}

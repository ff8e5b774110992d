//! One proxied connection: two directions, each a short queue between a read and a write. Must never hold more than
//! [`QUEUE_BYTES_MAX`] a direction.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::Fault;

/// The most bytes that wait in one direction; a sender of more waits with them.
pub(super) const QUEUE_BYTES_MAX: usize = 256 * 1024;
/// The most bytes that are read, and later written, at once.
const CHUNK_BYTES_MAX: usize = 16 * 1024;
/// Throttled bytes go out in steps, this many a second.
const STEPS_PER_SECOND: u32 = 50;

/// What every connection of a proxy knows.
#[derive(Clone)]
pub(super) struct Relay {
    pub(super) server: SocketAddr,
    pub(super) faults: watch::Receiver<Fault>,
    pub(super) swallowed_bytes: watch::Sender<u64>,
}

impl Relay {
    /// Passes bytes between `client` and the server until both have ended. Anything else, an abort included, resets both.
    pub(super) async fn run(mut self, client: TcpStream) {
        let mut client = Reset::unless_finished(client);
        if self.swallow_until_heard(&mut client.stream).await.is_err() {
            return;
        }
        let Ok(server) = TcpStream::connect(self.server).await else {
            return;
        };
        let mut server = Reset::unless_finished(server);
        // Small writes are the protocols' own affair, not ours to gather.
        if client.stream.set_nodelay(true).is_err() || server.stream.set_nodelay(true).is_err() {
            return;
        }
        let (from_client, to_client) = client.stream.split();
        let (from_server, to_server) = server.stream.split();
        let back = self.clone();
        let both = tokio::try_join!(
            self.carry(from_client, to_server, Way::ToServer),
            back.carry(from_server, to_client, Way::ToClient),
        );
        client.finished = both.is_ok();
        server.finished = both.is_ok();
    }

    /// While the server cannot be heard at all it is not connected to either. Ends when it can, with an error if bytes
    /// were lost until then.
    async fn swallow_until_heard(&mut self, client: &mut TcpStream) -> io::Result<()> {
        let mut lost = false;
        let mut buffer = vec![0; CHUNK_BYTES_MAX];
        while *self.faults.borrow_and_update() == Fault::Blackhole {
            tokio::select! {
                changed = self.faults.changed() => changed.map_err(io::Error::other)?,
                read = client.read(&mut buffer) => {
                    let bytes = read?;
                    if bytes == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    lost = true;
                    self.swallowed(bytes);
                }
            }
        }
        if lost { Err(reset()) } else { Ok(()) }
    }

    /// Passes one direction on until it ends.
    pub(super) async fn carry(
        mut self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        way: Way,
    ) -> io::Result<()> {
        let mut queue = Queue::new();
        let mut buffer = vec![0; CHUNK_BYTES_MAX];
        loop {
            let course = Course::of(*self.faults.borrow_and_update(), way);
            if course == Course::Lost {
                self.swallowed(queue.swallow());
            } else if queue.lost {
                return Err(reset());
            } else if queue.ended && queue.chunks.is_empty() {
                return to.shutdown().await;
            }
            let due = queue.due(course);
            tokio::select! {
                // In this order: no byte passes under a fault that has been taken back.
                biased;
                changed = self.faults.changed() => changed.map_err(io::Error::other)?,
                () = reached(due) => to.write_all(&queue.pop(course)).await?,
                read = from.read(&mut buffer[..queue.room(course)]), if queue.room(course) > 0 => match read {
                    Ok(0) => queue.ended = true,
                    Ok(bytes) if course == Course::Lost => {
                        queue.lost = true;
                        self.swallowed(bytes);
                    }
                    Ok(bytes) => queue.push(&buffer[..bytes]),
                    // Nor does the other side hear of a reset.
                    Err(_) if course == Course::Lost => (queue.ended, queue.lost) = (true, true),
                    Err(error) => return Err(error),
                },
            }
        }
    }

    fn swallowed(&self, bytes: usize) {
        self.swallowed_bytes.send_modify(|sum| *sum += bytes as u64);
    }
}

fn reset() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

/// Ends at `due`, to the microsecond if that is already past; never without one.
async fn reached(due: Option<Instant>) {
    match due {
        Some(due) if due <= Instant::now() => {}
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}

/// A stream that is reset when it is dropped early, so that its peer does not take the end for a proper one.
struct Reset {
    stream: TcpStream,
    finished: bool,
}

impl Reset {
    fn unless_finished(stream: TcpStream) -> Self {
        Self {
            stream,
            finished: false,
        }
    }
}

impl Drop for Reset {
    fn drop(&mut self) {
        if !self.finished {
            let _ = self.stream.set_zero_linger();
        }
    }
}

#[derive(Clone, Copy)]
pub(super) enum Way {
    ToServer,
    ToClient,
}

/// What becomes of the bytes of one direction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Course {
    Late(Duration),
    Slow(u32),
    Lost,
}

impl Course {
    fn of(fault: Fault, way: Way) -> Self {
        match (fault, way) {
            (Fault::None | Fault::Refuse, _)
            | (Fault::DropToServer, Way::ToClient)
            | (Fault::DropToClient, Way::ToServer) => Self::Late(Duration::ZERO),
            (Fault::Delay { to_server, .. }, Way::ToServer) => Self::Late(to_server),
            (Fault::Delay { to_client, .. }, Way::ToClient) => Self::Late(to_client),
            (Fault::Throttle { bytes_per_second }, _) => Self::Slow(bytes_per_second.max(1)),
            (Fault::Blackhole, _)
            | (Fault::DropToServer, Way::ToServer)
            | (Fault::DropToClient, Way::ToClient) => Self::Lost,
        }
    }

    /// How many bytes to read at once.
    fn chunk_bytes(self) -> usize {
        match self {
            Self::Slow(rate) => {
                let step = usize::try_from(rate / STEPS_PER_SECOND).unwrap_or(CHUNK_BYTES_MAX);
                step.clamp(1, CHUNK_BYTES_MAX)
            }
            Self::Late(_) | Self::Lost => CHUNK_BYTES_MAX,
        }
    }
}

/// Bytes that were read and not yet written, with when each chunk came.
struct Queue {
    chunks: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
    /// When a slow direction may write again.
    free: Instant,
    /// Nothing more comes.
    ended: bool,
    /// Bytes were swallowed: what follows makes no sense to the other side.
    lost: bool,
}

impl Queue {
    fn new() -> Self {
        Self {
            chunks: VecDeque::new(),
            bytes: 0,
            free: Instant::now(),
            ended: false,
            lost: false,
        }
    }

    /// How many bytes may be read now.
    fn room(&self, course: Course) -> usize {
        let room = QUEUE_BYTES_MAX - self.bytes;
        if self.ended {
            0
        } else {
            room.min(course.chunk_bytes())
        }
    }

    fn push(&mut self, chunk: &[u8]) {
        self.bytes += chunk.len();
        self.chunks.push_back((Instant::now(), chunk.to_vec()));
    }

    /// When the first chunk is to be written, if there is one.
    fn due(&self, course: Course) -> Option<Instant> {
        let (came, _) = self.chunks.front()?;
        match course {
            Course::Late(delay) => Some(*came + delay),
            Course::Slow(_) => Some(self.free),
            Course::Lost => None,
        }
    }

    fn pop(&mut self, course: Course) -> Vec<u8> {
        let (_, chunk) = self.chunks.pop_front().expect("only a chunk is due");
        self.bytes -= chunk.len();
        if let Course::Slow(rate) = course {
            self.free = self.free.max(Instant::now()) + Duration::from_secs(chunk.len() as u64) / rate;
        }
        chunk
    }

    /// Forgets the bytes that wait, and says how many there were.
    fn swallow(&mut self) -> usize {
        self.lost |= self.bytes > 0;
        self.chunks.clear();
        std::mem::take(&mut self.bytes)
    }
}

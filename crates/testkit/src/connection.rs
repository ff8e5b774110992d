//! One connection of a scripted upstream: reads requests, records them, carries the steps of each answer out.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::answer::{Chunk, Step};
use crate::framing::{Body, Decoded, take_head};
use crate::upstream::{BODY_BYTES_KEPT_MAX, SeenRequest, Shared};

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    ByClient,
    ByScript,
}

/// Accepts for as long as the upstream lives.
pub(crate) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let mut number = 0;
        shared.seen.send_modify(|seen| {
            number = seen.connections;
            seen.connections += 1;
        });
        tokio::spawn(serve(stream, number, Arc::clone(&shared)));
    }
}

async fn serve(stream: TcpStream, number: usize, shared: Arc<Shared>) {
    // Chunks go out when the test says so, not when the kernel thinks that more may come.
    let _ = stream.set_nodelay(true);
    let (reader, writer) = stream.into_split();
    let mut order = shared.close.subscribe();
    let mut connection = Connection {
        number,
        shared: Arc::clone(&shared),
        input: Input {
            reader,
            buffer: BytesMut::new(),
            index: 0,
            body: Body::Ended,
        },
        writer,
    };
    let end = tokio::select! {
        end = connection.run() => end,
        _ = order.wait_for(|order| order.all_below > number) => End::ByScript,
    };
    drop(connection);
    shared.seen.send_modify(|seen| {
        seen.closed += 1;
        seen.closed_by_client += usize::from(end == End::ByClient);
    });
}

struct Connection {
    number: usize,
    shared: Arc<Shared>,
    input: Input,
    writer: OwnedWriteHalf,
}

impl Connection {
    async fn run(&mut self) -> End {
        loop {
            let Some(head) = self.next_head().await else {
                return End::ByScript;
            };
            let Ok(head) = head else { return End::ByClient };
            let request = SeenRequest::new(self.number, head);
            let answer = self.shared.answer_for(&request);
            self.input.body = Body::of_request(&request.headers);
            self.shared.seen.send_modify(|seen| {
                self.input.index = seen.requests.len();
                seen.requests.push(SeenRequest {
                    complete: self.input.body.has_ended(),
                    ..request
                });
            });
            for step in answer.steps {
                if let Err(end) = self.carry_out(step).await {
                    return end;
                }
            }
            // The next head begins where this body ends.
            if let Err(end) = self.input.read_body(&self.shared).await {
                return end;
            }
        }
    }

    /// The next head; none when the test wants idle connections closed.
    async fn next_head(&mut self) -> Option<Result<Vec<u8>, ()>> {
        let mut order = self.shared.close.subscribe();
        tokio::select! {
            head = self.input.read_head() => Some(head),
            _ = order.wait_for(|order| order.idle_below > self.number) => None,
        }
    }

    async fn carry_out(&mut self, step: Step) -> Result<(), End> {
        match step {
            Step::ReadBody => self.input.read_body(&self.shared).await,
            Step::Write(bytes) => self.write(&bytes).await,
            Step::Relay(chunks) => {
                let mut chunks = chunks.lock().await;
                let ended = self.relay(&mut chunks).await;
                if ended.is_err() {
                    // Tells the test's ChunkSender that nobody listens any more.
                    chunks.close();
                }
                ended
            }
            Step::Hang => Err(self.input.watch(&self.shared).await),
            Step::HangUnread => std::future::pending().await,
            Step::Close => {
                let _ = self.writer.shutdown().await;
                Err(End::ByScript)
            }
            Step::Reset => {
                let _ = self.writer.as_ref().set_zero_linger();
                Err(End::ByScript)
            }
            Step::Echo => Err(self.echo().await),
        }
    }

    /// Writes while it watches the client, who may leave meanwhile.
    async fn write(&mut self, bytes: &[u8]) -> Result<(), End> {
        tokio::select! {
            biased;
            written = self.writer.write_all(bytes) => written.map_err(|_| End::ByClient),
            end = self.input.watch(&self.shared) => Err(end),
        }
    }

    async fn relay(&mut self, chunks: &mut tokio::sync::mpsc::Receiver<Chunk>) -> Result<(), End> {
        loop {
            let chunk = tokio::select! {
                chunk = chunks.recv() => chunk,
                end = self.input.watch(&self.shared) => return Err(end),
            };
            match chunk {
                Some(Chunk::Data(data)) => self.write(&framed(&data)).await?,
                Some(Chunk::Finish) => return self.write(b"0\r\n\r\n").await,
                Some(Chunk::Abort) => return Err(End::ByScript),
                // The test dropped its end: the stream stays open and silent.
                None => return Err(self.input.watch(&self.shared).await),
            }
        }
    }

    async fn echo(&mut self) -> End {
        loop {
            let bytes = self.input.buffer.split();
            self.shared
                .seen
                .send_modify(|seen| seen.tunnelled.extend_from_slice(&bytes));
            if self.writer.write_all(&bytes).await.is_err() || self.input.fill().await.is_err() {
                return End::ByClient;
            }
        }
    }
}

fn framed(data: &[u8]) -> Bytes {
    let mut bytes = format!("{:x}\r\n", data.len()).into_bytes();
    bytes.extend_from_slice(data);
    bytes.extend_from_slice(b"\r\n");
    bytes.into()
}

/// The reading side. Every method may be dropped between two reads without loss.
struct Input {
    reader: OwnedReadHalf,
    buffer: BytesMut,
    /// The present request's place in the record.
    index: usize,
    body: Body,
}

impl Input {
    /// Reads once; an error when the client is gone.
    async fn fill(&mut self) -> Result<(), ()> {
        match self.reader.read_buf(&mut self.buffer).await {
            Ok(0) | Err(_) => Err(()),
            Ok(_) => Ok(()),
        }
    }

    async fn read_head(&mut self) -> Result<Vec<u8>, ()> {
        loop {
            if let Some(head) = take_head(&mut self.buffer) {
                return Ok(head);
            }
            self.fill().await?;
        }
    }

    /// Reads and records the body up to its end.
    async fn read_body(&mut self, shared: &Shared) -> Result<(), End> {
        loop {
            match self.body.decode(&mut self.buffer) {
                Decoded::Data(data) => self.record(shared, &data),
                Decoded::Incomplete => self.fill().await.map_err(|()| End::ByClient)?,
                Decoded::End => {
                    self.record(shared, &[]);
                    return Ok(());
                }
            }
        }
    }

    /// Reads on, body first, until the client leaves. A next request that comes early is left in the buffer.
    async fn watch(&mut self, shared: &Shared) -> End {
        if let Err(end) = self.read_body(shared).await {
            return end;
        }
        while self.fill().await.is_ok() {}
        End::ByClient
    }

    fn record(&self, shared: &Shared, data: &[u8]) {
        shared.seen.send_modify(|seen| {
            let request = &mut seen.requests[self.index];
            let room = BODY_BYTES_KEPT_MAX - request.body.len();
            request.body.extend_from_slice(&data[..data.len().min(room)]);
            request.body_bytes += data.len() as u64;
            request.complete = self.body.has_ended();
        });
    }
}

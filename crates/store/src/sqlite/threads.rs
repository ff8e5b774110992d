//! The store's own threads: one writer, a few readers, each behind a bounded queue.
//!
//! The writer takes what has queued up while the last group was being synced, runs each command in a savepoint of one
//! transaction, commits, and only then lets the answers go: so one sync of the disk serves many callers. A thread that
//! dies drops its queue, and with it the callers' channels: they hear `Unavailable`, nobody waits for ever.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use sentinel_core::ports::StoreError;

use super::failure::Failure;
use super::{GROUP_COMMANDS_MAX, READS_QUEUED_MAX, WRITES_QUEUED_MAX};

/// One question.
pub(super) type Read = Box<dyn FnOnce(&Connection) + Send>;
/// One change, run inside the group's transaction, or told why there is none; gives what sends the answer.
pub(super) type Write = Box<dyn FnOnce(Result<&Connection, StoreError>) -> Answer + Send>;
/// Sends the answer of a change, once it is known how the COMMIT went.
pub(super) type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

enum Task<T> {
    Run(T),
    Close,
}

/// The threads and the ends of their queues.
pub(super) struct Threads {
    writes: SyncSender<Task<Write>>,
    reads: SyncSender<Task<Read>>,
    closing: AtomicBool,
    died: Arc<AtomicBool>,
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    writer: Option<JoinHandle<Result<(), StoreError>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Starts the writer and one reader per connection.
    pub(super) fn start(writer: Connection, readers: Vec<Connection>) -> std::io::Result<Self> {
        let died = Arc::new(AtomicBool::new(false));
        let (writes, writes_waiting) = sync_channel(WRITES_QUEUED_MAX);
        let (reads, reads_waiting) = sync_channel(READS_QUEUED_MAX);
        let reads_waiting = Arc::new(Mutex::new(reads_waiting));
        let mut running = Running::default();
        for (number, connection) in readers.into_iter().enumerate() {
            let waiting = Arc::clone(&reads_waiting);
            let notice = DeathNotice(Arc::clone(&died));
            running.readers.push(
                std::thread::Builder::new()
                    .name(format!("store-reader-{number}"))
                    .spawn(move || {
                        let _notice = notice;
                        answer_questions(&connection, &waiting);
                    })?,
            );
        }
        let notice = DeathNotice(Arc::clone(&died));
        running.writer = Some(
            std::thread::Builder::new()
                .name("store-writer".to_owned())
                .spawn(move || {
                    let _notice = notice;
                    carry_out_commands(writer, &writes_waiting)
                })?,
        );
        Ok(Self {
            writes,
            reads,
            closing: AtomicBool::new(false),
            died,
            running: Mutex::new(running),
        })
    }

    pub(super) fn queue_read(&self, read: Read) -> Result<(), StoreError> {
        self.queue(&self.reads, read)
    }

    pub(super) fn queue_write(&self, write: Write) -> Result<(), StoreError> {
        self.queue(&self.writes, write)
    }

    fn queue<T>(&self, queue: &SyncSender<Task<T>>, work: T) -> Result<(), StoreError> {
        if self.closing.load(Ordering::Acquire) {
            return Err(stopped());
        }
        queue.try_send(Task::Run(work)).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Disconnected(_) => stopped(),
        })
    }

    /// An error once a thread has died of a panic: the others may go on, but the store is no longer whole.
    pub(super) fn all_alive(&self) -> Result<(), StoreError> {
        if self.died.load(Ordering::Acquire) {
            return Err(StoreError::Unavailable(
                "a thread of the store died; restart the process".to_owned(),
            ));
        }
        Ok(())
    }

    /// As `SqliteStore::close`.
    pub(super) fn close(&self) -> Result<(), StoreError> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        self.closing.store(true, Ordering::Release);
        // The queues keep their order, so all that was accepted is done before a thread meets its end mark. Readers
        // first: the checkpoint at the writer's end needs that nobody reads.
        for _ in &running.readers {
            // No receiver: the threads are gone already.
            let _ = self.reads.send(Task::Close);
        }
        let mut outcome = Ok(());
        for reader in running.readers.drain(..) {
            outcome = outcome.and(reader.join().map_err(|_| stopped()));
        }
        if let Some(writer) = running.writer.take() {
            let _ = self.writes.send(Task::Close);
            outcome = outcome.and(writer.join().unwrap_or_else(|_| Err(stopped())));
        }
        outcome
    }
}

/// What callers hear when there is no thread to answer them.
pub(super) fn stopped() -> StoreError {
    StoreError::Unavailable("the store's threads have stopped".to_owned())
}

/// Remembers that its thread ended by a panic.
struct DeathNotice(Arc<AtomicBool>);

impl Drop for DeathNotice {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Release);
        }
    }
}

/// Wraps a command for the writer: it runs in a savepoint of its own, so that its failure takes no other one down.
pub(super) fn prepare<T: Send + 'static>(
    command: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    answer: impl FnOnce(Result<T, StoreError>) + Send + 'static,
) -> Write {
    Box::new(move |transaction| {
        let outcome =
            transaction.and_then(|connection| in_savepoint(connection, command).map_err(StoreError::from));
        Box::new(move |committed| answer(committed.and(outcome)))
    })
}

fn in_savepoint<T>(
    connection: &Connection,
    command: impl FnOnce(&Connection) -> Result<T, Failure>,
) -> Result<T, Failure> {
    run(connection, "SAVEPOINT command")?;
    let outcome = command(connection);
    if outcome.is_err() {
        // A severe error (full disk, failing reads) has rolled the whole transaction back already: then the savepoint
        // is gone, and the group notices.
        if connection.is_autocommit() {
            return outcome;
        }
        run(connection, "ROLLBACK TO command")?;
    }
    run(connection, "RELEASE command")?;
    outcome
}

fn run(connection: &Connection, statement: &str) -> Result<(), Failure> {
    connection.prepare_cached(statement)?.execute([])?;
    Ok(())
}

fn answer_questions(connection: &Connection, waiting: &Mutex<Receiver<Task<Read>>>) {
    loop {
        // One idle reader waits in the queue, the others wait for their turn at it.
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match next {
            Ok(Task::Run(read)) => read(connection),
            Ok(Task::Close) | Err(_) => return,
        }
    }
}

fn carry_out_commands(connection: Connection, waiting: &Receiver<Task<Write>>) -> Result<(), StoreError> {
    let mut group = Vec::with_capacity(GROUP_COMMANDS_MAX);
    let mut open = true;
    while open {
        match waiting.recv() {
            Ok(Task::Run(first)) => group.push(first),
            Ok(Task::Close) | Err(_) => break,
        }
        while group.len() < GROUP_COMMANDS_MAX {
            match waiting.try_recv() {
                Ok(Task::Run(next)) => group.push(next),
                Ok(Task::Close) => {
                    open = false;
                    break;
                }
                Err(_) => break,
            }
        }
        let mut rest = group.drain(..);
        while rest.len() > 0 {
            run_group(&connection, &mut rest);
        }
    }
    // Another process may be using the file: then its log stays, and is folded in by whoever closes last.
    let checkpoint = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    let closed = connection.close().map_err(|(_, error)| error);
    checkpoint
        .and(closed)
        .map_err(|error| Failure::from(error).into())
}

/// Runs commands in one transaction until there are no more, or until an error has ended the transaction.
fn run_group(connection: &Connection, commands: &mut dyn Iterator<Item = Write>) {
    if let Err(error) = run(connection, "BEGIN IMMEDIATE") {
        let error = StoreError::from(error);
        for command in commands {
            command(Err(error.clone()))(Ok(()));
        }
        return;
    }
    let mut answers: Vec<Answer> = Vec::with_capacity(GROUP_COMMANDS_MAX);
    for command in commands {
        answers.push(command(Ok(connection)));
        if connection.is_autocommit() {
            break;
        }
    }
    let committed = commit(connection);
    for answer in answers {
        answer(committed.clone());
    }
}

fn commit(connection: &Connection) -> Result<(), StoreError> {
    if connection.is_autocommit() {
        return Err(StoreError::Unavailable(
            "an error rolled the transaction back; nothing of it was kept".to_owned(),
        ));
    }
    run(connection, "COMMIT").map_err(|error| {
        if !connection.is_autocommit() {
            // The next group needs a connection without a transaction. What this says was said by the COMMIT already.
            let _ = run(connection, "ROLLBACK");
        }
        StoreError::from(error)
    })
}

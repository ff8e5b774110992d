mod faults;
mod recovery;
mod replay;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use sentinel_core::binding::Networks;
use sentinel_core::event::{InterceptOutcome, Reference, SEVERAL_CLIENTS};
use sentinel_core::network::ClientIp;
use sentinel_core::time::{SystemClock, Timestamp};

use super::writer::Turn;
use super::*;

pub(super) fn intercept(reason: RefusalReason) -> Intercept {
    Intercept {
        reference: Reference::random(),
        at: Timestamp::from_unix_ms(1),
        last_at: Timestamp::from_unix_ms(1),
        reason,
        outcome: InterceptOutcome::Refused,
        binding: None,
        networks: Networks::default(),
        fingerprint: None,
        hint: None,
        client_ip: ClientIp::new([192, 0, 2, 1].into()),
        method: "GET".to_owned(),
        path: "/".to_owned(),
        user_agent: String::new(),
        count: 1,
        profile: "".into(),
        replica: "".into(),
    }
}

/// One that is like no other of its second.
fn one_of_its_own(number: u32) -> Intercept {
    let mut record = intercept(RefusalReason::KeyBanned);
    let [a, b, c, d] = number.to_be_bytes();
    record.client_ip = ClientIp::new([a | 64, b, c, d].into());
    record.at = Timestamp::from_unix_ms(i64::from(number / 1_000) * 5_000);
    record.last_at = record.at;
    record
}

fn options(bytes_max: u64) -> SpoolOptions {
    SpoolOptions {
        bytes_max,
        profile: "new-api".to_owned(),
        replica: "one".to_owned(),
        clock: Arc::new(SystemClock),
        watch: None,
    }
}

/// A spool without threads: each turn is the test's own.
struct Desk {
    inbox: Arc<Inbox>,
    shared: Arc<Shared>,
    writer: Writer,
    reader: SpoolReader,
}

impl Desk {
    fn open(path: &Path, bytes_max: u64) -> Self {
        Self::open_in(&Folder::new(path), bytes_max)
    }

    fn open_in(folder: &Folder, bytes_max: u64) -> Self {
        let prepared = prepare(folder, options(bytes_max)).expect("a spool");
        Self {
            reader: SpoolReader::new(folder.clone(), Arc::clone(&prepared.shared)),
            inbox: prepared.inbox,
            shared: prepared.shared,
            writer: prepared.writer,
        }
    }

    fn record(&mut self, records: impl IntoIterator<Item = Intercept>) {
        for record in records {
            self.inbox.record(record);
        }
        self.writer.turn(Duration::ZERO);
    }

    /// As at the end of the process: all open rows are ended.
    fn close(&mut self) {
        self.inbox.close();
        assert_eq!(self.writer.turn(Duration::ZERO), Turn::Last);
    }

    /// All that is in the log and not marked, without marking it.
    fn rows(&mut self) -> Vec<Intercept> {
        self.reader = SpoolReader::new(self.reader.folder().clone(), Arc::clone(&self.shared));
        self.read_on(7).0
    }

    fn read_on(&mut self, rows_max: usize) -> (Vec<Intercept>, u64) {
        let (mut rows, mut damaged) = (Vec::new(), 0);
        loop {
            let batch = self.reader.read(rows_max).expect("it can be read");
            rows.extend(batch.rows);
            damaged += batch.damaged_bytes;
            if batch.is_end {
                return (rows, damaged);
            }
        }
    }

    /// Gives all that is in the log, and marks it as written.
    fn drain(&mut self) -> Vec<Intercept> {
        let mut rows = Vec::new();
        loop {
            let batch = self.reader.read(100).expect("it can be read");
            rows.extend(batch.rows);
            self.reader.commit(batch.mark).expect("it can be noted");
            if batch.is_end {
                return rows;
            }
        }
    }

    fn overflow(&self) -> String {
        self.shared.ledger().content().overflow.words()
    }
}

fn total(rows: &[Intercept]) -> u64 {
    rows.iter().map(|row| u64::from(row.count)).sum()
}

/// What the store has after these rows: each once.
fn stored(rows: Vec<Intercept>) -> Vec<Intercept> {
    let mut seen = BTreeMap::new();
    for row in rows {
        seen.entry((row.reference.to_string(), row.at)).or_insert(row);
    }
    seen.into_values().collect()
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(10), "waited for: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn what_is_settled_is_in_the_log_and_says_who_recorded_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (spool, mut reader) = Spool::open(folder.path(), options(0)).expect("a spool");
    let ticket = spool.record(one_of_its_own(1));
    wait_until("the record to be settled", || spool.settled() >= ticket);
    let batch = reader.read(10).expect("it can be read");
    assert_eq!(batch.rows.len(), 1);
    assert_eq!(
        (&*batch.rows[0].profile, &*batch.rows[0].replica),
        ("new-api", "one")
    );
    assert_eq!(batch.mark, spool.shared.tail());
}

/// Counts what it sees.
#[derive(Default)]
struct Counting(AtomicU64);

impl InterceptWatch for Counting {
    fn saw(&self, intercepts: &[Intercept]) {
        self.0.fetch_add(total(intercepts), Ordering::SeqCst);
    }
}

#[test]
fn the_watch_sees_each_record_before_it_is_settled_and_not_again_at_the_next_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let watch = Arc::<Counting>::default();
    let watched = || SpoolOptions {
        watch: Some(watch.clone()),
        ..options(0)
    };
    let (spool, _reader) = Spool::open(folder.path(), watched()).expect("a spool");
    let ticket = (0..100).map(|_| spool.record(intercept(RefusalReason::KeyMissing)));
    let ticket = ticket.max().expect("a hundred");
    wait_until("the records to be settled", || spool.settled() >= ticket);
    assert_eq!(watch.0.load(Ordering::SeqCst), 100);
    drop(spool);
    let (spool, mut reader) = Spool::open(folder.path(), watched()).expect("a spool");
    assert_eq!(total(&reader.read(1_000).expect("it can be read").rows), 100);
    drop(spool);
    assert_eq!(
        watch.0.load(Ordering::SeqCst),
        100,
        "read again, and not seen again"
    );
}

#[test]
fn the_end_keeps_all_that_was_recorded() {
    let folder = tempfile::tempdir().expect("a folder");
    let (spool, _reader) = Spool::open(folder.path(), options(0)).expect("a spool");
    for _ in 0..5_000 {
        spool.record(intercept(RefusalReason::KeyMissing));
    }
    spool.close();
    drop(spool);
    let mut desk = Desk::open(folder.path(), 0);
    let rows = desk.rows();
    assert_eq!(total(&rows), 5_000);
    assert_eq!(rows.len(), FOLD_WHOLE_MAX as usize + 1);
}

#[test]
fn one_process_at_a_time_has_the_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = Spool::open(folder.path(), options(0)).expect("a spool");
    let Err(error) = Spool::open(folder.path(), options(0)) else {
        panic!("it is taken");
    };
    assert!(matches!(error, SpoolError::InUse { .. }), "{error}");
    drop(first);
    assert!(Spool::open(folder.path(), options(0)).is_ok());
}

#[test]
fn a_folder_that_cannot_be_written_is_told_in_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    fs::write(&file, "").expect("written");
    let Err(error) = Spool::open(&file.join("spool"), options(0)) else {
        panic!("a file is no folder");
    };
    assert!(error.to_string().contains("cannot be kept there"), "{error}");
}

#[test]
fn segments_go_when_they_are_written_and_the_log_stays_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut desk = Desk::open(folder.path(), 0);
    let mut sent = Vec::new();
    for round in 0..20 {
        let records: Vec<_> = (round * 100..round * 100 + 100).map(one_of_its_own).collect();
        sent.extend(records.iter().map(|record| record.reference.clone()));
        desk.record(records);
    }
    let before = desk.reader.folder().segments().expect("there").len();
    assert!(before > 2, "{before} segments");
    let rows = desk.drain();
    assert_eq!(
        rows.iter().map(|row| row.reference.clone()).collect::<Vec<_>>(),
        sent
    );
    assert_eq!(desk.reader.folder().segments().expect("there").len(), 1);
    let left = desk
        .reader
        .folder()
        .length(desk.shared.tail().segment)
        .expect("there");
    assert_eq!(desk.shared.bytes(), left);
    assert!(left <= SEGMENT_BYTES_MAX.min(2 * SPOOL_BYTES_MIN / SEGMENTS_MIN));
}

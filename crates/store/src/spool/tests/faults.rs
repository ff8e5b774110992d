//! No room, by the spool's own bound or on the disk: what is there stays, what has none is counted, and becomes rows when there is some.

use std::sync::atomic::AtomicI64;

use super::super::folder::{MakeMedium, Medium};
use super::*;

/// A disk on which there is so much room.
#[derive(Default)]
struct Disk {
    room: AtomicI64,
    cannot_cut: AtomicBool,
}

struct OnDisk(Arc<Disk>, File);

impl Medium for OnDisk {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let room = usize::try_from(self.0.room.load(Ordering::SeqCst)).unwrap_or(0);
        if room == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let written = Medium::write_at(&self.1, &bytes[..bytes.len().min(room)], offset)?;
        self.0
            .room
            .fetch_sub(i64::try_from(written).expect("small"), Ordering::SeqCst);
        Ok(written)
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        if self.0.cannot_cut.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.1.cut(length)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

impl Disk {
    fn folder(self: &Arc<Self>, path: &Path) -> Folder {
        let disk = Arc::clone(self);
        let make: MakeMedium = Arc::new(move |path: &Path| {
            if disk.room.load(Ordering::SeqCst) <= 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            Ok(Arc::new(OnDisk(Arc::clone(&disk), File::create_new(path)?)) as Arc<dyn Medium>)
        });
        Folder::with(path, make)
    }

    fn give(&self, room: i64) {
        self.room.store(room, Ordering::SeqCst);
    }
}

fn counted_rows(rows: &[Intercept]) -> u64 {
    total(
        &rows
            .iter()
            .filter(|row| row.client_ip == SEVERAL_CLIENTS)
            .cloned()
            .collect::<Vec<_>>(),
    )
}

#[test]
fn at_its_bound_the_oldest_stay_and_the_rest_becomes_one_row_when_there_is_room() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut desk = Desk::open(folder.path(), SPOOL_BYTES_MIN);
    let mut sent = 0;
    while desk.shared.figures(0, 0).overflowed < 500 {
        desk.record((sent..sent + 200).map(one_of_its_own));
        sent += 200;
    }
    assert!(desk.shared.bytes() <= SPOOL_BYTES_MIN + BYTES_RESERVE);
    let overflowed = desk.shared.figures(0, 0).overflowed;
    assert_eq!(desk.overflow(), format!("key_banned {overflowed}"));
    desk.writer.round();
    assert_eq!(
        desk.overflow(),
        format!("key_banned {overflowed}"),
        "there is no room yet"
    );

    // The count outlives the process.
    drop(desk);
    let mut desk = Desk::open(folder.path(), SPOOL_BYTES_MIN);
    let mut rows = desk.drain();
    assert_eq!(total(&rows), u64::from(sent) - overflowed);
    assert_eq!(rows[0].client_ip, one_of_its_own(0).client_ip);
    desk.writer.round();
    desk.writer.round();
    rows.extend(desk.drain());
    assert_eq!(desk.overflow(), "");
    assert_eq!((counted_rows(&rows), total(&rows)), (overflowed, sent.into()));
}

#[test]
fn cheap_refusals_leave_room_for_those_that_name_a_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut desk = Desk::open(folder.path(), SPOOL_BYTES_MIN);
    let cheap = |number| Intercept {
        reason: RefusalReason::ClaimRateLimited,
        ..one_of_its_own(number)
    };
    let mut sent = 0;
    while desk.overflow().is_empty() {
        desk.record((sent..sent + 200).map(cheap));
        sent += 200;
    }
    assert!(desk.shared.bytes() <= SPOOL_BYTES_MIN / 4 * 3 + BYTES_RESERVE);
    let before = desk.overflow();
    desk.record((sent..sent + 100).map(one_of_its_own));
    assert_eq!(desk.overflow(), before);
}

#[test]
fn on_a_full_disk_every_request_is_kept_or_counted_wherever_it_was_cut() {
    for room in (0..1_600).step_by(37) {
        for cannot_cut in [false, true] {
            let folder = tempfile::tempdir().expect("a folder");
            let disk = Arc::<Disk>::default();
            disk.cannot_cut.store(cannot_cut, Ordering::SeqCst);
            disk.give(room);
            let mut desk = Desk::open_in(&disk.folder(folder.path()), 0);
            let mut sent = 0;
            for round in 0..4 {
                desk.record((round * 10..round * 10 + 2).map(one_of_its_own));
                desk.record((0..FOLD_WHOLE_MAX).map(|_| intercept(RefusalReason::KeyMissing)));
                sent += 2 + u64::from(FOLD_WHOLE_MAX);
            }
            let overflowed = desk.shared.figures(0, 0).overflowed;
            assert!(overflowed > 0, "room for {room} bytes");
            let mut rows = desk.drain();

            // The disk has room again, and nothing was restarted.
            disk.give(i64::MAX);
            desk.record([one_of_its_own(77)]);
            desk.writer.round();
            desk.close();
            rows.extend(desk.drain());
            let rows = stored(rows);
            assert_eq!(total(&rows), sent + 1, "room for {room} bytes, {cannot_cut}");
            assert_eq!(counted_rows(&rows), overflowed);
        }
    }
}

#[test]
fn a_process_that_is_killed_on_a_full_disk_leaves_nothing_that_counts_twice() {
    for room in (0..2_000).step_by(61) {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = Arc::<Disk>::default();
        disk.cannot_cut.store(true, Ordering::SeqCst);
        disk.give(room);
        let mut desk = Desk::open_in(&disk.folder(folder.path()), 0);
        desk.record((0..10).map(one_of_its_own));
        drop(desk);
        let mut desk = Desk::open(folder.path(), 0);
        desk.writer.round();
        assert_eq!(total(&desk.rows()), 10, "room for {room} bytes");
    }
}

#[test]
fn a_count_that_was_becoming_rows_when_the_process_ended_becomes_them_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut rows = Vec::new();
    let mut overflow = overflow::Overflow::default();
    let at = Timestamp::from_unix_ms(5);
    overflow.add(RefusalReason::KeyBanned, InterceptOutcome::Refused, 7, at);
    for _ in 0..3 {
        // Each time the rows are in the log, and the ledger does not say so.
        let mut desk = Desk::open(folder.path(), 0);
        let begun = desk.shared.ledger().change(|content| {
            content.reporting = Some((overflow.clone(), [9; 16]));
        });
        begun.expect("noted");
        desk.writer.round();
        rows.extend(desk.drain());
    }
    assert_eq!((rows.len(), total(&stored(rows))), (3, 7));
}

#[test]
fn with_no_room_at_all_a_spool_counts_from_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = Arc::<Disk>::default();
    let mut desk = Desk::open_in(&disk.folder(folder.path()), 0);
    desk.record((0..3).map(one_of_its_own));
    assert_eq!(desk.overflow(), "key_banned 3");
    assert!(desk.shared.figures(0, 0).failures > 0);
    disk.give(i64::MAX);
    desk.writer.round();
    assert_eq!(total(&desk.rows()), 3);
}

//! What a process leaves behind, cut or damaged anywhere.

use super::super::folder::MAGIC;
use super::*;

/// Three whole records, and a row of several that is not ended.
fn left_behind(path: &Path) -> (Vec<u8>, PathBuf) {
    let mut desk = Desk::open(path, 0);
    desk.record((0..3).map(one_of_its_own));
    for _ in 0..3 {
        desk.record((0..FOLD_WHOLE_MAX).map(|_| intercept(RefusalReason::KeyMissing)));
    }
    let segment = path.join("00000000000000000001.log");
    (fs::read(&segment).expect("there"), segment)
}

/// Where each entry ends, and how many requests are in the entries up to there.
fn ends(bytes: &[u8]) -> Vec<(usize, u64)> {
    let (mut at, mut count) = (MAGIC.len(), 0);
    let mut ends = vec![(0, 0)];
    while let Look::Whole(payload) = frame::look(&bytes[at..]) {
        at += HEAD_BYTES + payload.len();
        count += match Entry::read(payload).expect("an entry") {
            Entry::Whole(record) | Entry::Opens(_, record) => u64::from(record.count),
            Entry::Adds(added) => u64::from(added.count),
            Entry::Session { .. } | Entry::Ends => 0,
        };
        ends.push((at, count));
    }
    ends
}

#[test]
fn a_log_that_is_cut_anywhere_has_all_that_was_whole_and_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let (bytes, segment) = left_behind(folder.path());
    let ends = ends(&bytes);
    assert_eq!(
        ends.last(),
        Some(&(bytes.len(), 3 + 3 * u64::from(FOLD_WHOLE_MAX)))
    );
    for cut in 0..=bytes.len() {
        fs::write(&segment, &bytes[..cut]).expect("written");
        let whole = ends
            .iter()
            .rev()
            .find(|(end, _)| *end <= cut)
            .expect("the beginning");
        let mut desk = Desk::open(folder.path(), 0);
        desk.record([one_of_its_own(99)]);
        let rows = desk.rows();
        assert_eq!(total(&rows), whole.1 + 1, "cut at {cut}");
        assert_eq!(
            rows.last().map(|row| row.client_ip),
            Some(one_of_its_own(99).client_ip)
        );
        for number in desk.reader.folder().segments().expect("there") {
            desk.reader.folder().remove(number).expect("removed");
        }
    }
}

#[test]
fn zeros_at_the_end_are_cut_like_anything_else_that_was_not_completed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut bytes, segment) = left_behind(folder.path());
    let length = bytes.len();
    bytes.resize(length + 4_096, 0);
    fs::write(&segment, &bytes).expect("written");
    let mut desk = Desk::open(folder.path(), 0);
    assert_eq!(total(&desk.rows()), 3 + 3 * u64::from(FOLD_WHOLE_MAX));
    assert_eq!(fs::read(&segment).expect("there").len(), length);
}

#[test]
fn a_flipped_bit_costs_the_entry_that_it_is_in_and_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let mut desk = Desk::open(path, 0);
    desk.record((0..6).map(one_of_its_own));
    let sent = desk.rows();
    let segment = path.join("00000000000000000001.log");
    let bytes = fs::read(&segment).expect("there");
    let ends = ends(&bytes);
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(&segment, &flipped).expect("written");
        let mut desk = Desk::open(path, 0);
        let (rows, damaged) = desk.read_on(7);
        let hit = ends.iter().filter(|(end, _)| *end <= bit / 8).count();
        // The last entry cannot be told from one that was never completed.
        let is_last = hit + 1 == ends.len();
        let wanted = sent
            .iter()
            .enumerate()
            .filter(|(index, _)| index + 2 != hit)
            .map(|(_, row)| row);
        let wanted: Vec<_> = wanted.map(|row| row.reference.clone()).collect();
        let found: Vec<_> = rows.iter().map(|row| row.reference.clone()).collect();
        assert_eq!(found, wanted, "bit {bit}");
        assert_eq!(damaged > 0, !is_last, "bit {bit}: {damaged} bytes are told");
        for number in desk.reader.folder().segments().expect("there") {
            desk.reader.folder().remove(number).expect("removed");
        }
    }
}

#[test]
fn a_damaged_ledger_means_that_everything_is_read_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut desk = Desk::open(folder.path(), 0);
    desk.record((0..5).map(one_of_its_own));
    let rows = desk.drain();
    drop(desk);
    fs::write(folder.path().join("ledger"), [7; 8_192]).expect("written");
    let mut desk = Desk::open(folder.path(), 0);
    let again: Vec<_> = desk.rows();
    assert_eq!(stored([rows.clone(), again].concat()).len(), rows.len());
}

#[test]
fn a_mark_beyond_the_log_is_no_reason_to_pass_over_what_comes() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut desk = Desk::open(folder.path(), 0);
    desk.record((0..5).map(one_of_its_own));
    desk.drain();
    drop(desk);
    // As after a loss of power: the ledger reached the disk, the log did not.
    fs::write(folder.path().join("00000000000000000001.log"), MAGIC).expect("written");
    let mut desk = Desk::open(folder.path(), 0);
    desk.record([one_of_its_own(9)]);
    assert_eq!(desk.drain().len(), 1);
}

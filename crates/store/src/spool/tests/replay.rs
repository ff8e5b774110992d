//! The same log gives the same rows, wherever reading begins anew.

use proptest::prelude::*;

use super::*;

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// So many equal refusals of this client, so many milliseconds later.
    Refuse(u16, u8, i64),
    /// So many rows are read, at most, and written; they are marked only if this says so.
    Pass(usize, bool),
    /// The process is killed, and another one goes on.
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1..60_u16, 0..4_u8, prop_oneof![3 => Just(0), 1 => 0..1_500_i64])
            .prop_map(|(count, client, pause)| Step::Refuse(count, client, pause)),
        3 => (1..30_usize, any::<bool>()).prop_map(|(rows, is_marked)| Step::Pass(rows, is_marked)),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_written_twice_and_nothing_is_lost(steps in steps()) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut desk = Desk::open(folder.path(), 0);
        let (mut at, mut sent, mut written) = (0, 0, Vec::new());
        let mut seen_by_number = BTreeMap::new();
        let mut take = |rows: Vec<Intercept>, written: &mut Vec<Intercept>| {
            for row in rows {
                let first = seen_by_number.entry(row.reference.to_string()).or_insert_with(|| row.clone());
                assert_eq!(*first, row, "a row is the same whenever it is read");
                written.push(row);
            }
        };
        for step in steps {
            match step {
                Step::Refuse(count, client, pause) => {
                    at += pause;
                    sent += u64::from(count);
                    desk.record((0..count).map(|_| {
                        let mut record = intercept(RefusalReason::KeyIpMismatch);
                        record.client_ip = ClientIp::new([192, 0, 2, client].into());
                        record.at = Timestamp::from_unix_ms(at);
                        record.last_at = record.at;
                        record
                    }));
                }
                Step::Pass(rows_max, is_marked) => {
                    let batch = desk.reader.read(rows_max).expect("it can be read");
                    take(batch.rows, &mut written);
                    if is_marked {
                        desk.reader.commit(batch.mark).expect("it can be noted");
                    }
                }
                Step::Restart => {
                    drop(desk);
                    desk = Desk::open(folder.path(), 0);
                }
            }
        }
        desk.close();
        take(desk.rows(), &mut written);
        prop_assert_eq!(total(&stored(written)), sent);
    }
}

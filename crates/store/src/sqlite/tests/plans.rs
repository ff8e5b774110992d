//! Which questions have to find their rows in an index.

use super::super::{SqliteStore, archive};
use super::{new_path, outside};

#[tokio::test]
async fn the_archive_finds_what_to_mark_and_to_move_in_indexes() {
    let (path, _folder) = new_path();
    let _store = SqliteStore::open(&path).unwrap();
    let plan = |statement: &str| -> String {
        let connection = outside(&path);
        let mut prepared = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {statement}"))
            .unwrap();
        let steps = prepared.query_map([7, 9], |row| row.get::<_, String>(3)).unwrap();
        steps.map(Result::unwrap).collect::<Vec<_>>().join("; ")
    };
    let (to_mark, to_move) = (plan(archive::TO_MARK), plan(archive::TO_MOVE));
    assert!(
        to_mark.contains("bindings_by_last_sign (<expr><?)") && !to_mark.contains("TEMP B-TREE"),
        "{to_mark}"
    );
    assert!(
        to_move.contains("bindings_marked (archive_marked_at<?)"),
        "{to_move}"
    );
}

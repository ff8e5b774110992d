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

#[tokio::test]
async fn a_dashboard_looks_through_no_table() {
    let (path, _folder) = new_path();
    let _store = SqliteStore::open(&path).unwrap();
    let connection = outside(&path);
    for question in [
        "SELECT id FROM intercept_logs ORDER BY id DESC LIMIT 10",
        "SELECT at, measure, count FROM traffic WHERE span = 'hour' AND at >= 9 ORDER BY at DESC LIMIT 9",
        "SELECT subject, count FROM top_refused WHERE span = 'day' AND at = 9 AND kind = 'key' AND subject <> '' \
             ORDER BY count DESC, subject LIMIT 10",
        "SELECT run FROM replicas WHERE seen_at >= 9 ORDER BY seen_at DESC, run LIMIT 9",
    ] {
        let mut prepared = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {question}"))
            .unwrap();
        let steps = prepared.query_map([], |row| row.get::<_, String>(3)).unwrap();
        let plan = steps.map(Result::unwrap).collect::<Vec<_>>().join("; ");
        let is_found = plan.contains("SEARCH ");
        // By its own number, from the newest on.
        let is_newest = plan == "SCAN intercept_logs";
        assert!(is_found || is_newest, "{question}: {plan}");
    }
}

//! The chain of events notices what was done to its file, and begins behind the events of an older schema.

use sentinel_core::ports::{AdminEventStore as _, AuditStore as _, verify};

use super::{new_path, outside};
use crate::SqliteStore;
use crate::conformance::audit::event;

async fn first_broken_after(statement: &str) -> Option<i64> {
    let (path, _folder) = new_path();
    let store = SqliteStore::open(&path).unwrap();
    for number in 1..=5 {
        store.append(event(number)).await.unwrap();
    }
    outside(&path).execute_batch(statement).unwrap();
    verify(&store).await.unwrap().first_broken
}

#[tokio::test]
async fn a_changed_removed_or_moved_event_is_found() {
    for (statement, broken) in [
        ("", None),
        ("UPDATE admin_events SET detail = 'nothing' WHERE id = 3", Some(3)),
        ("DELETE FROM admin_events WHERE id = 2", Some(3)),
        ("DELETE FROM admin_events WHERE id > 3", Some(4)),
        (
            "UPDATE admin_events SET id = 9 WHERE id = 2; UPDATE admin_events SET id = 2 WHERE id = 4;
             UPDATE admin_events SET id = 4 WHERE id = 9",
            Some(2),
        ),
        (
            "UPDATE admin_events SET previous_hash = NULL, hash = NULL WHERE id = 4",
            Some(4),
        ),
    ] {
        assert_eq!(first_broken_after(statement).await, broken, "{statement}");
    }
}

#[tokio::test]
async fn events_from_before_the_chain_stay_outside_of_it() {
    let (path, _folder) = new_path();
    SqliteStore::open(&path).unwrap().close().unwrap();
    outside(&path)
        .execute_batch(
            "INSERT INTO admin_events (at, actor, action, detail) VALUES (1, 'root', 'login', ''), (2, 'root', 'ban', '');
             UPDATE audit_chain SET began_after = 2, last_id = 2",
        )
        .unwrap();
    let store = SqliteStore::open(&path).unwrap();
    store.append(event(3)).await.unwrap();
    let verdict = verify(&store).await.unwrap();
    assert_eq!((verdict.checked, verdict.first_broken), (1, None));
    assert_eq!(store.chain_head().await.unwrap().began_after, 2);
    assert_eq!(store.newest(10).await.unwrap().len(), 3);
}

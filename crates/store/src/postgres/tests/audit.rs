//! The chain of events never forks, however many replicas write, and notices what was done to it past the store.

use sentinel_core::ports::{AdminEventStore as _, verify};
use tokio::task::JoinSet;

use super::{fixture, outside, replica};
use crate::conformance::audit::event;

#[tokio::test]
async fn many_replicas_write_one_chain() {
    let (one, server) = fixture().await;
    let other = replica(&server).await;
    let mut writers = JoinSet::new();
    for number in 0..40 {
        let store = if number % 2 == 0 {
            one.clone()
        } else {
            other.clone()
        };
        writers.spawn(async move { store.append(event(number)).await });
    }
    for written in writers.join_all().await {
        written.unwrap();
    }
    let verdict = verify(&other).await.unwrap();
    assert_eq!((verdict.checked, verdict.first_broken), (40, None));
}

#[tokio::test]
async fn a_changed_removed_or_moved_event_is_found() {
    let (store, server) = fixture().await;
    for number in 1..=5 {
        store.append(event(number)).await.unwrap();
    }
    let outside = outside(&server).await;
    let swap = "UPDATE admin_events AS one SET (at, detail) = (other.at, other.detail) \
         FROM admin_events AS other WHERE (one.id, other.id) IN ((2, 3), (3, 2))";
    // Each on top of the one before: the first broken event comes earlier each time.
    for (statement, broken) in [
        ("SELECT 1", None),
        ("DELETE FROM admin_events WHERE id = 5", Some(5)),
        ("UPDATE admin_events SET detail = 'nothing' WHERE id = 4", Some(4)),
        (swap, Some(2)),
        ("DELETE FROM admin_events WHERE id = 1", Some(2)),
        ("DELETE FROM admin_events", Some(1)),
    ] {
        outside.batch_execute(statement).await.unwrap();
        let verdict = verify(&store).await.unwrap();
        assert_eq!(verdict.first_broken, broken, "{statement}");
    }
}

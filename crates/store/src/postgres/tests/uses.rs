//! Batches of uses from several replicas at once.

use sentinel_core::binding::BindingId;
use sentinel_core::ports::{ArchiveRun, ArchiveStore as _, BindingAdmin as _, StoreError, UseStore as _};
use sentinel_core::usage::Uses;
use tokio::task::JoinSet;

use super::{fixture, replica};
use crate::conformance::{actor, at, claimed};

#[tokio::test]
async fn batches_of_replicas_never_deadlock_and_lose_nothing() {
    const KEYS: u32 = 40;
    const ROUNDS: u64 = 25;
    let (store, server) = fixture().await;
    let other = replica(&server).await;
    let mut ids = Vec::new();
    for number in 0..KEYS {
        ids.push(claimed(&store, number, "192.0.2.1").await.id);
    }
    let batch = |ids: &[BindingId]| -> Vec<Uses> {
        ids.iter()
            .map(|id| Uses {
                binding: *id,
                count: 1,
                last_used_at: at(1),
            })
            .collect()
    };
    let forwards = batch(&ids);
    ids.reverse();
    let backwards = batch(&ids);
    let mut writers = JoinSet::new();
    for (store, batch) in [(&store, forwards), (&other, backwards)] {
        for _ in 0..4 {
            let (store, batch) = (store.clone(), batch.clone());
            writers.spawn(async move {
                for _ in 0..ROUNDS {
                    store.add_uses(batch.clone()).await?;
                }
                Ok::<_, StoreError>(())
            });
        }
    }
    // The archive marks all of them and forgets the marks again, and operators' changes lock single rows in between.
    let archive = tokio::spawn({
        let store = other.clone();
        async move {
            for since in (0..40).map(|round| i64::from(round % 2) * 1_000_000) {
                let run = ArchiveRun {
                    unused_since: at(since),
                    marked_until: at(0),
                    now: at(2_000_000),
                    batch_max: 1_000,
                };
                store.archive_unused(run).await?;
            }
            Ok::<_, StoreError>(())
        }
    });
    for id in ids.iter().take(10) {
        store.ban(*id, String::new(), actor(1)).await.unwrap();
    }
    for outcome in writers.join_all().await {
        assert_eq!(outcome, Ok(()));
    }
    assert_eq!(archive.await.unwrap(), Ok(()));
    for id in ids {
        let record = store.show(id).await.unwrap().expect("a record");
        assert_eq!(record.use_count, 8 * ROUNDS);
    }
}

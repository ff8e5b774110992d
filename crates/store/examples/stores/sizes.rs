//! Lookups in PostgreSQL with more and more bindings in it, and what they take on the disk.

use std::time::Instant;

use sentinel_core::ports::BindingStore as _;
use serde_json::json;

use crate::keys::{FILL, fingerprint};
use crate::latency::at;
use crate::{Failed, postgres, tell};

const LOOKUPS: u64 = 20_000;
const FILLED_AT_ONCE: u64 = 250_000;
/// Coprime with every size: visits keys all over the table, none twice in a row.
const STRIDE: u64 = 7_919;

/// Sizes in growing order.
pub(crate) async fn measure(sizes: &[u64]) -> Result<(), Failed> {
    let (server, store, dsn) = postgres().await?;
    let (session, connection) = tokio_postgres::connect(&dsn, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    let mut filled = 0;
    for size in sizes {
        while filled < *size {
            let until = size.min(&(filled + FILLED_AT_ONCE)).to_owned();
            let (from, to) = (i64::try_from(filled)?, i64::try_from(until)? - 1);
            session.execute(FILL, &[&from, &to]).await?;
            filled = until;
        }
        session.batch_execute("VACUUM ANALYZE").await?;
        server.connect().await.batch_execute("CHECKPOINT").await?;
        let bytes: i64 = session
            .query_one("SELECT pg_database_size(current_database())", &[])
            .await?
            .get(0);
        let mut took = Vec::new();
        for step in 0..LOOKUPS {
            let number = step * STRIDE % size;
            let begun = Instant::now();
            let found = store.find(&fingerprint(number)).await?;
            took.push(begun.elapsed());
            if found.is_none() {
                return Err(format!("key {number} of {size} is not there").into());
            }
        }
        took.sort_unstable();
        let (p50, p99) = (at(&took, 50), at(&took, 99));
        tell(
            &json!({"part": "sizes", "bindings": size, "p50_us": p50, "p99_us": p99, "database_bytes": bytes}),
        );
    }
    store.close().await;
    drop(server);
    Ok(())
}

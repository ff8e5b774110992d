use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures_util::StreamExt as _;
use http::StatusCode;
use sentinel_core::event::Intercept;
use sentinel_core::ports::{InterceptBucket, StoredIntercept};
use sentinel_core::time::Timestamp;
use tokio::sync::Semaphore;

use super::*;
use crate::testing::{Console, intercept};

#[tokio::test]
async fn csv_has_a_head_and_a_line_for_each_row() {
    let console = Console::new();
    let mut strange = intercept(1);
    strange.intercept.path = "=cmd|' /C calc'!A1".to_owned();
    strange.intercept.user_agent = "a \"b\", c\nd".to_owned();
    console.store.lock().intercepts = vec![strange, intercept(2)];
    let file = console.get("/admin/api/logs/export?format=csv&path=v1").await;
    assert_eq!(file.status, StatusCode::OK, "{file:?}");
    assert_eq!(file.headers[header::CONTENT_TYPE], "text/csv; charset=utf-8");
    assert_eq!(
        file.headers[header::CONTENT_DISPOSITION],
        "attachment; filename=\"sentinel-logs.csv\""
    );
    let mut reader = csv::Reader::from_reader(file.text.as_bytes());
    assert_eq!(reader.headers().expect("a head"), COLUMNS.as_slice());
    let rows: Vec<_> = reader.records().map(|row| row.expect("a row")).collect();
    assert_eq!((rows.len(), &rows[0][0], &rows[1][0]), (2, "2", "1"));
    assert_eq!(
        (&rows[1][11], &rows[1][12]),
        ("'=cmd|' /C calc'!A1", "a \"b\", c\nd")
    );
    let asked = console.store.lock().intercept_filters.pop().expect("asked");
    assert_eq!(
        (asked.path.as_deref(), asked.limit),
        (Some("v1"), EXPORT_PAGE_ROWS)
    );
}

#[tokio::test]
async fn a_byte_order_mark_comes_on_request() {
    let console = Console::new();
    let marked = console.get("/admin/api/logs/export?format=csv&bom=1").await;
    assert!(marked.text.starts_with("\u{feff}id,reference,"), "{marked:?}");
    let plain = console.get("/admin/api/logs/export?format=csv").await;
    assert!(plain.text.starts_with("id,reference,"), "{plain:?}");
}

#[tokio::test]
async fn lines_are_rows_as_the_list_has_them() {
    let console = Console::new();
    console.store.lock().intercepts = vec![intercept(1), intercept(2)];
    let file = console.get("/admin/api/logs/export?format=jsonl").await;
    let rows: Vec<serde_json::Value> = file
        .text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let list = console.get("/admin/api/logs").await;
    assert_eq!(serde_json::Value::from(rows), list.body["items"]);
}

#[tokio::test]
async fn a_bad_export_is_named() {
    let console = Console::new();
    for (query, field) in [
        ("", "format"),
        ("format=xml", "format"),
        ("format=csv&bom=yes", "bom"),
        ("format=jsonl&bom=1", "bom"),
        ("format=csv&network=x", "network"),
    ] {
        let answer = console.get(&format!("/admin/api/logs/export?{query}")).await;
        answer.names_field(field);
    }
}

#[test]
fn no_cell_begins_a_formula() {
    for begin in ["=", "+", "-", "@", "\t", "\r"] {
        assert_eq!(harmless(format!("{begin}1")), format!("'{begin}1"));
    }
    for cell in ["", "1", "'=", " =1", "a=b"] {
        assert_eq!(harmless(cell.to_owned()), cell);
    }
}

/// Holds so many rows, and counts how often it is asked.
struct Many {
    rows: i64,
    asked: AtomicU64,
}

#[async_trait]
impl InterceptStore for Many {
    async fn append(&self, _: Vec<Intercept>) -> Result<(), StoreError> {
        unreachable!("an export writes nothing")
    }

    async fn list(&self, filter: InterceptFilter) -> Result<Vec<StoredIntercept>, StoreError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let newest = filter.before.map_or(self.rows, |before| before - 1);
        let oldest = (newest - i64::from(filter.limit)).max(0);
        Ok((oldest + 1..=newest).rev().map(intercept).collect())
    }

    async fn buckets(&self, _: Timestamp, _: i64) -> Result<Vec<InterceptBucket>, StoreError> {
        unreachable!("an export counts nothing")
    }
}

fn export_of(store: &Arc<Many>, rows_left: u64) -> Export {
    Export {
        store: store.clone(),
        format: Format::Csv { has_mark: false },
        filter: InterceptFilter::default(),
        rows_left,
        is_done: false,
        _place: Arc::new(Semaphore::new(1)).try_acquire_owned().expect("a place"),
    }
}

#[tokio::test]
async fn a_hundred_thousand_rows_are_held_a_page_at_a_time() {
    const ROWS: u64 = 100_000;
    let store = Arc::new(Many {
        rows: 100_000,
        asked: AtomicU64::new(0),
    });
    let mut pieces = std::pin::pin!(
        export_of(&store, EXPORT_ROWS_MAX)
            .into_stream()
            .await
            .expect("it works")
    );
    let (mut lines, mut taken, mut largest) = (0, 0, 0);
    while let Some(piece) = pieces.next().await {
        let piece = piece.expect("it works");
        taken += 1;
        largest = largest.max(piece.len());
        lines += std::str::from_utf8(&piece).expect("text").lines().count();
        // The head and the first page come together; after that nothing is read before it is wanted.
        assert!(
            store.asked.load(Ordering::SeqCst) <= taken,
            "pages are read ahead"
        );
    }
    assert_eq!(lines as u64, 1 + ROWS);
    assert_eq!(
        store.asked.load(Ordering::SeqCst),
        ROWS / u64::from(EXPORT_PAGE_ROWS) + 1
    );
    assert!(
        largest < 512 * EXPORT_PAGE_ROWS as usize,
        "{largest} bytes at once"
    );
}

#[tokio::test]
async fn an_export_stops_at_export_rows_max() {
    let rows = i64::from(EXPORT_PAGE_ROWS) + 10;
    for (rows_left, exported) in [
        (3, 3),
        (u64::from(EXPORT_PAGE_ROWS) + 1, 501),
        (EXPORT_ROWS_MAX, 510),
    ] {
        let store = Arc::new(Many {
            rows,
            asked: AtomicU64::new(0),
        });
        let pieces: Vec<_> = export_of(&store, rows_left)
            .into_stream()
            .await
            .expect("it works")
            .collect()
            .await;
        let lines = pieces.into_iter().flat_map(|piece| piece.expect("it works"));
        assert_eq!(lines.filter(|byte| *byte == b'\n').count(), 1 + exported);
    }
}

#[tokio::test]
async fn as_many_exports_as_exports_max_run_at_once() {
    let places = Arc::new(Semaphore::new(EXPORTS_MAX));
    let held: Vec<_> = (0..EXPORTS_MAX)
        .map(|_| places.clone().try_acquire_owned().expect("a place"))
        .collect();
    assert!(places.clone().try_acquire_owned().is_err());
    drop(held);
    assert_eq!(places.available_permits(), EXPORTS_MAX);
}

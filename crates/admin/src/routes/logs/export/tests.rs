use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures_util::StreamExt as _;
use http::{Request, StatusCode};
use sentinel_core::account::Role;
use sentinel_core::event::Intercept;
use sentinel_core::network::PeerAddr;
use sentinel_core::ports::{InterceptBucket, StoredIntercept};
use sentinel_core::time::Timestamp;
use serde_json::Value;
use tokio::sync::Semaphore;
use tower::ServiceExt as _;

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
async fn an_export_ends_with_the_session_that_asked_for_it() {
    let console = Console::new();
    let pages = 4;
    let rows = i64::from(EXPORT_PAGE_ROWS) * pages;
    console.store.lock().intercepts = (1..=rows).map(intercept).collect();
    let viewer = console.token_of(Role::Viewer).await;
    let mut request = Request::get("/admin/api/logs/export?format=jsonl")
        .header(header::AUTHORIZATION, format!("Bearer {viewer}"))
        .body(Body::empty())
        .expect("a good request");
    let peer = PeerAddr(([192, 0, 2, 1], 50_000).into());
    request.extensions_mut().insert(peer);
    let response = console.router.clone().oneshot(request).await;
    let mut body = response.expect("infallible").into_body().into_data_stream();
    let mut pieces = 0;
    let cut = loop {
        match body.next().await {
            Some(Ok(_)) => pieces += 1,
            end => break end,
        }
        if pieces == 2 {
            console.end_session(&viewer).await;
        }
    };
    assert!(matches!(cut, Some(Err(_))), "it has a proper end");
    assert!(pieces < pages, "{pieces}");
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
    let rows: Vec<Value> = file
        .text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let list = console.get("/admin/api/logs").await;
    assert_eq!(Value::from(rows), list.body["items"]);
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

    async fn by_ids(&self, _: Vec<RangeInclusive<i64>>, _: u32) -> Result<Vec<StoredIntercept>, StoreError> {
        unreachable!("an export asks page by page")
    }

    async fn buckets(&self, _: Timestamp, _: i64) -> Result<Vec<InterceptBucket>, StoreError> {
        unreachable!("an export counts nothing")
    }
}

fn export_of(store: &Arc<Many>, format: LogFormat, rows_left: u64) -> Export {
    Export {
        store: store.clone(),
        format,
        filter: InterceptFilter::default(),
        rows_left,
        next: Next::Page,
        _place: Arc::new(Semaphore::new(1)).try_acquire_owned().expect("a place"),
    }
}

const CSV: LogFormat = LogFormat::Csv { has_mark: false };

fn many(rows: i64) -> Arc<Many> {
    Arc::new(Many {
        rows,
        asked: AtomicU64::new(0),
    })
}

/// Of this process, in kB, as the kernel counts it.
fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.expect("it is there").trim().trim_end_matches(" kB");
    number.parse().expect("a number")
}

#[tokio::test]
async fn however_many_rows_are_held_a_page_at_a_time() {
    /// What other tests of this process may take meanwhile; a million rows are several times as much.
    const GROWTH_KB_MAX: u64 = 64 * 1024;
    // A million of them take most of a minute without optimisation: EXPORT_ROWS=1000000.
    let rows = std::env::var("EXPORT_ROWS").map_or(100_000, |rows| rows.parse().expect("a number"));
    let store = many(rows);
    let rows = rows.unsigned_abs();
    let before_kb = resident_kb();
    let begun = std::time::Instant::now();
    let mut pieces = std::pin::pin!(
        export_of(&store, CSV, EXPORT_ROWS_MAX)
            .into_stream()
            .await
            .expect("it works")
    );
    let (mut lines, mut taken, mut largest, mut bytes) = (0, 0, 0, 0);
    while let Some(piece) = pieces.next().await {
        let piece = piece.expect("it works");
        taken += 1;
        largest = largest.max(piece.len());
        bytes += piece.len();
        lines += std::str::from_utf8(&piece).expect("text").lines().count();
        // The head and the first page come together; after that nothing is read before it is wanted.
        assert!(
            store.asked.load(Ordering::SeqCst) <= taken,
            "pages are read ahead"
        );
    }
    let grown_kb = resident_kb().saturating_sub(before_kb);
    println!(
        "{rows} rows, {bytes} bytes: {:?}, {grown_kb} kB more",
        begun.elapsed()
    );
    assert_eq!(lines as u64, 1 + rows);
    assert_eq!(
        store.asked.load(Ordering::SeqCst),
        rows / u64::from(EXPORT_PAGE_ROWS) + 1
    );
    assert!(
        largest < 512 * EXPORT_PAGE_ROWS as usize,
        "{largest} bytes at once"
    );
    assert!(grown_kb < GROWTH_KB_MAX, "{grown_kb} kB more");
}

async fn text_of(rows: i64, format: LogFormat, rows_left: u64) -> String {
    let pieces: Vec<_> = export_of(&many(rows), format, rows_left)
        .into_stream()
        .await
        .expect("it works")
        .collect()
        .await;
    let bytes = pieces.into_iter().flat_map(|piece| piece.expect("it works"));
    String::from_utf8(bytes.collect()).expect("text")
}

#[tokio::test]
async fn an_export_that_stops_at_export_rows_max_says_where_to_go_on() {
    let page = u64::from(EXPORT_PAGE_ROWS);
    for (rows, rows_left, exported, go_on) in [
        (510, 3, 3, Some(508)),
        (510, page, 500, Some(11)),
        (510, page + 1, 501, Some(10)),
        (510, 510, 510, None),
        (510, EXPORT_ROWS_MAX, 510, None),
        (500, 500, 500, None),
        (0, EXPORT_ROWS_MAX, 0, None),
    ] {
        let text = text_of(rows, LogFormat::JsonLines, rows_left).await;
        let mut lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        if let Some(go_on) = go_on {
            assert_eq!(lines.pop(), Some(serde_json::json!({ "next_before": go_on })));
        }
        assert_eq!(lines.len(), exported, "{rows} {rows_left}");
        assert!(lines.iter().all(|line| line["id"].is_i64()));

        let text = text_of(rows, CSV, rows_left).await;
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let mut records: Vec<_> = reader
            .records()
            .map(|row| row.expect("as long as the head"))
            .collect();
        if let Some(go_on) = go_on {
            let last = records.pop().expect("a last line");
            assert_eq!((&last[0], &last[1]), ("next_before", go_on.to_string().as_str()));
            assert!(last.iter().skip(2).all(str::is_empty));
        }
        assert_eq!(records.len(), exported, "{rows} {rows_left}");
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

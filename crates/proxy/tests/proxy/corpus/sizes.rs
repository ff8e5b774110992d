//! Heads at their bounds and beyond.

use super::{Case, Seen, get, run, run_with, seen_get};
use crate::support::Options;

/// The engine's bound by default.
const HEAD_BYTES: usize = 32 * 1024;
/// The same for lines.
const LINES: usize = 100;

fn of_size(size: usize) -> (String, String) {
    let value = "v".repeat(size - get("a: \r\n").len());
    (get(&format!("a: {value}\r\n")), format!("a: {value}"))
}

#[tokio::test]
async fn heads_have_their_bounds() {
    let (largest, line) = of_size(HEAD_BYTES);
    let (larger, _) = of_size(HEAD_BYTES + 1);
    let lines = |count: usize| get(&"a: b\r\n".repeat(count - 1));
    let target = |length: usize| format!("/v1/{}", "t".repeat(length - 4));
    let asking = |length: usize| format!("GET {} HTTP/1.1\r\nhost: x\r\n\r\n", target(length));
    let seen_target = |length: usize| Seen::new(&format!("GET {}", target(length)), &["host: x"]);
    let name = "n".repeat(8_000);
    run(vec![
        Case::passes("a head of 32 KiB", largest, seen_get(&[&line])),
        Case::refused("a head of one byte more", larger, 431),
        Case::refused("a head of 60,000 bytes", of_size(60_000).0, 431),
        Case::refused(
            "a line without an end",
            get("")[..30].to_owned() + &"x".repeat(HEAD_BYTES),
            431,
        ),
        Case::passes("100 lines", lines(LINES), seen_get(&["a: b"; LINES - 1])),
        Case::refused("101 lines", lines(LINES + 1), 431),
        Case::refused("300 lines", lines(300), 431),
        Case::refused("4,000 lines", get(&"a:\r\n".repeat(4_000)), 431),
        Case::passes("a target of 8,000 bytes", asking(8_000), seen_target(8_000)),
        Case::passes("a target of 32,000 bytes", asking(32_000), seen_target(32_000)),
        Case::refused("a target of 33,000 bytes", asking(33_000), 431),
        Case::passes(
            "a query of 16,000 bytes",
            format!(
                "GET /v1/models?{} HTTP/1.1\r\nhost: x\r\n\r\n",
                "q".repeat(16_000)
            ),
            Seen::new(&format!("GET /v1/models?{}", "q".repeat(16_000)), &["host: x"]),
        ),
        Case::passes(
            "a name of 8,000 bytes",
            get(&format!("{name}: 1\r\n")),
            seen_get(&[&format!("{name}: 1")]),
        ),
        Case::refused("a method without an end", "M".repeat(HEAD_BYTES + 1), 431),
    ])
    .await;
}

#[tokio::test]
async fn bounds_that_an_operator_sets_hold() {
    let small = |options: &mut Options| {
        options.bounds.header_bytes_max = 200;
        options.bounds.headers_max = 3;
    };
    let (largest, line) = of_size(200);
    let cases = vec![
        Case::passes("a head of 200 bytes", largest, seen_get(&[&line])),
        Case::refused("a head of 201 bytes", of_size(201).0, 431),
        Case::passes(
            "three lines",
            get("a: 1\r\nb: 2\r\n"),
            seen_get(&["a: 1", "b: 2"]),
        ),
        Case::refused("four lines", get("a: 1\r\nb: 2\r\nc: 3\r\n"), 431),
    ];
    run_with(cases, small).await;
}

//! Where a request's body ends: lengths, codings, and both at once.

use super::{Case, Seen, post, run, seen_post};

/// Header lines that leave a choice. Each stands in front of a body that is a whole request to whoever chooses wrongly.
const AMBIGUOUS: &[(&str, &str)] = &[
    (
        "a length, then a coding",
        "content-length: 5\r\ntransfer-encoding: chunked\r\n",
    ),
    (
        "a coding, then a length",
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
    ),
    (
        "a coding between two lengths",
        "content-length: 5\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n",
    ),
    (
        "a length of nothing beside a coding",
        "content-length: 0\r\ntransfer-encoding: chunked\r\n",
    ),
    (
        "a length beside an unknown coding",
        "content-length: 5\r\ntransfer-encoding: xchunked\r\n",
    ),
    (
        "a length beside an empty coding",
        "content-length: 5\r\ntransfer-encoding:\r\n",
    ),
    ("two lengths", "content-length: 5\r\ncontent-length: 6\r\n"),
    (
        "two lengths, the longer one first",
        "content-length: 6\r\ncontent-length: 5\r\n",
    ),
    (
        "two lengths apart",
        "content-length: 5\r\naccept: */*\r\nContent-Length: 0\r\n",
    ),
    (
        "the same length in two spellings is refused with the third",
        "content-length: 5\r\ncontent-length: 05\r\ncontent-length: 6\r\n",
    ),
    (
        "a list of one length, twice: a list is no number here",
        "content-length: 5, 5\r\n",
    ),
    ("a list of different lengths", "content-length: 5, 6\r\n"),
    ("a list with an empty element", "content-length: 5,\r\n"),
    ("a length with a plus", "content-length: +5\r\n"),
    ("a length with a minus", "content-length: -5\r\n"),
    ("minus nothing", "content-length: -0\r\n"),
    ("a length in hexadecimal", "content-length: 0x5\r\n"),
    ("a length in hexadecimal digits", "content-length: a\r\n"),
    ("a length with a fraction", "content-length: 5.0\r\n"),
    ("a length with an exponent", "content-length: 5e0\r\n"),
    ("a length with an underscore", "content-length: 1_0\r\n"),
    ("a length with a space within", "content-length: 1 0\r\n"),
    ("a length with a tab within", "content-length: 1\t0\r\n"),
    ("a length with a parameter", "content-length: 5;a=b\r\n"),
    ("a length in quotes", "content-length: \"5\"\r\n"),
    ("an empty length", "content-length:\r\n"),
    ("a length of spaces", "content-length:   \r\n"),
    (
        "a length of one more than 64 bits",
        "content-length: 18446744073709551616\r\n",
    ),
    (
        "a length that wraps around to five",
        "content-length: 18446744073709551621\r\n",
    ),
    (
        "a length of many digits",
        "content-length: 99999999999999999999999999999999999999\r\n",
    ),
    ("a length with a vertical tab", "content-length: \u{b}5\r\n"),
    ("a length with a form feed", "content-length: 5\u{c}\r\n"),
    ("a length with NUL", "content-length: 5\0\r\n"),
    (
        "a length in other digits (obs-text)",
        "content-length: \u{b2}\r\n",
    ),
    ("a length on a folded line", "content-length:\r\n 5\r\n"),
    ("a space before a length's colon", "content-length : 5\r\n"),
    ("a tab before a length's colon", "content-length\t: 5\r\n"),
    (
        "a space before a coding's colon",
        "transfer-encoding : chunked\r\n",
    ),
    ("xchunked", "transfer-encoding: xchunked\r\n"),
    ("chunkedx", "transfer-encoding: chunkedx\r\n"),
    ("chunk", "transfer-encoding: chunk\r\n"),
    (
        "chunked twice in one line",
        "transfer-encoding: chunked, chunked\r\n",
    ),
    (
        "chunked twice in two lines",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
    ),
    ("chunked, then gzip", "transfer-encoding: chunked, gzip\r\n"),
    (
        "gzip, then chunked: nobody takes it apart here",
        "transfer-encoding: gzip, chunked\r\n",
    ),
    (
        "gzip and chunked in two lines",
        "transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n",
    ),
    (
        "chunked and identity in two lines",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
    ),
    ("identity", "transfer-encoding: identity\r\n"),
    ("an empty coding", "transfer-encoding:\r\n"),
    ("a comma before chunked", "transfer-encoding: , chunked\r\n"),
    ("a comma behind chunked", "transfer-encoding: chunked,\r\n"),
    ("chunked with a parameter", "transfer-encoding: chunked;a=b\r\n"),
    ("chunked in quotes", "transfer-encoding: \"chunked\"\r\n"),
    (
        "chunked behind a vertical tab",
        "transfer-encoding: \u{b}chunked\r\n",
    ),
    (
        "chunked before a vertical tab",
        "transfer-encoding: chunked\u{b}\r\n",
    ),
    (
        "chunked before a form feed",
        "transfer-encoding: chunked\u{c}\r\n",
    ),
    ("chunked with obs-text", "transfer-encoding: chunked\u{ff}\r\n"),
    (
        "chunked behind a non-breaking space",
        "transfer-encoding: \u{a0}chunked\r\n",
    ),
    ("chunked with NUL", "transfer-encoding: chunked\0\r\n"),
    (
        "chunked behind a bare CR",
        "transfer-encoding: x\rtransfer-encoding: chunked\r\n",
    ),
    ("chunked behind a bare LF", "x: y\ntransfer-encoding: chunked\r\n"),
    ("chunked on a folded line", "transfer-encoding:\r\n chunked\r\n"),
    (
        "chunked folded behind another line",
        "x: y\r\n transfer-encoding: chunked\r\n",
    ),
];

/// CVE-2021-32715, RUSTSEC-2021-0078, RUSTSEC-2021-0020, CVE-2026-2835, CVE-2026-2836: a request whose end can be read in two ways must not
/// go on, and nothing behind it must be served.
#[tokio::test]
async fn what_leaves_a_choice_is_refused() {
    let case = |(name, lines): &(&str, &str)| Case::refused(name, post(lines, "0\r\n\r\n"), 400);
    run(AMBIGUOUS.iter().map(case).collect()).await;
}

/// CVE-2026-2835: a transfer coding on HTTP/1.0 must not be believed.
#[tokio::test]
async fn a_coding_is_nothing_that_http_1_0_knows() {
    let old = |lines: &str| format!("POST /v1/x HTTP/1.0\r\nhost: x\r\n{lines}\r\n0\r\n\r\n");
    run(vec![
        Case::refused("a coding on HTTP/1.0", old("transfer-encoding: chunked\r\n"), 400),
        Case::refused(
            "a coding on HTTP/1.0 that stays",
            old("transfer-encoding: chunked\r\nconnection: keep-alive\r\n"),
            400,
        ),
        Case::refused(
            "a coding and a length on HTTP/1.0",
            old("transfer-encoding: chunked\r\ncontent-length: 5\r\n"),
            400,
        ),
    ])
    .await;
}

#[tokio::test]
async fn what_can_be_read_in_one_way_passes() {
    let chunked = |coding: &str| post(coding, "5\r\nhello\r\n0\r\n\r\n");
    let seen_chunked = || seen_post(&["transfer-encoding: chunked"], "hello");
    run(vec![
        Case::passes("a length", post("content-length: 5\r\n", "hello"), seen_post(&["content-length: 5"], "hello")),
        Case::passes("a length of nothing", post("content-length: 0\r\n", ""), seen_post(&["content-length: 0"], "")),
        Case::passes("no length, no body", post("", ""), seen_post(&[], "")),
        Case::passes(
            "one length, repeated, becomes one line",
            post("content-length: 5\r\nContent-Length: 5\r\n", "hello"),
            seen_post(&["content-length: 5"], "hello"),
        ),
        Case::passes(
            "a length among blanks",
            post("content-length: \t 5 \t\r\n", "hello"),
            seen_post(&["content-length: 5"], "hello"),
        ),
        Case::passes("a length without a blank", post("content-length:5\r\n", "hello"), seen_post(&["content-length: 5"], "hello")),
        Case::passes("chunked", chunked("transfer-encoding: chunked\r\n"), seen_chunked()),
        Case::passes("Chunked in capitals", chunked("Transfer-Encoding: CHUNKED\r\n"), seen_chunked()),
        Case::passes("chunked among blanks", chunked("transfer-encoding:\t chunked \t\r\n"), seen_chunked()),
        Case::passes(
            "an underscore alias of a coding is no coding, and does not go on",
            post("transfer_encoding: chunked\r\ncontent-length: 5\r\n", "0\r\n\r\n"),
            seen_post(&["content-length: 5"], "0\r\n\r\n"),
        ),
        Case::passes(
            "a dot alias of a length is no length, and does not go on",
            post("content.length: 9\r\ncontent-length: 5\r\n", "hello"),
            seen_post(&["content-length: 5"], "hello"),
        ),
        Case::passes(
            "a coding is accepted for nobody: TE ends here",
            post("te: trailers, chunked\r\ncontent-length: 2\r\n", "{}"),
            seen_post(&["content-length: 2"], "{}"),
        ),
        Case::passes(
            "a GET may have a body",
            "GET /v1/models HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello",
            Seen::new("GET /v1/models", &["host: x", "content-length: 5"]).body("hello"),
        ),
        Case::passes(
            "a DELETE may have a chunked body",
            "DELETE /v1/files/1 HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            Seen::new("DELETE /v1/files/1", &["host: x", "transfer-encoding: chunked"]).body("{}"),
        ),
        Case::passes(
            "a HEAD may have a body",
            "HEAD /v1/models HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello",
            Seen::new("HEAD /v1/models", &["host: x", "content-length: 5"]).body("hello"),
        ),
    ])
    .await;
}

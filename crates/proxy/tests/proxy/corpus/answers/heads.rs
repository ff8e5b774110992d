//! Heads of answers of all kinds, those to HEAD, and those to clients of HTTP/1.0.

use super::Connection::{Closes, Dropped, Kept};
use super::Gets::{Refused, Whole};
use super::{EMPTY, HELLO, Row, Then, get, run};

const OK: &str = "HTTP/1.1 200 OK";

/// Heads of all kinds.
const HEADS: &[Row] = &[
    (
        "no reason",
        "HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n",
        Kept,
        Whole(&["HTTP/1.1 200 ", "content-length: 0"], "", Then::Open),
    ),
    (
        "no reason and no space",
        "HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n",
        Kept,
        Whole(&["HTTP/1.1 200 ", "content-length: 0"], "", Then::Open),
    ),
    (
        "a long reason",
        "HTTP/1.1 200 All is well: 100 %\r\ncontent-length: 0\r\n\r\n",
        Kept,
        Whole(
            &["HTTP/1.1 200 All is well: 100 %", "content-length: 0"],
            "",
            Then::Open,
        ),
    ),
    (
        "a status of 99",
        "HTTP/1.1 99 Low\r\ncontent-length: 0\r\n\r\n",
        Kept,
        Refused,
    ),
    (
        "a status of 099",
        "HTTP/1.1 099 Low\r\ncontent-length: 0\r\n\r\n",
        Kept,
        Refused,
    ),
    (
        "a status of 600",
        "HTTP/1.1 600 High\r\ncontent-length: 0\r\n\r\n",
        Kept,
        Whole(&["HTTP/1.1 600 High", "content-length: 0"], "", Then::Open),
    ),
    (
        "a status of 999",
        "HTTP/1.1 999 Highest\r\ncontent-length: 0\r\n\r\n",
        Kept,
        Whole(&["HTTP/1.1 999 Highest", "content-length: 0"], "", Then::Open),
    ),
    (
        "a status of 1000",
        "HTTP/1.1 1000 Too high\r\ncontent-length: 0\r\n\r\n",
        Kept,
        Refused,
    ),
    (
        "a status of words",
        "HTTP/1.1 OK OK\r\ncontent-length: 0\r\n\r\n",
        Kept,
        Refused,
    ),
    (
        "a status with a sign",
        "HTTP/1.1 +20 OK\r\ncontent-length: 0\r\n\r\n",
        Kept,
        Refused,
    ),
    (
        "another version",
        "HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n",
        Kept,
        Refused,
    ),
    ("an answer of HTTP/0.9", "hello\r\n\r\n", Kept, Refused),
    ("another protocol", "ICY 200 OK\r\n\r\n", Kept, Refused),
    (
        "a folded line",
        "HTTP/1.1 200 OK\r\na: b\r\n c\r\ncontent-length: 0\r\n\r\n",
        Kept,
        Refused,
    ),
    (
        "a line without a colon",
        "HTTP/1.1 200 OK\r\nabc\r\ncontent-length: 0\r\n\r\n",
        Kept,
        Refused,
    ),
    (
        "an empty name",
        "HTTP/1.1 200 OK\r\n: b\r\ncontent-length: 0\r\n\r\n",
        Kept,
        Refused,
    ),
    (
        "a space before a colon",
        "HTTP/1.1 200 OK\r\ncontent-length : 5\r\n\r\nhello",
        Kept,
        Refused,
    ),
    (
        "NUL in a value",
        "HTTP/1.1 200 OK\r\na: b\0c\r\ncontent-length: 0\r\n\r\n",
        Kept,
        Refused,
    ),
    (
        "a bare CR in a value",
        "HTTP/1.1 200 OK\r\na: b\rset-cookie: c\r\ncontent-length: 0\r\n\r\n",
        Kept,
        Refused,
    ),
    (
        "a bare CR in the reason",
        "HTTP/1.1 200 O\rK\r\ncontent-length: 0\r\n\r\n",
        Kept,
        Refused,
    ),
    (
        "obs-text in a value",
        "HTTP/1.1 200 OK\r\na: na\u{ef}ve\r\ncontent-length: 0\r\n\r\n",
        Kept,
        Whole(&[OK, "a: na\u{ef}ve", "content-length: 0"], "", Then::Open),
    ),
    (
        "lines of one hop",
        "HTTP/1.1 200 OK\r\nkeep-alive: timeout=5\r\nconnection: keep-alive, x-once\r\nx-once: 1\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n",
        Kept,
        EMPTY,
    ),
    (
        "Connection naming the length",
        "HTTP/1.1 200 OK\r\nconnection: content-length\r\ncontent-length: 5\r\n\r\nhello",
        Kept,
        HELLO,
    ),
    (
        "a switch that nobody asked for",
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
        Kept,
        Refused,
    ),
    (
        "a switch to h2c that nobody asked for",
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
        Kept,
        Refused,
    ),
    (
        "a 100 before the answer",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        Kept,
        EMPTY,
    ),
    (
        "early hints before the answer",
        "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        Kept,
        EMPTY,
    ),
    (
        "an unknown interim answer",
        "HTTP/1.1 199 What\r\ncontent-length: 5\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        Kept,
        EMPTY,
    ),
    (
        "a 100 with chunks: it has no body, whatever it says",
        "HTTP/1.1 100 Continue\r\ntransfer-encoding: chunked\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        Kept,
        EMPTY,
    ),
];

#[tokio::test]
async fn heads_of_answers_are_judged() {
    run(HEADS, &get("")).await;
}

#[tokio::test]
async fn answers_to_head_have_no_body() {
    const ROWS: &[Row] = &[
        (
            "a length",
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
            Kept,
            Whole(&[OK, "content-length: 5"], "", Then::Open),
        ),
        (
            "a body",
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
            Dropped,
            Whole(&[OK, "content-length: 5"], "", Then::Open),
        ),
        (
            "chunks",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            Kept,
            Whole(&[OK], "", Then::Open),
        ),
        (
            "no length",
            "HTTP/1.1 200 OK\r\n\r\n",
            Kept,
            Whole(&[OK], "", Then::Open),
        ),
        (
            "two lengths",
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
            Kept,
            Refused,
        ),
        (
            "no number for a length",
            "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
            Kept,
            Refused,
        ),
    ];
    run(ROWS, "HEAD /v1/models HTTP/1.1\r\nhost: x\r\n\r\n").await;
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_no_chunks() {
    const ROWS: &[Row] = &[
        (
            "chunks",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            Kept,
            Whole(&[OK, "connection: close"], "hello", Then::Closed),
        ),
        (
            "no length",
            "HTTP/1.1 200 OK\r\n\r\nhello",
            Closes,
            Whole(&[OK, "connection: close"], "hello", Then::Closed),
        ),
        (
            "a length",
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
            Kept,
            Whole(
                &[OK, "content-length: 5", "connection: keep-alive"],
                "hello",
                Then::Open,
            ),
        ),
    ];
    run(
        ROWS,
        "GET /v1/models HTTP/1.0\r\nhost: x\r\nconnection: keep-alive\r\n\r\n",
    )
    .await;
}

//! Upstreams that end in every place of an answer where none should be.

use super::Connection::Closes;
use super::Gets::{Broken, Refused};
use super::{Row, get, run};

/// Ends where none should be.
const CUT: &[Row] = &[
    ("nothing", "", Closes, Refused),
    ("within the version", "HTTP/1.", Closes, Refused),
    ("behind the status", "HTTP/1.1 200", Closes, Refused),
    ("behind the status line", "HTTP/1.1 200 OK\r\n", Closes, Refused),
    ("within a line", "HTTP/1.1 200 OK\r\ncontent-le", Closes, Refused),
    (
        "behind a line",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n",
        Closes,
        Refused,
    ),
    ("behind a 100", "HTTP/1.1 100 Continue\r\n\r\n", Closes, Refused),
    (
        "behind a head with a length",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
        Closes,
        Broken(""),
    ),
    (
        "within a body",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel",
        Closes,
        Broken("hel"),
    ),
    (
        "behind a head with chunks",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        Closes,
        Broken(""),
    ),
    (
        "within a size",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5",
        Closes,
        Broken(""),
    ),
    (
        "within a chunk",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel",
        Closes,
        Broken("hel"),
    ),
    (
        "behind a chunk",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        Closes,
        Broken("hello"),
    ),
    (
        "behind the last size",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        Closes,
        Broken("hello"),
    ),
    (
        "within the trailers",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\na: b\r\n",
        Closes,
        Broken("hello"),
    ),
];

#[tokio::test]
async fn an_answer_that_is_cut_is_never_whole_to_the_client() {
    run(CUT, &get("")).await;
}

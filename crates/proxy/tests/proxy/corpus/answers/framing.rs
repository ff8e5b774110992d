//! Where an answer ends.

use super::Connection::{Closes, Dropped, Kept};
use super::Gets::{Broken, Refused, Whole};
use super::{EMPTY, HELLO, HELLO_IN_CHUNKS, Row, Then, get, run};

const OK: &str = "HTTP/1.1 200 OK";
const TE: &str = "transfer-encoding: chunked";

/// How an answer's end is told.
const FRAMING: &[Row] = &[
    (
        "a length",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        Kept,
        HELLO,
    ),
    (
        "a length of nothing",
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        Kept,
        EMPTY,
    ),
    (
        "chunks",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        Kept,
        HELLO_IN_CHUNKS,
    ),
    (
        "chunks with extensions and trailers",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nset-cookie: a\r\n\r\n",
        Kept,
        HELLO_IN_CHUNKS,
    ),
    (
        "no length: until the end",
        "HTTP/1.1 200 OK\r\n\r\nhello",
        Closes,
        HELLO_IN_CHUNKS,
    ),
    (
        "nothing until the end",
        "HTTP/1.1 200 OK\r\n\r\n",
        Closes,
        Whole(&[OK, TE], "", Then::Open),
    ),
    (
        "one length, twice",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nContent-Length: 5\r\n\r\nhello",
        Kept,
        HELLO,
    ),
    (
        "two lengths",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        Kept,
        Refused,
    ),
    (
        "a list of lengths",
        "HTTP/1.1 200 OK\r\ncontent-length: 5, 5\r\n\r\nhello",
        Kept,
        Refused,
    ),
    (
        "a length with a plus",
        "HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\nhello",
        Kept,
        Refused,
    ),
    (
        "a length that wraps around",
        "HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551621\r\n\r\nhello",
        Kept,
        Refused,
    ),
    (
        "an empty length",
        "HTTP/1.1 200 OK\r\ncontent-length:\r\n\r\nhello",
        Kept,
        Refused,
    ),
    // RFC 9112, 6.3: an attempt at smuggling, perhaps. Its body ends where the chunks end, and its connection is not trusted again.
    (
        "a length beside chunks",
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        Dropped,
        HELLO_IN_CHUNKS,
    ),
    (
        "chunks beside a length",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 99\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        Dropped,
        HELLO_IN_CHUNKS,
    ),
    (
        "an unknown coding",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: xchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        Kept,
        Refused,
    ),
    (
        "gzip, chunked",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        Kept,
        Refused,
    ),
    (
        "chunked twice",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        Kept,
        Refused,
    ),
    // RFC 9112, 6.1: a coding on HTTP/1.0 is faulty framing; the connection cannot be used again.
    (
        "chunks on HTTP/1.0",
        "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        Dropped,
        Refused,
    ),
    (
        "a length on HTTP/1.0",
        "HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        Dropped,
        HELLO,
    ),
    (
        "a length on HTTP/1.0 that stays",
        "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 5\r\n\r\nhello",
        Kept,
        HELLO,
    ),
    (
        "no length on HTTP/1.0",
        "HTTP/1.0 200 OK\r\n\r\nhello",
        Closes,
        HELLO_IN_CHUNKS,
    ),
    (
        "no length and a wish to stay",
        "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\n\r\nhello",
        Closes,
        HELLO_IN_CHUNKS,
    ),
    (
        "an upstream that closes",
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello",
        Dropped,
        HELLO,
    ),
    (
        "bytes behind a body",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhelloHTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n",
        Dropped,
        HELLO,
    ),
    (
        "bytes behind chunks",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n",
        Dropped,
        Whole(&[OK, TE], "", Then::Open),
    ),
    (
        "a line end behind a body",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello\r\n",
        Dropped,
        HELLO,
    ),
    (
        "two answers to one request",
        "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        Dropped,
        Whole(&["HTTP/1.1 204 No Content"], "", Then::Open),
    ),
    (
        "a 204 with a body",
        "HTTP/1.1 204 No Content\r\n\r\nhello",
        Dropped,
        Whole(&["HTTP/1.1 204 No Content"], "", Then::Open),
    ),
    // RFC 9110, 8.6: a 204 has no length, and a client that believes one waits for ever.
    (
        "a 204 with a length and a body",
        "HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\nhello",
        Dropped,
        Whole(&["HTTP/1.1 204 No Content"], "", Then::Open),
    ),
    (
        "a 204 with chunks",
        "HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        Dropped,
        Whole(&["HTTP/1.1 204 No Content"], "", Then::Open),
    ),
    (
        "a 304 with a length",
        "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n",
        Kept,
        Whole(
            &["HTTP/1.1 304 Not Modified", "content-length: 5"],
            "",
            Then::Open,
        ),
    ),
    (
        "a 304 with a body",
        "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\nhello",
        Dropped,
        Whole(
            &["HTTP/1.1 304 Not Modified", "content-length: 5"],
            "",
            Then::Open,
        ),
    ),
    (
        "chunks with a bad size",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nz\r\n",
        Dropped,
        Broken("hello"),
    ),
    (
        "chunks with a bare LF",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n",
        Dropped,
        Broken("hello"),
    ),
    (
        "chunks with a size that wraps around",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n10000000000000000\r\n",
        Dropped,
        Broken("hello"),
    ),
];

/// hyper#4181: an answer must not leave with a length beside a transfer coding.
#[tokio::test]
async fn an_answer_leaves_with_one_framing() {
    run(FRAMING, &get("")).await;
}

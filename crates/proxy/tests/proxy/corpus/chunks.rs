//! Chunked bodies: sizes, line ends, extensions and trailers.

use super::{Case, Then, post, run, seen_post};

const CHUNKED: &str = "transfer-encoding: chunked\r\n";
const SEEN: [&str; 1] = ["transfer-encoding: chunked"];

/// Bodies that are malformed before any byte of them could pass. The head has not gone out either.
const MALFORMED: &[(&str, &str)] = &[
    ("a size that is no number", "z\r\nhello\r\n0\r\n\r\n"),
    ("a size with something behind it", "5z\r\nhello\r\n0\r\n\r\n"),
    ("no size", "\r\nhello\r\n0\r\n\r\n"),
    ("a size with a plus", "+5\r\nhello\r\n0\r\n\r\n"),
    ("a size with a minus", "-5\r\nhello\r\n0\r\n\r\n"),
    ("a size with 0x", "0x5\r\nhello\r\n0\r\n\r\n"),
    ("a size with an underscore", "0_5\r\nhello\r\n0\r\n\r\n"),
    ("a size behind a space", " 5\r\nhello\r\n0\r\n\r\n"),
    ("a size behind a tab", "\t5\r\nhello\r\n0\r\n\r\n"),
    (
        "a size before a space: llhttp and others read on",
        "5 \r\nhello\r\n0\r\n\r\n",
    ),
    ("a size before a tab", "5\t\r\nhello\r\n0\r\n\r\n"),
    (
        "a size before a space and an extension (BWS)",
        "5 ;a\r\nhello\r\n0\r\n\r\n",
    ),
    ("a size of 17 digits", "00000000000000005\r\nhello\r\n0\r\n\r\n"),
    (
        "a size that wraps around to five",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
    ),
    ("a size line that ends in LF", "5\nhello\r\n0\r\n\r\n"),
    ("a size line that ends in CR", "5\rhello\r\n0\r\n\r\n"),
    ("a size line that ends in CR CR LF", "5\r\r\nhello\r\n0\r\n\r\n"),
    ("an extension that ends in LF", "5;a\nhello\r\n0\r\n\r\n"),
    ("an extension with a bare CR", "5;a\rb\r\nhello\r\n0\r\n\r\n"),
    ("an extension with NUL", "5;a\0\r\nhello\r\n0\r\n\r\n"),
    (
        "an extension with a line feed in quotes",
        "5;a=\"\n\"\r\nhello\r\n0\r\n\r\n",
    ),
    (
        "a size in other digits (obs-text)",
        "\u{b2}\r\nhello\r\n0\r\n\r\n",
    ),
    ("a size of NUL", "\0\r\nhello\r\n0\r\n\r\n"),
    ("data longer than its size", "4\r\nhello\r\n0\r\n\r\n"),
    ("data shorter than its size", "6\r\nhello\r\n0\r\n\r\n"),
    ("no CRLF behind the data", "5\r\nhello0\r\n\r\n"),
    ("a bare LF behind the data", "5\r\nhello\n0\r\n\r\n"),
    ("a bare CR behind the data", "5\r\nhello\r0\r\n\r\n"),
    ("two line ends behind the data", "5\r\nhello\r\n\r\n0\r\n\r\n"),
    ("a last chunk that ends in LF", "5\r\nhello\r\n0\n\r\n"),
    ("a last line end of LF", "5\r\nhello\r\n0\r\n\n"),
    ("a trailer that ends in LF", "5\r\nhello\r\n0\r\na: b\n\r\n"),
    ("a trailer with a bare CR", "5\r\nhello\r\n0\r\na: b\rc\r\n\r\n"),
    ("a trailer with NUL", "5\r\nhello\r\n0\r\na: \0\r\n\r\n"),
    ("a minus in the last size", "5\r\nhello\r\n-0\r\n\r\n"),
];

#[tokio::test]
async fn malformed_chunks_are_refused_and_never_begun() {
    let case = |(name, body): &(&str, &str)| {
        // Byte by byte, its beginning passes before the fault is there.
        Case::refused(name, post(CHUNKED, body), 400).at_once()
    };
    run(MALFORMED.iter().map(case).collect()).await;
}

#[tokio::test]
async fn extensions_and_trailers_end_here() {
    let long = "e".repeat(16_000);
    let passes = |name: &str, body: &str| Case::passes(name, post(CHUNKED, body), seen_post(&SEEN, "hello"));
    let beyond = "e".repeat(17_000);
    run(vec![
        passes("a size in capitals and small letters", "5\r\nhello\r\n0\r\n\r\n"),
        passes("leading zeros", "0005\r\nhello\r\n000\r\n\r\n"),
        passes("several chunks", "1\r\nh\r\n4\r\nello\r\n0\r\n\r\n"),
        passes("an extension", "5;a=b\r\nhello\r\n0;c\r\n\r\n"),
        passes("an extension with quotes", "5;a=\"b;c\"\r\nhello\r\n0\r\n\r\n"),
        passes(
            "an extension with quotes that stay open",
            "5;a=\"b\r\nhello\r\n0\r\n\r\n",
        ),
        passes(
            "an extension that looks like a chunk",
            "5;\\0\r\nhello\r\n0\r\n\r\n",
        ),
        passes("an extension with obs-text", "5;\u{e9}\r\nhello\r\n0\r\n\r\n"),
        passes("a long extension", &format!("5;{long}\r\nhello\r\n0\r\n\r\n")),
        passes("a trailer", "5\r\nhello\r\n0\r\nx-checksum: 1\r\n\r\n"),
        passes(
            "a credential in a trailer",
            "5\r\nhello\r\n0\r\nauthorization: Bearer sk-BBBB\r\n\r\n",
        ),
        passes(
            "framing in a trailer",
            "5\r\nhello\r\n0\r\ncontent-length: 99\r\ntransfer-encoding: chunked\r\n\r\n",
        ),
        passes(
            "an address in a trailer",
            "5\r\nhello\r\n0\r\nx-real-ip: 6.6.6.6\r\nhost: y\r\n\r\n",
        ),
        passes(
            "a request as a trailer",
            "5\r\nhello\r\n0\r\nGET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n",
        ),
        passes("a folded trailer", "5\r\nhello\r\n0\r\na: b\r\n c\r\n\r\n"),
        passes("a trailer without a colon", "5\r\nhello\r\n0\r\nabc\r\n\r\n"),
        passes("a long trailer", &format!("5\r\nhello\r\n0\r\na: {long}\r\n\r\n")),
        Case::refused(
            "too long an extension",
            post(CHUNKED, &format!("5;{beyond}\r\nhello\r\n0\r\n\r\n")),
            400,
        ),
        Case::refused(
            "too long a trailer",
            post(CHUNKED, &format!("5\r\nhello\r\n0\r\na: {beyond}\r\n\r\n")),
            400,
        ),
        Case::refused(
            "extensions without end, in small chunks",
            post(
                CHUNKED,
                &("1;eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee\r\nx\r\n".repeat(600) + "0\r\n\r\n"),
            ),
            400,
        ),
        Case::passes("an empty body", post(CHUNKED, "0\r\n\r\n"), seen_post(&SEEN, "")),
        Case::passes(
            "a body that looks like requests",
            post(
                CHUNKED,
                "27\r\nGET /smuggled HTTP/1.1\r\nhost: inner\r\n\r\n\r\n0\r\n\r\n",
            ),
            seen_post(&SEEN, "GET /smuggled HTTP/1.1\r\nhost: inner\r\n\r\n"),
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_size_without_end_is_only_waited_for() {
    run(vec![Case::new(
        "a size of all 64 bits",
        post(CHUNKED, "ffffffffffffffff\r\nhello"),
        &[],
        Then::Waits,
        &[seen_post(&SEEN, "hello").cut()],
    )])
    .await;
}

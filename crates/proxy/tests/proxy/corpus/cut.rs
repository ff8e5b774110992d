//! Clients that leave, in every place in which a request can be cut.

use super::{Case, Then, get, post, run, seen_post};

const CHUNKED: &str = "transfer-encoding: chunked\r\n";

/// Where a request is cut, and how much of its body has passed; none: the upstream has seen nothing.
fn cuts() -> Vec<(&'static str, String, Option<&'static str>)> {
    let length = || post("content-length: 10\r\n", "");
    let chunked = |body: &str| post(CHUNKED, body);
    vec![
        ("before a byte", String::new(), None),
        ("within an empty line", "\r".to_owned(), None),
        ("behind an empty line", "\r\n".to_owned(), None),
        ("within the method", "PO".to_owned(), None),
        ("behind the method", "POST ".to_owned(), None),
        ("within the target", "POST /v1/ch".to_owned(), None),
        ("within the version", "POST /v1/chat HTTP/1".to_owned(), None),
        (
            "between CR and LF of the request line",
            "POST /v1/chat HTTP/1.1\r".to_owned(),
            None,
        ),
        (
            "behind the request line",
            "POST /v1/chat HTTP/1.1\r\n".to_owned(),
            None,
        ),
        ("within a name", "POST /v1/chat HTTP/1.1\r\nho".to_owned(), None),
        (
            "behind a colon",
            "POST /v1/chat HTTP/1.1\r\nhost:".to_owned(),
            None,
        ),
        (
            "within a value",
            "POST /v1/chat HTTP/1.1\r\nhost: x".to_owned(),
            None,
        ),
        (
            "behind the last line",
            "POST /v1/chat HTTP/1.1\r\nhost: x\r\n".to_owned(),
            None,
        ),
        (
            "before the last byte of a head",
            get("").trim_end_matches('\n').to_owned(),
            None,
        ),
        ("behind a head that announces a body", length(), Some("")),
        ("within a body", length() + "12345", Some("12345")),
        (
            "before the last byte of a body",
            length() + "123456789",
            Some("123456789"),
        ),
        ("behind a head that announces chunks", chunked(""), Some("")),
        ("within a size", chunked("1"), Some("")),
        ("behind a size", chunked("5\r\n"), Some("")),
        ("within an extension", chunked("5;exten"), Some("")),
        ("within a chunk", chunked("5\r\nhel"), Some("hel")),
        ("behind a chunk's data", chunked("5\r\nhello"), Some("hello")),
        (
            "between CR and LF of a chunk",
            chunked("5\r\nhello\r"),
            Some("hello"),
        ),
        ("behind a chunk", chunked("5\r\nhello\r\n"), Some("hello")),
        (
            "behind the last size",
            chunked("5\r\nhello\r\n0\r\n"),
            Some("hello"),
        ),
        (
            "within a trailer",
            chunked("5\r\nhello\r\n0\r\na: "),
            Some("hello"),
        ),
        (
            "behind a trailer",
            chunked("5\r\nhello\r\n0\r\na: b\r\n"),
            Some("hello"),
        ),
        (
            "before the last byte of the chunks",
            chunked("5\r\nhello\r\n0\r\n\r"),
            Some("hello"),
        ),
    ]
}

/// What was cut is never completed: the upstream sees that it is not whole.
#[tokio::test]
async fn a_request_that_is_cut_is_never_whole_to_the_upstream() {
    let case = |(name, sent, passed): (&str, String, Option<&str>)| {
        let Some(body) = passed else {
            return Case::waits(name, sent);
        };
        let line = if sent.contains("content-length") {
            "content-length: 10"
        } else {
            "transfer-encoding: chunked"
        };
        Case::new(name, sent, &[], Then::Waits, &[seen_post(&[line], body).cut()])
    };
    run(cuts().into_iter().map(case).collect()).await;
}

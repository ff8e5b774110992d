use http::Request;
use proptest::prelude::*;

use super::*;
use crate::http1::request::{HeadBounds, RequestHead};

fn parts(request: http::request::Builder) -> Parts {
    request.body(()).expect("a request").into_parts().0
}

fn text(parts: &Parts, has_body: bool) -> Result<(String, BodyLength), Malformed> {
    let (bytes, body) = request(parts, has_body)?;
    Ok((String::from_utf8(bytes).expect("ASCII"), body))
}

#[test]
fn a_request_becomes_one_head() {
    let request = Request::post("https://api.example:8443/v1/x?a=b")
        .header("cookie", "a=1")
        .header("accept", "text/plain")
        .header("accept", "text/html")
        .header("te", "trailers")
        .header("cookie", "b=2");
    let expected = "POST /v1/x?a=b HTTP/1.1\r\nhost: api.example:8443\r\naccept: text/plain\r\naccept: text/html\r\n\
        cookie: a=1; b=2\r\ntransfer-encoding: chunked\r\n\r\n";
    assert_eq!(
        text(&parts(request), true),
        Ok((expected.to_owned(), BodyLength::Chunked))
    );
}

#[test]
fn a_body_is_framed_as_it_was_said() {
    let with = |lengths: &[&str], has_body| {
        let request = lengths
            .iter()
            .fold(Request::post("http://a/"), |request, length| {
                request.header("content-length", *length)
            });
        text(&parts(request), has_body).map(|(text, body)| (text.contains("content-length: 0"), body))
    };
    assert_eq!(with(&[], true), Ok((false, BodyLength::Chunked)));
    assert_eq!(with(&["5"], true), Ok((false, BodyLength::Known(5))));
    assert_eq!(with(&[], false), Ok((true, BodyLength::Empty)));
    assert_eq!(with(&["0"], false), Ok((true, BodyLength::Empty)));
    for lengths in [&["5"][..], &["+0"], &["0", "1"], &[""], &["18446744073709551616"]] {
        assert_eq!(with(lengths, false), Err(Malformed), "{lengths:?}");
    }
    let get = parts(Request::get("http://a/"));
    assert_eq!(
        text(&get, false),
        Ok(("GET / HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), BodyLength::Empty))
    );
}

#[test]
fn one_host_is_named_in_one_way_or_alike() {
    let host = |uri: &str, lines: &[&str]| {
        let request = lines
            .iter()
            .fold(Request::get(uri), |request, line| request.header("host", *line));
        text(&parts(request), false).map(|(text, _)| text.matches("host: ").count())
    };
    assert_eq!(host("http://a/", &[]), Ok(1));
    assert_eq!(host("http://a/", &["A"]), Ok(1));
    assert_eq!(host("/", &["a"]), Ok(1));
    assert_eq!(host("/", &[]), Ok(0), "which the reader of heads refuses");
    assert_eq!(host("http://a/", &["b"]), Err(Malformed));
    assert_eq!(host("http://a/", &["a:80"]), Err(Malformed));
    assert_eq!(host("/", &["a", "a"]), Err(Malformed));
}

#[test]
fn what_speaks_of_the_connection_is_malformed() {
    for (name, value) in [
        ("connection", "x-real-ip"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("te", "gzip"),
    ] {
        let request = Request::get("http://a/").header(name, value);
        assert_eq!(text(&parts(request), false), Err(Malformed), "{name}");
    }
}

#[test]
fn what_ends_a_line_is_refused_even_where_the_types_let_it_through() {
    let mut out = Vec::new();
    for value in [&b"a\r\nb: c"[..], b"a\n", b"\ra", b"a\0b", b" a", b"a\t"] {
        assert_eq!(write_line(&mut out, "x", value), Err(Malformed), "{value:?}");
    }
    for name in ["x\r\ny", "x:y", "x\n", "x\0"] {
        assert_eq!(write_line(&mut out, name, b"a"), Err(Malformed), "{name:?}");
    }
    assert!(out.is_empty());
}

#[test]
fn an_answer_loses_what_speaks_of_the_connection() {
    let text = "HTTP/1.1 429 Slow Down\r\nX-Two: 1\r\nx-two: 2\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    let head = ResponseHead::take(&mut text.as_bytes().to_vec(), false)
        .expect("a head")
        .expect("a whole one");
    let response = response(&head).expect("an answer");
    assert_eq!(response.status().as_u16(), 429);
    assert_eq!(response.headers().len(), 2);
    assert_eq!(response.headers().get_all("x-two").iter().count(), 2);
}

proptest! {
    /// Whatever the parser of HTTP/2 could let through: it comes out as one head that says the same, or not at all.
    #[test]
    fn whatever_stands_in_a_request_it_is_one_head(
        path in proptest::collection::vec(any::<u8>(), 0..40),
        value in proptest::collection::vec(any::<u8>(), 0..40),
        has_body in any::<bool>(),
    ) {
        let path = [b"/", &path[..]].concat();
        let (Ok(path), Ok(value)) = (
            http::uri::PathAndQuery::from_maybe_shared(Bytes::from(path)),
            HeaderValue::from_bytes(&value),
        ) else {
            return Ok(());
        };
        let mut uri = http::uri::Parts::default();
        uri.path_and_query = Some(path.clone());
        let request_parts = parts(
            Request::post(http::Uri::from_parts(uri).expect("a path"))
                .header("host", "api.example")
                .header("x-value", value.clone()),
        );
        let Ok((mut bytes, body)) = request(&request_parts, has_body) else {
            return Ok(());
        };
        let length = bytes.len();
        bytes.extend_from_slice(b"behind it");
        let bounds = HeadBounds { bytes_max: 10_000, headers_max: 10 };
        match RequestHead::take(&mut bytes, 0, bounds) {
            Ok(Some(head)) => {
                prop_assert_eq!(head.following(), b"behind it", "{} bytes", length);
                prop_assert_eq!(head.method(), "POST");
                let query = head.query().map(|query| format!("?{query}")).unwrap_or_default();
                prop_assert_eq!(format!("{}{query}", head.path()), path.as_str());
                let line = head.lines().first(&HeaderName::from_static("x-value"));
                prop_assert_eq!(line.map(|line| line.value), Some(value.as_bytes()));
                prop_assert_eq!((head.body, head.lines().iter().count()), (body, 3));
            }
            Ok(None) => prop_assert!(false, "no whole head"),
            Err(_) => {}
        }
    }
}

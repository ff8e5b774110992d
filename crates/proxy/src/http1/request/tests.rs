use proptest::prelude::*;

use super::*;

const BOUNDS: HeadBounds = HeadBounds {
    bytes_max: 4_096,
    headers_max: 20,
};

fn take(text: &str) -> Result<Option<RequestHead>, RequestError> {
    RequestHead::take(&mut text.as_bytes().to_vec(), 0, BOUNDS)
}

fn head(text: &str) -> RequestHead {
    take(text).expect(text).expect(text)
}

#[test]
fn a_head_is_taken_with_what_follows_it() {
    let head =
        head("POST /v1/x?a=1&b HTTP/1.1\r\nHost: api\r\nContent-Length: 5\r\nX-Empty:\r\n\r\nhelloGET");
    assert_eq!(
        (head.method(), head.path(), head.query()),
        ("POST", "/v1/x", Some("a=1&b"))
    );
    assert_eq!(
        (head.body, head.keeps_alive, head.expects_continue),
        (BodyLength::Known(5), true, false)
    );
    assert_eq!(head.following(), b"helloGET");
    let lines: Vec<_> = head.lines().iter().map(|line| (line.name, line.value)).collect();
    assert_eq!(lines[0], (&b"Host"[..], &b"api"[..]));
    assert_eq!(lines[2], (&b"X-Empty"[..], &b""[..]));
}

#[test]
fn it_may_come_in_any_number_of_pieces() {
    let text = "\r\nGET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n";
    for cut in 0..text.len() - 1 {
        let mut bytes = text.as_bytes()[..cut].to_vec();
        assert!(
            RequestHead::take(&mut bytes, 0, BOUNDS)
                .expect("no error yet")
                .is_none(),
            "{cut}"
        );
        let seen = bytes.len();
        bytes.extend_from_slice(&text.as_bytes()[cut..]);
        let head = RequestHead::take(&mut bytes, seen, BOUNDS)
            .expect("whole")
            .expect("whole");
        assert_eq!(head.path(), "/v1/models");
        assert!(bytes.is_empty());
    }
}

#[test]
fn whatever_two_parsers_could_read_differently_is_malformed() {
    for text in [
        "GET /\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost : b\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\tfolded\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nnocolon\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n: empty\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "G\u{e9}T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http:/// HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a/v1beta/models/m:generateContent?\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
    ] {
        let error = take(text).err();
        assert!(
            matches!(error, Some(RequestError::Malformed | RequestError::Version)),
            "{text:?} {error:?}"
        );
    }
    assert_eq!(
        take("GET / HTTP/2.0\r\nHost: a\r\n\r\n").err(),
        Some(RequestError::Version)
    );
    let both = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(take(both).err(), Some(RequestError::Framing(FramingError::Both)));
}

#[test]
fn a_few_empty_lines_are_passed_over() {
    let behind = |lines: usize| take(&("\r\n".repeat(lines) + "GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert!(behind(EMPTY_LINES_MAX).is_ok());
    assert_eq!(behind(EMPTY_LINES_MAX + 1).err(), Some(RequestError::Malformed));
}

#[test]
fn targets_have_their_forms() {
    let target = |text: &str| {
        let head = head(&format!("GET {text} HTTP/1.1\r\nHost: API.example:80\r\n\r\n"));
        (head.path().to_owned(), head.query().map(str::to_owned))
    };
    assert_eq!(target("/a?"), ("/a".to_owned(), Some(String::new())));
    assert_eq!(target("/a?b?c"), ("/a".to_owned(), Some("b?c".to_owned())));
    assert_eq!(head("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").path(), "*");
    assert!(take("GET * HTTP/1.1\r\nHost: a\r\n\r\n").is_err());
    assert_eq!(
        target("http://api.example:80/a?b"),
        ("/a".to_owned(), Some("b".to_owned()))
    );
    assert_eq!(target("HTTP://api.example:80"), (String::new(), None));
    let old = head("GET / HTTP/1.0\r\n\r\n");
    assert_eq!((old.version, old.keeps_alive), (Version::Http10, false));
}

#[test]
fn a_client_says_whether_it_stays_and_what_it_expects() {
    let with = |lines: &str| head(&format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n"));
    assert!(!with("Connection: x, CLOSE\r\n").keeps_alive);
    assert!(with("Connection: keep-alive\r\n").keeps_alive);
    assert!(with("Expect: 100-Continue\r\n").expects_continue);
    assert_eq!(
        with("Connection: Upgrade\r\nUpgrade: websocket\r\n").requested_upgrade(),
        Some(&b"websocket"[..])
    );
    assert_eq!(with("Upgrade: websocket\r\n").requested_upgrade(), None);
    assert!(head("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").keeps_alive);
}

#[test]
fn a_head_has_its_bounds() {
    let of_size = |size: usize| {
        let empty = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n";
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
            "x".repeat(size - empty.len())
        )
    };
    assert!(take(&of_size(BOUNDS.bytes_max)).is_ok());
    assert_eq!(
        take(&of_size(BOUNDS.bytes_max + 1)).err(),
        Some(RequestError::TooLarge)
    );
    let endless = "x".repeat(BOUNDS.bytes_max + 1);
    assert_eq!(
        take(&endless).err(),
        Some(RequestError::TooLarge),
        "known before it ends"
    );
    let of_lines = |count: usize| {
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
            "X: y\r\n".repeat(count - 1)
        )
    };
    assert!(take(&of_lines(BOUNDS.headers_max)).is_ok());
    assert_eq!(
        take(&of_lines(BOUNDS.headers_max + 1)).err(),
        Some(RequestError::TooLarge)
    );
    assert_eq!(
        take(&of_lines(HEADERS_READ_MAX + 1)).err(),
        Some(RequestError::TooLarge)
    );
    let of_method = |size: usize| format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "M".repeat(size));
    assert!(take(&of_method(METHOD_BYTES_MAX)).is_ok());
    assert_eq!(
        take(&of_method(METHOD_BYTES_MAX + 1)).err(),
        Some(RequestError::Malformed)
    );
}

proptest! {
    #[test]
    fn any_bytes_end_in_a_verdict(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut bytes = bytes;
        let _ = RequestHead::take(&mut bytes, 0, BOUNDS);
        let mut framed = b"GET / HTTP/1.1\r\nhost: a\r\nx: ".to_vec();
        framed.extend_from_slice(&bytes);
        framed.extend_from_slice(b"\r\n\r\n");
        if let Ok(Some(head)) = RequestHead::take(&mut framed, 0, BOUNDS) {
            prop_assert!(head.lines().iter().all(|line| !line.value.contains(&b'\n') && !line.value.contains(&0)));
        }
    }
}

/// Without a `Host` to compare it with, as HTTP/1.0 may come, the authority becomes the upstream's `Host`.
#[test]
fn an_authority_has_no_odd_bytes_in_any_version() {
    for version in ["HTTP/1.0\r\n", "HTTP/1.0\r\nhost: a\"b\r\n"] {
        for authority in [
            "a\"b", "a\\b", "a<b>", "a@b", "a{b}", "a|b", "a^b", "a`b", "", ":80@c",
        ] {
            let text = format!("GET http://{authority}/v1 {version}\r\n");
            assert!(matches!(take(&text), Err(RequestError::Malformed)), "{text:?}");
        }
    }
    let plain = head("GET http://a.example:80/v1 HTTP/1.0\r\n\r\n");
    assert_eq!((plain.authority(), plain.path()), (Some("a.example:80"), "/v1"));
}

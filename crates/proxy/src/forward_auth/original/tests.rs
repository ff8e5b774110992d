use super::*;
use crate::http1::request::HeadBounds;

const BOUNDS: HeadBounds = HeadBounds {
    bytes_max: 8_192,
    headers_max: 50,
};

fn question(line: &str, headers: &str) -> RequestHead {
    let text = format!("{line} HTTP/1.1\r\nhost: sentinel\r\n{headers}\r\n");
    RequestHead::take(&mut text.into_bytes(), 0, BOUNDS)
        .expect("well formed")
        .expect("whole")
}

/// Method and target, or what is unclear.
fn asked(convention: AuthConvention, line: &str, headers: &str) -> Result<String, Unclear> {
    let request = original(&question(line, headers), convention)?;
    let query = request.query().map_or(String::new(), |query| format!("?{query}"));
    Ok(format!("{} {}{query}", request.method(), request.path()))
}

fn forwarded(method: &str, uri: &str) -> Result<String, Unclear> {
    let headers = format!("x-forwarded-method: {method}\r\nx-forwarded-uri: {uri}\r\n");
    asked(AuthConvention::Forwarded, "GET /auth", &headers)
}

#[test]
fn each_convention_has_its_own_words() {
    let every = "x-forwarded-method: PUT\r\nx-forwarded-uri: /forwarded?a=1\r\n\
                 x-original-method: PATCH\r\nx-original-uri: /original?\r\n";
    for (convention, line, expected) in [
        (AuthConvention::Forwarded, "GET /auth", "PUT /forwarded?a=1"),
        (AuthConvention::Original, "GET /auth", "PATCH /original?"),
        (
            AuthConvention::Path,
            "POST /auth/v1/x?key=k&b",
            "POST /v1/x?key=k&b",
        ),
        (AuthConvention::Path, "GET /auth/auth", "GET /auth"),
        (AuthConvention::Path, "OPTIONS /auth*", "OPTIONS *"),
        (
            AuthConvention::Forwarded,
            "GET http://sentinel/auth?ignored",
            "PUT /forwarded?a=1",
        ),
    ] {
        assert_eq!(
            asked(convention, line, every),
            Ok(expected.to_owned()),
            "{convention:?}"
        );
    }
}

#[test]
fn the_header_lines_stay_as_they_came() {
    let headers = "X-Api-Key: one\r\nx-api-key: two\r\nAuthorization:  Bearer x \r\nx-original-method: GET\r\nx-original-uri: /\r\n";
    let question = question("GET /auth", headers);
    let request = original(&question, AuthConvention::Original).expect("clear");
    let lines = |head: &RequestHead| -> Vec<(Vec<u8>, Vec<u8>)> {
        let lines = head.lines();
        lines
            .iter()
            .map(|line| (line.name.to_vec(), line.value.to_vec()))
            .collect()
    };
    assert_eq!(lines(&request), lines(&question));
    assert!(request.following().is_empty());
}

#[test]
fn what_is_missing_or_doubled_is_not_guessed() {
    let forwarded = |headers: &str| asked(AuthConvention::Forwarded, "GET /auth", headers);
    assert_eq!(forwarded(""), Err(Unclear::Missing(FORWARDED_METHOD)));
    assert_eq!(
        forwarded("x-forwarded-method: GET\r\nx-original-uri: /\r\n"),
        Err(Unclear::Missing(FORWARDED_URI))
    );
    let twice = "x-forwarded-method: GET\r\nx-forwarded-uri: /a\r\nX-Forwarded-URI: /a\r\n";
    assert_eq!(forwarded(twice), Err(Unclear::Repeated(FORWARDED_URI)));
    let twice = "x-original-method: GET\r\nx-original-method: GET\r\nx-original-uri: /a\r\n";
    assert_eq!(
        asked(AuthConvention::Original, "GET /auth", twice),
        Err(Unclear::Repeated(ORIGINAL_METHOD))
    );
}

#[test]
fn questions_are_asked_in_one_place_and_without_a_body() {
    let headers = "x-forwarded-method: GET\r\nx-forwarded-uri: /a\r\n";
    for line in [
        "GET /",
        "GET /auth/",
        "GET /authx",
        "GET //auth",
        "GET /%61uth",
        "GET /v1/auth",
    ] {
        assert_eq!(
            asked(AuthConvention::Forwarded, line, headers),
            Err(Unclear::Path),
            "{line}"
        );
    }
    for line in ["GET /", "GET /v1/models", "GET //auth/v1/models"] {
        assert_eq!(
            asked(AuthConvention::Path, line, ""),
            Err(Unclear::Path),
            "{line}"
        );
    }
    for body in ["content-length: 1\r\n", "transfer-encoding: chunked\r\n"] {
        let headers = format!("{headers}{body}");
        assert_eq!(
            asked(AuthConvention::Forwarded, "POST /auth", &headers),
            Err(Unclear::Body),
            "{body}"
        );
    }
    let empty = format!("{headers}content-length: 0\r\n");
    assert_eq!(
        asked(AuthConvention::Forwarded, "GET /auth", &empty),
        Ok("GET /a".to_owned())
    );
}

/// The forwarded target is judged like one that came by itself, and cannot become more than a target.
#[test]
fn a_target_that_no_gateway_serves_is_refused() {
    for uri in ["", "v1/models", "http://gateway/v1/models", "//", "*", "?key=x"] {
        let judged = forwarded("GET", uri);
        let is_path = uri == "//";
        assert_eq!(judged.is_ok(), is_path, "{uri}");
        assert!(is_path || judged == Err(Unclear::Target), "{uri}");
    }
    let malformed = Err(Unclear::Request(RequestError::Malformed));
    for uri in ["/a b", "/a HTTP/1.1", "/a#b", "/a\tb", "/ä"] {
        assert_eq!(forwarded("GET", uri), malformed, "{uri}");
    }
    for method in ["GET /b", "G(T", "", &"M".repeat(33)] {
        assert_eq!(forwarded(method, "/a"), malformed, "{method}");
    }
    for line in ["GET /auth", "GET /authx", "GET /auth*", "GET /auth?a"] {
        assert_eq!(
            asked(AuthConvention::Path, line, ""),
            Err(Unclear::Target),
            "{line}"
        );
    }
}

#[test]
fn the_proxy_s_mistake_is_not_the_client_s() {
    assert_eq!(Unclear::Missing(FORWARDED_URI).kind(), Malformed::Question);
    assert_eq!(Unclear::Body.kind(), Malformed::Question);
    assert_eq!(Unclear::Target.kind(), Malformed::Request);
    assert_eq!(
        Unclear::Request(RequestError::Malformed).kind(),
        Malformed::Request
    );
}

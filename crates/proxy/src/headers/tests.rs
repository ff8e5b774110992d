use super::*;

fn map(lines: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        map.append(
            HeaderName::from_bytes(name.as_bytes()).expect("a header name"),
            HeaderValue::from_str(value).expect("a header value"),
        );
    }
    map
}

fn names(headers: &HeaderMap) -> Vec<&str> {
    let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    names
}

#[test]
fn what_belongs_to_one_hop_ends_here() {
    let mut headers = map(&[
        ("connection", "keep-alive, X-Once"),
        ("Connection", "x-TWICE"),
        ("x-once", "1"),
        ("x-twice", "1"),
        ("keep-alive", "timeout=5"),
        ("te", "trailers"),
        ("transfer-encoding", "chunked"),
        ("proxy-authorization", "Basic x"),
        ("expect", "100-continue"),
        ("accept", "*/*"),
    ]);
    strip_request(&mut headers, false);
    assert_eq!(names(&headers), ["accept"]);
}

/// CVE-2022-31813 and its kin: naming a header in `Connection` must not take away what we write.
#[test]
fn connection_cannot_take_away_what_we_write() {
    let mut headers = map(&[
        ("connection", "X-Real-IP, x-forwarded-for"),
        ("x-real-ip", "6.6.6.6"),
    ]);
    strip_request(&mut headers, false);
    set_forwarding(&mut headers, HeaderValue::from_static("203.0.113.7"));
    assert_eq!(headers["x-real-ip"], "203.0.113.7");
    assert_eq!(headers["x-forwarded-for"], "203.0.113.7");
}

#[test]
fn no_claim_about_the_client_passes() {
    let mut headers = map(&[
        ("x-forwarded-for", "6.6.6.6"),
        ("X-Forwarded-For", "7.7.7.7"),
        ("forwarded", "for=6.6.6.6"),
        ("cf-connecting-ip", "6.6.6.6"),
        ("true-client-ip", "6.6.6.6"),
        ("x_real_ip", "6.6.6.6"),
        ("x.real.ip", "6.6.6.6"),
        ("x-forwarded-proto", "https"),
    ]);
    strip_request(&mut headers, false);
    set_forwarding(&mut headers, HeaderValue::from_static("203.0.113.7"));
    assert_eq!(
        names(&headers),
        ["x-forwarded-for", "x-forwarded-proto", "x-real-ip"]
    );
    assert_eq!(headers["x-forwarded-proto"], "http");
}

#[test]
fn a_trusted_proxy_may_say_how_the_client_came() {
    let mut headers = map(&[
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "api.example"),
        ("x-forwarded-for", "6.6.6.6"),
    ]);
    strip_request(&mut headers, true);
    set_forwarding(&mut headers, HeaderValue::from_static("203.0.113.7"));
    assert_eq!(headers["x-forwarded-proto"], "https");
    assert_eq!(headers["x-forwarded-host"], "api.example");
    assert_eq!(headers["x-forwarded-for"], "203.0.113.7");
}

#[test]
fn the_upstreams_name_replaces_the_clients() {
    let mut headers = map(&[("host", "api.example")]);
    set_host(&mut headers, HeaderValue::from_static("gateway:3000"));
    assert_eq!(headers["host"], "gateway:3000");
    assert_eq!(headers["x-forwarded-host"], "api.example");
}

/// hyper keeps a length beside a transfer coding in answers (hyper#4181); a client further down could take either.
#[test]
fn an_answer_has_one_framing() {
    let mut headers = map(&[
        ("content-length", "5"),
        ("transfer-encoding", "chunked"),
        ("connection", "close"),
        ("content-type", "text/plain"),
    ]);
    strip_response(&mut headers);
    assert_eq!(names(&headers), ["content-type"]);
}

#[test]
fn an_upgrade_is_asked_for_by_both_headers() {
    let both = map(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")]);
    assert_eq!(
        requested_upgrade(&both),
        Some(HeaderValue::from_static("websocket"))
    );
    assert_eq!(requested_upgrade(&map(&[("upgrade", "websocket")])), None);
    assert_eq!(requested_upgrade(&map(&[("connection", "upgrade")])), None);
}

//! Targets in all their forms, and the host that they are for.

use sentinel_core::network::Network;

use super::{Case, Seen, Then, echoing_upstream, run, run_with};
use crate::support::Sentinel;

fn request(target: &str, lines: &str) -> String {
    format!("GET {target} HTTP/1.1\r\n{lines}\r\n")
}

/// Targets that no gateway may be asked for, in front of `Host: x`.
const REFUSED: &[(&str, &str)] = &[
    ("an authority in a GET", "x:80"),
    ("an authority with a path in a GET", "x:80/v1/models"),
    ("a path without its slash", "v1/models"),
    ("a word", "models"),
    ("a query alone", "?key=sk-AAAA"),
    (
        "a path without its slash, and a query",
        "v1beta/models/m:generateContent?key=sk-AAAA",
    ),
    // Go's net/http, and with it New API, serves the path behind any scheme.
    (
        "a scheme and a path",
        "x:/v1beta/models/m:generateContent?key=sk-AAAA",
    ),
    ("the right scheme without its slashes", "http:/v1/models"),
    (
        "the right scheme with one slash and a query",
        "http:/v1beta/models/m:generateContent?key=sk-AAAA",
    ),
    ("the right scheme and no slash", "http:v1/models"),
    ("another scheme", "ftp://x/v1/models"),
    ("a WebSocket's scheme", "ws://x/v1/realtime"),
    ("a scheme that begins like ours", "httpx://x/v1/models"),
    ("a file", "file:///v1/models"),
    ("a URN", "urn:x:y"),
    ("mail", "mailto:a@x"),
    ("a scheme alone", "http:"),
    ("an absolute form without a host", "http:///v1/models"),
    ("an absolute form with a port only", "http://:80/v1/models"),
    ("an absolute form with another host", "http://y/v1/models"),
    ("an absolute form with another port", "http://x:81/v1/models"),
    (
        "an absolute form with the port that the host leaves out",
        "http://x:80/v1/models",
    ),
    (
        "an absolute form with user and password",
        "http://u:p@x/v1/models",
    ),
    ("an absolute form with an empty user", "http://@x/v1/models"),
    (
        "an absolute form with the host as the user",
        "http://x@y/v1/models",
    ),
    (
        "an absolute form with a back slash behind the host",
        "http://x\\@y/v1/models",
    ),
    ("an absolute form with a fragment", "http://x/v1/models#a"),
    (
        "an absolute form with a fragment for a path",
        "http://x#/v1/models",
    ),
    ("a star with a path", "*/v1/models"),
    ("a star with a query", "*?key=sk-AAAA"),
    ("two stars", "**"),
    // RFC 9112, 3.2.4: the star is for OPTIONS only.
    ("a star in a GET", "*"),
    ("a fragment", "/v1/models#a"),
    ("an empty fragment", "/v1/models#"),
    ("a back slash for the slash", "\\v1\\models"),
];

#[tokio::test]
async fn a_target_is_a_path_or_names_this_host() {
    let case = |(name, target): &(&str, &str)| Case::refused(name, request(target, "host: x\r\n"), 400);
    run(REFUSED.iter().map(case).collect()).await;
}

#[tokio::test]
async fn paths_go_on_as_they_were_written() {
    let targets = [
        "/",
        "//",
        "//x/v1/models",
        "/.",
        "/..",
        "/../../v1/models",
        "/v1/./models",
        "/v1//models",
        "/v1/models/",
        "/v1/models?",
        "/v1/models?a=b?c",
        "/v1/models?a=/../b",
        "/%2e%2e/v1/models",
        "/v1%2Fmodels",
        "/%",
        "/%zz",
        "/%00",
        "/%0d%0aX:y",
        "/v1/models%20",
        "/v1;a=b/models",
        "/a\\b",
        "/\\x",
        "/\"<>^`{|}",
        "/~user",
        "/http://y/v1",
        "/x:80",
        "/*",
        "/:generateContent",
        "/v1/models?a=%23",
        "/@y",
        "/v1/models;a=b?c=d&e;f",
    ];
    let case = |target: &&str| {
        // An empty query says nothing, and goes without its question mark.
        let line = format!("GET {}", target.strip_suffix('?').unwrap_or(target));
        Case::passes(
            target,
            request(target, "host: x\r\n"),
            Seen::new(&line, &["host: x"]),
        )
    };
    run(targets.iter().map(case).collect()).await;
}

#[tokio::test]
async fn an_absolute_form_becomes_a_path() {
    let seen = |target: &str, host: &str| Seen::new(&format!("GET {target}"), &[&format!("host: {host}")]);
    let case = |target: &str, host: &str, becomes: &str| {
        Case::passes(
            target,
            request(target, &format!("host: {host}\r\n")),
            seen(becomes, host),
        )
    };
    run(vec![
        case("http://x/v1/models?a=b", "x", "/v1/models?a=b"),
        case("HTTP://x/v1/models", "x", "/v1/models"),
        case("https://x/v1/models", "x", "/v1/models"),
        case("http://X/v1/models", "x", "/v1/models"),
        case("http://x", "x", "/"),
        case("http://x?a=b", "x", "/?a=b"),
        case("http://x:8080/", "x:8080", "/"),
        case("http://[::1]:7000/v1", "[::1]:7000", "/v1"),
        case("http://x//v1/models", "x", "//v1/models"),
        case("http://x/http://y/", "x", "/http://y/"),
    ])
    .await;
}

#[tokio::test]
async fn stars_and_authorities_have_their_methods() {
    let star = "OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n";
    let connect = |target: &str| format!("CONNECT {target} HTTP/1.1\r\nhost: x\r\n\r\n");
    run(vec![
        Case::passes("OPTIONS *", star, Seen::new("OPTIONS *", &["host: x"])),
        // Who is refused a tunnel may have begun to use it: what follows is not for us (RFC 9931).
        Case::refused("CONNECT", connect("x:443"), 405),
        Case::refused("CONNECT to a path", connect("/v1/models"), 405),
        Case::refused("CONNECT to an absolute form", connect("http://x/"), 405),
        Case::refused("CONNECT to another host than Host says", connect("y:443"), 405),
    ])
    .await;
}

/// Lines instead of the one right `Host`.
const HOSTS: &[(&str, &str)] = &[
    ("no host", ""),
    ("two hosts", "host: x\r\nhost: y\r\n"),
    ("the same host twice", "host: x\r\nHost: x\r\n"),
    ("two hosts apart", "host: x\r\na: b\r\nhost: y\r\n"),
    (
        "a list of hosts: browsers send none, and gateways take the first or the last",
        "host: x, y\r\n",
    ),
    ("a host with a path", "host: x/v1/models\r\n"),
    (
        "a host with a path and a query",
        "host: x/v1beta/models/m:generateContent?key=sk-AAAA&\r\n",
    ),
    ("a host with a query", "host: x?a\r\n"),
    ("a host with a fragment", "host: x#\r\n"),
    ("a host with a user", "host: u@x\r\n"),
    ("a host with a user and a password", "host: u:p@x\r\n"),
    ("a host with a scheme", "host: http://x\r\n"),
    ("a host with a back slash", "host: x\\y\r\n"),
    ("a host with a space", "host: x y\r\n"),
    ("a host with a tab", "host: x\ty\r\n"),
    ("a host with obs-text", "host: \u{e9}\r\n"),
    ("a host with an angle bracket", "host: <x>\r\n"),
    ("a host with a quote", "host: \"x\"\r\n"),
    ("a folded host", "host:\r\n x\r\n"),
    ("an alias only", "ho_st: x\r\n"),
];

#[tokio::test]
async fn a_request_names_one_host_and_nothing_else() {
    let case = |(name, lines): &(&str, &str)| Case::refused(name, request("/v1/models", lines), 400);
    let mut cases: Vec<Case> = HOSTS.iter().map(case).collect();
    let passes = |name: &str, host: &str| {
        let seen = Seen::new("GET /v1/models", &[&format!("host: {host}")]);
        Case::passes(name, request("/v1/models", &format!("host: {host}\r\n")), seen)
    };
    cases.extend([
        passes("a name", "api.example"),
        passes("a name and a port", "api.example:8443"),
        passes("a name that ends in a dot", "api.example."),
        passes("an address of version 6", "[2001:db8::1]:80"),
        passes("an underscore in a name", "my_gateway"),
        passes("an empty host names none (RFC 9112, 3.2)", ""),
    ]);
    run(cases).await;
}

#[tokio::test]
async fn http_1_0_need_not_name_a_host_but_the_upstream_gets_one() {
    let old = |target: &str, lines: &str| format!("GET {target} HTTP/1.0\r\n{lines}\r\n");
    let closed = |name: &str, sent: String, seen: Seen| Case::new(name, sent, &[200], Then::Closed, &[seen]);
    run(vec![
        closed(
            "a host on HTTP/1.0",
            old("/v1/models", "host: x\r\n"),
            Seen::new("GET /v1/models", &["host: x"]),
        ),
        Case::refused(
            "two hosts on HTTP/1.0",
            old("/v1/models", "host: x\r\nhost: y\r\n"),
            400,
        ),
        Case::refused(
            "an absolute form and another host on HTTP/1.0",
            old("http://y/v1/models", "host: x\r\n"),
            400,
        ),
        // RFC 9112, 3.2.2: who forwards an absolute form makes a Host of it.
        closed(
            "an absolute form without a host on HTTP/1.0",
            old("http://y/v1/models", ""),
            Seen::new("GET /v1/models", &["host: y"]),
        ),
        Case::new(
            "HTTP/1.0 that stays",
            old("/v1/models", "host: x\r\nconnection: keep-alive\r\n"),
            &[200],
            Then::Open,
            &[Seen::new("GET /v1/models", &["host: x"])],
        ),
        closed(
            "HTTP/1.0 that stays and closes",
            old("/v1/models", "host: x\r\nconnection: keep-alive, close\r\n"),
            Seen::new("GET /v1/models", &["host: x"]),
        ),
        closed(
            "HTTP/1.0 with keep-alive in another header",
            old("/v1/models", "host: x\r\nkeep-alive: timeout=5\r\n"),
            Seen::new("GET /v1/models", &["host: x"]),
        ),
    ])
    .await;
}

/// A client that a trusted proxy speaks for is judged by the same rules.
#[tokio::test]
async fn targets_behind_a_trusted_proxy_are_no_different() {
    let case = |(name, target): &(&str, &str)| {
        Case::refused(name, request(target, "host: x\r\nx-real-ip: 192.0.2.1\r\n"), 400)
    };
    run_with(REFUSED.iter().take(8).map(case).collect(), |options| {
        let network: Network = "127.0.0.1/32".parse().expect("a network");
        options.trusted = vec![network];
    })
    .await;
}

/// An HTTP/1.1 request has a `Host`, and to the upstream it is one.
#[tokio::test]
async fn the_upstream_gets_a_host_even_when_the_client_names_none() {
    let upstream = echoing_upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let mut client = sentinel.client().await;
    client.send("GET /v1/models HTTP/1.0\r\n\r\n").await;
    assert_eq!(client.read_response().await.status(), 200);
    let seen = upstream.requests();
    assert_eq!(
        seen[0].header_values("host").len(),
        1,
        "{}",
        super::text(&seen[0].head)
    );
}

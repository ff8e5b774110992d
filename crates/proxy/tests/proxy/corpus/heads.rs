//! Lines of a head: their ends, their blanks, bytes that do not belong there, methods and versions.

use super::{Case, Seen, get, run, seen_get};
use crate::support::Sentinel;

/// Whole heads that are no HTTP, or HTTP to some parsers only.
const MALFORMED: &[(&str, &str)] = &[
    (
        "a head that ends its lines in LF",
        "GET /v1/models HTTP/1.1\nhost: x\n\n",
    ),
    (
        "a request line that ends in LF",
        "GET /v1/models HTTP/1.1\nhost: x\r\n\r\n",
    ),
    (
        "a header line that ends in LF",
        "GET /v1/models HTTP/1.1\r\nhost: x\n\r\n",
    ),
    (
        "a last empty line of LF",
        "GET /v1/models HTTP/1.1\r\nhost: x\r\n\n",
    ),
    (
        "a request behind a bare LF",
        "\nGET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n",
    ),
    (
        "a request line that ends in CR",
        "GET /v1/models HTTP/1.1\rhost: x\r\n\r\n",
    ),
    (
        "a request line that ends in CR CR LF",
        "GET /v1/models HTTP/1.1\r\r\nhost: x\r\n\r\n",
    ),
    (
        "a header line that ends in CR",
        "GET /v1/models HTTP/1.1\r\nhost: x\ra: b\r\n\r\n",
    ),
    (
        "a header line that ends in CR CR LF",
        "GET /v1/models HTTP/1.1\r\nhost: x\r\na: b\r\r\n\r\n",
    ),
    (
        "a request behind a bare CR",
        "\rGET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n",
    ),
    (
        "a bare CR in a value",
        "GET /v1/models HTTP/1.1\r\nhost: x\r\na: b\rc: d\r\n\r\n",
    ),
    (
        "a bare CR in a name",
        "GET /v1/models HTTP/1.1\r\nhost: x\r\na\rb: c\r\n\r\n",
    ),
    (
        "a bare CR in a target",
        "GET /v1\r/models HTTP/1.1\r\nhost: x\r\n\r\n",
    ),
    (
        "a bare CR in a method",
        "G\rET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n",
    ),
    (
        "NUL in a value",
        "GET /v1/models HTTP/1.1\r\nhost: x\r\na: b\0c\r\n\r\n",
    ),
    (
        "NUL at a value's end",
        "GET /v1/models HTTP/1.1\r\nhost: x\r\na: b\0\r\n\r\n",
    ),
    (
        "NUL in a name",
        "GET /v1/models HTTP/1.1\r\nhost: x\r\na\0: b\r\n\r\n",
    ),
    ("NUL in a target", "GET /v1\0/models HTTP/1.1\r\nhost: x\r\n\r\n"),
    ("NUL in a method", "G\0ET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n"),
    ("NUL in a host", "GET /v1/models HTTP/1.1\r\nhost: x\0y\r\n\r\n"),
    (
        "NUL in front of a request",
        "\0GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n",
    ),
    (
        "ESC in a value",
        "GET /v1/models HTTP/1.1\r\nhost: x\r\na: \u{1b}[2J\r\n\r\n",
    ),
    (
        "DEL in a value",
        "GET /v1/models HTTP/1.1\r\nhost: x\r\na: \u{7f}\r\n\r\n",
    ),
    (
        "backspace in a value",
        "GET /v1/models HTTP/1.1\r\nhost: x\r\na: \u{8}\r\n\r\n",
    ),
    (
        "a vertical tab in a value",
        "GET /v1/models HTTP/1.1\r\nhost: x\r\na: b\u{b}c\r\n\r\n",
    ),
    (
        "a control byte in a name",
        "GET /v1/models HTTP/1.1\r\nhost: x\r\na\u{1}: b\r\n\r\n",
    ),
    (
        "a control byte in a target",
        "GET /v1\u{1} HTTP/1.1\r\nhost: x\r\n\r\n",
    ),
    ("DEL in a target", "GET /v1\u{7f} HTTP/1.1\r\nhost: x\r\n\r\n"),
    (
        "obs-text in a name",
        "GET /v1/models HTTP/1.1\r\nhost: x\r\nna\u{ef}ve: b\r\n\r\n",
    ),
    (
        "obs-text in a method",
        "G\u{cb}T /v1/models HTTP/1.1\r\nhost: x\r\n\r\n",
    ),
    (
        "obs-text in a target",
        "GET /v1/mod\u{e9}ls HTTP/1.1\r\nhost: x\r\n\r\n",
    ),
    (
        "obs-text in a version",
        "GET /v1/models HTTP/1.\u{b9}\r\nhost: x\r\n\r\n",
    ),
    (
        "a folded value",
        "GET /v1/models HTTP/1.1\r\nhost: x\r\na: b\r\n c\r\n\r\n",
    ),
    (
        "a value folded with a tab",
        "GET /v1/models HTTP/1.1\r\nhost: x\r\na: b\r\n\tc\r\n\r\n",
    ),
    (
        "a value folded to nothing",
        "GET /v1/models HTTP/1.1\r\nhost: x\r\na: b\r\n \r\n\r\n",
    ),
    (
        "a first line folded from the request line",
        "GET /v1/models HTTP/1.1\r\n host: x\r\n\r\n",
    ),
    (
        "a blank in front of a name",
        "GET /v1/models HTTP/1.1\r\nhost: x\r\n\r a: b\r\n\r\n",
    ),
    (
        "a space before a colon",
        "GET /v1/models HTTP/1.1\r\nhost: x\r\na : b\r\n\r\n",
    ),
    (
        "a tab before a colon",
        "GET /v1/models HTTP/1.1\r\nhost: x\r\na\t: b\r\n\r\n",
    ),
    (
        "a space within a name",
        "GET /v1/models HTTP/1.1\r\nhost: x\r\na b: c\r\n\r\n",
    ),
    (
        "a space before the host's colon",
        "GET /v1/models HTTP/1.1\r\nhost : x\r\n\r\n",
    ),
    (
        "a line without a colon",
        "GET /v1/models HTTP/1.1\r\nhost: x\r\nabc\r\n\r\n",
    ),
    (
        "an empty name",
        "GET /v1/models HTTP/1.1\r\nhost: x\r\n: b\r\n\r\n",
    ),
    (
        "a name in quotes",
        "GET /v1/models HTTP/1.1\r\nhost: x\r\n\"a\": b\r\n\r\n",
    ),
    (
        "a name with a slash",
        "GET /v1/models HTTP/1.1\r\nhost: x\r\na/b: c\r\n\r\n",
    ),
    (
        "a name in brackets",
        "GET /v1/models HTTP/1.1\r\nhost: x\r\n[a]: b\r\n\r\n",
    ),
    (
        "two spaces behind the method",
        "GET  /v1/models HTTP/1.1\r\nhost: x\r\n\r\n",
    ),
    (
        "two spaces before the version",
        "GET /v1/models  HTTP/1.1\r\nhost: x\r\n\r\n",
    ),
    (
        "a space behind the version",
        "GET /v1/models HTTP/1.1 \r\nhost: x\r\n\r\n",
    ),
    (
        "a space in front of the method",
        " GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n",
    ),
    (
        "tabs instead of spaces",
        "GET\t/v1/models\tHTTP/1.1\r\nhost: x\r\n\r\n",
    ),
    (
        "a form feed instead of a space",
        "GET\u{c}/v1/models HTTP/1.1\r\nhost: x\r\n\r\n",
    ),
    ("no method", "/v1/models HTTP/1.1\r\nhost: x\r\n\r\n"),
    ("no target", "GET HTTP/1.1\r\nhost: x\r\n\r\n"),
    ("an empty target", "GET  HTTP/1.1\r\nhost: x\r\n\r\n"),
    ("only a method", "GET\r\n\r\n"),
    ("a request of HTTP/0.9", "GET /v1/models\r\n\r\n"),
    (
        "a request of HTTP/0.9 with lines",
        "GET /v1/models\r\nhost: x\r\n\r\n",
    ),
    (
        "the version in small letters",
        "GET /v1/models http/1.1\r\nhost: x\r\n\r\n",
    ),
    (
        "the version in mixed letters",
        "GET /v1/models Http/1.1\r\nhost: x\r\n\r\n",
    ),
    ("another protocol", "GET /v1/models ICAP/1.1\r\nhost: x\r\n\r\n"),
    (
        "a version without its minor",
        "GET /v1/models HTTP/1\r\nhost: x\r\n\r\n",
    ),
    (
        "a version with three parts",
        "GET /v1/models HTTP/1.1.1\r\nhost: x\r\n\r\n",
    ),
    (
        "a version with a leading zero",
        "GET /v1/models HTTP/01.1\r\nhost: x\r\n\r\n",
    ),
    (
        "a version with a comma",
        "GET /v1/models HTTP/1,1\r\nhost: x\r\n\r\n",
    ),
    (
        "a method with a colon",
        "GET: /v1/models HTTP/1.1\r\nhost: x\r\n\r\n",
    ),
    (
        "a method with a slash",
        "GET/ /v1/models HTTP/1.1\r\nhost: x\r\n\r\n",
    ),
    (
        "a method in quotes",
        "\"GET\" /v1/models HTTP/1.1\r\nhost: x\r\n\r\n",
    ),
    (
        "an answer instead of a request",
        "HTTP/1.1 200 OK\r\nhost: x\r\n\r\n",
    ),
    (
        "the greeting of TLS, and a line's end",
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}\r\n\r\n",
    ),
    ("the greeting of SSH", "SSH-2.0-OpenSSH_9.2\r\n\r\n"),
];

/// RUSTSEC-2021-0078, RUSTSEC-2021-0020: folded lines and bare line feeds must not go on.
#[tokio::test]
async fn what_two_parsers_could_read_differently_is_refused() {
    let case = |(name, head): &(&str, &str)| {
        // Whether a bad version is a 400 or a 505 is the parser's affair: both are a no.
        let status = if VERSIONS.contains(name) { 505 } else { 400 };
        Case::refused(name, *head, status)
    };
    run(MALFORMED.iter().map(case).collect()).await;
}

/// Those of [`MALFORMED`] that are refused for their version.
const VERSIONS: &[&str] = &[
    "two spaces before the version",
    "obs-text in a version",
    "the version in small letters",
    "the version in mixed letters",
    "another protocol",
    "a version without its minor",
    "a version with a leading zero",
    "a version with a comma",
];

#[tokio::test]
async fn other_versions_are_505() {
    let cases = [
        "HTTP/1.2", "HTTP/1.9", "HTTP/2.0", "HTTP/3.0", "HTTP/0.9", "HTTP/9.9",
    ];
    let case = |version: &&str| {
        Case::refused(
            version,
            format!("GET /v1/models {version}\r\nhost: x\r\n\r\n"),
            505,
        )
    };
    run(cases.iter().map(case).collect()).await;
}

#[tokio::test]
async fn methods_are_words_that_go_on_as_they_are() {
    let with = |method: &str| format!("{method} /v1/models HTTP/1.1\r\nhost: x\r\n\r\n");
    let mut cases: Vec<Case> = [
        "PUT",
        "PATCH",
        "DELETE",
        "OPTIONS",
        "TRACE",
        "PROPFIND",
        "get",
        "Get",
        "head",
        "A",
        "M-SEARCH",
        "X!#$%&'*+.^_`|~9",
    ]
    .iter()
    .map(|method| {
        Case::passes(
            method,
            with(method),
            Seen::new(&format!("{method} /v1/models"), &["host: x"]),
        )
    })
    .collect();
    let longest = "M".repeat(32);
    cases.push(Case::passes(
        "a method of 32 bytes",
        with(&longest),
        Seen::new(&format!("{longest} /v1/models"), &["host: x"]),
    ));
    cases.push(Case::refused("a method of 33 bytes", with(&"M".repeat(33)), 400));
    cases.push(Case::refused(
        "a method of 4,000 bytes",
        with(&"M".repeat(4_000)),
        400,
    ));
    run(cases).await;
}

#[tokio::test]
async fn harmless_oddities_pass() {
    run(vec![
        Case::passes(
            "an empty line in front",
            format!("\r\n{}", get("")),
            seen_get(&[]),
        ),
        Case::passes(
            "three empty lines in front",
            format!("\r\n\r\n\r\n{}", get("")),
            seen_get(&[]),
        ),
        Case::passes("no blank behind a colon", get("a:b\r\n"), seen_get(&["a: b"])),
        Case::passes(
            "blanks around a value",
            get("a: \t b \t\r\n"),
            seen_get(&["a: b"]),
        ),
        Case::passes("an empty value", get("a:\r\n"), seen_get(&["a: "])),
        Case::passes("a value of blanks", get("a: \t \r\n"), seen_get(&["a: "])),
        Case::passes("a tab within a value", get("a: b\tc\r\n"), seen_get(&["a: b\tc"])),
        Case::passes(
            "obs-text in a value",
            get("a: na\u{ef}ve \u{80}\u{ff}\r\n"),
            seen_get(&["a: na\u{ef}ve \u{80}\u{ff}"]),
        ),
        Case::passes("colons in a value", get("a: :b: c\r\n"), seen_get(&["a: :b: c"])),
        Case::passes(
            "every byte that a name may have",
            get("a!#$%&'*+-^`|~9: b\r\n"),
            seen_get(&["a!#$%&'*+-^`|~9: b"]),
        ),
        Case::passes(
            "a repeated line stays repeated",
            get("a: 1\r\nb: 2\r\nA: 3\r\n"),
            seen_get(&["a: 1", "b: 2", "A: 3"]),
        ),
    ])
    .await;
}

/// Whatever is made of HTTP/2's preface, nothing behind it is taken for HTTP/1.1.
#[tokio::test]
async fn nothing_is_served_behind_the_preface_of_http_2() {
    let upstream = super::echoing_upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let mut client = sentinel.client().await;
    client
        .send(format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{}", super::BEHIND))
        .await;
    client.wait_for_close().await;
    drop(client);
    assert!(sentinel.stop(super::DRAIN).await);
    assert!(super::all_seen(&upstream).await.is_empty());
}

use super::*;
use crate::header::OwnedHeaderLines;

/// What was read, as a test likes it: the key, an error's name, or nothing.
fn read_in(profile: &str, target: &str, headers: &[(&str, &str)]) -> String {
    let profile = Profile::built_in(profile).expect("built in");
    let (path, query) = target
        .split_once('?')
        .map_or((target, None), |(path, query)| (path, Some(query)));
    let owned = map(headers);
    match read(&profile, &RequestPath::new(path), query, owned.lines()) {
        Ok(Some(found)) => found.key().expose().to_owned(),
        Ok(None) => "none".to_owned(),
        Err(error) => format!("{error:?}"),
    }
}

fn map(headers: &[(&str, &str)]) -> OwnedHeaderLines {
    headers.iter().copied().collect()
}

/// What is left of a request once only the checked credential may go on.
fn forwarded(profile: &str, target: &str, headers: &[(&str, &str)]) -> (String, Vec<String>) {
    let profile = Profile::built_in(profile).expect("built in");
    let (written, query) = target
        .split_once('?')
        .map_or((target, None), |(path, query)| (path, Some(query)));
    let owned = map(headers);
    let path = RequestPath::new(written);
    let found = read(&profile, &path, query, owned.lines()).expect("one reading");
    let filter = CredentialFilter::new(
        &profile,
        found.as_ref().map(PresentedKey::carrier),
        is_websocket(headers),
    );
    let mut names = std::collections::BTreeSet::new();
    let mut left = Vec::new();
    for line in owned.lines().iter() {
        let name = String::from_utf8_lossy(line.name).to_ascii_lowercase();
        let is_repeated = !names.insert(name.clone());
        match filter.passage(line, is_repeated) {
            Passage::Whole => left.push(format!("{name}: {}", String::from_utf8_lossy(line.value))),
            Passage::Nothing => {}
        }
    }
    let protocols = filter.websocket_protocols(owned.lines());
    left.extend(protocols.map(|value| format!("sec-websocket-protocol: {value}")));
    left.sort();
    let query = query.map(|query| filter.query(&path, query).unwrap_or_else(|| query.to_owned()));
    let query = query
        .filter(|query| !query.is_empty())
        .map_or(String::new(), |query| format!("?{query}"));
    (format!("{written}{query}"), left)
}

fn is_websocket(headers: &[(&str, &str)]) -> bool {
    headers.contains(&UPGRADE)
}

const UPGRADE: (&str, &str) = ("upgrade", "websocket");
const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";
const GEMINI: &str = "/v1beta/models/gemini-pro:generateContent";

#[test]
fn new_api_takes_the_key_where_the_gateway_does() {
    for (target, headers, expected) in [
        (CHAT, vec![("authorization", "Bearer sk-a")], "sk-a"),
        (CHAT, vec![("authorization", "bearer   sk-a")], "sk-a"),
        (CHAT, vec![("authorization", "sk-a")], "sk-a"),
        (CHAT, vec![("authorization", "Bearer ")], "none"),
        (CHAT, vec![("authorization", "BEARER sk-a")], "none"),
        (
            CHAT,
            vec![("authorization", "Bearer sk-a"), ("x-api-key", "sk-b")],
            "sk-a",
        ),
        (
            MESSAGES,
            vec![("authorization", "Bearer sk-a"), ("x-api-key", "sk-b")],
            "sk-b",
        ),
        (
            MESSAGES,
            vec![("authorization", "Bearer sk-a"), ("x-api-key", "")],
            "sk-a",
        ),
        (
            "/v1/models",
            vec![
                ("authorization", "Bearer sk-a"),
                ("x-api-key", "sk-b"),
                ("x-goog-api-key", "sk-c"),
            ],
            "sk-c",
        ),
        (
            "/v1/models?key=sk-d",
            vec![("authorization", "Bearer sk-a"), ("x-api-key", "sk-b")],
            "sk-d",
        ),
        (
            "/v1beta/models/x:generateContent?key=sk-d",
            vec![("x-goog-api-key", "sk-c")],
            "sk-c",
        ),
        ("/v1beta/models/x?key=sk%2Dd", vec![], "sk-d"),
        (
            "/v1/chat/completions?key=sk-d",
            vec![("authorization", "Bearer sk-a")],
            "sk-a",
        ),
        (
            GEMINI,
            vec![("authorization", "Bearer sk-a"), ("x-api-key", "sk-b")],
            "sk-a",
        ),
        (
            "/v1/realtime",
            vec![("sec-websocket-protocol", "realtime, openai-insecure-api-key.sk-w")],
            "sk-w",
        ),
        (
            CHAT,
            vec![
                ("authorization", "Bearer sk-a"),
                ("sec-websocket-protocol", "openai-insecure-api-key.sk-w"),
            ],
            "sk-w",
        ),
        (
            "/mj/submit/imagine",
            vec![
                ("authorization", "Bearer midjourney-proxy"),
                ("mj-api-secret", "Bearer sk-m"),
            ],
            "sk-m",
        ),
        ("/mj/submit/imagine", vec![("mj-api-secret", "sk-m")], "sk-m"),
        (
            "/mj/submit/imagine",
            vec![("authorization", "Bearer sk-a"), ("mj-api-secret", "sk-m")],
            "sk-a",
        ),
        (CHAT, vec![("api-key", "sk-z")], "sk-z"),
        ("/api/log/token?key=sk-d", vec![], "sk-d"),
        ("/api/option?key=Theme", vec![], "none"),
        (CHAT, vec![("authorization", "Basic dXNlcjpwYXNz")], "none"),
        (CHAT, vec![], "none"),
    ] {
        assert_eq!(
            read_in("new-api", target, &headers),
            expected,
            "{target} {headers:?}"
        );
    }
}

#[test]
fn litellm_takes_the_key_where_the_gateway_does() {
    for (target, headers, expected) in [
        (
            CHAT,
            vec![
                ("authorization", "Bearer sk-a"),
                ("x-litellm-api-key", "Bearer sk-l"),
            ],
            "sk-l",
        ),
        (
            CHAT,
            vec![("authorization", "Bearer sk-a-b_c"), ("x-api-key", "sk-b")],
            "sk-a-b_c",
        ),
        (
            MESSAGES,
            vec![("authorization", "Bearer sk-a"), ("x-api-key", "sk-b")],
            "sk-a",
        ),
        (CHAT, vec![("authorization", "sk-a"), ("api-key", "sk-z")], "sk-z"),
        (CHAT, vec![("authorization", "Basic sk-a")], "none"),
        (CHAT, vec![("x-litellm-api-key", "Basic sk-a")], "none"),
        (CHAT, vec![("ocp-apim-subscription-key", "sk-o")], "sk-o"),
        (GEMINI, vec![("x-goog-api-key", "sk-g")], "sk-g"),
        ("/gemini/v1beta/models/x:generateContent?key=sk-q", vec![], "sk-q"),
        ("/chat/completions?key=sk-q", vec![], "none"),
    ] {
        assert_eq!(
            read_in("litellm", target, &headers),
            expected,
            "{target} {headers:?}"
        );
    }
}

#[test]
fn whatever_could_be_read_in_two_ways_is_refused() {
    let twice = [("authorization", "Bearer sk-a"), ("authorization", "Bearer sk-b")];
    assert_eq!(read_in("new-api", CHAT, &twice), "Repeated");
    let same = [("authorization", "Bearer sk-a"), ("authorization", "Bearer sk-a")];
    assert_eq!(read_in("new-api", CHAT, &same), "sk-a");
    assert_eq!(
        read_in("new-api", "/v1beta/models/x?key=sk-a&k%65y=sk-b", &[]),
        "Repeated"
    );
    let protocols = [
        ("sec-websocket-protocol", "openai-insecure-api-key.sk-a"),
        ("sec-websocket-protocol", "openai-insecure-api-key.sk-b"),
    ];
    assert_eq!(read_in("new-api", "/v1/realtime", &protocols), "Repeated");
    for value in [
        "Bearer sk-a sk-b",
        "Bearer Bearer sk-a",
        "Bearer sk-a -x",
        "Bearer sk-\u{e9}",
    ] {
        for profile in Profile::BUILT_IN {
            // On a route where every profile reads a Bearer.
            let route = "/v1beta/openai/chat/completions";
            assert_eq!(
                read_in(profile, route, &[("authorization", value)]),
                "Malformed",
                "{profile} {value}"
            );
        }
    }
    assert_eq!(
        read_in("new-api", "/v1beta/models/x?key=sk-a+b", &[]),
        "Malformed"
    );
    assert_eq!(
        read_in("new-api", "/v1beta/models/x?key=sk-a%00", &[]),
        "Malformed"
    );
    assert_eq!(read_in("new-api", "/v1beta/models/x?key=%ff", &[]), "Malformed");
}

/// Heimdall GHSA-3q34-rx83-r6mq, CVE-2025-71399, CVE-2026-50559: another spelling of a path must not change which key is checked.
#[test]
fn a_path_that_hides_the_route_is_refused_where_that_changes_the_key() {
    let both = [("authorization", "Bearer sk-a"), ("x-api-key", "sk-b")];
    assert_eq!(read_in("new-api", "/v1/mess%61ges", &both), "Path");
    assert_eq!(read_in("new-api", "/v1//messages", &both), "Path");
    assert_eq!(read_in("new-api", "/v1/mess%61ges", &both[..1]), "sk-a");
    let twins = [("authorization", "Bearer sk-a"), ("x-api-key", "sk-a")];
    assert_eq!(read_in("new-api", "/v1/mess%61ges", &twins), "sk-a");
}

#[test]
fn only_the_checked_credential_goes_on() {
    let all = [
        ("authorization", "Bearer sk-a"),
        ("x-api-key", "sk-b"),
        ("x-goog-api-key", "sk-c"),
        ("api-key", "sk-d"),
        ("mj-api-secret", "sk-e"),
        ("x-litellm-api-key", "sk-f"),
        ("ocp-apim-subscription-key", "sk-g"),
        ("accept", "text/event-stream"),
        ("cookie", "session=1"),
    ];
    let (target, left) = forwarded("new-api", "/v1/chat/completions?key=sk-q&a=1&api-key=sk-r", &all);
    assert_eq!(target, "/v1/chat/completions?a=1");
    assert_eq!(
        left,
        [
            "accept: text/event-stream",
            "authorization: Bearer sk-a",
            "cookie: session=1"
        ]
    );
    let (target, left) = forwarded("new-api", "/v1/messages?beta=true", &all);
    assert_eq!(target, "/v1/messages?beta=true");
    assert!(left.contains(&"x-api-key: sk-b".to_owned()), "{left:?}");
    assert_eq!(left.len(), 3);
    let (target, left) = forwarded(
        "new-api",
        "/v1beta/models/x?alt=sse&key=sk-q&%6Bey=sk-q&API_KEY=x",
        &[("authorization", "Bearer sk-a")],
    );
    assert_eq!(
        (target.as_str(), left.len()),
        ("/v1beta/models/x?alt=sse&key=sk-q&%6Bey=sk-q", 0)
    );
    let (target, _) = forwarded("new-api", "/api/option?key=Theme", &[]);
    assert_eq!(
        target, "/api/option?key=Theme",
        "off the gateway's key paths a query keeps its words"
    );
    let (target, _) = forwarded("new-api", "/v1/models?api_key=x", &[]);
    assert_eq!(target, "/v1/models");
}

#[test]
fn a_repeated_checked_header_goes_on_once() {
    let (_, left) = forwarded(
        "new-api",
        CHAT,
        &[("authorization", "Bearer sk-a"), ("authorization", "Bearer sk-a")],
    );
    assert_eq!(left, ["authorization: Bearer sk-a"]);
}

#[test]
fn what_was_read_does_not_print() {
    let profile = Profile::built_in("new-api").expect("built in");
    let headers = map(&[("authorization", "Bearer sk-secret")]);
    let found = read(&profile, &RequestPath::new(CHAT), None, headers.lines())
        .expect("one reading")
        .expect("a key");
    assert!(!format!("{found:?} {:?}", found.normalised()).contains("secret"));
}

mod generated;
mod litellm;
mod nominated;
mod sole;
mod websocket;

//! `Sec-WebSocket-Protocol`: a place where gateways look for a key even when nobody meant to put one there.

use super::*;

const PROTOCOL: &str = "sec-websocket-protocol";
const CHECKED_ELSEWHERE: (&str, &str) = ("authorization", "Bearer sk-a");

/// The subprotocols that go on.
fn protocols(profile: &str, headers: &[(&str, &str)]) -> Option<String> {
    let (_, left) = forwarded(profile, "/v1/realtime", headers);
    let mut lines = left
        .iter()
        .filter_map(|line| line.strip_prefix("sec-websocket-protocol: "));
    let first = lines.next().map(str::to_owned);
    assert_eq!(lines.next(), None, "one line at most");
    first
}

#[test]
fn the_checked_key_goes_on_in_one_line() {
    let headers = [
        UPGRADE,
        (PROTOCOL, "realtime,openai-insecure-api-key.sk-w"),
        ("Sec-WebSocket-Protocol", "openai-beta.realtime-v1"),
        (PROTOCOL, "openai-insecure-api-key.sk-w"),
    ];
    assert_eq!(
        protocols("new-api", &headers).as_deref(),
        Some("realtime, openai-insecure-api-key.sk-w, openai-beta.realtime-v1")
    );
}

#[test]
fn an_unchecked_key_stays_behind() {
    let headers = [
        UPGRADE,
        CHECKED_ELSEWHERE,
        (PROTOCOL, "realtime, openai-insecure-api-key.sk-w"),
        (PROTOCOL, "openai-beta.realtime-v1"),
    ];
    assert_eq!(
        protocols("litellm", &headers).as_deref(),
        Some("realtime, openai-beta.realtime-v1")
    );
    let alone = [
        UPGRADE,
        CHECKED_ELSEWHERE,
        (PROTOCOL, "openai-insecure-api-key.sk-w"),
    ];
    assert_eq!(protocols("litellm", &alone), None);
}

/// The attack: one's own key is checked, and another one stands where the gateway looks first.
#[test]
fn a_bare_key_among_the_subprotocols_stays_behind() {
    for value in [
        "sk-stolen",
        "sk-stolen, realtime",
        "stolen0123456789",
        "openai-insecure-api-key",
        "openai-insecure-api-keysk-stolen",
        "OpenAI-Insecure-API-Key.sk-stolen",
        "openai-beta.openai-insecure-api-key.sk-stolen",
        "Bearer sk-stolen",
        "realtime sk-stolen",
    ] {
        for upgrade in [None, Some(UPGRADE)] {
            let headers: Vec<_> = upgrade
                .into_iter()
                .chain([CHECKED_ELSEWHERE, (PROTOCOL, value)])
                .collect();
            let left = protocols("new-api", &headers);
            assert!(
                left.is_none() || left.as_deref() == Some("realtime"),
                "{value}: {left:?}"
            );
        }
    }
}

#[test]
fn without_an_upgrade_nothing_but_the_checked_key_goes_on() {
    let plain = [CHECKED_ELSEWHERE, (PROTOCOL, "realtime, graphql-ws")];
    assert_eq!(protocols("new-api", &plain), None);
    let keyed = [(PROTOCOL, "realtime, openai-insecure-api-key.sk-w")];
    assert_eq!(
        protocols("new-api", &keyed).as_deref(),
        Some("openai-insecure-api-key.sk-w")
    );
}

#[test]
fn ordinary_subprotocols_go_on() {
    for word in [
        "realtime",
        "mcp",
        "graphql-transport-ws",
        "chat",
        "wamp.2.json",
        "openai-beta.realtime-v1",
    ] {
        let headers = [UPGRADE, CHECKED_ELSEWHERE, (PROTOCOL, word)];
        assert_eq!(protocols("new-api", &headers).as_deref(), Some(word));
    }
}

#[test]
fn a_gateway_that_looks_for_no_key_there_gets_every_other_subprotocol() {
    let mut profile = Profile::built_in("new-api").expect("built in");
    profile
        .carriers
        .to_mut()
        .retain(|carrier| carrier.place != Place::WebSocketProtocol);
    let owned = map(&[
        (PROTOCOL, "v12.stomp, OpenAI-Insecure-API-Key.sk-w, my-own"),
        (PROTOCOL, "openai-insecure-api-key.sk-w"),
    ]);
    let left =
        |is_websocket| CredentialFilter::new(&profile, None, is_websocket).websocket_protocols(owned.lines());
    assert_eq!(left(true).as_deref(), Some("v12.stomp, my-own"));
    assert_eq!(left(false), None);
}

#[test]
fn a_line_that_is_no_text_stays_behind() {
    let profile = Profile::built_in("new-api").expect("built in");
    let owned = map(&[(PROTOCOL, "realtime, sk-\u{e9}"), (PROTOCOL, "mcp")]);
    let filter = CredentialFilter::new(&profile, None, true);
    assert_eq!(filter.websocket_protocols(owned.lines()).as_deref(), Some("mcp"));
    assert!(
        owned
            .lines()
            .iter()
            .all(|line| filter.passage(line, false) == Passage::Nothing)
    );
}

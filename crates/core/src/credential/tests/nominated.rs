//! `Connection` must not take a header away that was checked.

use super::*;

#[test]
fn a_connection_header_that_names_a_credential_is_refused() {
    for nominated in [
        "authorization",
        "Authorization",
        "keep-alive, X-Api-Key",
        "close,\tmj-api-secret ,x",
        "sec-websocket-protocol",
        "Upgrade, Sec-WebSocket-Protocol",
        "x-litellm-api-key",
        "HOST",
    ] {
        let headers = [
            ("authorization", "Bearer sk-a"),
            ("x-api-key", "sk-b"),
            ("CONNECTION", nominated),
        ];
        for profile in Profile::BUILT_IN {
            assert_eq!(
                read_in(profile, CHAT, &headers),
                "Nominated",
                "{profile} {nominated}"
            );
        }
    }
    let repeated = [("connection", "close"), ("Connection", "authorization")];
    assert_eq!(read_in("new-api", CHAT, &repeated), "Nominated");
}

#[test]
fn ordinary_connection_headers_pass() {
    for nominated in [
        "",
        "close",
        "keep-alive, Upgrade",
        "te, x-trace",
        "authorization-info",
    ] {
        let headers = [("authorization", "Bearer sk-a"), ("connection", nominated)];
        assert_eq!(read_in("new-api", CHAT, &headers), "sk-a", "{nominated}");
    }
}

#[test]
fn what_a_profile_adds_is_protected_too() {
    let mut profile = Profile::built_in("new-api").expect("built in");
    assert!(!is_credential_header(&profile, b"X-My-Key"));
    profile
        .credential_headers
        .to_mut()
        .push(HeaderName::from_static("x-my-key"));
    assert!(is_credential_header(&profile, b"X-My-Key"));
    assert!(is_credential_header(&profile, b"host"));
    assert!(!is_credential_header(&profile, b""));
    assert!(!is_credential_header(&profile, b"cookie"));
}

//! Where nothing is held back, the checked credential is the only one.

use super::*;

const KEY: &str = "sk-AAAAAAAAAAAAAAAAAAAAAAAA";
const OTHER: &str = "sk-BBBBBBBBBBBBBBBBBBBBBBBB";

/// The key that was read when it is the only one, else the error's name.
fn sole_in(profile: &str, target: &str, headers: &[(&str, &str)]) -> String {
    let profile = Profile::built_in(profile).expect("built in");
    let (path, query) = target
        .split_once('?')
        .map_or((target, None), |(path, query)| (path, Some(query)));
    let path = RequestPath::new(path);
    let owned = map(headers);
    let judged = read(&profile, &path, query, owned.lines()).and_then(|found| {
        refuse_others(&profile, &path, query, owned.lines(), found.as_ref())?;
        Ok(found.map(|found| found.key().expose().to_owned()))
    });
    judged.map_or_else(
        |error| format!("{error:?}"),
        |key| key.unwrap_or_else(|| "none".to_owned()),
    )
}

fn sole(target: &str, headers: &[(&str, &str)]) -> String {
    sole_in("new-api", target, headers)
}

#[test]
fn one_key_is_read_wherever_it_stands() {
    for (target, headers) in [
        ("/v1/chat/completions", ("authorization", KEY)),
        ("/v1/messages", ("x-api-key", KEY)),
        ("/v1beta/models/x:generateContent", ("x-goog-api-key", KEY)),
    ] {
        assert_eq!(sole(target, &[headers]), KEY, "{target}");
    }
    assert_eq!(sole(&format!("/v1beta/models/x?key={KEY}"), &[]), KEY);
    assert_eq!(
        sole(
            "/v1/chat/completions",
            &[("accept", "*/*"), ("cookie", "session=x")]
        ),
        "none"
    );
}

#[test]
fn one_key_in_several_places_and_spellings_is_one() {
    let both = [
        ("authorization", "Bearer sk-AAAAAAAAAAAAAAAAAAAAAAAA"),
        ("x-api-key", KEY),
    ];
    assert_eq!(sole("/v1/chat/completions", &both), KEY);
    assert_eq!(sole("/v1/messages", &both), KEY);
    assert_eq!(sole(&format!("/v1/chat/completions?key={KEY}"), &both), KEY);
    let spelled = [
        ("authorization", KEY),
        ("x-api-key", "aaaaaaaaaaaaaaaaaaaaaaaa-12"),
    ];
    assert_eq!(sole("/v1/chat/completions", &spelled), KEY);
    assert_eq!(
        sole_in(
            "litellm",
            "/v1/messages",
            &[("authorization", "Bearer one"), ("x-api-key", "ONE")]
        ),
        "Several",
        "letters count where the gateway counts them"
    );
    let empty = [
        ("authorization", KEY),
        ("x-api-key", ""),
        ("api-key", "Bearer"),
        ("mj-api-secret", "midjourney-proxy"),
    ];
    assert_eq!(sole("/v1/chat/completions", &empty), KEY);
}

/// What a proxy would hold back must not be there: the gateway might read it.
#[test]
fn another_key_anywhere_is_refused() {
    let checked = ("authorization", KEY);
    for other in [
        ("x-api-key", OTHER),
        ("x-goog-api-key", OTHER),
        ("api-key", OTHER),
        ("mj-api-secret", OTHER),
        ("x-litellm-api-key", OTHER),
        ("ocp-apim-subscription-key", OTHER),
        ("litellm_user_api_key", OTHER),
        ("x-api-key", "Basic eDp5"),
        (
            "sec-websocket-protocol",
            "openai-insecure-api-key.sk-BBBBBBBBBBBBBBBBBBBBBBBB",
        ),
        ("sec-websocket-protocol", "sk-BBBBBBBBBBBBBBBBBBBBBBBB"),
    ] {
        for headers in [[checked, other], [other, checked]] {
            let judged = sole("/v1/chat/completions", &headers);
            assert_ne!(judged, KEY, "{other:?}");
            assert_ne!(judged, "none", "{other:?}");
        }
    }
    for query in [
        "key",
        "KEY",
        "k%65y",
        "api_key",
        "access_token",
        "%24httpheaders",
        "%ff",
    ] {
        let target = format!("/v1/chat/completions?a=1&{query}={OTHER}");
        assert_eq!(sole(&target, &[checked]), "Several", "{query}");
    }
    assert_eq!(
        sole(&format!("/dashboard?key={OTHER}"), &[checked]),
        KEY,
        "where no gateway reads a key from the query, `key` is a word like any other"
    );
}

#[test]
fn a_credential_that_the_profile_does_not_read_there_is_refused() {
    assert_eq!(
        sole("/v1/chat/completions", &[("x-goog-api-key", KEY)]),
        "Several"
    );
    assert_eq!(
        sole("/v1/chat/completions", &[("authorization", "Basic eDp5")]),
        "Several"
    );
    assert_eq!(
        sole_in("litellm", "/v1/models", &[("authorization", "sk-bare")]),
        "Several"
    );
}

/// `X_Api_Key` and `X-Api-Key` are one variable to a CGI-like gateway.
#[test]
fn a_name_that_could_be_taken_for_a_credential_s_is_refused() {
    for name in [
        "x_api_key",
        "X.Api.Key",
        "api_key",
        "x_goog-api.key",
        "sec_websocket_protocol",
        "litellm.user.api.key",
    ] {
        assert_eq!(
            sole("/v1/chat/completions", &[("authorization", KEY), (name, KEY)]),
            "Several",
            "{name}"
        );
    }
    assert_eq!(
        sole(
            "/v1/chat/completions",
            &[("authorization", KEY), ("x_trace_id", "1")]
        ),
        KEY
    );
    assert_eq!(
        sole_in(
            "litellm",
            "/v1/models",
            &[("authorization", "Bearer one"), ("litellm_user_api_key", "one")]
        ),
        "one",
        "its own name, and the same key"
    );
}

/// Envoy joins the lines of a header when it asks, and forwards them apart.
#[test]
fn joined_lines_are_several() {
    assert_eq!(
        sole("/v1/messages", &[("x-api-key", &format!("{KEY},{OTHER}"))]),
        "Several"
    );
    assert_eq!(
        sole("/v1/messages", &[("x-api-key", &format!("{KEY},{KEY}"))]),
        "Several"
    );
    assert_eq!(
        sole("/v1/messages", &[("x-api-key", KEY), ("x-api-key", OTHER)]),
        "Repeated"
    );
}

#[test]
fn subprotocols_that_are_nobody_s_key_stay() {
    let target = "/v1/realtime";
    let with = |value: &str| {
        sole(
            target,
            &[("authorization", KEY), ("sec-websocket-protocol", value)],
        )
    };
    assert_eq!(with("realtime, openai-beta.realtime-v1"), KEY);
    assert_eq!(with(&format!("realtime, openai-insecure-api-key.{KEY}")), KEY);
    assert_eq!(with("realtime, unheard-of"), "Several");
    assert_eq!(
        with(&format!("OpenAI-insecure-api-key.{KEY}")),
        "Several",
        "badly written"
    );
}

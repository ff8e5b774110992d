//! Properties that hold of every request, checked on generated ones.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// Generated requests: some path, and any of the carriers with short keys.
fn requests() -> impl Strategy<Value = (String, Vec<(&'static str, String)>)> {
    let path = prop::sample::select(vec![
        CHAT,
        MESSAGES,
        GEMINI,
        "/v1/models",
        "/v1/mess%61ges",
        "//v1/models",
        "/v1/realtime",
        "/mj/submit/x",
        "/api/user",
        "/gemini/x",
        "/langfuse/x",
    ]);
    let key = prop::sample::select(vec![
        "sk-a",
        "sk-b",
        "a",
        "sk-a-1",
        "Bearer sk-c",
        "bearer sk-d",
        "midjourney-proxy",
        "",
        "Basic x",
        "Basic cGs6c2stYQ==",
        "AWS4-HMAC-SHA256Credential=sk-a",
        "sk-",
    ]);
    let name = prop::sample::select(vec![
        "authorization",
        "x-api-key",
        "x-goog-api-key",
        "api-key",
        "mj-api-secret",
        "x-litellm-api-key",
        "accept",
        "sec-websocket-protocol",
        "litellm_user_api_key",
        "connection",
        "upgrade",
    ]);
    let query = prop::option::of((
        prop::sample::select(vec!["key", "k%65y", "api_key", "model"]),
        key.clone(),
    ));
    let headers = prop::collection::vec((name, key, any::<bool>()), 0..5);
    (path, query, headers).prop_map(|(path, query, headers)| {
        let target = match query {
            Some((name, value)) => format!("{path}?x=1&{name}={}", value.replace(' ', "%20")),
            None => path.to_owned(),
        };
        let headers = headers
            .into_iter()
            .map(|(name, value, has_prefix)| {
                let value = match (name, has_prefix) {
                    ("sec-websocket-protocol", true) => {
                        format!("realtime, {WEBSOCKET_KEY_PREFIX}{}", value.replace(' ', ""))
                    }
                    ("upgrade", _) => "websocket".to_owned(),
                    _ => value.to_owned(),
                };
                (name, value)
            })
            .collect();
        (target, headers)
    })
}

proptest! {
    /// Reading what is forwarded gives the checked key again: nothing else that could be a credential goes on.
    #[test]
    fn the_forwarded_request_holds_the_checked_key_and_no_other((target, headers) in requests(), profile in prop::sample::select(Profile::BUILT_IN.to_vec())) {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let checked = read_in(profile, &target, &headers);
        if ["Repeated", "Malformed", "Path", "Nominated"].contains(&checked.as_str()) {
            return Ok(());
        }
        let (target, left) = forwarded(profile, &target, &headers);
        let left: Vec<(&str, &str)> = left.iter().filter_map(|line| line.split_once(": ")).collect();
        prop_assert_eq!(read_in(profile, &target, &left), checked.clone());
        let holds_key = |(name, value): &&(&str, &str)| {
            CREDENTIAL_HEADERS.iter().any(|known| known == name) || value.contains(WEBSOCKET_KEY_PREFIX)
        };
        let holders: BTreeSet<_> = left.iter().filter(holds_key).collect();
        prop_assert!(holders.len() <= usize::from(checked != "none"));
        let gateway = Profile::built_in(profile).expect("built in");
        let reads_protocols = gateway.carriers.iter().any(|carrier| carrier.place == Place::WebSocketProtocol);
        for (_, value) in left.iter().filter(|(name, _)| reads_protocols && *name == "sec-websocket-protocol") {
            let is_known = |token: &str| token == "realtime" || token.starts_with(WEBSOCKET_KEY_PREFIX);
            prop_assert!(value.split(", ").all(is_known), "{}", value);
        }
    }
}

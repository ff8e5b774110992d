//! A provider, or a store, that is away.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_away_or_strange_keeps_nobody_out_who_has_a_password() {
    let huge = vec![b' '; 64 * 1024];
    let other = br#"{"issuer": "https://evil.example", "authorization_endpoint": "https://evil.example",
        "token_endpoint": "https://evil.example", "jwks_uri": "https://evil.example"}"#;
    for fault in [
        CallFault::Fails,
        CallFault::Hangs,
        CallFault::Answers(302, b"{}".to_vec()),
        CallFault::Answers(500, Vec::new()),
        CallFault::Answers(200, huge),
        CallFault::Answers(200, other.to_vec()),
    ] {
        let stage = Stage::new();
        stage.calls.set(Some(("", fault.clone())));
        let answer = stage.get(START_PATH, "").await;
        assert_eq!(word(&answer), "provider_unavailable", "{fault:?}");
        assert!(answer.headers.get(header::SET_COOKIE).is_none());
        assert_eq!(stage.get(PATH, "").await.body["is_on"], true);
        assert_eq!(
            stage.console.login(USERNAME, PASSWORD).await.status,
            StatusCode::OK
        );
        stage.calls.set(None);
        assert_eq!(
            word(&stage.get(START_PATH, "").await),
            "provider_unavailable",
            "left alone"
        );
        assert_eq!(stage.calls.provider.asked(), Vec::<String>::new());
        stage.console.clock.advance(Duration::from_secs(5));
        assert_eq!(word(&stage.sign_in(&ann(&["staff"])).await), DONE);
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_goes_away_in_between_counts_against_nobody() {
    for (at, fault, expected) in [
        ("/token", CallFault::Hangs, "provider_unavailable"),
        (
            "/token",
            CallFault::Answers(503, Vec::new()),
            "provider_unavailable",
        ),
        (
            "/token",
            CallFault::Answers(401, br#"{"error":"invalid_client"}"#.to_vec()),
            "provider_unavailable",
        ),
        (
            "/token",
            CallFault::Answers(302, Vec::new()),
            "provider_unavailable",
        ),
        (
            "/token",
            CallFault::Answers(200, b"{}".to_vec()),
            "not_vouched_for",
        ),
        ("/keys", CallFault::Fails, "provider_unavailable"),
        (
            "/keys",
            CallFault::Answers(200, b"{".to_vec()),
            "provider_unavailable",
        ),
    ] {
        let stage = Stage::new();
        stage.calls.set(Some((at, fault)));
        for _ in 0..FREE_FAILURES_PER_ACCOUNT_MAX {
            assert_eq!(word(&stage.sign_in(&ann(&["staff"])).await), expected, "{at}");
        }
        stage.calls.set(None);
        let after = word(&stage.sign_in(&ann(&["staff"])).await);
        let is_counted = expected == "not_vouched_for";
        assert_eq!(after, if is_counted { "locked" } else { DONE }, "{at}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_lets_nobody_in_by_the_provider() {
    let stage = Stage::new();
    stage.console.store.lock().failure = Some(StoreError::Unavailable("away".to_owned()));
    let answer = stage.sign_in(&ann(&["admins"])).await;
    assert_eq!(word(&answer), "store_unavailable");
    let stage = Stage::new();
    stage.console.accounts.fall_silent();
    let since = tokio::time::Instant::now();
    assert_eq!(
        word(&stage.sign_in(&ann(&["admins"])).await),
        "provider_unavailable"
    );
    assert_eq!(since.elapsed(), SIGN_IN_WAIT_MAX);
}

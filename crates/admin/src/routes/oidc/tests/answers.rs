//! What comes back with a browser: whose it is, how often, and what it counts.

use super::*;

#[tokio::test]
async fn an_answer_is_for_the_browser_that_asked_and_once() {
    let stage = Stage::new();
    let provider = &stage.calls.provider;
    let (url, cookie) = stage.start("").await;
    let approved = provider.approve(&url, &ann(&["staff"]));
    let (_, elsewhere) = stage.start("").await;
    let long = (approved.0.clone(), "s".repeat(PARAMETER_BYTES_MAX + 1));
    let forged = (approved.0.clone(), "forged".to_owned());
    for (answer, cookie) in [
        (&approved, ""),
        (&approved, elsewhere.as_str()),
        (&forged, cookie.as_str()),
        (&long, cookie.as_str()),
    ] {
        let answer = stage.come_back(answer, cookie).await;
        assert_eq!(word(&answer), "flow_unknown");
        assert!(answer.headers.get(header::SET_COOKIE).is_none(), "{answer:?}");
        assert_eq!(stage.last_event().action, "login_failed");
    }
    assert!(
        !provider.asked().iter().any(|path| path == "/token"),
        "nothing was exchanged"
    );
    let done = stage.come_back(&approved, &cookie).await;
    assert_eq!(word(&done), DONE);
    let left = done.cookie();
    assert_eq!(left, "__Host-sentinel_oidc=");
    assert_eq!(word(&stage.come_back(&approved, &left).await), "flow_unknown");
    let kept = stage.come_back(&approved, &cookie).await;
    assert_eq!(word(&kept), "not_vouched_for", "the code was good once");
}

#[tokio::test]
async fn two_windows_of_one_browser_do_not_disturb_each_other_and_time_runs_out() {
    let stage = Stage::new();
    let (first, cookie) = stage.start("").await;
    let (second, cookie) = stage.start(&cookie).await;
    let approve = |url| stage.calls.provider.approve(url, &ann(&["staff"]));
    let done = stage.come_back(&approve(&first), &cookie).await;
    assert_eq!(word(&done), DONE);
    assert_eq!(
        word(&stage.come_back(&approve(&second), &done.cookie()).await),
        DONE
    );
    let (url, cookie) = stage.start("").await;
    stage.console.clock.advance(FLOW_LIFE_MAX);
    assert_eq!(
        word(&stage.come_back(&approve(&url), &cookie).await),
        "flow_unknown"
    );
}

#[tokio::test]
async fn failures_count_against_the_address_and_leave_bounded_events() {
    let stage = Stage::new();
    for _ in 0..FREE_FAILURES_PER_ACCOUNT_MAX {
        assert_eq!(
            word(&stage.get("/admin/api/oidc/callback", "").await),
            "flow_unknown"
        );
    }
    let events = stage.events();
    assert_eq!(word(&stage.sign_in(&ann(&["staff"])).await), "locked");
    assert_eq!(stage.events(), events, "none during a lockout");
    assert_eq!(
        stage.console.login(USERNAME, PASSWORD).await.status,
        StatusCode::OK,
        "nobody else is locked out"
    );
    stage.console.clock.advance(Duration::from_secs(2));
    assert_eq!(word(&stage.sign_in(&ann(&["staff"])).await), DONE);
}

#[tokio::test]
async fn what_the_provider_sends_back_instead_of_a_code_is_believed_of_nobody_else() {
    let stage = Stage::new();
    let back = async |query: &str| {
        let (url, cookie) = stage.start("").await;
        let (code, state) = stage.calls.provider.approve(&url, &ann(&["staff"]));
        let path = format!("/admin/api/oidc/callback?code={code}&state={state}{query}");
        let answer = stage.get(&path, &cookie).await;
        stage.console.clock.advance(Duration::from_secs(1));
        word(&answer)
    };
    let error = "e".repeat(2 * ERROR_CHARACTERS_MAX);
    let iss = |issuer: &str| format!("&iss={}", issuer.replace(':', "%3A").replace('/', "%2F"));
    assert_eq!(back(&format!("&error={error}")).await, "denied");
    assert_eq!(back("&error=access_denied").await, "denied");
    assert_eq!(back(&iss("https://evil.example")).await, "not_vouched_for");
    assert_eq!(
        back(&format!("{}&error=x", iss("https://evil.example"))).await,
        "not_vouched_for"
    );
    assert_eq!(back(&iss(ISSUER)).await, DONE);
    let stage = Stage::new();
    let named = "authorization_response_iss_parameter_supported";
    stage.calls.provider.describe(named, json!(true));
    let (url, cookie) = stage.start("").await;
    let approved = stage.calls.provider.approve(&url, &ann(&["staff"]));
    assert_eq!(
        word(&stage.come_back(&approved, &cookie).await),
        "not_vouched_for"
    );
}

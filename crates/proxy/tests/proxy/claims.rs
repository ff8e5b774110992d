//! First uses: what binds a key, what does not, and who wins.

mod unanswered;

use std::time::Duration;

use sentinel_testkit::{Answer, ScriptedUpstream};

use crate::support::{CHAT, KEY, Sentinel, code, upstream};

#[tokio::test]
async fn a_key_that_the_upstream_does_not_know_stays_unbound() {
    let upstream = ScriptedUpstream::start(Answer::unauthorized()).await;
    let sentinel = Sentinel::start(upstream.address());
    assert_eq!(sentinel.chat().await.status(), 401);
    assert!(sentinel.lookup.bindings().is_empty(), "the claim was released");
    assert_eq!(sentinel.chat().await.status(), 401, "goes on, without a claim");
    assert_eq!(sentinel.engine.figures().snapshot().claimed, 1);
    sentinel.clock.advance(Duration::from_secs(11));
    assert_eq!(sentinel.chat().await.status(), 401);
    assert_eq!(
        sentinel.engine.figures().snapshot().claimed,
        2,
        "after a while it is claimed anew"
    );
}

/// A 401 for some other reason must not be a way to use a key unbound.
#[tokio::test]
async fn a_held_key_is_bound_as_soon_as_the_upstream_accepts_it() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    upstream.answer_next(Answer::unauthorized());
    assert_eq!(sentinel.chat().await.status(), 401);
    assert_eq!(sentinel.chat().await.status(), 200);
    assert_eq!(sentinel.lookup.bindings().len(), 1);
    assert_eq!(sentinel.chat_elsewhere().await.status(), 403);
}

#[tokio::test]
async fn whoever_binds_a_held_key_first_keeps_it() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    upstream.answer_next(Answer::unauthorized());
    assert_eq!(sentinel.chat().await.status(), 401);
    let (events, answer) = Answer::events();
    upstream.answer_next(answer.clone());
    let mut held = sentinel.client().await;
    held.send(format!(
        "POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: {KEY}\r\ncontent-length: 2\r\n\r\n"
    ))
    .await;
    upstream.wait_for_requests(2).await;
    assert_eq!(
        sentinel.chat_elsewhere().await.status(),
        200,
        "bound from elsewhere in the meantime"
    );
    held.send("{}").await;
    assert_eq!(
        held.read_response().await.status(),
        403,
        "the answer to the held request is not handed out"
    );
    upstream.wait_for_clients_gone(1).await;
    drop(events);
}

#[tokio::test]
async fn a_binding_is_not_released_by_a_later_401() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    sentinel.chat().await;
    upstream.answer_next(Answer::unauthorized());
    assert_eq!(sentinel.chat().await.status(), 401);
    assert_eq!(sentinel.lookup.bindings().len(), 1);
}

#[tokio::test]
async fn off_the_claim_paths_an_unknown_key_passes_unbound() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let answer = sentinel
        .client()
        .await
        .get("/api/user/self", &[("authorization", "Bearer dashboard-token")])
        .await;
    assert_eq!(answer.status(), 200);
    assert!(sentinel.lookup.bindings().is_empty());
}

#[tokio::test]
async fn fresh_claims_per_address_are_bounded() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| options.rules.claims_per_minute = 2);
    let mut client = sentinel.client().await;
    let mut claim = async |key: &str| client.post(CHAT, &[("authorization", key)], "{}").await;
    assert_eq!(claim("sk-one").await.status(), 200);
    assert_eq!(claim("sk-two").await.status(), 200);
    let refused = claim("sk-three").await;
    assert_eq!(
        (refused.status(), code(&refused).as_str()),
        (429, "claim_rate_limited")
    );
    assert_eq!(claim("sk-one").await.status(), 200, "bound keys are not slowed");
    sentinel.clock.advance(Duration::from_mins(1));
    assert_eq!(claim("sk-three").await.status(), 200);
}

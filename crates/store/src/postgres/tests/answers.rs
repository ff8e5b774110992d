//! First answers take so much room and no more, and hold for all replicas.

use std::time::Duration;

use sentinel_core::ports::{
    ANSWER_KEPT, ANSWERS_OF_ACCOUNT_MAX, AnswerStore as _, FirstAnswer, Repeated, UNDER_WAY_MAX,
};

use super::{fixture, outside, replica};
use crate::answers::ANSWERS_REMOVED_MAX;
use crate::conformance::answers::{NOW, request};

#[tokio::test]
async fn an_account_has_answers_of_account_max_and_what_is_old_goes_in_steps() {
    let (store, server) = fixture().await;
    let outside = outside(&server).await;
    let insert = format!(
        "INSERT INTO idempotency_keys (account, key, digest, begun_at) \
         SELECT 'root', number::text, decode(repeat('00', 32), 'hex'), to_timestamp(({} + number) / 1000.0) \
         FROM generate_series(1, {ANSWERS_OF_ACCOUNT_MAX}) number",
        NOW.unix_ms()
    );
    outside.batch_execute(&insert).await.unwrap();
    let rows = async |key: &str| -> i64 {
        let select = "SELECT count(*) FROM idempotency_keys WHERE account = 'root' AND key LIKE $1";
        outside.query_one(select, &[&key]).await.unwrap().get(0)
    };
    let most = i64::from(ANSWERS_OF_ACCOUNT_MAX);
    let now = NOW.plus(ANSWER_KEPT / 2);
    assert_eq!(
        store.begin(request("one more", 1, now)).await,
        Ok(Repeated::First)
    );
    assert_eq!((rows("%").await, rows("1").await), (most, 0), "the oldest went");
    // Asking again adds nothing, so nothing goes.
    assert_eq!(
        store.begin(request("one more", 1, now)).await,
        Ok(Repeated::UnderWay)
    );
    assert_eq!((rows("%").await, rows("2").await), (most, 1));
    let later = NOW.plus(ANSWER_KEPT + ANSWER_KEPT / 4);
    assert_eq!(store.begin(request("later", 1, later)).await, Ok(Repeated::First));
    assert_eq!(rows("%").await, most + 1 - i64::from(ANSWERS_REMOVED_MAX));
    assert_eq!(rows("one more").await, 1, "it is not old yet");
}

#[tokio::test]
async fn what_one_replica_answered_another_one_answers_again() {
    let (store, server) = fixture().await;
    let other = replica(&server).await;
    let request = request("a", 1, NOW);
    assert_eq!(store.begin(request.clone()).await, Ok(Repeated::First));
    assert_eq!(other.begin(request.clone()).await, Ok(Repeated::UnderWay));
    let answer = FirstAnswer {
        status: 200,
        media_type: "application/json".to_owned(),
        body: "{}".to_owned(),
    };
    store.finish(request.clone(), Some(answer.clone())).await.unwrap();
    assert_eq!(other.begin(request).await, Ok(Repeated::Answered(answer)));
}

#[tokio::test]
async fn what_a_replica_left_behind_is_taken_over_after_under_way_max() {
    let (store, server) = fixture().await;
    let other = replica(&server).await;
    assert_eq!(store.begin(request("a", 1, NOW)).await, Ok(Repeated::First));
    drop(store);
    let moment = Duration::from_millis(1);
    let almost = NOW.plus(UNDER_WAY_MAX.saturating_sub(moment));
    assert_eq!(other.begin(request("a", 1, almost)).await, Ok(Repeated::UnderWay));
    let over = NOW.plus(UNDER_WAY_MAX);
    assert_eq!(other.begin(request("a", 1, over)).await, Ok(Repeated::First));
}

//! Promises about first answers: a request that comes again is known, by its name and by what it asks for.

use sentinel_core::ports::{
    ANSWER_KEPT, ANSWERS_OF_ACCOUNT_MAX, FirstAnswer, RepeatableRequest, Repeated, UNDER_WAY_MAX,
};
use sentinel_core::time::Timestamp;

use super::{AnyStore, at};
use crate::answers::ANSWERS_REMOVED_MAX;

const NOW: Timestamp = Timestamp::from_unix_ms(1_800_000_000_000);

fn request(key: &str, digest: u8, at: Timestamp) -> RepeatableRequest {
    RepeatableRequest {
        account: "root".to_owned(),
        key: key.to_owned(),
        digest: [digest; 32],
        at,
    }
}

fn answer(body: &str) -> FirstAnswer {
    FirstAnswer {
        status: 201,
        media_type: "application/json".to_owned(),
        body: body.to_owned(),
    }
}

pub(crate) async fn a_request_that_comes_again_gets_its_first_answer(store: impl AnyStore) {
    let first = request("a", 1, NOW);
    assert_eq!(store.begin(first.clone()).await, Ok(Repeated::First));
    let later = request("a", 1, NOW.plus(UNDER_WAY_MAX / 2));
    assert_eq!(store.begin(later.clone()).await, Ok(Repeated::UnderWay));
    store
        .finish(first.clone(), Some(answer("{\"n\":1}")))
        .await
        .unwrap();
    let known = Repeated::Answered(answer("{\"n\":1}"));
    assert_eq!(store.begin(later).await, Ok(known.clone()));
    // Only the first one's answer counts.
    store.finish(first, Some(answer("{\"n\":2}"))).await.unwrap();
    let last = at((NOW.plus(ANSWER_KEPT)).unix_ms() - 1);
    assert_eq!(store.begin(request("a", 1, last)).await, Ok(known));
    assert_eq!(
        store.begin(request("a", 1, NOW.plus(ANSWER_KEPT))).await,
        Ok(Repeated::First)
    );
}

pub(crate) async fn a_name_stands_for_one_request_of_one_account(store: impl AnyStore) {
    store.begin(request("a", 1, NOW)).await.unwrap();
    assert_eq!(store.begin(request("a", 2, NOW)).await, Ok(Repeated::KeyReused));
    store
        .finish(request("a", 1, NOW), Some(answer("")))
        .await
        .unwrap();
    assert_eq!(store.begin(request("a", 2, NOW)).await, Ok(Repeated::KeyReused));
    assert_eq!(store.begin(request("A", 2, NOW)).await, Ok(Repeated::First));
    let other = RepeatableRequest {
        account: "other".to_owned(),
        ..request("a", 2, NOW)
    };
    assert_eq!(store.begin(other).await, Ok(Repeated::First));
}

pub(crate) async fn a_request_without_an_answer_may_be_made_anew(store: impl AnyStore) {
    let first = request("a", 1, NOW);
    store.begin(first.clone()).await.unwrap();
    store.finish(first, None).await.unwrap();
    assert_eq!(store.begin(request("a", 2, NOW)).await, Ok(Repeated::First));
    // Whoever served it is gone: the same one may, another one may not.
    let over = NOW.plus(UNDER_WAY_MAX);
    assert_eq!(store.begin(request("a", 1, over)).await, Ok(Repeated::KeyReused));
    assert_eq!(store.begin(request("a", 2, over)).await, Ok(Repeated::First));
    // Its answer is not that of the one that took over.
    store
        .finish(request("a", 2, NOW), Some(answer("late")))
        .await
        .unwrap();
    assert_eq!(store.begin(request("a", 2, over)).await, Ok(Repeated::UnderWay));
}

pub(crate) async fn of_many_at_once_one_is_the_first(store: impl AnyStore) {
    let asked = (0..8).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.begin(request("a", 1, NOW)).await.unwrap() })
    });
    let mut firsts = 0;
    for asked in asked.collect::<Vec<_>>() {
        match asked.await.unwrap() {
            Repeated::First => firsts += 1,
            other => assert_eq!(other, Repeated::UnderWay),
        }
    }
    assert_eq!(firsts, 1);
}

/// The bounds are those of the port, [`ANSWERS_OF_ACCOUNT_MAX`], and of each step, [`ANSWERS_REMOVED_MAX`].
pub(crate) async fn an_account_has_so_many_answers(store: impl AnyStore) {
    let at = |number: u32| at(NOW.unix_ms() + i64::from(number));
    for number in 0..=ANSWERS_OF_ACCOUNT_MAX {
        let begun = store.begin(request(&number.to_string(), 1, at(number))).await;
        assert_eq!(begun, Ok(Repeated::First));
    }
    let now = at(ANSWERS_OF_ACCOUNT_MAX);
    assert_eq!(store.begin(request("1", 1, now)).await, Ok(Repeated::UnderWay));
    assert_eq!(
        store.begin(request("0", 1, now)).await,
        Ok(Repeated::First),
        "the oldest went"
    );
    // Long after, all are forgotten, though each step removes a few only.
    let later = now.plus(ANSWER_KEPT);
    for number in 0..=ANSWERS_OF_ACCOUNT_MAX / ANSWERS_REMOVED_MAX {
        let key = format!("later {number}");
        assert_eq!(store.begin(request(&key, 1, later)).await, Ok(Repeated::First));
    }
    assert_eq!(store.begin(request("1999", 2, later)).await, Ok(Repeated::First));
}

//! Promises about first answers: a request that comes again is known, by its name and by what it asks for.

use sentinel_core::ports::{ANSWER_KEPT, FirstAnswer, RepeatableRequest, Repeated, UNDER_WAY_MAX};
use sentinel_core::time::Timestamp;

use super::{AnyStore, at};

pub(crate) const NOW: Timestamp = Timestamp::from_unix_ms(1_800_000_000_000);

pub(crate) fn request(key: &str, digest: u8, at: Timestamp) -> RepeatableRequest {
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

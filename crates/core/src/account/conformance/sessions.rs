//! Promises about sessions.

use std::time::Duration;

use futures_util::future::join_all;

use super::{AnyAccountStore, actions, actor, added, address, at, session, session_id};
use crate::account::session::{
    AdminSession, REFRESH_AGAIN_MAX, Refresh, Refreshed, SESSIONS_PER_ACCOUNT_MAX, SESSIONS_SHOWN_MAX,
    SessionInForce, USE_NOTED_EVERY, Whose,
};
use crate::account::{AdministratorChange, AdministratorId, StoredPasswordHash};
use crate::ports::InUse;
use crate::time::Timestamp;

async fn begun(store: &impl AnyAccountStore, session: AdminSession) -> AdminSession {
    assert_eq!(store.begin_session(session.clone()).await, Ok(true));
    session
}

async fn is_in_force(store: &impl AnyAccountStore, number: u128, now: i64) -> bool {
    let found = store.session(session_id(number), at(now)).await;
    found.expect("the store works").is_some()
}

fn refresh(generation: i64, from: &str, now: Timestamp) -> Refresh {
    Refresh {
        id: session_id(1),
        generation,
        client_ip: address(from),
        now,
        expires_at: now.plus(Duration::from_hours(2)),
    }
}

/// It comes back whole, with whose it is.
pub async fn a_session_is_in_force_until_it_expires(store: &impl AnyAccountStore) {
    let ann = added(store, "ann").await;
    let of_ann = begun(store, session(1, Some(ann.id), 10)).await;
    let configured = begun(store, session(2, None, 20)).await;
    let found = store.session(of_ann.id, at(30)).await;
    let ann = store.administrator(ann.id).await.expect("the store works");
    assert_eq!(
        found,
        Ok(Some(SessionInForce {
            session: of_ann.clone(),
            administrator: ann.clone(),
        }))
    );
    let found = store.session(configured.id, at(30)).await;
    assert_eq!(
        found,
        Ok(Some(SessionInForce {
            session: configured.clone(),
            administrator: None,
        }))
    );
    assert!(!is_in_force(store, 3, 30).await);
    assert!(is_in_force(store, 1, 3_600_009).await && !is_in_force(store, 1, 3_600_010).await);

    let all = store.sessions(Whose::Everybodys, at(30)).await;
    assert_eq!(
        all,
        Ok(vec![configured.clone(), of_ann.clone()]),
        "the newest first"
    );
    let own = store.sessions(Whose::Of(ann.map(|ann| ann.id)), at(30)).await;
    assert_eq!(own, Ok(vec![of_ann]));
    assert_eq!(
        store.sessions(Whose::Of(None), at(30)).await,
        Ok(vec![configured])
    );
    assert_eq!(
        store.sessions(Whose::Everybodys, at(4_000_000)).await,
        Ok(Vec::new())
    );
}

/// The last sign-in is the beginning of the last session.
pub async fn a_sign_in_is_noted(store: &impl AnyAccountStore) {
    let ann = added(store, "ann").await;
    begun(store, session(1, Some(ann.id), 77)).await;
    let ann = store.administrator(ann.id).await.expect("the store works");
    assert_eq!(ann.and_then(|ann| ann.last_sign_in_at), Some(at(77)));
}

/// Neither begins one nor keeps one, and enabling again brings none back.
pub async fn nobody_who_is_disabled_or_gone_has_one(store: &impl AnyAccountStore) {
    let ann = added(store, "ann").await;
    begun(store, session(1, Some(ann.id), 10)).await;
    let access = |is_disabled| AdministratorChange::Access {
        role: None,
        is_disabled: Some(is_disabled),
    };
    assert!(
        store
            .change_administrator(ann.id, access(true), actor(20))
            .await
            .is_ok()
    );
    assert!(!is_in_force(store, 1, 30).await);
    assert_eq!(store.begin_session(session(2, Some(ann.id), 31)).await, Ok(false));
    let refreshed = store.refresh_session(refresh(1, "192.0.2.7", at(32))).await;
    assert_eq!(refreshed, Ok(Refreshed::Gone));
    assert!(
        store
            .change_administrator(ann.id, access(false), actor(40))
            .await
            .is_ok()
    );
    assert!(!is_in_force(store, 1, 50).await);
    let nobody = AdministratorId(ann.id.0 + 1_000);
    assert_eq!(store.begin_session(session(3, Some(nobody), 60)).await, Ok(false));
}

/// Each refresh takes the next generation, and moves the end.
pub async fn a_refresh_goes_on(store: &impl AnyAccountStore) {
    begun(store, session(1, None, 10)).await;
    let asked = refresh(1, "192.0.2.8", at(1_000));
    let Ok(Refreshed::Done(after)) = store.refresh_session(asked).await else {
        panic!("it was to go on");
    };
    assert_eq!(
        (
            after.generation,
            after.client_ip,
            after.refreshed_at,
            after.expires_at
        ),
        (2, address("192.0.2.8"), at(1_000), asked.expires_at)
    );
    assert_eq!(
        store.sessions(Whose::Everybodys, at(1_001)).await,
        Ok(vec![after])
    );
    let asked = refresh(2, "192.0.2.8", at(2_000));
    assert!(
        matches!(store.refresh_session(asked).await, Ok(Refreshed::Done(after)) if after.generation == 3)
    );
    let late = refresh(3, "192.0.2.8", at(2_000).plus(Duration::from_hours(2)));
    assert_eq!(store.refresh_session(late).await, Ok(Refreshed::Gone));
}

/// Within [`REFRESH_AGAIN_MAX`] the same answer is given again, and no second generation.
pub async fn a_refresh_is_taken_once_more_from_where_it_came(store: &impl AnyAccountStore) {
    begun(store, session(1, None, 10)).await;
    let first = store.refresh_session(refresh(1, "192.0.2.7", at(1_000))).await;
    let last = at(1_000).plus(REFRESH_AGAIN_MAX);
    assert_eq!(store.refresh_session(refresh(1, "192.0.2.7", last)).await, first);
    let next = store.refresh_session(refresh(2, "192.0.2.7", last)).await;
    assert!(matches!(next, Ok(Refreshed::Done(session)) if session.generation == 3));
}

/// From elsewhere, later, or older: the right to refresh was copied.
pub async fn a_refresh_that_comes_twice_ends_the_session(store: &impl AnyAccountStore) {
    let too_late = at(1_001).plus(REFRESH_AGAIN_MAX);
    for (generation, from, now) in [
        (1, "198.51.100.9", at(1_000)),
        (1, "192.0.2.7", too_late),
        (0, "192.0.2.7", at(1_000)),
        (9, "192.0.2.7", at(1_000)),
    ] {
        begun(store, session(1, None, 10)).await;
        let first = store.refresh_session(refresh(1, "192.0.2.7", at(1_000))).await;
        assert!(matches!(first, Ok(Refreshed::Done(_))), "{first:?}");
        let again = store.refresh_session(refresh(generation, from, now)).await;
        assert!(matches!(again, Ok(Refreshed::Reused(_))), "{again:?}");
        assert!(!is_in_force(store, 1, 1_001).await);
        let gone = store.refresh_session(refresh(2, "192.0.2.7", at(1_002))).await;
        assert_eq!(gone, Ok(Refreshed::Gone));
    }
    assert_eq!(actions(store).await, ["refresh_reused"; 4]);
}

/// Two who refresh at once from two places: neither goes on.
pub async fn of_many_refreshes_from_elsewhere_none_is_left(store: &impl AnyAccountStore) {
    begun(store, session(1, None, 10)).await;
    let many = (1..=4).map(|number| {
        let from = format!("192.0.2.{number}");
        store.refresh_session(refresh(1, &from, at(1_000)))
    });
    let outcomes = join_all(many).await;
    let count = |is: fn(&Refreshed) -> bool| outcomes.iter().flatten().filter(|outcome| is(outcome)).count();
    assert_eq!(
        (
            count(|outcome| matches!(outcome, Refreshed::Done(_))),
            count(|outcome| matches!(outcome, Refreshed::Reused(_))),
            count(|outcome| matches!(outcome, Refreshed::Gone)),
        ),
        (1, 1, 2),
        "{outcomes:?}"
    );
    assert!(!is_in_force(store, 1, 1_001).await);
}

/// Others' sessions are out of reach unless asked for as everybody's.
pub async fn a_session_is_ended_by_those_who_may(store: &impl AnyAccountStore) {
    let ann = added(store, "ann").await;
    let of_ann = begun(store, session(1, Some(ann.id), 10)).await;
    begun(store, session(2, None, 10)).await;
    let end = |number, whose| store.end_session(session_id(number), whose, "end_session", actor(20));
    assert_eq!(end(1, Whose::Of(None)).await, Ok(None));
    assert_eq!(end(2, Whose::Of(Some(ann.id))).await, Ok(None));
    assert!(is_in_force(store, 1, 30).await && is_in_force(store, 2, 30).await);
    assert_eq!(end(1, Whose::Of(Some(ann.id))).await, Ok(Some(of_ann)));
    assert_eq!(end(1, Whose::Everybodys).await, Ok(None));
    assert!(end(2, Whose::Everybodys).await.is_ok_and(|ended| ended.is_some()));
    assert!(!is_in_force(store, 1, 30).await && !is_in_force(store, 2, 30).await);
    assert_eq!(
        actions(store).await,
        ["add_administrator", "end_session", "end_session"]
    );
}

/// A new password ends the other sessions, a reset all of them, and nobody else's.
pub async fn a_change_ends_those_that_it_should(store: &impl AnyAccountStore) {
    let ann = added(store, "ann").await;
    for (number, whose) in [(1, Some(ann.id)), (2, Some(ann.id)), (3, None)] {
        begun(store, session(number, whose, 10)).await;
    }
    let hash = StoredPasswordHash::new("$argon2id$new".to_owned());
    let own = AdministratorChange::Password {
        hash: hash.clone(),
        keeps: Some(session_id(2)),
    };
    assert!(store.change_administrator(ann.id, own, actor(20)).await.is_ok());
    assert!(!is_in_force(store, 1, 30).await && is_in_force(store, 2, 30).await);
    let reset = AdministratorChange::ResetPassword(hash);
    assert!(store.change_administrator(ann.id, reset, actor(40)).await.is_ok());
    assert!(!is_in_force(store, 2, 50).await && is_in_force(store, 3, 50).await);
}

/// Beyond [`SESSIONS_PER_ACCOUNT_MAX`] the one that was seen longest ago is over; other accounts' are not counted.
pub async fn an_account_has_so_many(store: &impl AnyAccountStore) {
    let ann = added(store, "ann").await;
    begun(store, session(1_000, None, 1)).await;
    let most = u128::try_from(SESSIONS_PER_ACCOUNT_MAX).expect("small");
    for number in 1..=most + 1 {
        let since = i64::try_from(number).expect("small");
        begun(store, session(number, Some(ann.id), since)).await;
    }
    assert!(!is_in_force(store, 1, 50).await && is_in_force(store, 2, 50).await);
    assert!(is_in_force(store, most + 1, 50).await && is_in_force(store, 1_000, 50).await);
}

/// At most [`SESSIONS_SHOWN_MAX`] are shown.
pub async fn a_list_has_a_maximum(store: &impl AnyAccountStore) {
    let accounts = SESSIONS_SHOWN_MAX / SESSIONS_PER_ACCOUNT_MAX + 1;
    let mut number = 0;
    for account in 0..accounts {
        let id = added(store, &format!("a{account}")).await.id;
        for _ in 0..SESSIONS_PER_ACCOUNT_MAX {
            number += 1;
            begun(store, session(number, Some(id), 10)).await;
        }
    }
    let shown = store.sessions(Whose::Everybodys, at(20)).await;
    assert_eq!(shown.map(|shown| shown.len()), Ok(SESSIONS_SHOWN_MAX));
}

/// So that a busy session costs one write a minute.
pub async fn the_use_of_a_session_is_noted_once_a_minute(store: &impl AnyAccountStore) {
    let begun = begun(store, session(1, None, 10)).await;
    let due = at(10).plus(USE_NOTED_EVERY);
    for (now, noted) in [
        (at(due.unix_ms() - 1), at(10)),
        (due, due),
        (due.plus(Duration::from_secs(1)), due),
    ] {
        assert_eq!(store.note_use(InUse::Session(begun.id), now).await, Ok(()));
        let all = store
            .sessions(Whose::Everybodys, now)
            .await
            .expect("the store works");
        assert_eq!(all[0].last_seen_at, noted);
    }
    assert_eq!(store.note_use(InUse::Session(session_id(9)), due).await, Ok(()));
}

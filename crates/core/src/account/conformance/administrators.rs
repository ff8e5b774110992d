//! Promises about administrators and their second factors.

use futures_util::future::join_all;

use super::{AnyAccountStore, actions, actor, added, at, new_administrator, session, session_id};
use crate::account::second_factor::{RECOVERY_CODES_MAX, SealedSecret, SecondFactor, SecondFactorProof};
use crate::account::{
    ADMINISTRATORS_MAX, Administrator, AdministratorChange, AdministratorId, Role, SecretDigest,
    StoredPasswordHash,
};
use crate::ports::AdministratorAdded;

/// A factor with as many recovery codes as there may be.
fn factor() -> SecondFactor {
    SecondFactor {
        secret: SealedSecret::new(vec![0, 1, 0xff]),
        last_step: 7,
        recovery: (0..RECOVERY_CODES_MAX)
            .map(|number| SecretDigest::of(&number.to_be_bytes()))
            .collect(),
    }
}

/// What was added is found by name and number, and in the list.
pub async fn an_administrator_is_found(store: &impl AnyAccountStore) {
    let ann = added(store, "ann").await;
    let bob = added(store, "bob").await;
    assert_eq!(
        (ann.role, ann.created_at, ann.is_disabled),
        (Role::Operator, at(1), false)
    );
    assert_eq!(store.administrator_named("ann").await, Ok(Some(ann.clone())));
    assert_eq!(store.administrator(bob.id).await, Ok(Some(bob.clone())));
    assert_eq!(store.administrators().await, Ok(vec![ann.clone(), bob]));
    for name in ["", "Ann", "nobody", "ann\0", "a%"] {
        assert_eq!(store.administrator_named(name).await, Ok(None), "{name}");
    }
    assert_eq!(
        store.administrator(AdministratorId(ann.id.0 + 1_000)).await,
        Ok(None)
    );
}

/// Two names that look alike are one.
pub async fn a_name_is_taken_whatever_its_case(store: &impl AnyAccountStore) {
    added(store, "ann").await;
    for name in ["ann", "Ann", "ANN"] {
        let outcome = store.add_administrator(new_administrator(name), actor(2)).await;
        assert_eq!(outcome, Ok(AdministratorAdded::NameTaken), "{name}");
    }
    assert_eq!(actions(store).await, ["add_administrator"]);
}

/// The name decides, however many ask at once.
pub async fn of_many_with_one_name_one_is_added(store: &impl AnyAccountStore) {
    let many = (0..8).map(|number| store.add_administrator(new_administrator("ann"), actor(number)));
    let outcomes = join_all(many).await;
    let done = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Ok(AdministratorAdded::Done(_))));
    assert_eq!(done.count(), 1, "{outcomes:?}");
    assert!(
        outcomes.iter().all(Result::is_ok) && store.administrators().await.map(|all| all.len()) == Ok(1),
        "{outcomes:?}"
    );
}

/// At [`ADMINISTRATORS_MAX`] no more are taken.
pub async fn there_is_a_most_of_administrators(store: &impl AnyAccountStore) {
    for number in 0..ADMINISTRATORS_MAX {
        added(store, &format!("a{number}")).await;
    }
    let outcome = store.add_administrator(new_administrator("more"), actor(2)).await;
    assert_eq!(outcome, Ok(AdministratorAdded::Full));
    assert_eq!(
        store.administrators().await.map(|all| all.len()),
        Ok(ADMINISTRATORS_MAX)
    );
}

/// Each change is what it says, comes back whole, and leaves one event.
pub async fn each_change_is_made_and_written_down(store: &impl AnyAccountStore) {
    let ann = added(store, "ann").await;
    let bob = added(store, "bob").await;
    let hash = |text: &str| StoredPasswordHash::new(text.to_owned());
    let mut expected: Administrator = ann.clone();
    for change in [
        AdministratorChange::Access {
            role: Some(Role::Viewer),
            is_disabled: None,
        },
        AdministratorChange::Access {
            role: None,
            is_disabled: Some(true),
        },
        AdministratorChange::Password {
            hash: hash("$argon2id$own"),
            keeps: None,
        },
        AdministratorChange::ResetPassword(hash("$argon2id$given")),
        AdministratorChange::OfferSecondFactor(SealedSecret::new(vec![1, 2])),
        AdministratorChange::SetSecondFactor(factor()),
        AdministratorChange::OfferSecondFactor(SealedSecret::new(vec![3])),
        AdministratorChange::ResealSecondFactor(SealedSecret::new(vec![4, 5])),
        AdministratorChange::RemoveSecondFactor,
        AdministratorChange::SetSecondFactor(factor()),
        AdministratorChange::ResetSecondFactor,
    ] {
        change.apply(&mut expected);
        let changed = store.change_administrator(ann.id, change, actor(5)).await;
        assert_eq!(changed, Ok(Some(expected.clone())));
        assert_eq!(store.administrator(ann.id).await, Ok(Some(expected.clone())));
    }
    assert_eq!(
        store.administrator(bob.id).await,
        Ok(Some(bob)),
        "nobody else changed"
    );
    let nobody = AdministratorId(ann.id.0 + 1_000);
    let change = AdministratorChange::ResetSecondFactor;
    assert_eq!(
        store.change_administrator(nobody, change, actor(6)).await,
        Ok(None)
    );

    assert_eq!(
        actions(store).await,
        [
            "add_administrator",
            "add_administrator",
            "change_administrator",
            "change_administrator",
            "change_password",
            "reset_password",
            "offer_second_factor",
            "set_second_factor",
            "offer_second_factor",
            "reseal_second_factor",
            "remove_second_factor",
            "set_second_factor",
            "reset_second_factor",
        ]
    );
    let events = store.newest(50).await.expect("the store works");
    let lowered = &events[events.len() - 3];
    let detail: serde_json::Value = serde_json::from_str(&lowered.detail).expect("JSON");
    assert_eq!((lowered.actor.as_str(), lowered.at), ("root", at(5)));
    assert_eq!(
        (
            &detail["name"],
            &detail["before"]["role"],
            &detail["after"]["role"]
        ),
        (&"ann".into(), &"operator".into(), &"viewer".into())
    );
    let written = format!("{events:?}");
    assert!(
        !written.contains("argon2"),
        "no secret is written down: {written}"
    );
}

/// A removed one cannot sign in, and its sessions are over.
pub async fn one_that_is_removed_is_gone_with_its_sessions(store: &impl AnyAccountStore) {
    let ann = added(store, "ann").await;
    let begun = session(1, Some(ann.id), 10);
    assert_eq!(store.begin_session(begun).await, Ok(true));
    let before = store.administrator(ann.id).await.expect("the store works");
    assert_eq!(store.remove_administrator(ann.id, actor(20)).await, Ok(before));
    assert_eq!(store.administrator_named("ann").await, Ok(None));
    assert_eq!(store.session(session_id(1), at(21)).await, Ok(None));
    assert_eq!(store.remove_administrator(ann.id, actor(22)).await, Ok(None));
    assert_eq!(
        actions(store).await,
        ["add_administrator", "remove_administrator"]
    );
    let again = added(store, "ann").await;
    assert_ne!(again.id, ann.id, "a number is never used again");
}

/// A code is taken once, and none from before it.
pub async fn a_step_is_spent_once(store: &impl AnyAccountStore) {
    let ann = added(store, "ann").await;
    assert_eq!(
        store
            .spend_second_factor(ann.id, SecondFactorProof::Step(8))
            .await,
        Ok(false)
    );
    let set = AdministratorChange::SetSecondFactor(factor());
    assert!(store.change_administrator(ann.id, set, actor(2)).await.is_ok());
    for (step, is_good) in [
        (7, false),
        (6, false),
        (9, true),
        (9, false),
        (8, false),
        (10, true),
    ] {
        let spent = store
            .spend_second_factor(ann.id, SecondFactorProof::Step(step))
            .await;
        assert_eq!(spent, Ok(is_good), "{step}");
    }
    let many = (0..8).map(|_| store.spend_second_factor(ann.id, SecondFactorProof::Step(11)));
    let outcomes = join_all(many).await;
    assert_eq!(
        outcomes.iter().filter(|outcome| **outcome == Ok(true)).count(),
        1,
        "{outcomes:?}"
    );
}

/// A recovery code is taken once, and the others stay good.
pub async fn a_recovery_code_is_spent_once(store: &impl AnyAccountStore) {
    let ann = added(store, "ann").await;
    let set = AdministratorChange::SetSecondFactor(factor());
    assert!(store.change_administrator(ann.id, set, actor(2)).await.is_ok());
    let code = |number: usize| SecondFactorProof::Recovery(SecretDigest::of(&number.to_be_bytes()));
    for (number, is_good) in [(3, true), (3, false), (0, true), (RECOVERY_CODES_MAX, false)] {
        assert_eq!(
            store.spend_second_factor(ann.id, code(number)).await,
            Ok(is_good),
            "{number}"
        );
    }
    let left = store.administrator(ann.id).await.expect("the store works");
    let left = left
        .and_then(|ann| ann.second_factor)
        .map(|factor| factor.recovery.len());
    assert_eq!(left, Some(RECOVERY_CODES_MAX - 2));
}

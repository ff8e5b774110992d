//! Promises about administrators whom a provider vouches for.

use futures_util::future::join_all;

use super::{AnyAccountStore, actions, actor, added, address, at, new_administrator, session, session_id};
use crate::account::external::{ExternalAdministrator, ExternalIdentity};
use crate::account::session::{EXTERNAL_SESSION_LIFE_MAX, Refresh, Refreshed, SESSION_LIFE_MAX};
use crate::account::{ADMINISTRATORS_MAX, Administrator, AdministratorChange, Role};
use crate::ports::AdministratorAdded;

const ISSUER: &str = "https://id.example/realms/main";

fn vouched_for(issuer: &str, subject: &str, shown: &str, role: Role) -> ExternalAdministrator {
    ExternalAdministrator {
        identity: ExternalIdentity::new(issuer, subject).expect("a good identity"),
        shown_as: vec![shown.to_owned()],
        role,
    }
}

async fn admitted(
    store: &impl AnyAccountStore,
    external: ExternalAdministrator,
    since: i64,
) -> Administrator {
    match store.admit_external(external, actor(since)).await {
        Ok(AdministratorAdded::Done(administrator)) => *administrator,
        other => panic!("it was to be admitted: {other:?}"),
    }
}

/// However many sign in at once for the first time, there is one of them; what it is comes back whole.
pub async fn an_identity_is_added_once_and_found_by_itself_alone(store: &impl AnyAccountStore) {
    let ann = || vouched_for(ISSUER, "7", "ann", Role::Operator);
    let many = join_all((0..8).map(|_| store.admit_external(ann(), actor(1)))).await;
    assert!(
        many.iter()
            .all(|outcome| matches!(outcome, Ok(AdministratorAdded::Done(_)))),
        "{many:?}"
    );
    let all = store.administrators().await.expect("the store works");
    assert_eq!(all.len(), 1, "{all:?}");
    let found = all.first().expect("there is one").clone();
    assert_eq!(
        (
            found.name.as_str(),
            found.role,
            found.is_disabled,
            found.created_at
        ),
        ("oidc:ann", Role::Operator, false, at(1))
    );
    assert_eq!(found.external, Some(ann().identity));
    assert_eq!(found.password.expose(), "");
    assert_eq!(store.administrator(found.id).await, Ok(Some(found.clone())));
    assert_eq!(actions(store).await, ["add_administrator"]);
    let event = store.newest(1).await.expect("the store works").remove(0);
    assert_eq!(
        (event.actor.as_str(), event.client_ip),
        ("oidc:ann", actor(1).client_ip)
    );
    assert!(
        event.detail.contains(ISSUER) && event.detail.contains("\"subject\":\"7\""),
        "{event:?}"
    );
    let renamed = vouched_for(ISSUER, "7", "anna", Role::Operator);
    assert_eq!(admitted(store, renamed, 2).await, found, "a name is kept");
}

/// Neither a local account's name, nor another identity's, nor the same subject elsewhere opens an account.
pub async fn no_name_leads_to_an_account_of_another_origin(store: &impl AnyAccountStore) {
    let local = added(store, "admin").await;
    let admin = admitted(store, vouched_for(ISSUER, "1", "admin", Role::Viewer), 2).await;
    assert_ne!(admin.id, local.id);
    assert_eq!(admin.name.as_str(), "oidc:admin");
    let names: Vec<Administrator> = vec![
        admitted(store, vouched_for(ISSUER, "2", "admin", Role::Viewer), 3).await,
        admitted(
            store,
            vouched_for("https://other.example", "1", "ADMIN", Role::Viewer),
            4,
        )
        .await,
    ];
    for other in &names {
        assert!(
            other.name.as_str().to_lowercase().starts_with("oidc:admin#"),
            "{other:?}"
        );
        assert!(other.id != admin.id && other.id != local.id);
    }
    assert_eq!(
        store.administrator(local.id).await,
        Ok(Some(local)),
        "nothing about it changed"
    );
}

/// What the provider says counts at every sign-in; what an owner said of it, too.
pub async fn a_role_is_taken_anew_and_a_disabled_one_stays_so(store: &impl AnyAccountStore) {
    let with = |role| vouched_for(ISSUER, "7", "ann", role);
    let ann = admitted(store, with(Role::Viewer), 1).await;
    let promoted = admitted(store, with(Role::Owner), 2).await;
    assert_eq!((promoted.id, promoted.role), (ann.id, Role::Owner));
    assert_eq!(store.administrator(ann.id).await, Ok(Some(promoted)));
    let disable = AdministratorChange::Access {
        role: None,
        is_disabled: Some(true),
    };
    let disabled = store.change_administrator(ann.id, disable, actor(3)).await;
    let disabled = disabled.expect("the store works").expect("there it is");
    assert_eq!(admitted(store, with(Role::Viewer), 4).await, disabled);
    assert_eq!(
        actions(store).await,
        [
            "add_administrator",
            "change_administrator",
            "change_administrator"
        ]
    );
}

/// At [`ADMINISTRATORS_MAX`] nobody is added; who is known comes in.
pub async fn there_is_a_most_of_those_too(store: &impl AnyAccountStore) {
    let with = |subject: &str| vouched_for(ISSUER, subject, "ann", Role::Viewer);
    let ann = admitted(store, with("1"), 1).await;
    for number in 1..ADMINISTRATORS_MAX {
        added(store, &format!("a{number}")).await;
    }
    let outcome = store.admit_external(with("2"), actor(2)).await;
    assert_eq!(outcome, Ok(AdministratorAdded::Full));
    assert_eq!(admitted(store, with("1"), 3).await, ann);
    let outcome = store.add_administrator(new_administrator("more"), actor(4)).await;
    assert_eq!(outcome, Ok(AdministratorAdded::Full));
}

/// No refresh leads past [`EXTERNAL_SESSION_LIFE_MAX`].
pub async fn a_session_of_one_is_shorter(store: &impl AnyAccountStore) {
    let ann = admitted(store, vouched_for(ISSUER, "7", "ann", Role::Viewer), 1).await;
    let begun = session(1, Some(ann.id), 1_000);
    assert_eq!(store.begin_session(begun.clone()).await, Ok(true));
    let refresh = Refresh {
        id: session_id(1),
        generation: 1,
        client_ip: address("192.0.2.7"),
        now: at(2_000),
        expires_at: at(2_000).plus(SESSION_LIFE_MAX),
    };
    let end = begun.created_at.plus(EXTERNAL_SESSION_LIFE_MAX);
    match store.refresh_session(refresh).await {
        Ok(Refreshed::Done(after)) => assert_eq!(after.expires_at, end),
        other => panic!("it was to go on: {other:?}"),
    }
}

//! Promises about the tokens of programs.

use std::time::Duration;

use super::{AnyAccountStore, actions, actor, at};
use crate::account::session::USE_NOTED_EVERY;
use crate::account::{API_TOKENS_MAX, ApiToken, ApiTokenId, NewApiToken, Role, SecretDigest};
use crate::ports::InUse;

fn digest(number: usize) -> SecretDigest {
    SecretDigest::of(&number.to_be_bytes())
}

async fn added(store: &impl AnyAccountStore, number: usize) -> ApiToken {
    let new = NewApiToken {
        name: format!("backup \"{number}\""),
        role: Role::Viewer,
        hint: "sentinel_ab…".to_owned(),
        digest: digest(number),
        expires_at: Some(at(9_000)),
    };
    let token = store.add_token(new, actor(5)).await.expect("the store works");
    token.expect("there is room")
}

/// By nothing else; expired ones, too: who asks judges that.
pub async fn a_token_is_found_by_its_digest(store: &impl AnyAccountStore) {
    let (one, two) = (added(store, 1).await, added(store, 2).await);
    assert_eq!(
        (
            one.role,
            one.created_by.as_str(),
            one.created_at,
            one.expires_at,
            one.last_used_at
        ),
        (Role::Viewer, "root", at(5), Some(at(9_000)), None)
    );
    assert_eq!(store.token(digest(1)).await, Ok(Some(one.clone())));
    assert_eq!(store.token(digest(3)).await, Ok(None));
    assert_eq!(store.tokens().await, Ok(vec![one, two]));
}

/// At once, and it is written down.
pub async fn a_token_that_was_removed_is_gone(store: &impl AnyAccountStore) {
    let (one, two) = (added(store, 1).await, added(store, 2).await);
    assert_eq!(store.remove_token(one.id, actor(7)).await, Ok(Some(one.clone())));
    assert_eq!(store.remove_token(one.id, actor(8)).await, Ok(None));
    assert_eq!(store.token(digest(1)).await, Ok(None));
    assert_eq!(store.tokens().await, Ok(vec![two]));
    assert_eq!(actions(store).await, ["add_token", "add_token", "remove_token"]);
}

/// At [`API_TOKENS_MAX`] no more are taken, until one is taken back.
pub async fn there_is_a_most_of_tokens(store: &impl AnyAccountStore) {
    for number in 0..API_TOKENS_MAX {
        added(store, number).await;
    }
    let more = || NewApiToken {
        name: "more".to_owned(),
        role: Role::Owner,
        hint: String::new(),
        digest: digest(API_TOKENS_MAX),
        expires_at: None,
    };
    assert_eq!(store.add_token(more(), actor(6)).await, Ok(None));
    let all = store.tokens().await.expect("the store works");
    assert_eq!(all.len(), API_TOKENS_MAX);
    assert!(store.remove_token(all[0].id, actor(7)).await.is_ok());
    assert!(
        store
            .add_token(more(), actor(8))
            .await
            .is_ok_and(|token| token.is_some())
    );
}

/// So that a busy token costs one write a minute.
pub async fn the_use_of_a_token_is_noted_once_a_minute(store: &impl AnyAccountStore) {
    let token = added(store, 1).await;
    let due = at(10).plus(USE_NOTED_EVERY);
    for (now, noted) in [
        (at(10), at(10)),
        (at(due.unix_ms() - 1), at(10)),
        (due, due),
        (due.plus(Duration::from_secs(1)), due),
    ] {
        assert_eq!(store.note_use(InUse::Token(token.id), now).await, Ok(()));
        let found = store.token(digest(1)).await.expect("the store works");
        assert_eq!(found.and_then(|token| token.last_used_at), Some(noted));
    }
    let nobody = ApiTokenId(token.id.0 + 1_000);
    assert_eq!(store.note_use(InUse::Token(nobody), due).await, Ok(()));
}

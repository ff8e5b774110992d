//! Promises about single changes of bindings: what they leave, and when they are not made.

use sentinel_core::binding::{BindingEdit, BindingId, BindingRecord, BindingStatus, Edited, Version};
use sentinel_core::ports::{BindingAdmin, Claim, EventFilter};

use super::{AnyStore, actor, at, claimed, new_binding};

async fn edit(store: &impl AnyStore, id: BindingId, edit: BindingEdit) -> BindingRecord {
    let edited = store.edit(id, edit, None, actor(5_000)).await.unwrap();
    edited.done().expect("the change is made")
}

pub(crate) async fn a_change_needs_the_version_that_is_stored(store: impl AnyStore) {
    let binding = claimed(&store, 1, "192.0.2.1").await;
    let ban = || BindingEdit::Ban {
        reason: "leaked".to_owned(),
        expires_at: None,
    };
    let stale = Version(binding.version.0 - 1);
    for edit in [ban(), BindingEdit::Unbind] {
        let edited = store.edit(binding.id, edit, Some(stale), actor(1)).await.unwrap();
        assert!(
            matches!(&edited, Edited::Outdated(record) if record.binding == binding),
            "{edited:?}"
        );
    }
    assert_eq!(store.newest(10).await, Ok(Vec::new()));
    let edited = store
        .edit(binding.id, ban(), Some(binding.version), actor(2))
        .await;
    let banned = edited.unwrap().done().expect("the version is the stored one");
    assert!(banned.binding.version > binding.version);
    // The version that was good for one change is not good for another.
    let again = store
        .edit(binding.id, BindingEdit::Unban, Some(binding.version), actor(3))
        .await;
    assert!(matches!(again, Ok(Edited::Outdated(_))), "{again:?}");
    let missing = store
        .edit(BindingId(404), ban(), Some(Version(1)), actor(4))
        .await;
    assert_eq!(missing, Ok(Edited::Missing));
}

pub(crate) async fn of_many_changes_of_one_version_one_is_made(store: impl AnyStore) {
    let binding = claimed(&store, 1, "192.0.2.1").await;
    let mut changes = tokio::task::JoinSet::new();
    for number in 0..8 {
        let (store, known) = (store.clone(), Some(binding.version));
        let edit = BindingEdit::AddLabel(format!("label-{number}"));
        changes.spawn(async move { store.edit(binding.id, edit, known, actor(number)).await });
    }
    let outcomes = changes.join_all().await;
    let made = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Ok(Edited::Done(_))));
    assert_eq!(made.count(), 1, "{outcomes:?}");
    assert_eq!(store.newest(10).await.unwrap().len(), 1);
}

pub(crate) async fn a_ban_ends_with_its_expiry(store: impl AnyStore) {
    let binding = claimed(&store, 1, "192.0.2.1").await;
    let ban = BindingEdit::Ban {
        reason: String::new(),
        expires_at: Some(at(9_000)),
    };
    let banned = edit(&store, binding.id, ban).await;
    assert_eq!(banned.ban_expires_at, Some(at(9_000)));
    assert_eq!(store.show(binding.id).await.unwrap(), Some(banned));
    let due = async |now| {
        let filter = sentinel_core::ports::BindingFilter {
            ban_expires_until: Some(at(now)),
            limit: 10,
            ..Default::default()
        };
        BindingAdmin::list(&store, filter).await.unwrap().len()
    };
    assert_eq!((due(8_999).await, due(9_000).await), (0, 1));
    let unbanned = edit(&store, binding.id, BindingEdit::Unban).await;
    assert_eq!(unbanned.binding.status, BindingStatus::Active);
    assert_eq!((unbanned.ban_expires_at, due(9_000).await), (None, 0));
}

pub(crate) async fn remarks_are_written_and_decide_nothing(store: impl AnyStore) {
    let binding = claimed(&store, 1, "192.0.2.1").await;
    let write = |note: Option<&str>, labels: Option<&[&str]>| BindingEdit::Remarks {
        note: note.map(str::to_owned),
        labels: labels.map(|labels| labels.iter().map(|label| (*label).to_owned()).collect()),
    };
    let written = edit(
        &store,
        binding.id,
        write(Some("the \"batch\" key\n%_"), Some(&["a", "ü \"'"])),
    )
    .await;
    assert_eq!(written.remarks.labels, ["a", "ü \"'"]);
    assert_eq!(
        (written.updated_at, &written.binding.networks),
        (at(5_000), &binding.networks)
    );
    assert_eq!(store.show(binding.id).await.unwrap(), Some(written.clone()));
    let note_only = edit(&store, binding.id, write(Some(""), None)).await;
    assert_eq!(
        (note_only.remarks.note.as_str(), note_only.remarks.labels),
        ("", written.remarks.labels)
    );
    let added = edit(&store, binding.id, BindingEdit::AddLabel("b".to_owned())).await;
    assert_eq!(added.remarks.labels, ["a", "ü \"'", "b"]);
    let removed = edit(&store, binding.id, BindingEdit::RemoveLabel("a".to_owned())).await;
    assert_eq!(removed.remarks.labels, ["ü \"'", "b"]);
    assert_eq!(store.show(binding.id).await.unwrap(), Some(removed));
    let actions: Vec<String> = store
        .newest(10)
        .await
        .unwrap()
        .into_iter()
        .map(|event| event.action)
        .collect();
    assert_eq!(
        actions,
        ["remove_label", "add_label", "set_remarks", "set_remarks"]
    );
}

pub(crate) async fn the_profile_of_a_claim_is_kept(store: impl AnyStore) {
    let mut new = new_binding(1, "192.0.2.1");
    new.profile = "new-api".into();
    store.claim(new).await.unwrap();
    let filter = sentinel_core::ports::BindingFilter {
        profile: Some("new-api".to_owned()),
        limit: 10,
        ..Default::default()
    };
    let found = BindingAdmin::list(&store, filter).await.unwrap();
    assert_eq!(found[0].profile, "new-api");
}

pub(crate) async fn a_key_is_bound_before_its_first_use_and_once(store: impl AnyStore) {
    let mut new = super::transfer::binding(1);
    new.status = BindingStatus::Active;
    new.bound_at = at(5_000);
    let made = store
        .create(new.clone(), actor(5_000))
        .await
        .unwrap()
        .expect("it is new");
    assert_eq!(*made.binding.networks, new.networks[..]);
    assert_eq!((&made.remarks, made.profile.as_str()), (&new.remarks, "new-api"));
    assert_eq!(store.show(made.binding.id).await.unwrap(), Some(made.clone()));
    assert_eq!(store.create(new, actor(6_000)).await, Ok(None));
    let lost = store.claim(new_binding(1, "192.0.2.9")).await;
    assert!(matches!(lost, Ok(Claim::Lost(stored)) if stored == made.binding));
    let events = store.newest(10).await.unwrap();
    assert_eq!((events.len(), events[0].action.as_str()), (1, "bind"));
}

pub(crate) async fn what_a_binding_went_through_is_found(store: impl AnyStore) {
    let first = claimed(&store, 1, "192.0.2.1").await;
    let other = claimed(&store, 2, "192.0.2.2").await;
    store.ban(other.id, String::new(), actor(1)).await.unwrap();
    store.ban(first.id, String::new(), actor(2)).await.unwrap();
    store.unbind(first.id, actor(3)).await.unwrap();
    let again = claimed(&store, 1, "192.0.2.9").await;
    store.unbind(again.id, actor(4)).await.unwrap();
    let of = async |id| -> Vec<String> {
        let filter = EventFilter {
            binding: Some(id),
            limit: 10,
            ..EventFilter::default()
        };
        let events = store.events(filter).await.unwrap();
        events.into_iter().map(|stored| stored.event.action).collect()
    };
    assert_eq!(of(first.id).await, ["unbind", "ban"]);
    assert_eq!(of(again.id).await, ["unbind"]);
    let earlier = store.earlier(first.fingerprint, 10).await.unwrap();
    let moments: Vec<_> = earlier.iter().map(|archived| archived.archived_at).collect();
    assert_eq!(moments, [at(4), at(3)]);
    assert_eq!(store.earlier(first.fingerprint, 1).await.unwrap(), earlier[..1]);
    assert_eq!(store.earlier(other.fingerprint, 10).await, Ok(Vec::new()));
}

//! What an operator's change leaves behind, in one form for every store: the event's detail and the archived record.
//!
//! Neither ever holds more of a key than its hint and its fingerprint.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sentinel_core::binding::{BindingEdit, BindingRecord, BindingStatus};
use sentinel_core::event::{Actor, AdminEvent};
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::network::Network;
use sentinel_core::ports::{
    ArchiveRun, INTERNAL_SETTINGS_PREFIX, SETTING_CHANGES_MAX, SettingChange, StoredSettings,
};
use sentinel_core::time::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

/// Why a binding is in the archive that nobody unbound.
pub(crate) const UNUSED: &str = "unused";

/// The word for a change, as the admin events spell it.
pub(crate) const fn action(edit: &BindingEdit) -> &'static str {
    match edit {
        BindingEdit::Unbind => "unbind",
        BindingEdit::Ban { .. } => "ban",
        BindingEdit::Unban => "unban",
        BindingEdit::Networks(_) => "set_networks",
        BindingEdit::Remarks { .. } => "set_remarks",
        BindingEdit::AddLabel(_) => "add_label",
        BindingEdit::RemoveLabel(_) => "remove_label",
    }
}

/// The binding as the change leaves it, all but its version. Every store writes exactly this.
pub(crate) fn applied(edit: &BindingEdit, before: &BindingRecord, at: Timestamp) -> BindingRecord {
    let mut after = before.clone();
    after.updated_at = at;
    match edit {
        BindingEdit::Ban { reason, expires_at } => {
            after.binding.status = BindingStatus::Banned;
            after.ban_reason.clone_from(reason);
            after.ban_expires_at = *expires_at;
        }
        BindingEdit::Unban => {
            after.binding.status = BindingStatus::Active;
            after.ban_reason.clear();
            after.ban_expires_at = None;
        }
        BindingEdit::Networks(networks) => {
            after.binding.networks = without_repetition(networks.clone()).into();
        }
        BindingEdit::Remarks { note: Some(note), .. } => after.remarks.note.clone_from(note),
        BindingEdit::Unbind
        | BindingEdit::Remarks { note: None, .. }
        | BindingEdit::AddLabel(_)
        | BindingEdit::RemoveLabel(_) => {}
    }
    if let Some(labels) = edit.labels_after(&before.remarks.labels) {
        after.remarks.labels = labels;
    }
    after
}

/// The event of one change; `after` is none when the binding is gone.
pub(crate) fn event(
    edit: &BindingEdit,
    actor: &Actor,
    before: &BindingRecord,
    after: Option<&BindingRecord>,
) -> AdminEvent {
    let detail = json!({
        "binding": before.binding.id.0,
        "hint": before.hint.as_str(),
        "before": state(before),
        "after": after.map(state),
    });
    AdminEvent::by(actor, action(edit), detail.to_string())
}

/// The event of a key that was bound before its first use.
pub(crate) fn created_event(actor: &Actor, after: &BindingRecord) -> AdminEvent {
    let detail = json!({
        "binding": after.binding.id.0,
        "hint": after.hint.as_str(),
        "before": null,
        "after": state(after),
    });
    AdminEvent::by(actor, "bind", detail.to_string())
}

/// The binding that an event was about, as its detail says.
pub(crate) fn binding_of(event: &AdminEvent) -> Option<i64> {
    let detail: Value = serde_json::from_str(&event.detail).ok()?;
    detail.get("binding")?.as_i64()
}

/// The event of one batch that the archive moved.
pub(crate) fn archive_event(run: ArchiveRun, moved: usize) -> AdminEvent {
    let detail = json!({"moved": moved, "unused_since": run.unused_since.rfc3339()});
    AdminEvent {
        at: run.now,
        actor: "system".to_owned(),
        client_ip: None,
        action: "archive".to_owned(),
        detail: detail.to_string(),
    }
}

/// The event of changed settings, with what each of them was and is.
pub(crate) fn settings_event(
    actor: &Actor,
    changes: &BTreeMap<String, Option<String>>,
    before: &StoredSettings,
    after: &StoredSettings,
) -> AdminEvent {
    let of = |stored: &StoredSettings| -> BTreeMap<String, Option<Value>> {
        let value = |name: &String| {
            let text = stored.values.get(name)?;
            Some(serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str())))
        };
        changes.keys().map(|name| (name.clone(), value(name))).collect()
    };
    let detail = json!({"version": after.version, "before": of(before), "after": of(after)});
    AdminEvent::by(actor, "change_settings", detail.to_string())
}

/// The row that changed settings leave in their history, and the settings afterwards as it keeps them.
pub(crate) fn settings_change(
    actor: &Actor,
    changes: &BTreeMap<String, Option<String>>,
    before: &StoredSettings,
    after: &StoredSettings,
) -> (SettingChange, BTreeMap<String, String>) {
    let is_setting = |name: &&String| !name.starts_with(INTERNAL_SETTINGS_PREFIX);
    let of = |stored: &StoredSettings| -> BTreeMap<String, Option<String>> {
        let names = changes.keys().filter(is_setting);
        names
            .map(|name| (name.clone(), stored.values.get(name).cloned()))
            .collect()
    };
    let change = SettingChange {
        version: after.version,
        at: actor.at,
        actor: actor.name.clone(),
        client_ip: actor.client_ip,
        before: of(before),
        after: of(after),
    };
    let kept = after.values.iter().filter(|(name, _)| is_setting(name));
    let kept = kept.map(|(name, value)| (name.clone(), value.clone()));
    (change, kept.collect())
}

/// Names and values as a column of the history holds them: a JSON object of texts, each of which is JSON.
pub(crate) fn settings_text(values: &impl Serialize) -> String {
    serde_json::to_string(values).expect("texts by name are always JSON")
}

/// The version that goes from the history when this one comes, and all before it.
pub(crate) fn last_forgotten(version: i64) -> i64 {
    version.saturating_sub(i64::from(SETTING_CHANGES_MAX))
}

/// The whole record as the archive keeps it.
pub(crate) fn archived(record: &BindingRecord) -> Value {
    json!({
        "id": record.binding.id.0,
        "fingerprint": hexadecimal(&record.binding.fingerprint),
        "hint": record.hint.as_str(),
        "status": record.binding.status.as_str(),
        "networks": networks(&record.binding.networks),
        "policy": *record.binding.policy,
        "version": record.binding.version.0,
        "bound_at": record.binding.bound_at.unix_ms(),
        "updated_at": record.updated_at.unix_ms(),
        "last_used_at": record.last_used_at.map(Timestamp::unix_ms),
        "use_count": record.use_count,
        "ban_reason": record.ban_reason,
        "ban_expires_at": record.ban_expires_at.map(Timestamp::unix_ms),
        "note": record.remarks.note,
        "labels": record.remarks.labels,
        "profile": record.profile,
    })
}

/// The networks without repetition, in the order given: what a binding holds is a set that keeps its order.
pub(crate) fn without_repetition(networks: Vec<Network>) -> Vec<Network> {
    let mut kept = Vec::with_capacity(networks.len());
    for network in networks {
        if !kept.contains(&network) {
            kept.push(network);
        }
    }
    kept
}

fn state(record: &BindingRecord) -> Value {
    json!({
        "status": record.binding.status.as_str(),
        "networks": networks(&record.binding.networks),
        "version": record.binding.version.0,
        "ban_reason": record.ban_reason,
        "ban_expires_at": record.ban_expires_at.map(Timestamp::rfc3339),
        "note": record.remarks.note,
        "labels": record.remarks.labels,
    })
}

fn networks(networks: &[Network]) -> Vec<String> {
    networks.iter().map(Network::to_string).collect()
}

pub(crate) fn hexadecimal(fingerprint: &KeyFingerprint) -> String {
    fingerprint
        .as_bytes()
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_history_of_settings_forgets_beyond_its_bound() {
        let bound = i64::from(SETTING_CHANGES_MAX);
        assert_eq!([1, bound, bound + 2].map(last_forgotten), [1 - bound, 0, 2]);
        assert!(last_forgotten(i64::MIN) == i64::MIN);
    }
}

//! The fields of the lines that hold what a store holds. Times are milliseconds since 1970-01-01T00:00:00Z.

use sentinel_core::binding::{
    BINDING_NETWORKS_MAX, BindingStatus, LABEL_CHARACTERS_MAX, LABELS_MAX, NOTE_CHARACTERS_MAX, Networks,
    Remarks,
};
use sentinel_core::decision::RefusalReason;
use sentinel_core::event::{AdminEvent, InterceptOutcome, Reference};
use sentinel_core::fingerprint::{KeyHint, SecretMark};
use sentinel_core::network::Network;
use sentinel_core::policy::PolicyOverride;
use sentinel_core::ports::{ArchivedBinding, MovedBinding};
use sentinel_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::LineError;
use super::fields::{address, fingerprint, hint, network, secret, wrong};
use crate::change::hexadecimal;

#[derive(Serialize, Deserialize)]
pub(super) struct Binding {
    fingerprint: String,
    // While an installation goes over from one secret to another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous_fingerprint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    hint: String,
    status: String,
    networks: Vec<String>,
    policy: PolicyOverride,
    bound_at_ms: i64,
    updated_at_ms: i64,
    last_used_at_ms: Option<i64>,
    use_count: u64,
    ban_reason: String,
    // Exports of earlier versions have none of these.
    #[serde(default)]
    ban_expires_at_ms: Option<i64>,
    #[serde(default)]
    note: String,
    #[serde(default)]
    labels: Vec<String>,
    #[serde(default)]
    profile: String,
}

impl From<&MovedBinding> for Binding {
    fn from(binding: &MovedBinding) -> Self {
        Self {
            fingerprint: hexadecimal(&binding.fingerprint),
            previous_fingerprint: binding.previous.as_ref().map(hexadecimal),
            secret: binding.secret.map(SecretMark::text),
            hint: binding.hint.as_str().to_owned(),
            status: binding.status.as_str().to_owned(),
            networks: binding.networks.iter().map(Network::to_string).collect(),
            policy: binding.policy.clone(),
            bound_at_ms: binding.bound_at.unix_ms(),
            updated_at_ms: binding.updated_at.unix_ms(),
            last_used_at_ms: binding.last_used_at.map(Timestamp::unix_ms),
            use_count: binding.use_count,
            ban_reason: binding.ban_reason.clone(),
            ban_expires_at_ms: binding.ban_expires_at.map(Timestamp::unix_ms),
            note: binding.remarks.note.clone(),
            labels: binding.remarks.labels.clone(),
            profile: binding.profile.clone(),
        }
    }
}

impl Binding {
    pub(super) fn read(self) -> Result<MovedBinding, LineError> {
        if i64::try_from(self.use_count).is_err() {
            return Err(wrong("use_count", "a number up to 9223372036854775807"));
        }
        Ok(MovedBinding {
            fingerprint: fingerprint(&self.fingerprint)?,
            previous: self
                .previous_fingerprint
                .as_deref()
                .map(fingerprint)
                .transpose()?,
            secret: self.secret.as_deref().map(secret).transpose()?,
            hint: hint(self.hint)?,
            status: BindingStatus::from_word(&self.status)
                .ok_or_else(|| wrong("status", "active or banned"))?,
            networks: networks(&self.networks)?,
            policy: self.policy,
            bound_at: Timestamp::from_unix_ms(self.bound_at_ms),
            updated_at: Timestamp::from_unix_ms(self.updated_at_ms),
            last_used_at: self.last_used_at_ms.map(Timestamp::from_unix_ms),
            use_count: self.use_count,
            ban_reason: self.ban_reason,
            ban_expires_at: self.ban_expires_at_ms.map(Timestamp::from_unix_ms),
            remarks: remarks(self.note, self.labels)?,
            profile: self.profile,
        })
    }
}

fn remarks(note: String, labels: Vec<String>) -> Result<Remarks, LineError> {
    let is_short = |label: &String| label.chars().count() <= LABEL_CHARACTERS_MAX;
    if labels.len() > LABELS_MAX || !labels.iter().all(is_short) {
        return Err(wrong("labels", "at most 16 labels of at most 32 characters"));
    }
    if note.chars().count() > NOTE_CHARACTERS_MAX {
        return Err(wrong("note", "at most 2,000 characters"));
    }
    Ok(Remarks { note, labels })
}

fn networks(texts: &[String]) -> Result<Vec<Network>, LineError> {
    if texts.is_empty() || texts.len() > BINDING_NETWORKS_MAX {
        return Err(wrong("networks", "1 to 64 networks"));
    }
    let mut networks = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let field = format!("networks[{index}]");
        let network = network(&field, text)?;
        if networks.contains(&network) {
            return Err(wrong(field, "a network that is not there yet"));
        }
        networks.push(network);
    }
    Ok(networks)
}

#[derive(Serialize, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names are those of the lines")]
pub(super) struct Archived {
    fingerprint: String,
    reason: String,
    archived_at_ms: i64,
    record: Map<String, Value>,
}

impl From<&ArchivedBinding> for Archived {
    fn from(archived: &ArchivedBinding) -> Self {
        Self {
            fingerprint: hexadecimal(&archived.fingerprint),
            reason: archived.reason.clone(),
            archived_at_ms: archived.archived_at.unix_ms(),
            record: serde_json::from_str(&archived.record).unwrap_or_default(),
        }
    }
}

impl Archived {
    pub(super) fn read(self) -> Result<ArchivedBinding, LineError> {
        // A store makes a column of it.
        if self.record.get("id").is_some_and(|id| id.as_i64().is_none()) {
            return Err(wrong("record.id", "a whole number"));
        }
        Ok(ArchivedBinding {
            fingerprint: fingerprint(&self.fingerprint)?,
            record: Value::Object(self.record).to_string(),
            reason: self.reason,
            archived_at: Timestamp::from_unix_ms(self.archived_at_ms),
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Intercept {
    reference: String,
    at_ms: i64,
    #[serde(default)]
    last_at_ms: Option<i64>,
    reason: String,
    outcome: String,
    #[serde(default)]
    networks: Vec<String>,
    fingerprint: Option<String>,
    hint: Option<String>,
    client_ip: String,
    method: String,
    path: String,
    user_agent: String,
    count: u32,
    #[serde(default)]
    profile: String,
    #[serde(default)]
    replica: String,
}

impl From<&sentinel_core::event::Intercept> for Intercept {
    fn from(intercept: &sentinel_core::event::Intercept) -> Self {
        Self {
            reference: intercept.reference.as_str().to_owned(),
            at_ms: intercept.at.unix_ms(),
            last_at_ms: Some(intercept.last_at.unix_ms()),
            reason: intercept.reason.code().to_owned(),
            outcome: intercept.outcome.as_str().to_owned(),
            networks: intercept.networks.iter().map(Network::to_string).collect(),
            fingerprint: intercept.fingerprint.as_ref().map(hexadecimal),
            hint: intercept.hint.as_ref().map(|hint| hint.as_str().to_owned()),
            client_ip: intercept.client_ip.to_string(),
            method: intercept.method.clone(),
            path: intercept.path.clone(),
            user_agent: intercept.user_agent.clone(),
            count: intercept.count,
            profile: intercept.profile.to_string(),
            replica: intercept.replica.to_string(),
        }
    }
}

impl Intercept {
    pub(super) fn read(self) -> Result<sentinel_core::event::Intercept, LineError> {
        if self.count == 0 {
            return Err(wrong("count", "a number from 1"));
        }
        let at = Timestamp::from_unix_ms(self.at_ms);
        let networks = match self.networks.as_slice() {
            [] => Networks::default(),
            texts => networks(texts)?.into(),
        };
        let fingerprint = self.fingerprint.as_deref().map(fingerprint).transpose()?;
        let hint: Option<KeyHint> = self.hint.map(hint).transpose()?;
        Ok(sentinel_core::event::Intercept {
            reference: Reference::from_stored(self.reference),
            at,
            last_at: self.last_at_ms.map_or(at, Timestamp::from_unix_ms),
            reason: RefusalReason::from_code(&self.reason)
                .ok_or_else(|| wrong("reason", "the code of a refusal"))?,
            outcome: InterceptOutcome::from_word(&self.outcome)
                .ok_or_else(|| wrong("outcome", "refused or observed"))?,
            // The taking store finds its own.
            binding: None,
            networks,
            fingerprint,
            hint,
            client_ip: address(&self.client_ip)?,
            method: self.method,
            path: self.path,
            user_agent: self.user_agent,
            count: self.count,
            profile: self.profile.into(),
            replica: self.replica.into(),
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Event {
    at_ms: i64,
    actor: String,
    client_ip: Option<String>,
    action: String,
    detail: String,
}

impl From<&AdminEvent> for Event {
    fn from(event: &AdminEvent) -> Self {
        Self {
            at_ms: event.at.unix_ms(),
            actor: event.actor.clone(),
            client_ip: event.client_ip.map(|address| address.to_string()),
            action: event.action.clone(),
            detail: event.detail.clone(),
        }
    }
}

impl Event {
    pub(super) fn read(self) -> Result<AdminEvent, LineError> {
        Ok(AdminEvent {
            at: Timestamp::from_unix_ms(self.at_ms),
            actor: self.actor,
            client_ip: self.client_ip.as_deref().map(address).transpose()?,
            action: self.action,
            detail: self.detail,
        })
    }
}

//! Binding a key before its first use. The key in clear becomes a fingerprint and a hint here, and is in no log, no store and no answer.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use data_encoding::HEXLOWER_PERMISSIVE;
use http::StatusCode;
use sentinel_core::binding::{BindingStatus, NOTE_CHARACTERS_MAX, Remarks};
use sentinel_core::fingerprint::{KeyFingerprint, KeyHint};
use sentinel_core::policy::PolicyOverride;
use sentinel_core::ports::MovedBinding;
use serde::Deserialize;

use super::changes::{labels, parse_networks};
use super::view::BindingView;
use crate::extract::{JsonBody, SignedIn, check_length};
use crate::keys::{KeyInClear, Keys};
use crate::parts::Admin;
use crate::problem::{Code, Problem};

/// The hint of a key that only its fingerprint is known of.
const UNKNOWN_HINT: &str = "…";

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewBinding {
    /// The key in clear; or give its fingerprint.
    #[serde(default)]
    #[schema(value_type = Option<String>, write_only)]
    key: Option<KeyInClear>,
    /// The key's fingerprint, 64 hexadecimal digits.
    #[serde(default)]
    #[schema(pattern = "^[0-9a-f]{64}$")]
    fingerprint: Option<String>,
    networks: Vec<String>,
    #[serde(default)]
    #[schema(max_length = 2000)]
    note: Option<String>,
    #[serde(default)]
    #[schema(max_items = 16)]
    labels: Option<Vec<String>>,
}

impl NewBinding {
    fn key(&self, keys: &dyn Keys) -> Result<(KeyFingerprint, KeyHint), Problem> {
        match (&self.key, &self.fingerprint) {
            (Some(key), None) => keys
                .identify(&key.key())
                .ok_or_else(|| Problem::field("key", "It is no key that the configured profile takes.")),
            (None, Some(digits)) => fingerprint(digits)
                .map(|fingerprint| (fingerprint, KeyHint::from_stored(UNKNOWN_HINT.to_owned())))
                .ok_or_else(|| Problem::field("fingerprint", "It must be 64 hexadecimal digits.")),
            (None, None) => Err(Problem::field(
                "key",
                "It is required, or 'fingerprint' in its place.",
            )),
            (Some(_), Some(_)) => Err(Problem::field("fingerprint", "Give it or 'key', not both.")),
        }
    }
}

fn fingerprint(digits: &str) -> Option<KeyFingerprint> {
    let bytes = HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()?;
    bytes.try_into().ok().map(KeyFingerprint::from_bytes)
}

/// `POST /admin/api/bindings`.
#[utoipa::path(
    post,
    path = "/admin/api/bindings",
    summary = "Binds a key before its first use.",
    request_body = NewBinding,
    responses((status = 201, description = "The new binding.", body = BindingView)),
    extensions(("x-problems" = json!(["binding_exists"])))
)]
pub(super) async fn create(
    State(admin): State<Arc<Admin>>,
    caller: SignedIn,
    JsonBody(body): JsonBody<NewBinding>,
) -> Result<(StatusCode, Json<BindingView>), Problem> {
    let (fingerprint, hint) = body.key(&*admin.keys)?;
    let networks = parse_networks("networks", &body.networks)?;
    let note = body.note.unwrap_or_default();
    check_length("note", &note, NOTE_CHARACTERS_MAX)?;
    let labels = labels(body.labels.as_deref().unwrap_or_default())?;
    let actor = caller.actor(admin.clock.now());
    let new = MovedBinding {
        fingerprint,
        previous: body
            .key
            .as_ref()
            .and_then(|key| admin.keys.identify_previous(&key.key())),
        secret: None,
        hint,
        status: BindingStatus::Active,
        networks,
        policy: PolicyOverride::default(),
        bound_at: actor.at,
        updated_at: actor.at,
        last_used_at: None,
        use_count: 0,
        ban_reason: String::new(),
        ban_expires_at: None,
        remarks: Remarks { note, labels },
        profile: admin.keys.profile().to_owned(),
    };
    match admin.bindings.create(new, actor).await? {
        Some(record) => Ok((StatusCode::CREATED, Json(record.into()))),
        None => Err(Problem::new(
            Code::BindingExists,
            "The key is bound already. Look for it, and change its binding.",
        )),
    }
}

#[cfg(test)]
mod tests;

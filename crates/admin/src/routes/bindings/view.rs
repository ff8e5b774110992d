//! A binding as callers see it.

use sentinel_core::binding::BindingRecord;
use sentinel_core::policy::PolicyOverride;
use sentinel_core::time::Timestamp;
use serde::Serialize;

/// One binding.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::routes) struct BindingView {
    id: i64,
    hint: String,
    status: &'static str,
    networks: Vec<String>,
    /// The first network, for clients that know one only.
    bound_ip: Option<String>,
    #[schema(value_type = PolicyOverrideSchema)]
    policy: PolicyOverride,
    #[schema(format = DateTime)]
    bound_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
    use_count: u64,
    ban_reason: String,
    /// When the ban ends by itself.
    #[schema(format = DateTime)]
    ban_expires_at: Option<String>,
    note: String,
    labels: Vec<String>,
    /// The profile by which the key was read when it was bound; empty where nobody knows any more.
    profile: String,
    /// What `If-Match` takes.
    version: i64,
}

/// Where a binding departs from the general rules; what is left out follows them.
#[derive(utoipa::ToSchema)]
#[schema(as = PolicyOverride)]
#[expect(
    dead_code,
    reason = "describes the core's type, which knows nothing of this API"
)]
struct PolicyOverrideSchema {
    #[schema(pattern = "^(enforce|observe)$")]
    mode: Option<String>,
    slots: Option<u16>,
    learning_window_seconds: Option<u64>,
}

impl From<BindingRecord> for BindingView {
    fn from(record: BindingRecord) -> Self {
        let binding = record.binding;
        let networks: Vec<String> = binding.networks.iter().map(ToString::to_string).collect();
        Self {
            id: binding.id.0,
            hint: record.hint.as_str().to_owned(),
            status: binding.status.as_str(),
            bound_ip: networks.first().cloned(),
            networks,
            policy: (*binding.policy).clone(),
            bound_at: binding.bound_at.rfc3339(),
            updated_at: record.updated_at.rfc3339(),
            last_used_at: record.last_used_at.map(Timestamp::rfc3339),
            use_count: record.use_count,
            ban_reason: record.ban_reason,
            ban_expires_at: record.ban_expires_at.map(Timestamp::rfc3339),
            note: record.remarks.note,
            labels: record.remarks.labels,
            profile: record.profile,
            version: binding.version.0,
        }
    }
}

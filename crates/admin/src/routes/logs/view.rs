//! A row of the audit log as callers see it.

use sentinel_core::ports::StoredIntercept;
use serde::Serialize;

/// The columns of the CSV, in order.
pub(super) const COLUMNS: [&str; 16] = [
    "id",
    "reference",
    "at",
    "last_at",
    "reason",
    "outcome",
    "binding_id",
    "networks",
    "hint",
    "client_ip",
    "method",
    "path",
    "user_agent",
    "count",
    "profile",
    "replica",
];

/// One row of the audit log.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::routes) struct InterceptView {
    id: i64,
    reference: String,
    /// When the first of the requests came that the row stands for, and the last one.
    #[schema(format = DateTime)]
    at: String,
    #[schema(format = DateTime)]
    last_at: String,
    reason: &'static str,
    outcome: &'static str,
    binding_id: Option<i64>,
    /// Those that the binding had at that moment.
    networks: Vec<String>,
    hint: Option<String>,
    client_ip: String,
    method: String,
    path: String,
    user_agent: String,
    count: u32,
    profile: String,
    replica: String,
}

impl From<StoredIntercept> for InterceptView {
    fn from(stored: StoredIntercept) -> Self {
        let intercept = stored.intercept;
        Self {
            id: stored.id,
            reference: intercept.reference.as_str().to_owned(),
            at: intercept.at.rfc3339(),
            last_at: intercept.last_at.rfc3339(),
            reason: intercept.reason.code(),
            outcome: intercept.outcome.as_str(),
            binding_id: intercept.binding.map(|id| id.0),
            networks: intercept.networks.iter().map(ToString::to_string).collect(),
            hint: intercept.hint.map(|hint| hint.as_str().to_owned()),
            client_ip: intercept.client_ip.to_string(),
            method: intercept.method,
            path: intercept.path,
            user_agent: intercept.user_agent,
            count: intercept.count,
            profile: intercept.profile.to_string(),
            replica: intercept.replica.to_string(),
        }
    }
}

impl InterceptView {
    /// The members as texts, in the order of [`COLUMNS`].
    pub(super) fn cells(self) -> [String; COLUMNS.len()] {
        let number = |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
        [
            self.id.to_string(),
            self.reference,
            self.at,
            self.last_at,
            self.reason.to_owned(),
            self.outcome.to_owned(),
            number(self.binding_id),
            self.networks.join(" "),
            self.hint.unwrap_or_default(),
            self.client_ip,
            self.method,
            self.path,
            self.user_agent,
            self.count.to_string(),
            self.profile,
            self.replica,
        ]
    }
}

//! What an installation can find out about itself. How it does is known elsewhere.

use async_trait::async_trait;
use serde::Serialize;

/// One address of the upstream, tried once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TriedAddress {
    /// The address with its port; the name that was to be looked up where it has none.
    pub address: String,
    /// Whether it took a connection, and passed the rest of what is configured.
    pub ok: bool,
    /// How long that took.
    pub latency_ms: u64,
    /// What is wrong with it.
    pub error: Option<String>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing has to be done.
    Info,
    /// It works, and should be otherwise.
    Warning,
    /// Something does not work, or does not protect.
    Problem,
}

/// What was found about one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Finding {
    /// The thing, one stable word.
    pub name: &'static str,
    /// Whether it is as it should be.
    pub ok: bool,
    /// How bad it is; `info` when it is as it should be.
    pub severity: Severity,
    /// What was found.
    pub text: String,
    /// What to do about it; empty when nothing is to be done.
    pub what_to_do: String,
    /// Whether it would help somebody who wants to be more than an operator.
    #[serde(skip)]
    pub is_for_owners: bool,
}

impl Finding {
    /// All is as it should be.
    pub fn good(name: &'static str, text: impl Into<String>) -> Self {
        Self {
            name,
            ok: true,
            severity: Severity::Info,
            text: text.into(),
            what_to_do: String::new(),
            is_for_owners: false,
        }
    }

    /// It works, and should be otherwise.
    pub fn warning(name: &'static str, text: impl Into<String>, what_to_do: impl Into<String>) -> Self {
        Self {
            name,
            ok: false,
            severity: Severity::Warning,
            text: text.into(),
            what_to_do: what_to_do.into(),
            is_for_owners: false,
        }
    }

    /// It does not work, or does not protect.
    pub fn problem(name: &'static str, text: impl Into<String>, what_to_do: impl Into<String>) -> Self {
        Self {
            severity: Severity::Problem,
            ..Self::warning(name, text, what_to_do)
        }
    }

    /// The same, for owners only.
    #[must_use]
    pub fn for_owners(self) -> Self {
        Self {
            is_for_owners: true,
            ..self
        }
    }
}

/// What looks. Both are bounded in time, and change nothing.
#[async_trait]
pub trait Diagnostics: Send + Sync {
    /// Tries every configured address of the upstream.
    async fn upstream(&self) -> Vec<TriedAddress>;

    /// Looks for what is commonly wrong.
    async fn checks(&self) -> Vec<Finding>;
}

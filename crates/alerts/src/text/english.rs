//! Messages in English. Must never hold anything but words.

use std::time::Duration;

use sentinel_core::alert::{AlertState, Part, RuleKind, Severity};
use sentinel_core::decision::RefusalReason;

use super::{Label, Words};
use crate::links::LinkAction;

pub(super) struct English;

impl Words for English {
    fn severity(&self, severity: Severity) -> &'static str {
        match severity {
            Severity::Info => "Info",
            Severity::Warning => "Warning",
            Severity::Critical => "Critical",
        }
    }

    fn state(&self, state: AlertState) -> &'static str {
        match state {
            AlertState::Firing => "raised",
            AlertState::Updated => "goes on",
            AlertState::Calmed => "over",
        }
    }

    fn rule(&self, kind: RuleKind) -> &'static str {
        match kind {
            RuleKind::RefusalsPerBinding => "A key is refused again and again",
            RuleKind::RefusalsPerAddress => "An address is refused again and again",
            RuleKind::NewNetwork => "A long silent key in a new network",
            RuleKind::ManyKeysFromAddress => "One address tries many keys",
            RuleKind::ManyNetworksForKey => "A key has leaked: many networks try it",
            RuleKind::BannedKeyTried => "A banned key is tried again",
            RuleKind::StoreOutage => "The store of bindings is away",
            RuleKind::CacheOutage => "The shared cache is away",
            RuleKind::RecordsLost => "Audit records were lost",
        }
    }

    fn limit(&self, kind: RuleKind, threshold: u64, window: Duration) -> String {
        let seconds = window.as_secs();
        match kind {
            RuleKind::RefusalsPerBinding | RuleKind::RefusalsPerAddress | RuleKind::BannedKeyTried => {
                format!("{threshold} refusals within {seconds} s")
            }
            RuleKind::NewNetwork => format!("a new network after {} days of silence", seconds / 86_400),
            RuleKind::ManyKeysFromAddress => format!("{threshold} different keys within {seconds} s"),
            RuleKind::ManyNetworksForKey => format!("{threshold} different networks within {seconds} s"),
            RuleKind::StoreOutage | RuleKind::CacheOutage => format!("away for more than {seconds} s"),
            RuleKind::RecordsLost => format!("{threshold} lost within {seconds} s"),
        }
    }

    fn reason(&self, reason: RefusalReason) -> &'static str {
        match reason {
            RefusalReason::KeyIpMismatch => "outside the key's networks",
            RefusalReason::KeyBanned => "the key is banned",
            RefusalReason::ClaimRateLimited => "too many new keys",
            RefusalReason::CredentialAmbiguous => "ambiguous credentials",
            RefusalReason::KeyMissing => "no key",
            _ => reason.code(),
        }
    }

    fn label(&self, label: Label) -> &'static str {
        match label {
            Label::Rule => "Rule",
            Label::Key => "Key",
            Label::Networks => "From",
            Label::Count => "Count",
            Label::Peak => "Different",
            Label::Time => "Time",
            Label::Request => "Request",
            Label::Client => "Client",
            Label::Reference => "Reference",
            Label::Replica => "Replica",
        }
    }

    fn part(&self, part: Part) -> &'static str {
        match part {
            Part::Store => "the store",
            Part::Cache => "the shared cache",
            Part::Records => "the audit log",
        }
    }

    fn many(&self) -> &'static str {
        "many at once"
    }

    fn binding(&self, hint: &str, id: i64) -> String {
        format!("{hint} (binding {id})")
    }

    fn and_more(&self) -> &'static str {
        "and others"
    }

    fn span(&self, from: &str, to: &str) -> String {
        format!("{from} to {to}")
    }

    fn action(&self, action: LinkAction) -> &'static str {
        match action {
            LinkAction::Ban => "Ban the key",
            LinkAction::AllowNetwork => "Allow this network",
            LinkAction::Ignore => "Ignore",
        }
    }

    fn open_console(&self) -> &'static str {
        "Open the console"
    }
}

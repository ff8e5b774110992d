//! Bindings as they are printed: as a table for people, or as JSON like the admin API's.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use sentinel_core::binding::{BindingRecord, BindingStatus};
use sentinel_core::event::printable;
use sentinel_core::policy::PolicyOverride;
use sentinel_core::time::Timestamp;
use serde::Serialize;

use super::Output;
use crate::cli::CliError;
use crate::cli::table::{self, Cell};

/// The most characters of a text that are shown in a table.
const CELL_CHARACTERS_MAX: usize = 500;
/// The most networks of one binding that are shown in a list.
const NETWORKS_LISTED_MAX: usize = 3;

/// One binding as JSON.
#[derive(Serialize)]
struct BindingView<'r> {
    id: i64,
    hint: &'r str,
    status: &'static str,
    networks: Vec<String>,
    policy: &'r PolicyOverride,
    bound_at: String,
    updated_at: String,
    last_used_at: Option<String>,
    use_count: u64,
    ban_reason: &'r str,
    version: i64,
}

impl<'r> From<&'r BindingRecord> for BindingView<'r> {
    fn from(record: &'r BindingRecord) -> Self {
        let binding = &record.binding;
        Self {
            id: binding.id.0,
            hint: record.hint.as_str(),
            status: binding.status.as_str(),
            networks: binding.networks.iter().map(ToString::to_string).collect(),
            policy: &binding.policy,
            bound_at: binding.bound_at.rfc3339(),
            updated_at: record.updated_at.rfc3339(),
            last_used_at: record.last_used_at.map(Timestamp::rfc3339),
            use_count: record.use_count,
            ban_reason: &record.ban_reason,
            version: binding.version.0,
        }
    }
}

/// Prints one binding with all that is known of it.
pub(super) fn print_one(record: &BindingRecord, output: Output, out: &mut dyn Write) -> Result<(), CliError> {
    let view = BindingView::from(record);
    if let Output::Json = output {
        return print_json(&view, out);
    }
    let mut lines = vec![
        ("id", view.id.to_string().into()),
        ("key", shown(view.hint).into()),
        ("status", status(record)),
        ("networks", view.networks.join(", ").into()),
        ("bound", view.bound_at.into()),
        ("changed", view.updated_at.into()),
        ("last used", last_used(record)),
        ("uses", view.use_count.to_string().into()),
    ];
    if !view.ban_reason.is_empty() {
        lines.push(("ban reason", shown(view.ban_reason).into()));
    }
    if *view.policy != PolicyOverride::default() {
        lines.push(("policy", json(view.policy)?.into()));
    }
    let rows: Vec<[Cell; 2]> = lines
        .into_iter()
        .map(|(name, value)| [Cell::styled(name, Style::new().dimmed()), value])
        .collect();
    Ok(table::print_rows(&rows, out)?)
}

/// Prints bindings, one a line.
pub(super) fn print_many(
    records: &[BindingRecord],
    output: Output,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    if let Output::Json = output {
        let views: Vec<_> = records.iter().map(BindingView::from).collect();
        return print_json(&views, out);
    }
    if records.is_empty() {
        writeln!(out, "No bindings.")?;
        return Ok(());
    }
    let rows: Vec<[Cell; 7]> = records
        .iter()
        .map(|record| {
            [
                record.binding.id.to_string().into(),
                shown(record.hint.as_str()).into(),
                status(record),
                networks(record).into(),
                record.use_count.to_string().into(),
                last_used(record),
                record.binding.bound_at.rfc3339().into(),
            ]
        })
        .collect();
    let headings = ["ID", "KEY", "STATUS", "NETWORKS", "USES", "LAST USED", "BOUND"];
    Ok(table::print(headings, &rows, out)?)
}

fn status(record: &BindingRecord) -> Cell {
    let colour = match record.binding.status {
        BindingStatus::Active => AnsiColor::Green,
        BindingStatus::Banned => AnsiColor::Red,
    };
    Cell::styled(record.binding.status.as_str(), colour.on_default())
}

fn networks(record: &BindingRecord) -> String {
    let networks = &record.binding.networks;
    let mut shown: Vec<String> = networks
        .iter()
        .take(NETWORKS_LISTED_MAX)
        .map(ToString::to_string)
        .collect();
    if networks.len() > NETWORKS_LISTED_MAX {
        shown.push(format!("+{}", networks.len() - NETWORKS_LISTED_MAX));
    }
    shown.join(", ")
}

fn last_used(record: &BindingRecord) -> Cell {
    record
        .last_used_at
        .map_or_else(|| "never".to_owned(), Timestamp::rfc3339)
        .into()
}

fn shown(text: &str) -> String {
    printable(text.as_bytes(), CELL_CHARACTERS_MAX)
}

fn json(value: &impl Serialize) -> Result<String, CliError> {
    serde_json::to_string(value).map_err(|error| CliError::Io(error.into()))
}

fn print_json(value: &impl Serialize, out: &mut dyn Write) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| CliError::Io(error.into()))?;
    writeln!(out, "{text}")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use sentinel_core::binding::{Binding, BindingId, Version};
    use sentinel_core::fingerprint::{KeyFingerprint, KeyHint};
    use sentinel_core::policy::OwnPolicy;

    use super::*;

    #[test]
    fn a_cell_is_bounded_and_a_long_list_of_networks_is_counted() {
        assert_eq!(
            shown(&"x".repeat(CELL_CHARACTERS_MAX + 1)).chars().count(),
            CELL_CHARACTERS_MAX + 1,
            "cut, with …"
        );
        let at = Timestamp::from_unix_ms(0);
        let with = |count: u8| BindingRecord {
            binding: Binding {
                id: BindingId(1),
                fingerprint: KeyFingerprint::from_bytes([0; 32]),
                status: BindingStatus::Active,
                networks: (0..count)
                    .map(|last| format!("192.0.2.{last}").parse().expect("a network"))
                    .collect(),
                policy: OwnPolicy::default(),
                version: Version(1),
                bound_at: at,
            },
            hint: KeyHint::from_stored("sk-…".to_owned()),
            updated_at: at,
            last_used_at: None,
            use_count: 0,
            ban_reason: String::new(),
            ban_expires_at: None,
            remarks: sentinel_core::binding::Remarks::default(),
            profile: String::new(),
        };
        let listed = u8::try_from(NETWORKS_LISTED_MAX).expect("few");
        assert!(!networks(&with(listed)).contains('+'));
        assert!(networks(&with(listed + 2)).ends_with("+2"));
    }
}

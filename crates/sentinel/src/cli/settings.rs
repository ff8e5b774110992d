//! `sentinel settings …`: the settings that change while the server runs, on the store itself. Judged as the server judges them; a running one
//! follows within a second. Every change is recorded as done by `cli`.

use std::collections::BTreeMap;
use std::io::Write;

use clap::{Args, Subcommand};
use sentinel_admin::{
    PastChange, Setting, SettingDifference, SettingSource, Settings as _, SettingsChange, SettingsRefused,
    WantedSettings,
};
use sentinel_core::event::{Actor, printable};
use sentinel_core::time::Clock;
use serde_json::{Value, json};

use super::output::{Output, print_json};
use super::table::{self, Cell};
use super::{ACTOR, CliError};
use crate::settings::LiveSettings;

/// The most settings that one command changes.
const CHANGES_MAX: usize = 64;
/// The most changes that one command lists.
const HISTORY_MAX: i64 = 1_000;
/// The most characters of a text that are shown in a table.
const CELL_CHARACTERS_MAX: usize = 120;

/// What to do with settings.
#[derive(Debug, Args)]
pub(crate) struct SettingsArguments {
    /// How to print them
    #[arg(long, global = true, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(subcommand)]
    command: SettingsCommand,
}

#[derive(Debug, Subcommand)]
enum SettingsCommand {
    /// Show settings as they hold, and where each value comes from; no secret is shown
    Get {
        /// Only these, by name, like policy.mode; a section like policy stands for all in it
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// Change settings that may change while the server runs, all together or none
    Set(SetArguments),
    /// Show what differs between two versions of the changed settings
    Diff {
        /// The earlier one; 0 is nothing changed at all
        #[arg(long, value_name = "VERSION", default_value_t = 0)]
        from: i64,
        /// The later one [default: the one that holds]
        #[arg(long, value_name = "VERSION")]
        to: Option<i64>,
    },
    /// List who changed which settings when, newest first
    History {
        /// Only smaller versions: the last one of the page before
        #[arg(long, value_name = "VERSION")]
        before: Option<i64>,
        /// How many at most
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=HISTORY_MAX))]
        limit: u32,
    },
    /// Bring settings back to an earlier version, all together or none
    Rollback {
        /// The earlier version; 0 is nothing changed at all
        to: i64,
        #[command(flatten)]
        how: How,
    },
}

#[derive(Debug, Args)]
struct SetArguments {
    /// New values, like policy.mode=observe
    #[arg(value_name = "NAME=VALUE", num_args = 0..=CHANGES_MAX, value_parser = assignment, required_unless_present = "unset")]
    values: Vec<(String, String)>,
    /// Take an earlier change back, so that file or default hold again
    #[arg(long, value_name = "NAME", num_args = 1..=CHANGES_MAX)]
    unset: Vec<String>,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Args)]
struct How {
    /// Only say what would change
    #[arg(long)]
    dry_run: bool,
    /// Only if this version still holds; `settings get --output json` says which one does
    #[arg(long, value_name = "VERSION")]
    version: Option<i64>,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err("wanted NAME=VALUE, like policy.mode=observe".to_owned()),
    }
}

/// Does it. `settings` has heard from the store.
pub(super) async fn run(
    arguments: SettingsArguments,
    settings: &LiveSettings,
    clock: &dyn Clock,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let output = arguments.output;
    match arguments.command {
        SettingsCommand::Get { names } => get(&names, settings, output, out),
        SettingsCommand::Set(set) => {
            let wanted = WantedSettings::Values(values(set.values, set.unset)?);
            change(wanted, &set.how, settings, (clock, output), out).await
        }
        SettingsCommand::Diff { from, to } => {
            let differences = settings.between(from, to).await.map_err(refused)?;
            print_differences(&differences, output, out)
        }
        SettingsCommand::History { before, limit } => {
            let history = settings.history(before, limit).await?;
            print_history(&history, output, out)
        }
        SettingsCommand::Rollback { to, how } => {
            change(
                WantedSettings::AsInVersion(to),
                &how,
                settings,
                (clock, output),
                out,
            )
            .await
        }
    }
}

fn get(
    names: &[String],
    settings: &LiveSettings,
    output: Output,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let shown = settings.in_effect();
    let is_named = |item: &Setting, name: &String| {
        let rest = item.name.strip_prefix(name.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let unknown = names
        .iter()
        .find(|name| !shown.items.iter().any(|item| is_named(item, name)));
    if let Some(name) = unknown {
        return Err(CliError::WrongSettings(format!("{} is no setting", cell(name))));
    }
    let wanted = |item: &Setting| names.is_empty() || names.iter().any(|name| is_named(item, name));
    let items: Vec<Setting> = shown.items.into_iter().filter(wanted).collect();
    if output == Output::Json {
        return print_json(&json!({"version": shown.version, "items": items}), out);
    }
    let rows: Vec<[Cell; 4]> = items
        .iter()
        .map(|item| {
            let live = if item.live { "yes" } else { "at a start" };
            [
                item.name.as_str().into(),
                text(&item.value).into(),
                source(item.source).into(),
                live.into(),
            ]
        })
        .collect();
    table::print(["NAME", "VALUE", "SOURCE", "CHANGES"], &rows, out)?;
    Ok(())
}

fn values(
    set: Vec<(String, String)>,
    unset: Vec<String>,
) -> Result<BTreeMap<String, Option<Value>>, CliError> {
    let set = set
        .into_iter()
        .map(|(name, value)| (name, Some(Value::from(value))));
    let mut values = BTreeMap::new();
    for (name, value) in set.chain(unset.into_iter().map(|name| (name, None))) {
        if values.contains_key(&name) {
            return Err(CliError::WrongSettings(format!("{} is there twice", cell(&name))));
        }
        values.insert(name, value);
    }
    Ok(values)
}

async fn change(
    wanted: WantedSettings,
    how: &How,
    settings: &LiveSettings,
    (clock, output): (&dyn Clock, Output),
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let change = SettingsChange {
        version: how.version.unwrap_or_else(|| settings.in_effect().version),
        wanted,
        is_rehearsal: how.dry_run,
    };
    let actor = Actor {
        name: ACTOR.to_owned(),
        client_ip: None,
        at: clock.now(),
    };
    let outcome = settings.change(change, actor).await.map_err(refused)?;
    if output == Output::Json {
        let shown = json!({"version": outcome.version, "dry_run": how.dry_run, "changes": outcome.changes});
        return print_json(&shown, out);
    }
    print_differences(&outcome.changes, output, out)?;
    if how.dry_run {
        write!(out, "Nothing was changed. ")?;
    }
    writeln!(out, "Version {} holds.", outcome.version)?;
    writeln!(
        out,
        "Judged by this command's environment: what the server's fixes stays as it is there."
    )?;
    Ok(())
}

fn print_differences(
    changes: &[SettingDifference],
    output: Output,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    if output == Output::Json {
        return print_json(&json!({"changes": changes}), out);
    }
    if changes.is_empty() {
        writeln!(out, "No difference.")?;
        return Ok(());
    }
    let value = |value: &Value, from: SettingSource| format!("{} ({})", text(value), source(from));
    let rows: Vec<[Cell; 3]> = changes
        .iter()
        .map(|change| {
            [
                change.name.as_str().into(),
                value(&change.before, change.before_source).into(),
                value(&change.after, change.after_source).into(),
            ]
        })
        .collect();
    table::print(["NAME", "BEFORE", "AFTER"], &rows, out)?;
    Ok(())
}

fn print_history(history: &[PastChange], output: Output, out: &mut dyn Write) -> Result<(), CliError> {
    if output == Output::Json {
        let items: Vec<Value> = history
            .iter()
            .map(|change| {
                json!({
                    "version": change.version, "at": change.at.rfc3339(), "actor": change.actor,
                    "client_ip": change.client_ip.map(|address| address.to_string()), "changes": change.changes,
                })
            })
            .collect();
        return print_json(&json!({"items": items}), out);
    }
    let mut rows: Vec<[Cell; 4]> = Vec::new();
    for change in history {
        let from = change
            .client_ip
            .map(|address| format!(" from {address}"))
            .unwrap_or_default();
        let what: Vec<String> = change
            .changes
            .iter()
            .map(|difference| {
                let shown = |value: &Option<String>| value.as_deref().map_or("–".to_owned(), cell);
                if difference.is_hidden {
                    return format!("{} changed", cell(&difference.name));
                }
                let (before, after) = (shown(&difference.before), shown(&difference.after));
                format!("{} {before} → {after}", difference.name)
            })
            .collect();
        let who = format!("{}{from}", cell(&change.actor));
        rows.push([
            change.version.to_string().into(),
            change.at.rfc3339().into(),
            who.into(),
            what.join(", ").into(),
        ]);
    }
    table::print(["VERSION", "AT", "BY", "CHANGED"], &rows, out)?;
    Ok(())
}

fn refused(refused: SettingsRefused) -> CliError {
    match refused {
        SettingsRefused::Outdated => CliError::SettingsOutdated,
        SettingsRefused::NoSuchVersion => CliError::NoSuchSettingsVersion,
        SettingsRefused::Wrong(wrong) => {
            let wrong: Vec<String> = wrong
                .iter()
                .map(|wrong| format!("{} {}", cell(&wrong.name), wrong.detail))
                .collect();
            CliError::WrongSettings(wrong.join("; "))
        }
        SettingsRefused::Store(error) => error.into(),
    }
}

fn source(source: SettingSource) -> &'static str {
    match source {
        SettingSource::Default => "default",
        SettingSource::File => "file",
        SettingSource::Database => "database",
        SettingSource::Environment => "environment",
    }
}

fn text(value: &Value) -> String {
    cell(value.as_str().unwrap_or_default())
}

fn cell(text: &str) -> String {
    printable(text.as_bytes(), CELL_CHARACTERS_MAX)
}

#[cfg(test)]
mod tests;

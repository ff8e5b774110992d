//! `sentinel bindings …`: what operators do with bindings, on the store itself. Every change is recorded as done by
//! `cli`.

mod view;

use std::io::Write;

use clap::{Args, Subcommand, ValueEnum};
use sentinel_core::binding::{BINDING_NETWORKS_MAX, BindingId, BindingRecord, BindingStatus};
use sentinel_core::client_ip::parse_address;
use sentinel_core::event::Actor;
use sentinel_core::network::{ClientIp, Network};
use sentinel_core::ports::{BindingAdmin, BindingFilter, StoreError};
use sentinel_core::time::Clock;

use super::{ACTOR, CliError};

/// The most bindings of one page.
const LIMIT_MAX: i64 = 1000;
/// The most bindings that one command changes.
const IDS_MAX: usize = 1000;
/// The most characters of the reason for a ban.
const REASON_CHARACTERS_MAX: usize = 500;

/// What to do with bindings.
#[derive(Debug, Args)]
pub(crate) struct BindingsArguments {
    /// How to print them
    #[arg(long, global = true, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(subcommand)]
    command: BindingsCommand,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// For people.
    Table,
    /// As the admin API has them.
    Json,
}

#[derive(Debug, Subcommand)]
enum BindingsCommand {
    /// List bindings, newest first
    List(ListArguments),
    /// Show one binding
    Show {
        /// The binding's id
        #[arg(value_parser = binding_id)]
        id: BindingId,
    },
    /// Forget bindings; the key's next use binds it again
    Unbind(Ids),
    /// Refuse keys from everywhere
    Ban {
        #[command(flatten)]
        ids: Ids,
        /// Why, for other operators
        #[arg(long, value_name = "TEXT", default_value = "", value_parser = ban_reason)]
        reason: String,
    },
    /// Let banned keys be used from their networks again
    Unban(Ids),
    /// Replace the networks that a key may be used from
    SetIp {
        /// The binding's id
        #[arg(value_parser = binding_id)]
        id: BindingId,
        /// Addresses or networks, like 203.0.113.7 or 2001:db8::/48
        #[arg(required = true, num_args = 1..=BINDING_NETWORKS_MAX, value_name = "NETWORK")]
        networks: Vec<Network>,
    },
}

#[derive(Debug, Args)]
struct Ids {
    /// The bindings' ids
    #[arg(required = true, num_args = 1..=IDS_MAX, value_name = "ID", value_parser = binding_id)]
    ids: Vec<BindingId>,
}

#[derive(Debug, Args)]
struct ListArguments {
    /// Only these: active or banned
    #[arg(long, value_parser = status)]
    status: Option<BindingStatus>,
    /// Only keys whose hint contains this text
    #[arg(long, value_name = "TEXT")]
    hint: Option<String>,
    /// Only bindings with a network that contains this address
    #[arg(long, value_name = "IP", value_parser = address)]
    address: Option<ClientIp>,
    /// Only smaller ids: the last one of the page before
    #[arg(long, value_name = "ID", value_parser = binding_id)]
    before: Option<BindingId>,
    /// How many at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=LIMIT_MAX))]
    limit: u32,
}

fn binding_id(text: &str) -> Result<BindingId, String> {
    text.parse()
        .ok()
        .filter(|id| *id > 0)
        .map(BindingId)
        .ok_or_else(|| "an id is a whole number from 1".to_owned())
}

fn status(text: &str) -> Result<BindingStatus, String> {
    BindingStatus::from_word(text).ok_or_else(|| "wanted active or banned".to_owned())
}

fn address(text: &str) -> Result<ClientIp, String> {
    parse_address(text).ok_or_else(|| "wanted an IP address".to_owned())
}

fn ban_reason(text: &str) -> Result<String, String> {
    if text.chars().count() > REASON_CHARACTERS_MAX {
        return Err(format!("wanted at most {REASON_CHARACTERS_MAX} characters"));
    }
    Ok(text.to_owned())
}

/// Does it, and prints the bindings as they are afterwards (for `unbind`: as they were).
pub(super) async fn run(
    arguments: BindingsArguments,
    admin: &dyn BindingAdmin,
    clock: &dyn Clock,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let actor = || Actor {
        name: ACTOR.to_owned(),
        client_ip: None,
        at: clock.now(),
    };
    let mut changes = Changes::default();
    match arguments.command {
        BindingsCommand::List(list) => return print_page(list, arguments.output, admin, out).await,
        BindingsCommand::Show { id } => {
            let record = admin.show(id).await?.ok_or_else(|| no_such(&[id]))?;
            return view::print_one(&record, arguments.output, out);
        }
        BindingsCommand::SetIp { id, networks } => {
            let record = admin.set_networks(id, networks, actor()).await?;
            let record = record.ok_or_else(|| no_such(&[id]))?;
            return view::print_one(&record, arguments.output, out);
        }
        BindingsCommand::Unbind(Ids { ids }) => {
            for id in ids {
                changes.note(id, admin.unbind(id, actor()).await)?;
            }
        }
        BindingsCommand::Ban { ids, reason } => {
            for id in ids.ids {
                changes.note(id, admin.ban(id, reason.clone(), actor()).await)?;
            }
        }
        BindingsCommand::Unban(Ids { ids }) => {
            for id in ids {
                changes.note(id, admin.unban(id, actor()).await)?;
            }
        }
    }
    view::print_many(&changes.made, arguments.output, out)?;
    if changes.missing.is_empty() {
        Ok(())
    } else {
        Err(no_such(&changes.missing))
    }
}

/// What became of a command on several bindings.
#[derive(Default)]
struct Changes {
    made: Vec<BindingRecord>,
    missing: Vec<BindingId>,
}

impl Changes {
    fn note(
        &mut self,
        id: BindingId,
        outcome: Result<Option<BindingRecord>, StoreError>,
    ) -> Result<(), CliError> {
        match outcome? {
            Some(record) => self.made.push(record),
            None => self.missing.push(id),
        }
        Ok(())
    }
}

fn no_such(ids: &[BindingId]) -> CliError {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    CliError::NoSuchBinding(ids.join(", "))
}

async fn print_page(
    list: ListArguments,
    output: Output,
    admin: &dyn BindingAdmin,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let limit = list.limit;
    let records = admin
        .list(BindingFilter {
            status: list.status,
            hint: list.hint,
            address: list.address,
            before: list.before,
            limit,
            ..BindingFilter::default()
        })
        .await?;
    view::print_many(&records, output, out)?;
    let is_full = u32::try_from(records.len()).is_ok_and(|count| count == limit);
    if let (Output::Table, true, Some(last)) = (output, is_full, records.last()) {
        writeln!(out, "There may be more: --before {}", last.binding.id)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! `sentinel logs …`: the audit log of refused and observed requests, on the store itself: as a file, or as it is written.
//!
//! Holds one page at a time, however long the log is.

use std::io::{BufWriter, Write};
use std::pin::pin;
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use futures_util::future::{Either, select};
use sentinel_admin::{LOOK_PAUSE, LogFollower, LogFormat, Looked};
use sentinel_core::binding::BindingId;
use sentinel_core::client_ip::parse_address;
use sentinel_core::decision::RefusalReason;
use sentinel_core::event::{Intercept, InterceptOutcome, printable};
use sentinel_core::network::ClientIp;
use sentinel_core::ports::{InterceptFilter, InterceptStore, StoredIntercept};
use sentinel_core::time::Timestamp;

use super::CliError;
use super::output::Output;

/// How many rows are in memory at one time.
const PAGE_ROWS: u32 = 500;
/// The most characters of a path that are shown on a line.
const PATH_CHARACTERS_MAX: usize = 200;

/// What to do with the log.
#[derive(Debug, Args)]
pub(crate) struct LogsArguments {
    #[command(subcommand)]
    command: LogsCommand,
}

#[derive(Debug, Subcommand)]
enum LogsCommand {
    /// Print rows as they are written, by whichever replica, until interrupted
    Tail {
        #[command(flatten)]
        which: Which,
        /// How to print them; JSON is one object a line
        #[arg(long, value_enum, default_value_t = Output::Table)]
        output: Output,
    },
    /// Print all rows, the newest first, as a file to keep or to work on
    Export {
        #[command(flatten)]
        which: Which,
        /// Only at or after this moment
        #[arg(long, value_name = "TIME", value_parser = moment)]
        since: Option<Timestamp>,
        /// Only before this moment
        #[arg(long, value_name = "TIME", value_parser = moment)]
        until: Option<Timestamp>,
        /// In what
        #[arg(long, value_enum, default_value_t = Format::Jsonl)]
        format: Format,
    },
}

/// What an export is written in.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// A JSON object a line.
    Jsonl,
    /// For spreadsheets.
    Csv,
}

/// Which rows.
#[derive(Debug, Args)]
struct Which {
    /// Only refusals for this reason: its code
    #[arg(long, value_name = "CODE", value_parser = reason)]
    reason: Option<RefusalReason>,
    /// Only these: refused or observed
    #[arg(long, value_parser = outcome)]
    outcome: Option<InterceptOutcome>,
    /// Only requests with the key of this binding
    #[arg(long, value_name = "ID")]
    binding: Option<i64>,
    /// Only requests from this address
    #[arg(long, value_name = "IP", value_parser = address)]
    client_ip: Option<ClientIp>,
}

impl Which {
    fn filter(self) -> InterceptFilter {
        InterceptFilter {
            reason: self.reason,
            outcome: self.outcome,
            binding: self.binding.map(BindingId),
            client_ip: self.client_ip,
            limit: PAGE_ROWS,
            ..InterceptFilter::default()
        }
    }
}

fn reason(text: &str) -> Result<RefusalReason, String> {
    RefusalReason::from_code(text).ok_or_else(|| {
        format!(
            "wanted one of {}",
            RefusalReason::ALL.map(RefusalReason::code).join(", ")
        )
    })
}

fn outcome(text: &str) -> Result<InterceptOutcome, String> {
    InterceptOutcome::from_word(text).ok_or_else(|| "wanted refused or observed".to_owned())
}

fn address(text: &str) -> Result<ClientIp, String> {
    parse_address(text).ok_or_else(|| "wanted an IP address".to_owned())
}

fn moment(text: &str) -> Result<Timestamp, String> {
    Timestamp::from_rfc3339(text).ok_or_else(|| "wanted a moment like 2026-01-31T12:00:00Z".to_owned())
}

/// Does it; a tail ends when it is interrupted.
pub(super) async fn run(
    arguments: LogsArguments,
    store: &Arc<dyn InterceptStore>,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    match arguments.command {
        LogsCommand::Tail { which, output } => {
            let follower = LogFollower::at_end(Arc::clone(store)).await?;
            let following = pin!(follow(follower, which.filter(), output, out));
            match select(following, pin!(tokio::signal::ctrl_c())).await {
                Either::Left((outcome, _)) => outcome,
                Either::Right((interrupted, _)) => Ok(interrupted?),
            }
        }
        LogsCommand::Export {
            which,
            since,
            until,
            format,
        } => {
            let filter = InterceptFilter {
                since,
                until,
                ..which.filter()
            };
            let format = match format {
                Format::Jsonl => LogFormat::JsonLines,
                Format::Csv => LogFormat::Csv { has_mark: false },
            };
            export(&**store, filter, format, out).await
        }
    }
}

/// Prints what appears, until there is nobody to print it to or the store fails.
async fn follow(
    mut follower: LogFollower,
    filter: InterceptFilter,
    output: Output,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    loop {
        let Looked {
            mut rows,
            has_more,
            given_up,
        } = follower.look().await?;
        rows.retain(|row| filter.lets_through(row));
        match output {
            Output::Json => out.write_all(&LogFormat::JsonLines.rows(rows)?)?,
            Output::Table => rows.iter().try_for_each(|row| writeln!(out, "{}", line(row)))?,
        }
        out.flush()?;
        if given_up > 0 {
            writeln!(
                anstream::stderr(),
                "sentinel: {given_up} rows at most were left out, as there were too many to wait for; see: sentinel logs export"
            )?;
        }
        if !has_more {
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    }
}

/// A row for people, on one line.
fn line(StoredIntercept { intercept, .. }: &StoredIntercept) -> String {
    let Intercept {
        at,
        reason,
        outcome,
        hint,
        client_ip,
        method,
        path,
        count,
        reference,
        ..
    } = intercept;
    let times = if *count > 1 {
        format!("  ×{count}")
    } else {
        String::new()
    };
    format!(
        "{}  {}  {}  {client_ip}  {}  {} {}  {}{times}",
        at.rfc3339(),
        outcome.as_str(),
        reason.code(),
        hint.as_ref().map_or("-", |hint| hint.as_str()),
        printable(method.as_bytes(), PATH_CHARACTERS_MAX),
        printable(path.as_bytes(), PATH_CHARACTERS_MAX),
        reference.as_str(),
    )
}

async fn export(
    store: &dyn InterceptStore,
    mut filter: InterceptFilter,
    format: LogFormat,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let mut out = BufWriter::new(out);
    out.write_all(&format.head()?)?;
    loop {
        let rows = store.list(filter.clone()).await?;
        let Some(last) = rows.last() else {
            return Ok(out.flush()?);
        };
        filter.before = Some(last.id);
        out.write_all(&format.rows(rows)?)?;
    }
}

#[cfg(test)]
mod tests;

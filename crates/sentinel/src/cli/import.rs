//! `sentinel import`: takes what another store exported, or keys with their networks before their first use.
//!
//! All lines are read and judged before anything is written. What is wrong is told together, by line; no line is ever repeated, because keys may
//! stand in it. Memory holds one batch at a time: what was read waits in a file without a name.

mod batches;
mod keys;
mod legacy;
mod lines;
mod report;

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use sentinel_core::ports::Existing;
use sentinel_core::time::Clock;

use super::CliError;
use crate::config::Loaded;
use crate::secrets;
use crate::stores::Authority;
use batches::Import;
use keys::KeyReader;
use lines::Spool;
use report::Report;

pub(crate) use legacy::LegacyError;
pub(crate) use lines::Faults;

/// What is imported, and how.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct ImportArguments {
    #[command(subcommand)]
    other: Option<OtherSource>,
    /// The file with the lines, or - for standard input
    #[arg(value_name = "FILE", required = true)]
    file: Option<PathBuf>,
    /// What happens to a key that is bound here already
    #[arg(long, value_enum, default_value_t = ExistingArgument::Keep)]
    existing: ExistingArgument,
    /// Say what would happen, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// The lines are keys with the networks to bind them to: `key network[,network…]`; in place of a key `fingerprint:` and 64 digits
    #[arg(long)]
    keys: bool,
}

/// What is no file of lines.
#[derive(Debug, Subcommand)]
enum OtherSource {
    /// The database of the older Sentinel in Python; says what can be kept, and writes only with --apply
    Legacy(legacy::LegacyArguments),
}

/// What happens to a key that is bound already.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ExistingArgument {
    /// Its binding stays as it is.
    Keep,
    /// Its binding becomes the imported one; with --keys its networks do.
    Replace,
}

impl From<ExistingArgument> for Existing {
    fn from(argument: ExistingArgument) -> Self {
        match argument {
            ExistingArgument::Keep => Self::Keep,
            ExistingArgument::Replace => Self::Replace,
        }
    }
}

/// Imports, and says what became of it.
pub(super) async fn run(
    arguments: ImportArguments,
    loaded: &Loaded,
    authority: &Authority,
    clock: &dyn Clock,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let file = match (arguments.other, arguments.file) {
        (Some(OtherSource::Legacy(legacy)), _) => {
            return legacy::run(&legacy, loaded, authority, clock, out).await;
        }
        (None, Some(file)) => file,
        (None, None) => unreachable!("the command line wants one of the two"),
    };
    let mut spool = Spool::new(&loaded.config.store.data_dir)?;
    let mut import = Import {
        authority,
        existing: arguments.existing.into(),
        is_rehearsal: arguments.dry_run,
        clock,
    };
    let mut report = Report::new(arguments.dry_run);
    if arguments.keys {
        let hasher = import.hasher(&loaded.config).await?;
        let profile = &loaded.config.upstream.profile;
        let reader = KeyReader {
            hasher: &hasher,
            profile,
            now: clock.now(),
        };
        read_from(&file, |input| reader.read(input, &mut spool))?;
        import.keys(&mut spool, &mut report).await?;
    } else {
        let read = read_from(&file, |input| {
            lines::read_export(input, &loaded.written, &mut spool)
        })?;
        let check = secrets::hasher_if_any(&loaded.config, &authority.checked_by().await?)?;
        let check = check.map(|(_, check)| check);
        read.header
            .fits(check.as_ref(), &loaded.config.upstream.profile)?;
        import.settings(read.settings, &mut report).await?;
        import.items(&mut spool, &mut report).await?;
    }
    import.note(&report).await?;
    report.print(out)?;
    Ok(())
}

/// Opens what is to be read.
fn read_from<T>(
    path: &Path,
    read: impl FnOnce(&mut dyn io::BufRead) -> Result<T, CliError>,
) -> Result<T, CliError> {
    if path == Path::new("-") {
        return read(&mut io::stdin().lock());
    }
    let file = File::open(path).map_err(|error| CliError::Unreadable(path.to_owned(), error))?;
    read(&mut BufReader::new(file))
}

#[cfg(test)]
mod tests;

//! `sentinel export`: all that the store holds, as JSON Lines, page by page. Whole or not at all when it goes to a file: one that was not finished
//! has no name.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use sentinel_core::ports::{TransferItem, TransferKind};
use sentinel_core::time::Clock;
use sentinel_store::transfer::{Header, Line};

use super::CliError;
use crate::config::{Config, INTERNAL_PREFIX};
use crate::secrets;
use crate::stores::Authority;

/// How many rows are in memory at one time.
const PAGE_ROWS: u32 = 500;

/// What is exported, and where to.
#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    /// A file that is not there yet [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The log of refused requests and that of operators' changes, too
    #[arg(long)]
    with_logs: bool,
}

/// What one kind of line is called towards people.
pub(super) fn kind_name(kind: TransferKind) -> &'static str {
    match kind {
        TransferKind::Bindings => "bindings",
        TransferKind::Archived => "archived bindings",
        TransferKind::Intercepts => "refused requests",
        TransferKind::Events => "operators' changes",
    }
}

/// Exports, and says what on `told` when it did not go there.
pub(super) async fn run(
    arguments: ExportArguments,
    config: &Config,
    authority: &Authority,
    clock: &dyn Clock,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let export = Export {
        config,
        authority,
        clock,
        with_logs: arguments.with_logs,
    };
    let Some(path) = arguments.output else {
        let mut out = BufWriter::new(out);
        export.write(&mut out).await?;
        return Ok(out.flush()?);
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    let mut writer = BufWriter::new(file);
    let told = export.write(&mut writer).await?;
    let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(&path)
        .map_err(|error| CliError::Export(path.clone(), error.error))?;
    writeln!(out, "{}: {told}", path.display())?;
    Ok(())
}

/// What is to be exported.
struct Export<'e> {
    config: &'e Config,
    authority: &'e Authority,
    clock: &'e dyn Clock,
    with_logs: bool,
}

impl Export<'_> {
    /// Writes all lines; says what they are.
    async fn write(&self, out: &mut dyn Write) -> Result<String, CliError> {
        let mut lines = Lines { out, written: 0 };
        let check = secrets::hasher_if_any(self.config, &self.authority.checked_by().await?)?;
        lines.write(&Line::Header(Header {
            made_at: self.clock.now(),
            hmac_check: check.map(|(_, check)| check.expose().to_owned()),
            profile: self.config.upstream.profile.name.clone().into(),
        }))?;
        let mut told = vec![format!("{} settings", self.settings(&mut lines).await?)];
        let logs = [TransferKind::Intercepts, TransferKind::Events];
        let kinds = [TransferKind::Bindings, TransferKind::Archived];
        for kind in kinds
            .into_iter()
            .chain(logs.into_iter().filter(|_| self.with_logs))
        {
            let count = self.items(kind, &mut lines).await?;
            told.push(format!("{count} {}", kind_name(kind)));
        }
        lines.write(&Line::End { lines: lines.written })?;
        Ok(told.join(", "))
    }

    async fn settings(&self, lines: &mut Lines<'_>) -> Result<u64, CliError> {
        let stored = self.authority.settings.settings().await?;
        let mut count = 0;
        for (name, value) in stored.values {
            if !name.starts_with(INTERNAL_PREFIX) {
                lines.write(&Line::Setting { name, value })?;
                count += 1;
            }
        }
        Ok(count)
    }

    async fn items(&self, kind: TransferKind, lines: &mut Lines<'_>) -> Result<u64, CliError> {
        let (mut after, mut count) = (0, 0);
        let unmarked = secrets::unmarked_mark(&self.authority.settings.settings().await?);
        loop {
            let page = self.authority.transfer.page(kind, after, PAGE_ROWS).await?;
            let Some((last, _)) = page.last() else {
                return Ok(count);
            };
            after = *last;
            for (_, mut item) in page {
                if let TransferItem::Binding(binding) = &mut item {
                    binding.secret = binding.secret.or(unmarked);
                }
                lines.write(&Line::Item(item))?;
                count += 1;
            }
        }
    }
}

/// Writes lines and counts them.
struct Lines<'o> {
    out: &'o mut dyn Write,
    written: u64,
}

impl Lines<'_> {
    fn write(&mut self, line: &Line) -> io::Result<()> {
        self.written += 1;
        writeln!(self.out, "{}", line.to_text())
    }
}

//! Reads lines, judges each, keeps the good ones where they wait to be written, and remembers what is wrong with the others.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read as _, Seek as _, Write as _};
use std::path::Path;

use sentinel_core::ports::TransferItem;
use sentinel_core::profile::Profile;
use sentinel_store::transfer::{Header, LINE_BYTES_MAX, Line};
use zeroize::Zeroizing;

use crate::cli::CliError;
use crate::config::{Secret, Written};

/// The most wrong lines that are told one by one.
pub(super) const FAULTS_SHOWN_MAX: usize = 20;
/// The most settings that one export holds.
pub(super) const SETTINGS_MAX: usize = 1_000;

/// What is wrong with the lines, by their numbers. Holds nothing of them.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    shown: Vec<(u64, String)>,
    count: u64,
}

impl Faults {
    pub(super) fn add(&mut self, line: u64, text: impl Into<String>) {
        self.count += 1;
        if self.shown.len() < FAULTS_SHOWN_MAX {
            self.shown.push((line, text.into()));
        }
    }

    /// An error when there are any.
    pub(super) fn none(self) -> Result<(), CliError> {
        if self.count == 0 {
            Ok(())
        } else {
            Err(CliError::ImportFaults(self))
        }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "nothing was imported, because {} lines cannot be read:",
            self.count
        )?;
        for (line, text) in &self.shown {
            write!(formatter, "\n  - line {line} {text}")?;
        }
        let more = self.count - self.shown.len() as u64;
        if more > 0 {
            write!(formatter, "\n  and {more} more")?;
        }
        Ok(())
    }
}

/// Where good lines wait: a file without a name, for this process only.
pub(super) struct Spool(BufWriter<File>);

impl Spool {
    /// In the data folder if it is there, else where temporary files are.
    pub(super) fn new(data_folder: &Path) -> io::Result<Self> {
        let file = tempfile::tempfile_in(data_folder).or_else(|_| tempfile::tempfile())?;
        Ok(Self(BufWriter::new(file)))
    }

    pub(super) fn keep(&mut self, item: TransferItem) -> io::Result<()> {
        writeln!(self.0, "{}", Line::Item(item).to_text())
    }

    /// The next of what was kept, from the first one on; the second value is where reading goes on.
    pub(super) fn items(&mut self) -> io::Result<impl Iterator<Item = io::Result<TransferItem>> + use<>> {
        self.0.flush()?;
        let mut file = self.0.get_ref().try_clone()?;
        file.rewind()?;
        let unread = || {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "what was set aside cannot be read back",
            )
        };
        Ok(BufReader::new(file)
            .lines()
            .map(move |line| match Line::parse(&line?) {
                Ok(Line::Item(item)) => Ok(item),
                _ => Err(unread()),
            }))
    }
}

/// Hands over each line with its number, from 1; what `take` says is wrong with it becomes a fault. Gives how many lines there were.
pub(super) fn each(
    input: &mut dyn BufRead,
    faults: &mut Faults,
    mut take: impl FnMut(u64, &str) -> Result<(), TakeError>,
) -> Result<u64, CliError> {
    let limit = u64::try_from(LINE_BYTES_MAX)
        .unwrap_or(u64::MAX)
        .saturating_add(2);
    let mut number = 0;
    // A key may stand in it.
    let mut line = Zeroizing::new(Vec::with_capacity(1024));
    loop {
        line.clear();
        if input.take(limit).read_until(b'\n', &mut line)? == 0 {
            return Ok(number);
        }
        number += 1;
        let is_whole = line.ends_with(b"\n");
        let content = line.strip_suffix(b"\n").unwrap_or(&line);
        let content = content.strip_suffix(b"\r").unwrap_or(content);
        if content.len() > LINE_BYTES_MAX {
            faults.add(number, format!("is longer than {LINE_BYTES_MAX} bytes"));
            if !is_whole {
                input.skip_until(b'\n')?;
            }
            continue;
        }
        let outcome = match std::str::from_utf8(content) {
            Ok(text) => take(number, text),
            Err(_) => Err(TakeError::Wrong("is not UTF-8 text".to_owned())),
        };
        match outcome {
            Ok(()) => {}
            Err(TakeError::Wrong(text)) => faults.add(number, text),
            Err(TakeError::Io(error)) => return Err(error.into()),
        }
    }
}

/// Why a line was not taken.
pub(super) enum TakeError {
    /// It is wrong, in these words.
    Wrong(String),
    /// It could not be set aside.
    Io(io::Error),
}

impl From<io::Error> for TakeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<String> for TakeError {
    fn from(text: String) -> Self {
        Self::Wrong(text)
    }
}

/// What an export says besides its items.
pub(super) struct ReadExport {
    pub(super) header: Origin,
    /// Names and values as JSON.
    pub(super) settings: Vec<(String, String)>,
}

/// Where an export comes from.
pub(super) struct Origin(Header);

impl Origin {
    /// Whether its fingerprints mean the same keys here.
    pub(super) fn fits(&self, here: Option<&Secret>, profile: &Profile) -> Result<(), CliError> {
        let Some(there) = self.0.hmac_check.as_ref() else {
            return Ok(());
        };
        if here.is_none_or(|here| here.expose() != there) {
            return Err(CliError::OtherSecret);
        }
        if self.0.profile != *profile.name {
            tracing::warn!(
                there = %self.0.profile, here = %profile.name,
                "the export was made under another profile; where the two normalise keys otherwise, keys are unknown here"
            );
        }
        Ok(())
    }
}

/// Reads and judges a whole export; its items wait in the spool.
pub(super) fn read_export(
    input: &mut dyn BufRead,
    written: &Written,
    spool: &mut Spool,
) -> Result<ReadExport, CliError> {
    let mut faults = Faults::default();
    let (mut header, mut end) = (None, None);
    let mut settings: Vec<(String, String)> = Vec::new();
    let lines = each(input, &mut faults, |number, text| {
        let line = Line::parse(text).map_err(|error| error.to_string())?;
        if (number == 1) != matches!(line, Line::Header(_)) {
            return Err(first_line(number).into());
        }
        match line {
            Line::Header(first) => header = Some(first),
            Line::Item(item) => spool.keep(item)?,
            Line::Setting { name, value } => {
                written.judge(&name, &value)?;
                if settings.len() == SETTINGS_MAX {
                    return Err(format!("is one of more than {SETTINGS_MAX} settings").into());
                }
                settings.push((name, value));
            }
            Line::End { lines } if lines + 1 == number => end = Some(number),
            Line::End { .. } => return Err("does not come after as many lines as it says".to_owned().into()),
        }
        Ok(())
    })?;
    if end != Some(lines) {
        faults.add(
            lines,
            "is not the end of an export: it was cut short, or goes on after it",
        );
    }
    faults.none()?;
    let header = header.ok_or(CliError::NoExport)?;
    Ok(ReadExport {
        header: Origin(header),
        settings,
    })
}

fn first_line(number: u64) -> String {
    if number == 1 {
        "is not the first line of an export".to_owned()
    } else {
        "is the first line of another export".to_owned()
    }
}

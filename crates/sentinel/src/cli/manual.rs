//! `sentinel man` and `sentinel completions`: the manual and what shells complete, from the command line's own description, so that neither can say
//! anything else than it. No date goes in: the same version always gives the same bytes.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory as _};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::outcome::EXIT_CODES;
use super::{Cli, CliError};

/// The program's name.
const NAME: &str = "sentinel";
/// Files that an operator meets, and what is in them.
const FILES: [(&str, &str); 4] = [
    (
        "/etc/sentinel/sentinel.toml",
        "the configuration, where Sentinel is installed as a package or as docs/systemd.md says",
    ),
    (
        "/etc/sentinel/sentinel.env",
        "environment variables of the service, secrets among them; for root only",
    ),
    (
        "/var/lib/sentinel",
        "the data folder of the service (SENTINEL_DATA_DIR): the embedded store, the spool of records",
    ),
    (
        "/var/lib/sentinel/secrets",
        "secrets that were made at the first start because none were configured; keep a copy of hmac",
    ),
];

/// Where the manual goes.
#[derive(Debug, Args)]
pub(crate) struct ManArguments {
    /// A folder for one page per command, made if need be [default: the page of sentinel itself, to standard output]
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// For which shell.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArguments {
    /// The shell
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

/// Writes the manual.
pub(super) fn man(arguments: &ManArguments, out: &mut dyn Write) -> Result<(), CliError> {
    let Some(folder) = &arguments.folder else {
        return Ok(page(&whole(), out)?);
    };
    fs::create_dir_all(folder)?;
    pages(&whole(), folder)?;
    Ok(())
}

/// Writes what the shell completes.
pub(super) fn completions(arguments: &CompletionsArguments, out: &mut dyn Write) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), NAME, &mut script);
    Ok(out.write_all(&script)?)
}

/// The command line as a whole, all its parts with their full names.
fn whole() -> Command {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    command
}

/// The page of this command and those of all below it.
fn pages(command: &Command, folder: &Path) -> io::Result<()> {
    let mut file = fs::File::create(folder.join(Man::new(command.clone()).get_filename()))?;
    page(command, &mut file)?;
    command
        .get_subcommands()
        .try_for_each(|below| pages(below, folder))
}

/// One page.
fn page(command: &Command, mut out: &mut dyn Write) -> io::Result<()> {
    let version = concat!("Key-IP Sentinel ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone())
        .source(version)
        .manual("Key-IP Sentinel");
    man.render_title(&mut out)?;
    man.render_name_section(&mut out)?;
    man.render_synopsis_section(&mut out)?;
    man.render_description_section(&mut out)?;
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        man.render_options_section(&mut out)?;
    }
    if command.has_subcommands() {
        man.render_subcommands_section(&mut out)?;
    }
    let codes = EXIT_CODES.map(|(code, meaning)| (code.to_string(), meaning));
    terms("EXIT STATUS", &codes).to_writer(&mut out)?;
    if command.get_name() != NAME {
        return see_also("sentinel(1)").to_writer(&mut out);
    }
    let mut environment = Roff::new();
    environment.control("SH", ["ENVIRONMENT"]);
    environment.text([roman(
        "Every setting has a name in the environment, which goes before the configuration file; every secret also one that ends in _FILE \
         and names a file. sentinel.example.toml lists them all, SENTINEL_CONFIG says where the configuration file is, NO_COLOR turns colours off.",
    )]);
    environment.to_writer(&mut out)?;
    terms("FILES", &FILES.map(|(path, meaning)| (path.to_owned(), meaning))).to_writer(&mut out)?;
    see_also("systemctl(1), journalctl(1), and the book in docs/").to_writer(&mut out)
}

/// A section of terms, each with what it means.
fn terms(heading: &str, terms: &[(String, &str)]) -> Roff {
    let mut section = Roff::new();
    section.control("SH", [heading]);
    for (term, meaning) in terms {
        section.control("TP", []);
        section.text([bold(term)]);
        section.text([roman(*meaning)]);
    }
    section
}

fn see_also(what: &str) -> Roff {
    let mut section = Roff::new();
    section.control("SH", ["SEE ALSO"]);
    section.text([roman(what)]);
    section
}

#[cfg(test)]
mod tests;

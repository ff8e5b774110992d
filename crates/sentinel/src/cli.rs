//! The command line: what there is to say to `sentinel`, and the commands that need no running server.
//!
//! `serve` and `demo` are only named here; the caller runs them. Results go to standard output, everything else to
//! standard error. No secret is taken as an argument: arguments are seen by every user of the machine.

mod admin;
mod audit;
mod bindings;
mod check;
mod doctor;
mod explain;
mod export;
mod forget;
mod hash_password;
mod healthcheck;
mod import;
mod logs;
mod manual;
mod migrate;
mod outcome;
mod output;
mod settings;
mod table;

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand};
use sentinel_core::time::SystemClock;

use crate::config::{self, ConfigErrors, Loaded, Requirements, Sources};
use crate::secrets;
use crate::settings::LiveSettings;
use crate::stores::{Authority, StoresError};

pub(crate) use outcome::{CliError, exit};

/// The same in short, for `--help`.
const AFTER_HELP: &str = "Exit codes: 0 done, 1 failed, 2 wrong configuration or usage.\n\
    Settings come from environment variables, and below them from sentinel.toml; `sentinel check` judges them.";
/// Who did it, in the admin events.
const ACTOR: &str = "cli";
/// The most seconds that the health check may wait.
const HEALTHCHECK_SECONDS_MAX: u64 = 60;

/// Ties each API key to the network of its first use, in front of an LLM gateway.
#[derive(Debug, Parser)]
#[command(name = "sentinel", version, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    /// The configuration file [default: $SENTINEL_CONFIG, else ./sentinel.toml if it exists]
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve: the proxy for clients, and console, API, health and metrics for operators
    Serve {
        /// Put the built-in demo upstream behind it, which accepts one public key
        #[arg(long)]
        demo_upstream: bool,
    },
    /// Show on this terminal what Sentinel does, with a built-in gateway and real requests
    Demo(crate::demo::DemoArguments),
    /// Judge the configuration and everything that serving depends on, and change nothing
    Check,
    /// Ask a running server whether it is well
    Healthcheck {
        /// For how long to wait for its answer
        #[arg(long, value_name = "SECONDS", default_value_t = 3,
              value_parser = clap::value_parser!(u64).range(1..=HEALTHCHECK_SECONDS_MAX))]
        timeout_seconds: u64,
    },
    /// Bring the store's schema up to date, and nothing else
    Migrate,
    /// Look at bindings and change them; a running server follows within its cache's life
    Bindings(bindings::BindingsArguments),
    /// Add administrators and help those who cannot sign in; a running server follows within seconds
    Admin(admin::AdminArguments),
    /// Show settings, change those that change while the server runs, and see who changed what
    Settings(settings::SettingsArguments),
    /// Say what would become of a request with this key from that address, and change nothing
    Explain(explain::ExplainArguments),
    /// Check everything, and look for what is commonly wrong; exit code 1 when something is, 2 for the configuration
    Doctor(doctor::DoctorArguments),
    /// Look whether the log of what operators did is as it was written
    Audit(audit::AuditArguments),
    /// Follow the log of refused requests as it is written, or print all of it
    Logs(logs::LogsArguments),
    /// Remove what names an address or a key from the store, for good
    Forget(forget::ForgetArguments),
    /// Write all that the store holds as JSON Lines: to keep, or for another store
    Export(export::ExportArguments),
    /// Take what another store exported, or bind keys before their first use
    Import(import::ImportArguments),
    /// Print the description of the admin API, as OpenAPI 3.1
    Openapi,
    /// Hash a password for ADMIN_PASSWORD; it is read from the terminal or from standard input
    HashPassword,
    /// Write the manual: one page to standard output, or all pages into a folder
    Man(manual::ManArguments),
    /// Print what a shell needs to complete this command line
    Completions(manual::CompletionsArguments),
}

/// The configuration for a command that serves or checks; warnings are left to the caller.
pub(crate) fn load(sources: &Sources, upstream: bool) -> Result<Loaded, ConfigErrors> {
    config::load(sources, Requirements { upstream })
}

/// Runs a command that needs no running server; `serve` and `demo` are the caller's.
pub(crate) fn run(command: Command, sources: &Sources) -> Result<(), CliError> {
    let mut out = anstream::stdout().lock();
    match command {
        Command::Serve { .. } | Command::Demo(_) => unreachable!("the caller runs what serves"),
        Command::Check => wait_for(check::run(sources, &mut out))?,
        Command::Healthcheck { timeout_seconds } => {
            let listen = config::admin_listen(sources)?;
            wait_for(healthcheck::run(listen, Duration::from_secs(timeout_seconds)))??;
            Ok(writeln!(out, "healthy")?)
        }
        Command::Migrate => wait_for(migrate::run(&load(sources, false)?.config, &mut out))?,
        Command::Bindings(arguments) => {
            let config = load(sources, false)?.config;
            let work = async |store: &Authority| {
                bindings::run(arguments, &*store.admin, &SystemClock, &mut out).await
            };
            wait_for(on_store(Authority::open_existing(&config), work))?
        }
        Command::Admin(arguments) => {
            let config = load(sources, false)?.config;
            let work = async |store: &Authority| {
                let accounts = (&*store.accounts, config.admin.username.as_str());
                admin::run(arguments, accounts, &SystemClock, hash_password::given, &mut out).await
            };
            wait_for(on_store(Authority::open(&config), work))?
        }
        Command::Settings(arguments) => {
            let loaded = load(sources, false)?;
            let work = async |store: &Authority| {
                let settings = heard_settings(&loaded, store).await?;
                settings::run(arguments, &settings, &SystemClock, &mut out).await
            };
            wait_for(on_store(Authority::open_existing(&loaded.config), work))?
        }
        Command::Explain(arguments) => {
            let (loaded, key) = (load(sources, false)?, arguments.key()?);
            let config = &loaded.config;
            let work = async |store: &Authority| {
                let hasher = secrets::hasher_if_any(config, &store.checked_by().await?)?;
                if let Some((hasher, _)) = &hasher {
                    store.secrets.hash_under(hasher.check());
                }
                let installation = explain::Installation {
                    config,
                    rules: heard_settings(&loaded, store).await?.now().rules,
                    stored: &*store.bindings,
                    bindings: &*store.admin,
                    hasher: hasher.map(|(hasher, _)| hasher),
                };
                explain::run(&arguments, key, &installation, &SystemClock, &mut out).await
            };
            wait_for(on_store(Authority::open_existing(config), work))?
        }
        Command::Doctor(arguments) => wait_for(doctor::run(&arguments, sources, &mut out))?,
        Command::Audit(arguments) => {
            let config = load(sources, false)?.config;
            let work = async |store: &Authority| audit::run(&arguments, &*store.audit, &mut out).await;
            wait_for(on_store(Authority::open_existing(&config), work))?
        }
        Command::Logs(arguments) => {
            let config = load(sources, false)?.config;
            let work = async |store: &Authority| logs::run(arguments, &store.intercepts, &mut out).await;
            wait_for(on_store(Authority::open_existing(&config), work))?
        }
        Command::Forget(arguments) => {
            let config = load(sources, false)?.config;
            let work = async |store: &Authority| {
                let stores = (&*store.forgetting, &*store.events);
                forget::run(arguments, stores, &SystemClock, &mut out).await
            };
            wait_for(on_store(Authority::open_existing(&config), work))?
        }
        Command::Export(arguments) => {
            let config = load(sources, false)?.config;
            let work = async |store: &Authority| {
                export::run(arguments, &config, store, &SystemClock, &mut out).await
            };
            wait_for(on_store(Authority::open_existing(&config), work))?
        }
        Command::Import(arguments) => {
            let loaded = load(sources, false)?;
            let work = async |store: &Authority| {
                import::run(arguments, &loaded, store, &SystemClock, &mut out).await
            };
            wait_for(on_store(Authority::open(&loaded.config), work))?
        }
        Command::Openapi => Ok(write!(out, "{}", sentinel_admin::openapi_json())?),
        Command::HashPassword => hash_password::run(&mut out),
        Command::Man(arguments) => manual::man(&arguments, &mut out),
        Command::Completions(arguments) => manual::completions(&arguments, &mut out),
    }
}

/// Opens the store, does the work, and closes it: what was changed must be on the disk before this process says so and ends.
async fn on_store(
    opened: impl Future<Output = Result<Authority, StoresError>>,
    work: impl AsyncFnOnce(&Authority) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let store = opened.await?;
    let outcome = work(&store).await;
    if store.close().await {
        outcome
    } else {
        outcome.and(Err(CliError::NotClosed))
    }
}

/// The settings as they hold with what operators changed.
async fn heard_settings(loaded: &Loaded, store: &Authority) -> Result<LiveSettings, CliError> {
    let settings = LiveSettings::of(loaded, Arc::clone(&store.settings));
    settings.refresh().await?;
    Ok(settings)
}

/// Runs one asynchronous command to its end on this thread.
fn wait_for<F: Future>(command: F) -> Result<F::Output, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(command))
}

#[cfg(test)]
mod tests;

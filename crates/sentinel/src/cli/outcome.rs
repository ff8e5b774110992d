//! How a command ends: what can go wrong, and the exit code that says so.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use sentinel_core::account::AdministratorName;
use sentinel_core::ports::StoreError;

use super::import;
use crate::app::AppError;
use crate::config::ConfigErrors;
use crate::secrets::{self, SecretsError};
use crate::stores::StoresError;
use crate::telemetry::TelemetryError;

/// The exit code of what was not done.
pub(super) const FAILED: u8 = 1;
/// The exit code of what will not be done before somebody changes a setting or the command.
pub(super) const MISUSED: u8 = 2;
/// What the process's exit codes say, for the manual.
pub(super) const EXIT_CODES: [(u8, &str); 4] = [
    (0, "done"),
    (
        FAILED,
        "failed: what was asked for was not done, or not all of it; why is on standard error, of a server in its log",
    ),
    (
        MISUSED,
        "wrong configuration or usage: the same again fails again, so systemd does not start the server anew",
    ),
    (
        101,
        "a defect of Sentinel: standard error says where; please report it",
    ),
];

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// The data folder or the secrets in it cannot be used.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] sentinel_store::OpenError),
    /// There is no store to work with.
    #[error(transparent)]
    Stores(#[from] StoresError),
    /// The store did not end in order, so nobody knows what it kept.
    #[error("the store could not be closed in order; look whether the change was made")]
    NotClosed,
    /// The replicas do not agree on the secret.
    #[error(transparent)]
    Sharing(#[from] secrets::SharingError),
    /// The export's file cannot have its name.
    #[error("{0}: {1}; nothing was exported")]
    Export(PathBuf, io::Error),
    /// What is to be imported cannot be read.
    #[error("{0}: {1}")]
    Unreadable(PathBuf, io::Error),
    /// Lines are wrong.
    #[error("{0}")]
    ImportFaults(import::Faults),
    /// The older installation cannot be brought over.
    #[error(transparent)]
    Legacy(#[from] import::LegacyError),
    /// There is nothing in it.
    #[error("this is no export: it is empty; nothing was imported")]
    NoExport,
    /// The fingerprints mean other keys here.
    #[error(
        "the export was made under another HMAC secret, so every key in it would be unknown here: set SENTINEL_HMAC_SECRET to that \
         of the installation that made it (it keeps one that it made itself in its data folder, in secrets/hmac); nothing was imported"
    )]
    OtherSecret,
    /// A rehearsal needs a secret that is not there.
    #[error(
        "there is no HMAC secret yet, and a dry run makes none: nothing is bound here, so every key would be new"
    )]
    NoSecretYet,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There are no such bindings.
    #[error("no binding has the id {0}; see: sentinel bindings list")]
    NoSuchBinding(String),
    /// There is no such administrator.
    #[error("no administrator has the name {}; see: sentinel admin list", .0.as_str())]
    NoSuchAdministrator(AdministratorName),
    /// Another account has the name.
    #[error("another account has the name {}, perhaps in other case; nothing was added", .0.as_str())]
    AdministratorNameTaken(AdministratorName),
    /// There are as many as there may be.
    #[error("there are {0} administrators, and there may not be more; nothing was added")]
    TooManyAdministrators(usize),
    /// The server is not well.
    #[error("{0}")]
    Unhealthy(String),
    /// The server did not start.
    #[error(transparent)]
    App(#[from] AppError),
    /// The log cannot be written.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// Two upstreams are asked for at once.
    #[error("UPSTREAM_URL is set: leave out --demo-upstream, or unset it")]
    TwoUpstreams,
    /// The server stopped, but not in order; what happened is in the log.
    #[error("the server did not stop in order; see its log")]
    Stopped,
    /// A step of the demo did not do what it says; which one was printed.
    #[error("the demo did not do what it should")]
    DemoFailed,
    /// The log of what operators did was touched.
    #[error(
        "event {0} was changed or moved, or one before it is gone; the {1} events before it are as they were written"
    )]
    AuditBroken(i64, u64),
    /// The configuration that was checked is wrong; how was printed.
    #[error("the configuration cannot be used")]
    CheckedConfig,
    /// Something that was checked is not in order; what it is was printed.
    #[error("not everything is in order")]
    CheckFailed,
    /// Settings cannot be so.
    #[error("{0}; nothing was changed")]
    WrongSettings(String),
    /// Somebody else changed them.
    #[error("the settings have changed meanwhile, and nothing was changed; see: sentinel settings get")]
    SettingsOutdated,
    /// There is no way back to it.
    #[error("the settings have no such version, or no longer; see: sentinel settings history")]
    NoSuchSettingsVersion,
    /// The key cannot be taken.
    #[error("{0}")]
    Key(&'static str),
    /// The password cannot be taken.
    #[error("{0}")]
    Password(&'static str),
    /// Reading or printing failed.
    #[error("cannot read or write: {0}")]
    Io(#[from] io::Error),
}

impl CliError {
    /// The exit code that says so.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_)
            | Self::CheckedConfig
            | Self::Password(_)
            | Self::TwoUpstreams
            | Self::WrongSettings(_)
            | Self::Key(_) => MISUSED,
            _ => FAILED,
        }
    }
}

/// The exit code of a command that ended so; a failure is told on standard error, once.
pub(crate) fn exit(outcome: Result<(), CliError>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads our output has read enough.
        Err(CliError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let style = anstyle::AnsiColor::Red.on_default().bold();
            // Nothing is left to be done when even that cannot be told.
            let _ = writeln!(anstream::stderr(), "{style}sentinel:{style:#} {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

//! The configuration: `sentinel.toml` under environment variables, checked as a whole before anything starts.
//!
//! [`table`] names every setting once; [`environment`] and [`file`] gather what was written into [`given`]; [`build`]
//! makes the typed [`Config`] of it through [`values`] and [`parse`]. All errors are reported together. Nothing in here
//! prints a secret, writes a file or reads the process's environment after [`Sources::of_process`].

mod alerts;
mod build;
mod environment;
mod file;
mod given;
mod live;
mod oidc;
mod parse;
mod problem;
mod profile;
#[cfg(test)]
mod reference;
mod secret;
pub(crate) mod secret_file;
mod setting;
mod table;
mod types;
mod values;
mod view;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

pub(crate) use alerts::{AlertConfig, ChannelConfig, ChannelKind};
pub(crate) use build::Requirements;
pub(crate) use live::{INTERNAL_PREFIX, Written, Wrong};
pub(crate) use problem::{ConfigErrors, Problem};
pub(crate) use secret::Secret;
pub(crate) use setting::Kind;
pub(crate) use types::{
    AdminPassword, Config, LiveConfig, LogConfig, LogFormat, OidcConfig, PostgresConfig, RedisConfig,
};
pub(crate) use view::{SettingView, Source};

use given::Given;
use values::Values;

/// The file that is read when none is named and it is there.
const DEFAULT_FILE: &str = "sentinel.toml";

/// Where settings are read from.
#[derive(Clone, Default)]
pub(crate) struct Sources {
    /// The environment's variables.
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// The configuration file; it must exist.
    pub(crate) file: Option<PathBuf>,
}

impl Sources {
    /// The process's environment, and the file that `--config` names, else `SENTINEL_CONFIG`, else `./sentinel.toml`
    /// if it exists.
    pub(crate) fn of_process(config_option: Option<PathBuf>) -> Self {
        let environment: Vec<_> = std::env::vars_os().collect();
        let named = || {
            environment
                .iter()
                .find(|(name, value)| name == environment::CONFIG_FILE_VARIABLE && !value.is_empty())
                .map(|(_, value)| PathBuf::from(value))
        };
        let present = || Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists());
        Self {
            file: config_option.or_else(named).or_else(present),
            environment,
        }
    }

    fn gather(&self) -> Given {
        let mut given = Given::default();
        environment::read(&self.environment, &mut given);
        if let Some(path) = &self.file {
            file::read(path, &mut given);
        }
        given
    }

    /// The configuration file, if one is read.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }
}

/// Variables may hold secrets.
impl std::fmt::Debug for Sources {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Sources")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

/// A configuration that can be used.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    /// The configuration.
    pub(crate) config: Config,
    /// What is worth saying about it.
    pub(crate) warnings: Vec<Problem>,
    /// Every setting as an operator sees it.
    pub(crate) settings: Vec<SettingView>,
    /// What was written, for what changes later.
    pub(crate) written: Written,
}

/// Reads and checks the configuration.
pub(crate) fn load(sources: &Sources, requirements: Requirements) -> Result<Loaded, ConfigErrors> {
    let given = sources.gather();
    let mut values = Values::new(&given);
    let config = build::build(&mut values, requirements);
    let (new_errors, new_warnings) = (values.errors, values.warnings);
    let settings = view::all(&given);
    let written = Written::new(&given);
    let (mut errors, mut warnings) = (given.errors, given.warnings);
    errors.extend(new_errors);
    warnings.extend(new_warnings);
    if errors.is_empty() {
        Ok(Loaded {
            config,
            warnings,
            settings,
            written,
        })
    } else {
        Err(ConfigErrors(errors))
    }
}

/// Whether what was stored under this name may be shown: it is a setting of this version, and no secret.
pub(crate) fn may_be_shown(name: &str) -> bool {
    table::by_name(name).is_some_and(|setting| !setting.is_secret())
}

/// Where the admin listener is. Only what is wrong with that one setting is an error.
pub(crate) fn admin_listen(sources: &Sources) -> Result<SocketAddr, ConfigErrors> {
    let given = sources.gather();
    let mut values = Values::new(&given);
    let listen = build::admin_listen(&mut values);
    if values.errors.is_empty() {
        Ok(listen)
    } else {
        Err(ConfigErrors(values.errors))
    }
}

#[cfg(test)]
mod tests;

/// What these variables make, for tests of what is built on it.
#[cfg(test)]
pub(crate) fn loaded_of_variables(variables: &[(&str, &str)]) -> Loaded {
    let sources = Sources {
        environment: variables
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value)))
            .collect(),
        file: None,
    };
    load(&sources, Requirements { upstream: false }).expect("the test's variables are right")
}

/// As [`loaded_of_variables`], the configuration alone.
#[cfg(test)]
pub(crate) fn of_variables(variables: &[(&str, &str)]) -> Config {
    loaded_of_variables(variables).config
}

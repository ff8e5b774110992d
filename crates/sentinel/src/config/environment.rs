//! Reads settings from environment variables.
//!
//! Variables that look like ours but are none are warned of, except those that Kubernetes sets for a service called
//! `sentinel`. It reads a snapshot that is handed in, never the process's own environment.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::given::Given;
use super::problem::{Origin, Problem};
use super::secret::Secret;
use super::secret_file;
use super::setting::Setting;
use super::table;

/// What variables of ours begin with, when their name is not fixed.
const PREFIX: &str = "SENTINEL_";
/// Names the configuration file; it is no setting, because it is needed to find them.
pub(crate) const CONFIG_FILE_VARIABLE: &str = "SENTINEL_CONFIG";
/// Ends the name of a variable that holds the path of a file with a secret.
const FILE_SUFFIX: &str = "_FILE";

/// Takes every variable that is a setting.
pub(crate) fn read(variables: &[(OsString, OsString)], given: &mut Given) {
    let mut sorted: Vec<_> = variables.iter().collect();
    sorted.sort();
    for (name, value) in sorted {
        if let Some(name) = name.to_str()
            && !value.is_empty()
        {
            read_one(name, value, given);
        }
    }
}

fn read_one(name: &str, value: &OsStr, given: &mut Given) {
    let of_file = name
        .strip_suffix(FILE_SUFFIX)
        .and_then(table::by_environment_name);
    match (table::by_environment_name(name), of_file) {
        (Some(setting), _) => {
            let origin = Origin::Environment(name.to_owned());
            match value.to_str() {
                Some(text) => given.take(setting, Secret::new(text), origin),
                None => given
                    .errors
                    .push(Problem::of(setting, origin, "is not UTF-8 text")),
            }
        }
        (None, Some(setting)) if setting.is_secret() => read_secret_file(name, value, setting, given),
        (None, Some(_)) => {
            let text = format!("{name} is not read: only secrets are taken from files");
            given.warnings.push(Problem::elsewhere(None, text));
        }
        (None, None) => warn_if_it_looks_like_ours(name, value, given),
    }
}

fn read_secret_file(name: &str, path: &OsStr, setting: &'static Setting, given: &mut Given) {
    secret_file::take(
        Path::new(path),
        setting,
        &Origin::Environment(name.to_owned()),
        given,
    );
}

fn warn_if_it_looks_like_ours(name: &str, value: &OsStr, given: &mut Given) {
    if !name.starts_with(PREFIX) || name == CONFIG_FILE_VARIABLE || is_kubernetes_link(name, value) {
        return;
    }
    let text = match table::nearest(name) {
        Some(setting) => format!(
            "{name} is no setting and is not read; did you mean {}?",
            setting.environment_name()
        ),
        None => format!("{name} is no setting and is not read"),
    };
    given.warnings.push(Problem::elsewhere(None, text));
}

/// Whether Kubernetes sets this variable for a service whose name begins with `sentinel`.
fn is_kubernetes_link(name: &str, value: &OsStr) -> bool {
    let is_address = value.to_str().is_some_and(|value| {
        ["tcp://", "udp://", "sctp://"]
            .iter()
            .any(|scheme| value.starts_with(scheme))
    });
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || (name.ends_with("_PORT") && is_address)
        || is_port_variable(name)
}

/// Whether the name is `…_PORT_<number>_<protocol>` with or without `_PROTO`, `_PORT` or `_ADDR` behind it.
fn is_port_variable(name: &str) -> bool {
    let Some((_, rest)) = name.split_once("_PORT_") else {
        return false;
    };
    let mut parts = rest.split('_');
    parts.next().is_some_and(|number| number.parse::<u16>().is_ok())
        && parts
            .next()
            .is_some_and(|protocol| ["TCP", "UDP", "SCTP"].contains(&protocol))
        && parts
            .next()
            .is_none_or(|last| ["PROTO", "PORT", "ADDR"].contains(&last))
        && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubernetes_links_are_told_from_typing_errors() {
        for (name, value) in [
            ("SENTINEL_SERVICE_HOST", "10.0.0.1"),
            ("SENTINEL_SERVICE_PORT", "7000"),
            ("SENTINEL_ADMIN_SERVICE_PORT_HTTP", "7001"),
            ("SENTINEL_PORT", "tcp://10.0.0.1:7000"),
            ("SENTINEL_PORT_7000_TCP", "tcp://10.0.0.1:7000"),
            ("SENTINEL_PORT_7000_TCP_ADDR", "10.0.0.1"),
        ] {
            assert!(is_kubernetes_link(name, OsStr::new(value)), "{name}");
        }
        for (name, value) in [
            ("SENTINEL_PORT", "7000"),
            ("SENTINEL_MODES", "observe"),
            ("SENTINEL_PORT_MAX_TCP", "1"),
            ("SENTINEL_PORT_7000_TCP_ADDR_X", "1"),
        ] {
            assert!(!is_kubernetes_link(name, OsStr::new(value)), "{name}");
        }
    }
}

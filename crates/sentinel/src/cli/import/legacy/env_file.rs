//! The `.env` of the older installation: where its database is, and the secret under which it hashed keys. Must never show what stands in it.

use std::path::Path;

use super::LegacyError;
use crate::cli::CliError;
use crate::config::{Secret, secret_file};

/// The variable that says where the database is.
const DSN: &str = "PG_DSN";
/// The variable that holds the secret.
const HMAC_SECRET: &str = "SENTINEL_HMAC_SECRET";

/// What is needed of it.
pub(super) struct LegacyEnvironment {
    pub(super) dsn: Secret,
    pub(super) hmac_secret: Secret,
}

/// Reads it; a DSN in a file of its own goes first.
pub(super) fn read(path: &Path, dsn_file: Option<&Path>) -> Result<LegacyEnvironment, CliError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |error| CliError::Unreadable(path, error)
    };
    let text = secret_file::read(path).map_err(unreadable(path))?;
    let dsn = match dsn_file {
        Some(file) => secret_file::read(file).map_err(unreadable(file))?,
        None => needed(path, &text, DSN)?,
    };
    Ok(LegacyEnvironment {
        dsn,
        hmac_secret: needed(path, &text, HMAC_SECRET)?,
    })
}

fn needed(path: &Path, text: &Secret, name: &'static str) -> Result<Secret, LegacyError> {
    variable(text.expose(), name).ok_or_else(|| LegacyError::NoVariable(path.to_owned(), name))
}

/// The last value of a variable that is not empty, read as python-dotenv reads it: without `export`, quotes, and a comment behind.
fn variable(text: &str, name: &str) -> Option<Secret> {
    let mut values = text.lines().rev().filter_map(|line| {
        let line = line.trim_start();
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (given, value) = line.split_once('=')?;
        (given.trim() == name).then(|| value.trim())
    });
    let value = unquoted(values.next()?);
    (!value.expose().is_empty()).then_some(value)
}

fn unquoted(value: &str) -> Secret {
    if let Some(inner) = value.strip_prefix('\'') {
        return Secret::new(inner.split('\'').next().unwrap_or(inner));
    }
    let Some(inner) = value.strip_prefix('"') else {
        return Secret::new(value.split(" #").next().unwrap_or(value).trim_end());
    };
    let mut characters = inner.chars();
    let mut text = String::with_capacity(inner.len());
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => text.extend(characters.next()),
            other => text.push(other),
        }
    }
    Secret::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_read_as_the_older_one_read_it() {
        let text = "# PG_DSN=no\nPG_DSN=a\nexport PG_DSN = b=c # said so\nA=\"x\\\"y\" z\nB='it # stays'\nC=\nD=x#y\r\nPG_DSN_OLD=d\n";
        let read = |name| variable(text, name).map(|value| value.expose().to_owned());
        assert_eq!(read("PG_DSN").as_deref(), Some("b=c"));
        assert_eq!(read("A").as_deref(), Some("x\"y"));
        assert_eq!(read("B").as_deref(), Some("it # stays"));
        assert_eq!(read("C"), None);
        assert_eq!(read("D").as_deref(), Some("x#y"));
        assert_eq!(read("E"), None);
    }
}

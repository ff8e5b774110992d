//! Hashes a password, so that configuration holds none in clear. It is typed without being shown, or piped in; never an
//! argument.

use std::io::{self, BufRead as _, IsTerminal as _, Write};

use super::CliError;
use crate::config::Secret;
use crate::secrets::{self, SecretsError};

/// The most bytes of a password.
const PASSWORD_BYTES_MAX: usize = 1024;

/// Reads a password and prints its hash.
pub(super) fn run(out: &mut dyn Write) -> Result<(), CliError> {
    let password = given()?;
    writeln!(
        out,
        "{}",
        secrets::hash(&password).map_err(SecretsError::from)?.expose()
    )?;
    Ok(())
}

/// The password that is typed, or piped in.
pub(super) fn given() -> Result<Secret, CliError> {
    if io::stdin().is_terminal() {
        typed()
    } else {
        read(io::stdin().lock())
    }
}

fn typed() -> Result<Secret, CliError> {
    let password = Secret::new(rpassword::prompt_password("Password: ")?);
    let again = Secret::new(rpassword::prompt_password("Again: ")?);
    if password != again {
        return Err(CliError::Password("the two passwords are not the same"));
    }
    checked(password)
}

/// The first line.
fn read(input: impl io::BufRead) -> Result<Secret, CliError> {
    let limit = u64::try_from(PASSWORD_BYTES_MAX).unwrap_or(u64::MAX);
    let mut line = String::with_capacity(128);
    input.take(limit.saturating_add(2)).read_line(&mut line)?;
    if line.ends_with('\n') {
        line.pop();
        if line.ends_with('\r') {
            line.pop();
        }
    }
    checked(Secret::new(line))
}

fn checked(password: Secret) -> Result<Secret, CliError> {
    match password.expose().len() {
        0 => Err(CliError::Password("no password was given on standard input")),
        length if length > PASSWORD_BYTES_MAX => {
            Err(CliError::Password("the password is too long: at most 1024 bytes"))
        }
        _ => Ok(password),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_the_password() {
        for (input, password) in [
            ("hunter2\n", "hunter2"),
            ("hunter2\r\nmore", "hunter2"),
            (" a b ", " a b "),
        ] {
            assert_eq!(read(input.as_bytes()).expect("a password").expose(), password);
        }
        for length in [0, PASSWORD_BYTES_MAX + 1] {
            let error = read("x".repeat(length).as_bytes()).expect_err("empty or too long");
            assert_eq!(error.exit_code(), 2);
        }
        assert!(read("x".repeat(PASSWORD_BYTES_MAX).as_bytes()).is_ok());
    }
}

//! `sentinel admin …`: administrators, on the store itself, for when nobody can sign in. Every change is recorded as done by `cli`; a
//! running server follows within seconds. Passwords are typed without being shown, or piped in; never an argument.

use std::io::Write;

use clap::{Args, Subcommand, ValueEnum};
use sentinel_admin::PASSWORD_CHARACTERS_MIN;
use sentinel_core::account::{
    ADMINISTRATORS_MAX, Administrator, AdministratorChange, AdministratorName, NewAdministrator, Role,
    StoredPasswordHash,
};
use sentinel_core::event::Actor;
use sentinel_core::ports::{AccountStore, AdministratorAdded};
use sentinel_core::time::{Clock, Timestamp};
use serde_json::json;

use super::{ACTOR, CliError, table};
use crate::config::Secret;
use crate::secrets::{self, SecretsError};

/// What to do with administrators.
#[derive(Debug, Args)]
pub(crate) struct AdminArguments {
    #[command(subcommand)]
    command: AdminCommand,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// For people.
    Table,
    /// As the admin API has them.
    Json,
}

#[derive(Debug, Subcommand)]
enum AdminCommand {
    /// List administrators, the configured account left out
    List {
        /// How to print them
        #[arg(long, value_enum, default_value_t = Output::Table)]
        output: Output,
    },
    /// Add an administrator; the password is read from the terminal or from standard input
    Add {
        /// What to sign in as
        #[arg(value_parser = administrator_name)]
        name: AdministratorName,
        /// What the administrator may do: viewer, operator or owner
        #[arg(long, value_parser = role)]
        role: Role,
    },
    /// Give an administrator another password and end all sessions; it is read as for `add`
    ResetPassword {
        /// The administrator's name
        #[arg(value_parser = administrator_name)]
        name: AdministratorName,
    },
    /// Take an administrator's second factor away and end all sessions
    ResetSecondFactor {
        /// The administrator's name
        #[arg(value_parser = administrator_name)]
        name: AdministratorName,
    },
}

fn administrator_name(text: &str) -> Result<AdministratorName, String> {
    AdministratorName::new(text).ok_or_else(|| {
        "wanted 1 to 64 letters or digits or . _ @ -, and no word that the audit log uses".to_owned()
    })
}

fn role(text: &str) -> Result<Role, String> {
    Role::from_word(text).ok_or_else(|| format!("wanted one of {}", Role::ALL.map(Role::as_str).join(", ")))
}

/// Does it, and prints the administrators as they are afterwards. `read_password` asks for a password where one is needed.
pub(super) async fn run(
    arguments: AdminArguments,
    (accounts, configured): (&dyn AccountStore, &str),
    clock: &dyn Clock,
    read_password: impl FnOnce() -> Result<Secret, CliError>,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let now = || Actor {
        name: ACTOR.to_owned(),
        client_ip: None,
        at: clock.now(),
    };
    let changed = match arguments.command {
        AdminCommand::List { output } => return print(&accounts.administrators().await?, output, out),
        AdminCommand::Add { name, role } => {
            if configured.eq_ignore_ascii_case(name.as_str()) {
                return Err(CliError::AdministratorNameTaken(name));
            }
            let new = NewAdministrator {
                name: name.clone(),
                role,
                password: hashed(&read_password()?)?,
            };
            match accounts.add_administrator(new, now()).await? {
                AdministratorAdded::Done(added) => *added,
                AdministratorAdded::NameTaken => return Err(CliError::AdministratorNameTaken(name)),
                AdministratorAdded::Full => return Err(CliError::TooManyAdministrators(ADMINISTRATORS_MAX)),
            }
        }
        AdminCommand::ResetPassword { name } => {
            let id = found(accounts, &name).await?.id;
            let change = AdministratorChange::ResetPassword(hashed(&read_password()?)?);
            let changed = accounts.change_administrator(id, change, now()).await?;
            changed.ok_or(CliError::NoSuchAdministrator(name))?
        }
        AdminCommand::ResetSecondFactor { name } => {
            let id = found(accounts, &name).await?.id;
            let change = AdministratorChange::ResetSecondFactor;
            let changed = accounts.change_administrator(id, change, now()).await?;
            changed.ok_or(CliError::NoSuchAdministrator(name))?
        }
    };
    print(&[changed], Output::Table, out)
}

async fn found(accounts: &dyn AccountStore, name: &AdministratorName) -> Result<Administrator, CliError> {
    let found = accounts.administrator_named(name.as_str()).await?;
    found.ok_or_else(|| CliError::NoSuchAdministrator(name.clone()))
}

fn hashed(password: &Secret) -> Result<StoredPasswordHash, CliError> {
    if password.expose().chars().count() < PASSWORD_CHARACTERS_MIN {
        return Err(CliError::Password(
            "the password is too short: at least 12 characters",
        ));
    }
    let hash = secrets::hash(password).map_err(SecretsError::from)?;
    Ok(StoredPasswordHash::new(hash.expose().to_owned()))
}

fn print(administrators: &[Administrator], output: Output, out: &mut dyn Write) -> Result<(), CliError> {
    match output {
        Output::Json => {
            let all: Vec<_> = administrators.iter().map(view).collect();
            writeln!(out, "{}", json!(all))?;
        }
        Output::Table if administrators.is_empty() => writeln!(out, "No administrators.")?,
        Output::Table => {
            let never = || "never".to_owned();
            let yes_or_no = |is: bool| if is { "yes" } else { "no" };
            let rows: Vec<[table::Cell; 6]> = administrators
                .iter()
                .map(|administrator| {
                    [
                        administrator.id.0.to_string().into(),
                        administrator.name.as_str().into(),
                        administrator.role.as_str().into(),
                        yes_or_no(administrator.second_factor.is_some()).into(),
                        yes_or_no(administrator.is_disabled).into(),
                        administrator
                            .last_sign_in_at
                            .map_or_else(never, Timestamp::rfc3339)
                            .into(),
                    ]
                })
                .collect();
            let headings = ["ID", "NAME", "ROLE", "SECOND FACTOR", "DISABLED", "LAST SIGN-IN"];
            table::print(headings, &rows, out)?;
        }
    }
    Ok(())
}

/// As the admin API has it.
fn view(administrator: &Administrator) -> serde_json::Value {
    json!({
        "id": administrator.id.0,
        "name": administrator.name.as_str(),
        "role": administrator.role.as_str(),
        "is_configured": false,
        "has_second_factor": administrator.second_factor.is_some(),
        "is_disabled": administrator.is_disabled,
        "created_at": administrator.created_at.rfc3339(),
        "last_sign_in_at": administrator.last_sign_in_at.map(Timestamp::rfc3339),
    })
}

#[cfg(test)]
mod tests;

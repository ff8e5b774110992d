//! Administrators and their second factors. A change reads, judges and writes in the writer's transaction.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use sentinel_core::account::external::{ExternalAdministrator, ExternalIdentity};
use sentinel_core::account::second_factor::{SealedSecret, SecondFactor, SecondFactorProof};
use sentinel_core::account::{
    ADMINISTRATORS_MAX, Administrator, AdministratorChange, AdministratorId, AdministratorName,
    NewAdministrator, Role, StoredPasswordHash, administrator_event,
};
use sentinel_core::event::Actor;
use sentinel_core::ports::AdministratorAdded;
use sentinel_core::time::Timestamp;

use crate::account_records::{external, join_digests, split_digests};
use crate::sqlite::failure::Failure;
use crate::sqlite::{events, rows};

const SELECT: &str = "SELECT id, name, role, password_hash, is_disabled, second_factor, second_factor_step, recovery, \
     pending_second_factor, created_at, last_sign_in_at, issuer, subject FROM administrators";

pub(super) fn all(connection: &Connection) -> Result<Vec<Administrator>, Failure> {
    connection
        .prepare_cached(&format!("{SELECT} ORDER BY id LIMIT {ADMINISTRATORS_MAX}"))?
        .query_and_then([], read)?
        .collect()
}

pub(super) fn named(connection: &Connection, name: &str) -> Result<Option<Administrator>, Failure> {
    // The index decides by name whatever its case, and then the letters themselves.
    let select = format!("{SELECT} WHERE name = ?1 COLLATE NOCASE AND name = ?1");
    rows::first(connection, &select, [name], read)
}

pub(super) fn by_id(connection: &Connection, id: AdministratorId) -> Result<Option<Administrator>, Failure> {
    rows::first(connection, &format!("{SELECT} WHERE id = ?"), [id.0], read)
}

pub(super) fn add(
    connection: &Connection,
    new: &NewAdministrator,
    actor: &Actor,
) -> Result<AdministratorAdded, Failure> {
    if is_taken(connection, &new.name)? {
        return Ok(AdministratorAdded::NameTaken);
    }
    if is_full(connection)? {
        return Ok(AdministratorAdded::Full);
    }
    let added = insert(connection, new, None, actor.at)?;
    events::append(
        connection,
        &administrator_event("add_administrator", actor, None, Some(&added)),
    )?;
    Ok(AdministratorAdded::Done(Box::new(added)))
}

pub(super) fn admit_external(
    connection: &Connection,
    external: &ExternalAdministrator,
    from: &Actor,
) -> Result<AdministratorAdded, Failure> {
    let identity = &external.identity;
    let select = format!("{SELECT} WHERE issuer = ?1 AND subject = ?2");
    let before = rows::first(connection, &select, [identity.issuer(), identity.subject()], read)?;
    let after = if let Some(before) = &before {
        let Some(after) = external.renewed(before) else {
            return Ok(AdministratorAdded::Done(Box::new(before.clone())));
        };
        put(connection, &after)?;
        after
    } else if is_full(connection)? {
        return Ok(AdministratorAdded::Full);
    } else {
        let [name, distinct] = external.names();
        let name = if is_taken(connection, &name)? {
            distinct
        } else {
            name
        };
        if is_taken(connection, &name)? {
            return Ok(AdministratorAdded::NameTaken);
        }
        let new = NewAdministrator {
            name,
            role: external.role,
            password: StoredPasswordHash::new(String::new()),
        };
        insert(connection, &new, Some(identity), from.at)?
    };
    events::append(
        connection,
        &ExternalAdministrator::event(from, before.as_ref(), &after),
    )?;
    Ok(AdministratorAdded::Done(Box::new(after)))
}

fn is_taken(connection: &Connection, name: &AdministratorName) -> Result<bool, Failure> {
    let mut named =
        connection.prepare_cached("SELECT 1 FROM administrators WHERE name = ? COLLATE NOCASE")?;
    Ok(named.exists([name.as_str()])?)
}

fn is_full(connection: &Connection) -> Result<bool, Failure> {
    let count: i64 = rows::single(connection, "SELECT count(*) FROM administrators")?;
    Ok(usize::try_from(count).is_ok_and(|count| count >= ADMINISTRATORS_MAX))
}

fn insert(
    connection: &Connection,
    new: &NewAdministrator,
    identity: Option<&ExternalIdentity>,
    at: Timestamp,
) -> Result<Administrator, Failure> {
    let id: i64 = connection
        .prepare_cached(
            "INSERT INTO administrators (name, role, password_hash, is_disabled, second_factor_step, recovery, created_at, \
             issuer, subject) VALUES (?, ?, ?, 0, 0, x'', ?, ?, ?) RETURNING id",
        )?
        .query_row(
            params![
                new.name.as_str(),
                new.role.as_str(),
                new.password.expose(),
                at.unix_ms(),
                identity.map(ExternalIdentity::issuer),
                identity.map(ExternalIdentity::subject),
            ],
            |row| row.get(0),
        )?;
    by_id(connection, AdministratorId(id))?.ok_or_else(|| Failure::damaged("administrators.id"))
}

pub(super) fn change(
    connection: &Connection,
    id: AdministratorId,
    change: &AdministratorChange,
    actor: &Actor,
) -> Result<Option<Administrator>, Failure> {
    let Some(before) = by_id(connection, id)? else {
        return Ok(None);
    };
    let mut after = before.clone();
    change.apply(&mut after);
    put(connection, &after)?;
    if let Some(kept) = change.ends_sessions_but() {
        connection
            .prepare_cached("DELETE FROM admin_sessions WHERE administrator_id = ? AND id IS NOT ?")?
            .execute(params![id.0, kept.map(|kept| kept.to_string())])?;
    }
    events::append(connection, &change.event(actor, &before, &after))?;
    Ok(Some(after))
}

pub(super) fn remove(
    connection: &Connection,
    id: AdministratorId,
    actor: &Actor,
) -> Result<Option<Administrator>, Failure> {
    let Some(before) = by_id(connection, id)? else {
        return Ok(None);
    };
    for statement in [
        "DELETE FROM admin_sessions WHERE administrator_id = ?",
        "DELETE FROM administrators WHERE id = ?",
    ] {
        connection.prepare_cached(statement)?.execute([id.0])?;
    }
    events::append(
        connection,
        &administrator_event("remove_administrator", actor, Some(&before), None),
    )?;
    Ok(Some(before))
}

pub(super) fn spend(
    connection: &Connection,
    id: AdministratorId,
    proof: &SecondFactorProof,
) -> Result<bool, Failure> {
    let Some(mut administrator) = by_id(connection, id)? else {
        return Ok(false);
    };
    let is_good = proof.spend(&mut administrator);
    if is_good {
        put(connection, &administrator)?;
    }
    Ok(is_good)
}

/// Notes a sign-in; false when the administrator is disabled or gone.
pub(super) fn note_sign_in(
    connection: &Connection,
    id: AdministratorId,
    now: Timestamp,
) -> Result<bool, Failure> {
    let noted: Option<i64> = connection
        .prepare_cached(
            "UPDATE administrators SET last_sign_in_at = ? WHERE id = ? AND is_disabled = 0 RETURNING id",
        )?
        .query_row(params![now.unix_ms(), id.0], |row| row.get(0))
        .optional()?;
    Ok(noted.is_some())
}

/// Everything that a change may change.
fn put(connection: &Connection, administrator: &Administrator) -> Result<(), Failure> {
    let factor = administrator.second_factor.as_ref();
    connection
        .prepare_cached(
            "UPDATE administrators SET role = ?2, password_hash = ?3, is_disabled = ?4, second_factor = ?5, \
             second_factor_step = ?6, recovery = ?7, pending_second_factor = ?8 WHERE id = ?1",
        )?
        .execute(params![
            administrator.id.0,
            administrator.role.as_str(),
            administrator.password.expose(),
            administrator.is_disabled,
            factor.map(|factor| factor.secret.as_bytes()),
            factor.map_or(0, |factor| factor.last_step),
            factor.map_or_else(Vec::new, |factor| join_digests(&factor.recovery)),
            administrator
                .pending_second_factor
                .as_ref()
                .map(SealedSecret::as_bytes),
        ])?;
    Ok(())
}

pub(super) fn role(word: &str, name: &str) -> Result<Role, Failure> {
    Role::from_word(word).ok_or_else(|| Failure::damaged(name))
}

fn read(row: &Row<'_>) -> Result<Administrator, Failure> {
    let name: String = row.get("name")?;
    let role_word: String = row.get("role")?;
    let secret: Option<Vec<u8>> = row.get("second_factor")?;
    let recovery: Vec<u8> = row.get("recovery")?;
    let recovery = split_digests(&recovery).ok_or_else(|| Failure::damaged("administrators.recovery"))?;
    let last_step = row.get("second_factor_step")?;
    let (issuer, subject): (Option<String>, Option<String>) = (row.get("issuer")?, row.get("subject")?);
    Ok(Administrator {
        id: AdministratorId(row.get("id")?),
        name: AdministratorName::stored(&name).ok_or_else(|| Failure::damaged("administrators.name"))?,
        role: role(&role_word, "administrators.role")?,
        password: StoredPasswordHash::new(row.get("password_hash")?),
        external: external(issuer.as_deref(), subject.as_deref())
            .map_err(|()| Failure::damaged("administrators.issuer"))?,
        is_disabled: row.get("is_disabled")?,
        second_factor: secret.map(|secret| SecondFactor {
            secret: SealedSecret::new(secret),
            last_step,
            recovery,
        }),
        pending_second_factor: row
            .get::<_, Option<Vec<u8>>>("pending_second_factor")?
            .map(SealedSecret::new),
        created_at: rows::timestamp(row, "created_at")?,
        last_sign_in_at: row
            .get::<_, Option<i64>>("last_sign_in_at")?
            .map(Timestamp::from_unix_ms),
    })
}

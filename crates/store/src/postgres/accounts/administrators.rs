//! Administrators and their second factors. A change locks the row, judges and writes in one transaction.

use sentinel_core::account::external::{ExternalAdministrator, ExternalIdentity};
use sentinel_core::account::second_factor::{SealedSecret, SecondFactor, SecondFactorProof};
use sentinel_core::account::{
    ADMINISTRATORS_MAX, Administrator, AdministratorChange, AdministratorId, AdministratorName,
    NewAdministrator, Role, StoredPasswordHash, administrator_event,
};
use sentinel_core::event::Actor;
use sentinel_core::ports::AdministratorAdded;
use sentinel_core::time::Timestamp;
use tokio_postgres::Row;

use crate::account_records::{external, join_digests, split_digests};
use crate::postgres::connector::Session;
use crate::postgres::events;
use crate::postgres::failure::Failure;
use crate::postgres::rows::{self, column};
use crate::postgres::values::{self, Moment};

const SELECT: &str = "SELECT id, name, role, password_hash, is_disabled, second_factor, second_factor_step, recovery, \
     pending_second_factor, created_at, last_sign_in_at, issuer, subject FROM administrators";

pub(super) async fn all(session: &Session) -> Result<Vec<Administrator>, Failure> {
    let select = format!("{SELECT} ORDER BY id LIMIT {ADMINISTRATORS_MAX}");
    rows::query(session, &select, &[])
        .await?
        .iter()
        .map(read)
        .collect()
}

pub(super) async fn named(session: &Session, name: &str) -> Result<Option<Administrator>, Failure> {
    let select =
        format!("{SELECT} WHERE lower(name COLLATE \"C\") = lower($1::text COLLATE \"C\") AND name = $1");
    let row = rows::first(session, &select, &[&values::text(name)]).await?;
    row.as_ref().map(read).transpose()
}

pub(super) async fn by_id(session: &Session, id: AdministratorId) -> Result<Option<Administrator>, Failure> {
    let row = rows::first(session, &format!("{SELECT} WHERE id = $1"), &[&id.0]).await?;
    row.as_ref().map(read).transpose()
}

/// The same, and nobody else changes it until this transaction ends.
async fn locked(session: &Session, id: AdministratorId) -> Result<Option<Administrator>, Failure> {
    let row = rows::first(session, &format!("{SELECT} WHERE id = $1 FOR UPDATE"), &[&id.0]).await?;
    row.as_ref().map(read).transpose()
}

pub(super) async fn add(
    session: &Session,
    new: &NewAdministrator,
    actor: &Actor,
) -> Result<AdministratorAdded, Failure> {
    lock(session).await?;
    if is_taken(session, &new.name).await? {
        return Ok(AdministratorAdded::NameTaken);
    }
    if is_full(session).await? {
        return Ok(AdministratorAdded::Full);
    }
    let added = insert(session, new, None, actor.at).await?;
    let event = administrator_event("add_administrator", actor, None, Some(&added));
    events::append(session, &event).await?;
    Ok(AdministratorAdded::Done(Box::new(added)))
}

pub(super) async fn admit_external(
    session: &Session,
    external: &ExternalAdministrator,
    from: &Actor,
) -> Result<AdministratorAdded, Failure> {
    lock(session).await?;
    let identity = &external.identity;
    let select = format!("{SELECT} WHERE issuer = $1 AND subject = $2 FOR UPDATE");
    let values: &rows::Values<'_> = &[&identity.issuer(), &identity.subject()];
    let row = rows::first(session, &select, values).await?;
    let before = row.as_ref().map(read).transpose()?;
    let after = if let Some(before) = &before {
        let Some(after) = external.renewed(before) else {
            return Ok(AdministratorAdded::Done(Box::new(before.clone())));
        };
        put(session, &after).await?;
        after
    } else if is_full(session).await? {
        return Ok(AdministratorAdded::Full);
    } else {
        let [name, distinct] = external.names();
        let name = if is_taken(session, &name).await? {
            distinct
        } else {
            name
        };
        if is_taken(session, &name).await? {
            return Ok(AdministratorAdded::NameTaken);
        }
        let new = NewAdministrator {
            name,
            role: external.role,
            password: StoredPasswordHash::new(String::new()),
        };
        insert(session, &new, Some(identity), from.at).await?
    };
    let event = ExternalAdministrator::event(from, before.as_ref(), &after);
    events::append(session, &event).await?;
    Ok(AdministratorAdded::Done(Box::new(after)))
}

/// One is added at a time, so that they are counted right; those who read do not wait.
async fn lock(session: &Session) -> Result<(), Failure> {
    let lock = "LOCK TABLE administrators IN SHARE ROW EXCLUSIVE MODE";
    rows::execute(session, lock, &[]).await.map(drop)
}

async fn is_taken(session: &Session, name: &AdministratorName) -> Result<bool, Failure> {
    let taken =
        "SELECT id FROM administrators WHERE lower(name COLLATE \"C\") = lower($1::text COLLATE \"C\")";
    Ok(rows::first(session, taken, &[&name.as_str()]).await?.is_some())
}

async fn is_full(session: &Session) -> Result<bool, Failure> {
    let count: i64 = rows::single(session, "SELECT count(*) FROM administrators").await?;
    Ok(usize::try_from(count).is_ok_and(|count| count >= ADMINISTRATORS_MAX))
}

async fn insert(
    session: &Session,
    new: &NewAdministrator,
    identity: Option<&ExternalIdentity>,
    at: Timestamp,
) -> Result<Administrator, Failure> {
    let insert = "INSERT INTO administrators (name, role, password_hash, is_disabled, second_factor_step, recovery, created_at, \
         issuer, subject) VALUES ($1, $2, $3, false, 0, '', $4, $5, $6) RETURNING id";
    let values: &rows::Values<'_> = &[
        &new.name.as_str(),
        &new.role.as_str(),
        &new.password.expose(),
        &Moment(at),
        &identity.map(ExternalIdentity::issuer),
        &identity.map(ExternalIdentity::subject),
    ];
    let id: Option<i64> = match rows::first(session, insert, values).await? {
        Some(row) => column(&row, "id")?,
        None => None,
    };
    let missing = || Failure::damaged("administrators.id");
    let id = AdministratorId(id.ok_or_else(missing)?);
    by_id(session, id).await?.ok_or_else(missing)
}

pub(super) async fn change(
    session: &Session,
    id: AdministratorId,
    change: &AdministratorChange,
    actor: &Actor,
) -> Result<Option<Administrator>, Failure> {
    let Some(before) = locked(session, id).await? else {
        return Ok(None);
    };
    let mut after = before.clone();
    change.apply(&mut after);
    put(session, &after).await?;
    if let Some(kept) = change.ends_sessions_but() {
        let delete = "DELETE FROM admin_sessions WHERE administrator_id = $1 AND id IS DISTINCT FROM $2";
        let kept = kept.map(|kept| kept.to_string());
        rows::execute(session, delete, &[&id.0, &kept]).await?;
    }
    events::append(session, &change.event(actor, &before, &after)).await?;
    Ok(Some(after))
}

pub(super) async fn remove(
    session: &Session,
    id: AdministratorId,
    actor: &Actor,
) -> Result<Option<Administrator>, Failure> {
    let Some(before) = locked(session, id).await? else {
        return Ok(None);
    };
    rows::execute(session, "DELETE FROM administrators WHERE id = $1", &[&id.0]).await?;
    let event = administrator_event("remove_administrator", actor, Some(&before), None);
    events::append(session, &event).await?;
    Ok(Some(before))
}

pub(super) async fn spend(
    session: &Session,
    id: AdministratorId,
    proof: &SecondFactorProof,
) -> Result<bool, Failure> {
    let Some(mut administrator) = locked(session, id).await? else {
        return Ok(false);
    };
    let is_good = proof.spend(&mut administrator);
    if is_good {
        put(session, &administrator).await?;
    }
    Ok(is_good)
}

/// Notes a sign-in; false when the administrator is disabled or gone.
pub(super) async fn note_sign_in(
    session: &Session,
    id: AdministratorId,
    now: Timestamp,
) -> Result<bool, Failure> {
    let update = "UPDATE administrators SET last_sign_in_at = $2 WHERE id = $1 AND NOT is_disabled";
    Ok(rows::execute(session, update, &[&id.0, &Moment(now)]).await? > 0)
}

/// Everything that a change may change.
async fn put(session: &Session, administrator: &Administrator) -> Result<(), Failure> {
    let update = "UPDATE administrators SET role = $2, password_hash = $3, is_disabled = $4, second_factor = $5, \
         second_factor_step = $6, recovery = $7, pending_second_factor = $8 WHERE id = $1";
    let factor = administrator.second_factor.as_ref();
    let pending = administrator.pending_second_factor.as_ref();
    let values: &rows::Values<'_> = &[
        &administrator.id.0,
        &administrator.role.as_str(),
        &administrator.password.expose(),
        &administrator.is_disabled,
        &factor.map(|factor| factor.secret.as_bytes()),
        &factor.map_or(0, |factor| factor.last_step),
        &factor.map_or_else(Vec::new, |factor| join_digests(&factor.recovery)),
        &pending.map(SealedSecret::as_bytes),
    ];
    rows::execute(session, update, values).await?;
    Ok(())
}

pub(super) fn role(row: &Row) -> Result<Role, Failure> {
    Role::from_word(column(row, "role")?).ok_or_else(|| Failure::damaged("role"))
}

fn read(row: &Row) -> Result<Administrator, Failure> {
    let secret: Option<Vec<u8>> = column(row, "second_factor")?;
    let pending: Option<Vec<u8>> = column(row, "pending_second_factor")?;
    let recovery =
        split_digests(column(row, "recovery")?).ok_or_else(|| Failure::damaged("administrators.recovery"))?;
    let last_step = column(row, "second_factor_step")?;
    let last_sign_in_at: Option<Moment> = column(row, "last_sign_in_at")?;
    Ok(Administrator {
        id: AdministratorId(column(row, "id")?),
        name: AdministratorName::stored(column(row, "name")?)
            .ok_or_else(|| Failure::damaged("administrators.name"))?,
        role: role(row)?,
        password: StoredPasswordHash::new(column(row, "password_hash")?),
        external: external(column(row, "issuer")?, column(row, "subject")?)
            .map_err(|()| Failure::damaged("administrators.issuer"))?,
        is_disabled: column(row, "is_disabled")?,
        second_factor: secret.map(|secret| SecondFactor {
            secret: SealedSecret::new(secret),
            last_step,
            recovery,
        }),
        pending_second_factor: pending.map(SealedSecret::new),
        created_at: rows::timestamp(row, "created_at")?,
        last_sign_in_at: last_sign_in_at.map(|Moment(at)| at),
    })
}

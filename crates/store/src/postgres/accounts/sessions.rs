//! Sessions that are not over. A refresh locks the row, judges and writes in one transaction.

use sentinel_core::account::AdministratorId;
use sentinel_core::account::session::{
    AdminSession, Refresh, Refreshed, SESSIONS_PER_ACCOUNT_MAX, SESSIONS_SHOWN_MAX, SessionId,
    SessionInForce, USE_NOTED_EVERY, Whose,
};
use sentinel_core::event::Actor;
use sentinel_core::time::Timestamp;
use tokio_postgres::Row;

use super::administrators;
use crate::postgres::connector::Session;
use crate::postgres::events;
use crate::postgres::failure::Failure;
use crate::postgres::rows::{self, column};
use crate::postgres::values::{self, Moment};

const SELECT: &str = "SELECT id, administrator_id, account, generation, client_ip, user_agent, created_at, refreshed_at, \
     last_seen_at, expires_at FROM admin_sessions";

pub(super) async fn begin(session: &Session, new: &AdminSession) -> Result<bool, Failure> {
    let now = new.created_at;
    if let Some(id) = new.administrator
        && !administrators::note_sign_in(session, id, now).await?
    {
        return Ok(false);
    }
    let expired = "DELETE FROM admin_sessions WHERE expires_at <= $1";
    rows::execute(session, expired, &[&Moment(now)]).await?;
    let holder = new.administrator.map(|id| id.0);
    let surplus = "DELETE FROM admin_sessions WHERE number IN (SELECT number FROM admin_sessions \
         WHERE administrator_id IS NOT DISTINCT FROM $1 ORDER BY last_seen_at DESC, number DESC OFFSET $2)";
    let kept = i64::try_from(SESSIONS_PER_ACCOUNT_MAX - 1).unwrap_or(i64::MAX);
    rows::execute(session, surplus, &[&holder, &kept]).await?;
    let insert = "INSERT INTO admin_sessions (id, administrator_id, account, generation, client_ip, user_agent, created_at, \
         refreshed_at, last_seen_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let values: &rows::Values<'_> = &[
        &new.id.to_string(),
        &holder,
        &values::text(&new.account),
        &new.generation,
        &new.client_ip.addr(),
        &values::text(&new.user_agent),
        &Moment(new.created_at),
        &Moment(new.refreshed_at),
        &Moment(new.last_seen_at),
        &Moment(new.expires_at),
    ];
    rows::execute(session, insert, values).await?;
    Ok(true)
}

pub(super) async fn in_force(
    session: &Session,
    id: SessionId,
    now: Timestamp,
) -> Result<Option<SessionInForce>, Failure> {
    let found = rows::first(session, &format!("{SELECT} WHERE id = $1"), &[&id.to_string()]).await?;
    with_holder(session, found, now).await
}

/// The session of a row with its holder, if it is in force.
async fn with_holder(
    session: &Session,
    row: Option<Row>,
    now: Timestamp,
) -> Result<Option<SessionInForce>, Failure> {
    let Some(found) = row.as_ref().map(read).transpose()? else {
        return Ok(None);
    };
    let holder = match found.administrator {
        Some(holder) => administrators::by_id(session, holder).await?,
        None => None,
    };
    Ok(found.in_force(holder, now))
}

pub(super) async fn refresh(session: &Session, refresh: &Refresh) -> Result<Refreshed, Failure> {
    let locked = format!("{SELECT} WHERE id = $1 FOR UPDATE");
    let row = rows::first(session, &locked, &[&refresh.id.to_string()]).await?;
    let Some(found) = with_holder(session, row, refresh.now).await? else {
        return Ok(Refreshed::Gone);
    };
    let refreshed = found.refresh(refresh);
    match &refreshed {
        Refreshed::Done(after) => {
            let update = "UPDATE admin_sessions SET generation = $2, client_ip = $3, refreshed_at = $4, last_seen_at = $5, \
                 expires_at = $6 WHERE id = $1";
            let values: &rows::Values<'_> = &[
                &after.id.to_string(),
                &after.generation,
                &after.client_ip.addr(),
                &Moment(after.refreshed_at),
                &Moment(after.last_seen_at),
                &Moment(after.expires_at),
            ];
            rows::execute(session, update, values).await?;
        }
        Refreshed::Reused(copied) => {
            remove(session, copied.id).await?;
            events::append(session, &copied.reuse_event(refresh)).await?;
        }
        Refreshed::Gone => {}
    }
    Ok(refreshed)
}

pub(super) async fn list(
    session: &Session,
    whose: Whose,
    now: Timestamp,
) -> Result<Vec<AdminSession>, Failure> {
    let (is_everybodys, holder) = match whose {
        Whose::Everybodys => (true, None),
        Whose::Of(holder) => (false, holder.map(|id| id.0)),
    };
    let select = format!(
        "{SELECT} WHERE expires_at > $1 AND ($2 OR administrator_id IS NOT DISTINCT FROM $3) AND NOT EXISTS (SELECT FROM \
         administrators WHERE administrators.id = administrator_id AND is_disabled) ORDER BY number DESC \
         LIMIT {SESSIONS_SHOWN_MAX}"
    );
    let found = rows::query(session, &select, &[&Moment(now), &is_everybodys, &holder]).await?;
    found.iter().map(read).collect()
}

pub(super) async fn end(
    session: &Session,
    id: SessionId,
    whose: Whose,
    action: &str,
    actor: &Actor,
) -> Result<Option<AdminSession>, Failure> {
    let locked = format!("{SELECT} WHERE id = $1 FOR UPDATE");
    let row = rows::first(session, &locked, &[&id.to_string()]).await?;
    let found = row.as_ref().map(read).transpose()?;
    let found = found.filter(|found| whose.includes(found));
    if let Some(ended) = &found {
        remove(session, id).await?;
        events::append(session, &ended.end_event(action, actor)).await?;
    }
    Ok(found)
}

pub(super) async fn note_use(session: &Session, id: SessionId, now: Timestamp) -> Result<(), Failure> {
    let update = "UPDATE admin_sessions SET last_seen_at = $2 WHERE id = $1 AND last_seen_at <= $3";
    let values: &rows::Values<'_> = &[&id.to_string(), &Moment(now), &noted_until(now)];
    rows::execute(session, update, values).await?;
    Ok(())
}

/// A use that was noted up to this moment is noted anew.
pub(super) fn noted_until(now: Timestamp) -> Moment {
    let every = i64::try_from(USE_NOTED_EVERY.as_millis()).unwrap_or(i64::MAX);
    Moment(Timestamp::from_unix_ms(now.unix_ms().saturating_sub(every)))
}

async fn remove(session: &Session, id: SessionId) -> Result<(), Failure> {
    let delete = "DELETE FROM admin_sessions WHERE id = $1";
    rows::execute(session, delete, &[&id.to_string()]).await?;
    Ok(())
}

fn read(row: &Row) -> Result<AdminSession, Failure> {
    let damaged = || Failure::damaged("admin_sessions");
    Ok(AdminSession {
        id: SessionId::parse(column(row, "id")?).ok_or_else(damaged)?,
        administrator: column::<Option<i64>>(row, "administrator_id")?.map(AdministratorId),
        account: column(row, "account")?,
        generation: column(row, "generation")?,
        client_ip: rows::address(row, "client_ip")?.ok_or_else(damaged)?,
        user_agent: column(row, "user_agent")?,
        created_at: rows::timestamp(row, "created_at")?,
        refreshed_at: rows::timestamp(row, "refreshed_at")?,
        last_seen_at: rows::timestamp(row, "last_seen_at")?,
        expires_at: rows::timestamp(row, "expires_at")?,
    })
}

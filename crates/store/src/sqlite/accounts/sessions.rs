//! Sessions that are not over. A refresh reads, judges and writes in the writer's transaction.

use rusqlite::{Connection, Row, params};
use sentinel_core::account::AdministratorId;
use sentinel_core::account::session::{
    AdminSession, Refresh, Refreshed, SESSIONS_PER_ACCOUNT_MAX, SESSIONS_SHOWN_MAX, SessionId,
    SessionInForce, USE_NOTED_EVERY, Whose,
};
use sentinel_core::event::Actor;
use sentinel_core::time::Timestamp;

use super::administrators;
use crate::sqlite::failure::Failure;
use crate::sqlite::{events, rows};

const SELECT: &str = "SELECT id, administrator_id, account, generation, client_ip, user_agent, created_at, refreshed_at, \
     last_seen_at, expires_at FROM admin_sessions";

pub(super) fn begin(connection: &Connection, session: &AdminSession) -> Result<bool, Failure> {
    let now = session.created_at;
    if let Some(id) = session.administrator
        && !administrators::note_sign_in(connection, id, now)?
    {
        return Ok(false);
    }
    connection
        .prepare_cached("DELETE FROM admin_sessions WHERE expires_at <= ?")?
        .execute([now.unix_ms()])?;
    let kept = i64::try_from(SESSIONS_PER_ACCOUNT_MAX - 1).unwrap_or(i64::MAX);
    connection
        .prepare_cached(
            "DELETE FROM admin_sessions WHERE number IN (SELECT number FROM admin_sessions \
             WHERE administrator_id IS ? ORDER BY last_seen_at DESC, number DESC LIMIT -1 OFFSET ?)",
        )?
        .execute(params![session.administrator.map(|id| id.0), kept])?;
    connection
        .prepare_cached(
            "INSERT INTO admin_sessions (id, administrator_id, account, generation, client_ip, user_agent, created_at, \
             refreshed_at, last_seen_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            session.id.to_string(),
            session.administrator.map(|id| id.0),
            session.account,
            session.generation,
            session.client_ip.to_string(),
            session.user_agent,
            session.created_at.unix_ms(),
            session.refreshed_at.unix_ms(),
            session.last_seen_at.unix_ms(),
            session.expires_at.unix_ms(),
        ])?;
    Ok(true)
}

pub(super) fn in_force(
    connection: &Connection,
    id: SessionId,
    now: Timestamp,
) -> Result<Option<SessionInForce>, Failure> {
    let Some(session) = by_id(connection, id)? else {
        return Ok(None);
    };
    let holder = match session.administrator {
        Some(holder) => administrators::by_id(connection, holder)?,
        None => None,
    };
    Ok(session.in_force(holder, now))
}

pub(super) fn refresh(connection: &Connection, refresh: &Refresh) -> Result<Refreshed, Failure> {
    let Some(found) = in_force(connection, refresh.id, refresh.now)? else {
        return Ok(Refreshed::Gone);
    };
    let refreshed = found.refresh(refresh);
    match &refreshed {
        Refreshed::Done(session) => {
            connection
                .prepare_cached(
                    "UPDATE admin_sessions SET generation = ?2, client_ip = ?3, refreshed_at = ?4, last_seen_at = ?5, \
                     expires_at = ?6 WHERE id = ?1",
                )?
                .execute(params![
                    session.id.to_string(),
                    session.generation,
                    session.client_ip.to_string(),
                    session.refreshed_at.unix_ms(),
                    session.last_seen_at.unix_ms(),
                    session.expires_at.unix_ms(),
                ])?;
        }
        Refreshed::Reused(session) => {
            remove(connection, session.id)?;
            events::append(connection, &session.reuse_event(refresh))?;
        }
        Refreshed::Gone => {}
    }
    Ok(refreshed)
}

pub(super) fn list(
    connection: &Connection,
    whose: Whose,
    now: Timestamp,
) -> Result<Vec<AdminSession>, Failure> {
    let (is_everybodys, holder) = match whose {
        Whose::Everybodys => (true, None),
        Whose::Of(holder) => (false, holder.map(|id| id.0)),
    };
    let select = format!(
        "{SELECT} WHERE expires_at > ?1 AND (?2 OR administrator_id IS ?3) AND NOT EXISTS (SELECT 1 FROM administrators \
         WHERE administrators.id = administrator_id AND is_disabled = 1) ORDER BY number DESC LIMIT {SESSIONS_SHOWN_MAX}"
    );
    connection
        .prepare_cached(&select)?
        .query_and_then(params![now.unix_ms(), is_everybodys, holder], read)?
        .collect()
}

pub(super) fn end(
    connection: &Connection,
    id: SessionId,
    whose: Whose,
    action: &str,
    actor: &Actor,
) -> Result<Option<AdminSession>, Failure> {
    let found = by_id(connection, id)?.filter(|session| whose.includes(session));
    if let Some(session) = &found {
        remove(connection, id)?;
        events::append(connection, &session.end_event(action, actor))?;
    }
    Ok(found)
}

pub(super) fn note_use(connection: &Connection, id: SessionId, now: Timestamp) -> Result<(), Failure> {
    connection
        .prepare_cached(
            "UPDATE admin_sessions SET last_seen_at = ?2 WHERE id = ?1 AND last_seen_at + ?3 <= ?2",
        )?
        .execute(params![id.to_string(), now.unix_ms(), noted_every_ms()])?;
    Ok(())
}

/// [`USE_NOTED_EVERY`] in milliseconds.
pub(super) fn noted_every_ms() -> i64 {
    i64::try_from(USE_NOTED_EVERY.as_millis()).unwrap_or(i64::MAX)
}

fn by_id(connection: &Connection, id: SessionId) -> Result<Option<AdminSession>, Failure> {
    rows::first(
        connection,
        &format!("{SELECT} WHERE id = ?"),
        [id.to_string()],
        read,
    )
}

fn remove(connection: &Connection, id: SessionId) -> Result<(), Failure> {
    connection
        .prepare_cached("DELETE FROM admin_sessions WHERE id = ?")?
        .execute([id.to_string()])?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<AdminSession, Failure> {
    let id: String = row.get("id")?;
    let client_ip: String = row.get("client_ip")?;
    Ok(AdminSession {
        id: SessionId::parse(&id).ok_or_else(|| Failure::damaged("admin_sessions.id"))?,
        administrator: row
            .get::<_, Option<i64>>("administrator_id")?
            .map(AdministratorId),
        account: row.get("account")?,
        generation: row.get("generation")?,
        client_ip: rows::address(&client_ip, "admin_sessions.client_ip")?,
        user_agent: row.get("user_agent")?,
        created_at: rows::timestamp(row, "created_at")?,
        refreshed_at: rows::timestamp(row, "refreshed_at")?,
        last_seen_at: rows::timestamp(row, "last_seen_at")?,
        expires_at: rows::timestamp(row, "expires_at")?,
    })
}

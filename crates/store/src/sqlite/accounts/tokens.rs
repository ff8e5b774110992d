//! Tokens of programs.

use rusqlite::{Connection, Row, params};
use sentinel_core::account::{API_TOKENS_MAX, ApiToken, ApiTokenId, NewApiToken, SecretDigest, token_event};
use sentinel_core::event::Actor;
use sentinel_core::time::Timestamp;

use super::administrators::role;
use super::sessions::noted_every_ms;
use crate::sqlite::failure::Failure;
use crate::sqlite::{events, rows};

const SELECT: &str =
    "SELECT id, name, role, hint, created_by, created_at, expires_at, last_used_at FROM api_tokens";

pub(super) fn all(connection: &Connection) -> Result<Vec<ApiToken>, Failure> {
    connection
        .prepare_cached(&format!("{SELECT} ORDER BY id LIMIT {API_TOKENS_MAX}"))?
        .query_and_then([], read)?
        .collect()
}

pub(super) fn with_digest(
    connection: &Connection,
    digest: &SecretDigest,
) -> Result<Option<ApiToken>, Failure> {
    rows::first(
        connection,
        &format!("{SELECT} WHERE digest = ?"),
        [digest.as_bytes()],
        read,
    )
}

pub(super) fn add(
    connection: &Connection,
    new: &NewApiToken,
    actor: &Actor,
) -> Result<Option<ApiToken>, Failure> {
    let count: i64 = rows::single(connection, "SELECT count(*) FROM api_tokens")?;
    if usize::try_from(count).is_ok_and(|count| count >= API_TOKENS_MAX) {
        return Ok(None);
    }
    connection
        .prepare_cached(
            "INSERT INTO api_tokens (name, role, hint, digest, created_by, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            new.name,
            new.role.as_str(),
            new.hint,
            new.digest.as_bytes(),
            actor.name,
            actor.at.unix_ms(),
            new.expires_at.map(Timestamp::unix_ms),
        ])?;
    let added = with_digest(connection, &new.digest)?.ok_or_else(|| Failure::damaged("api_tokens.digest"))?;
    events::append(connection, &token_event("add_token", actor, &added))?;
    Ok(Some(added))
}

pub(super) fn remove(
    connection: &Connection,
    id: ApiTokenId,
    actor: &Actor,
) -> Result<Option<ApiToken>, Failure> {
    let found = rows::first(connection, &format!("{SELECT} WHERE id = ?"), [id.0], read)?;
    if let Some(token) = &found {
        connection
            .prepare_cached("DELETE FROM api_tokens WHERE id = ?")?
            .execute([id.0])?;
        events::append(connection, &token_event("remove_token", actor, token))?;
    }
    Ok(found)
}

pub(super) fn note_use(connection: &Connection, id: ApiTokenId, now: Timestamp) -> Result<(), Failure> {
    connection
        .prepare_cached(
            "UPDATE api_tokens SET last_used_at = ?2 WHERE id = ?1 AND (last_used_at IS NULL OR last_used_at + ?3 <= ?2)",
        )?
        .execute(params![id.0, now.unix_ms(), noted_every_ms()])?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<ApiToken, Failure> {
    let role_word: String = row.get("role")?;
    let moment = |column: &str| -> Result<Option<Timestamp>, Failure> {
        Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_unix_ms))
    };
    Ok(ApiToken {
        id: ApiTokenId(row.get("id")?),
        name: row.get("name")?,
        role: role(&role_word, "api_tokens.role")?,
        hint: row.get("hint")?,
        created_by: row.get("created_by")?,
        created_at: rows::timestamp(row, "created_at")?,
        expires_at: moment("expires_at")?,
        last_used_at: moment("last_used_at")?,
    })
}

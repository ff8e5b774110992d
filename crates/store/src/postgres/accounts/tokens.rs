//! Tokens of programs.

use sentinel_core::account::{API_TOKENS_MAX, ApiToken, ApiTokenId, NewApiToken, SecretDigest, token_event};
use sentinel_core::event::Actor;
use sentinel_core::time::Timestamp;
use tokio_postgres::Row;

use super::administrators::role;
use super::sessions::noted_until;
use crate::postgres::connector::Session;
use crate::postgres::events;
use crate::postgres::failure::Failure;
use crate::postgres::rows::{self, column};
use crate::postgres::values::{self, Moment};

const SELECT: &str =
    "SELECT id, name, role, hint, created_by, created_at, expires_at, last_used_at FROM api_tokens";

pub(super) async fn all(session: &Session) -> Result<Vec<ApiToken>, Failure> {
    let select = format!("{SELECT} ORDER BY id LIMIT {API_TOKENS_MAX}");
    rows::query(session, &select, &[])
        .await?
        .iter()
        .map(read)
        .collect()
}

pub(super) async fn with_digest(
    session: &Session,
    digest: &SecretDigest,
) -> Result<Option<ApiToken>, Failure> {
    let select = format!("{SELECT} WHERE digest = $1");
    let row = rows::first(session, &select, &[&digest.as_bytes().as_slice()]).await?;
    row.as_ref().map(read).transpose()
}

pub(super) async fn add(
    session: &Session,
    new: &NewApiToken,
    actor: &Actor,
) -> Result<Option<ApiToken>, Failure> {
    // One at a time, so that they are counted right; those who read do not wait.
    rows::execute(session, "LOCK TABLE api_tokens IN SHARE ROW EXCLUSIVE MODE", &[]).await?;
    let count: i64 = rows::single(session, "SELECT count(*) FROM api_tokens").await?;
    if usize::try_from(count).is_ok_and(|count| count >= API_TOKENS_MAX) {
        return Ok(None);
    }
    let insert = "INSERT INTO api_tokens (name, role, hint, digest, created_by, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let values: &rows::Values<'_> = &[
        &values::text(&new.name),
        &new.role.as_str(),
        &values::text(&new.hint),
        &new.digest.as_bytes().as_slice(),
        &values::text(&actor.name),
        &Moment(actor.at),
        &new.expires_at.map(Moment),
    ];
    rows::execute(session, insert, values).await?;
    let added = with_digest(session, &new.digest).await?;
    let added = added.ok_or_else(|| Failure::damaged("api_tokens.digest"))?;
    events::append(session, &token_event("add_token", actor, &added)).await?;
    Ok(Some(added))
}

pub(super) async fn remove(
    session: &Session,
    id: ApiTokenId,
    actor: &Actor,
) -> Result<Option<ApiToken>, Failure> {
    let row = rows::first(session, &format!("{SELECT} WHERE id = $1 FOR UPDATE"), &[&id.0]).await?;
    let found = row.as_ref().map(read).transpose()?;
    if let Some(token) = &found {
        rows::execute(session, "DELETE FROM api_tokens WHERE id = $1", &[&id.0]).await?;
        events::append(session, &token_event("remove_token", actor, token)).await?;
    }
    Ok(found)
}

pub(super) async fn note_use(session: &Session, id: ApiTokenId, now: Timestamp) -> Result<(), Failure> {
    let update = "UPDATE api_tokens SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at <= $3)";
    rows::execute(session, update, &[&id.0, &Moment(now), &noted_until(now)]).await?;
    Ok(())
}

fn read(row: &Row) -> Result<ApiToken, Failure> {
    let moment = |name: &str| -> Result<Option<Timestamp>, Failure> {
        Ok(column::<Option<Moment>>(row, name)?.map(|Moment(at)| at))
    };
    Ok(ApiToken {
        id: ApiTokenId(column(row, "id")?),
        name: column(row, "name")?,
        role: role(row)?,
        hint: column(row, "hint")?,
        created_by: column(row, "created_by")?,
        created_at: rows::timestamp(row, "created_at")?,
        expires_at: moment("expires_at")?,
        last_used_at: moment("last_used_at")?,
    })
}

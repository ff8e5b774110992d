//! First answers to requests that may come again.

use async_trait::async_trait;
use rusqlite::{Connection, params};
use sentinel_core::ports::{
    ANSWERS_OF_ACCOUNT_MAX, AnswerStore, FirstAnswer, RepeatableRequest, Repeated, StoreError,
};

use super::failure::Failure;
use super::{SqliteStore, rows};
use crate::answers::{ANSWERS_REMOVED_MAX, kept_since, under_way_since};

#[async_trait]
impl AnswerStore for SqliteStore {
    async fn begin(&self, request: RepeatableRequest) -> Result<Repeated, StoreError> {
        self.write(move |connection| begin(connection, &request)).await
    }

    async fn finish(
        &self,
        request: RepeatableRequest,
        answer: Option<FirstAnswer>,
    ) -> Result<(), StoreError> {
        self.write(move |connection| finish(connection, &request, answer.as_ref()))
            .await
    }
}

fn begin(connection: &Connection, request: &RepeatableRequest) -> Result<Repeated, Failure> {
    let begun = connection
        .prepare_cached(
            "INSERT INTO idempotency_keys (account, key, digest, begun_at) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (account, key) DO UPDATE SET digest = ?3, begun_at = ?4, status = NULL, media_type = '', body = '' \
             WHERE begun_at <= ?5 OR (status IS NULL AND begun_at <= ?6 AND digest = ?3)",
        )?
        .execute(params![
            request.account,
            request.key,
            request.digest,
            request.at.unix_ms(),
            kept_since(request.at).unix_ms(),
            under_way_since(request.at).unix_ms(),
        ])?;
    if begun > 0 {
        remove_old(connection, request)?;
        return Ok(Repeated::First);
    }
    let select =
        "SELECT digest, status, media_type, body FROM idempotency_keys WHERE account = ? AND key = ?";
    let known = rows::first(connection, select, params![request.account, request.key], |row| {
        let digest: [u8; 32] = row.get("digest")?;
        if digest != request.digest {
            return Ok(Repeated::KeyReused);
        }
        Ok(match row.get("status")? {
            Some(status) => Repeated::Answered(FirstAnswer {
                status,
                media_type: row.get("media_type")?,
                body: row.get("body")?,
            }),
            None => Repeated::UnderWay,
        })
    })?;
    known.ok_or_else(|| Failure::damaged("idempotency_keys"))
}

fn finish(
    connection: &Connection,
    request: &RepeatableRequest,
    answer: Option<&FirstAnswer>,
) -> Result<(), Failure> {
    let at = request.at.unix_ms();
    match answer {
        Some(answer) => connection
            .prepare_cached(
                "UPDATE idempotency_keys SET status = ?, media_type = ?, body = ? \
                 WHERE account = ? AND key = ? AND digest = ? AND begun_at = ? AND status IS NULL",
            )?
            .execute(params![
                answer.status,
                answer.media_type,
                answer.body,
                request.account,
                request.key,
                request.digest,
                at
            ])?,
        None => connection
            .prepare_cached(
                "DELETE FROM idempotency_keys \
                 WHERE account = ? AND key = ? AND digest = ? AND begun_at = ? AND status IS NULL",
            )?
            .execute(params![request.account, request.key, request.digest, at])?,
    };
    Ok(())
}

/// What is too old, and what is more than one account may have: a few rows each time, which is more than are added.
fn remove_old(connection: &Connection, request: &RepeatableRequest) -> Result<(), Failure> {
    connection
        .prepare_cached(
            "DELETE FROM idempotency_keys WHERE (account, key) IN ( \
             SELECT account, key FROM idempotency_keys WHERE begun_at <= ? ORDER BY begun_at LIMIT ?)",
        )?
        .execute([kept_since(request.at).unix_ms(), i64::from(ANSWERS_REMOVED_MAX)])?;
    connection
        .prepare_cached(
            "DELETE FROM idempotency_keys WHERE (account, key) IN ( \
             SELECT account, key FROM idempotency_keys WHERE account = ? ORDER BY begun_at DESC LIMIT ? OFFSET ?)",
        )?
        .execute(params![
            request.account,
            ANSWERS_REMOVED_MAX,
            ANSWERS_OF_ACCOUNT_MAX
        ])?;
    Ok(())
}

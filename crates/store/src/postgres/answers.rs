//! First answers to requests that may come again.

use async_trait::async_trait;
use sentinel_core::ports::{
    ANSWERS_OF_ACCOUNT_MAX, AnswerStore, FirstAnswer, RepeatableRequest, Repeated, StoreError,
};

use super::PostgresStore;
use super::connector::Session;
use super::failure::Failure;
use super::ports::run;
use super::rows::{self, column};
use super::sessions::Scope;
use super::values::{self, Moment};
use crate::answers::{ANSWERS_REMOVED_MAX, kept_since, under_way_since};

#[async_trait]
impl AnswerStore for PostgresStore {
    async fn begin(&self, request: RepeatableRequest) -> Result<Repeated, StoreError> {
        run!(self, Scope::Change, |session| begin(session, &request))
    }

    async fn finish(
        &self,
        request: RepeatableRequest,
        answer: Option<FirstAnswer>,
    ) -> Result<(), StoreError> {
        run!(self, Scope::Change, |session| finish(
            session,
            &request,
            answer.as_ref()
        ))
    }
}

/// Whoever inserts the row, or takes an old one over, is the first; others wait for that at the row.
async fn begin(session: &Session, request: &RepeatableRequest) -> Result<Repeated, Failure> {
    let insert = "INSERT INTO idempotency_keys AS known (account, key, digest, begun_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (account, key) DO UPDATE SET digest = $3, begun_at = $4, status = NULL, media_type = '', body = '' \
         WHERE known.begun_at <= $5 OR (known.status IS NULL AND known.begun_at <= $6 AND known.digest = $3)";
    let (account, key) = (values::text(&request.account), values::text(&request.key));
    let digest = request.digest.as_slice();
    let values: &rows::Values<'_> = &[
        &account,
        &key,
        &digest,
        &Moment(request.at),
        &Moment(kept_since(request.at)),
        &Moment(under_way_since(request.at)),
    ];
    if rows::execute(session, insert, values).await? > 0 {
        remove_old(session, request).await?;
        return Ok(Repeated::First);
    }
    let select =
        "SELECT digest, status, media_type, body FROM idempotency_keys WHERE account = $1 AND key = $2";
    let known = rows::first(session, select, &[&account, &key]).await?;
    // It may have been taken back this very moment: the same as one that is under way.
    let Some(known) = known else {
        return Ok(Repeated::UnderWay);
    };
    if column::<&[u8]>(&known, "digest")? != digest {
        return Ok(Repeated::KeyReused);
    }
    let Some(status) = column::<Option<i32>>(&known, "status")? else {
        return Ok(Repeated::UnderWay);
    };
    Ok(Repeated::Answered(FirstAnswer {
        status: u16::try_from(status).map_err(|_| Failure::damaged("idempotency_keys.status"))?,
        media_type: column(&known, "media_type")?,
        body: column(&known, "body")?,
    }))
}

async fn finish(
    session: &Session,
    request: &RepeatableRequest,
    answer: Option<&FirstAnswer>,
) -> Result<(), Failure> {
    let (account, key) = (values::text(&request.account), values::text(&request.key));
    let (digest, at) = (request.digest.as_slice(), Moment(request.at));
    if let Some(answer) = answer {
        let update = "UPDATE idempotency_keys SET status = $5, media_type = $6, body = $7 \
             WHERE account = $1 AND key = $2 AND digest = $3 AND begun_at = $4 AND status IS NULL";
        let (status, body) = (i32::from(answer.status), values::text(&answer.body));
        let values: &rows::Values<'_> = &[&account, &key, &digest, &at, &status, &answer.media_type, &body];
        rows::execute(session, update, values).await?;
    } else {
        let delete = "DELETE FROM idempotency_keys \
             WHERE account = $1 AND key = $2 AND digest = $3 AND begun_at = $4 AND status IS NULL";
        rows::execute(session, delete, &[&account, &key, &digest, &at]).await?;
    }
    Ok(())
}

/// What is too old, and what is more than one account may have: a few rows each time, which is more than are added. What another one is
/// removing is left to it.
async fn remove_old(session: &Session, request: &RepeatableRequest) -> Result<(), Failure> {
    let old = "DELETE FROM idempotency_keys WHERE (account, key) IN ( \
         SELECT account, key FROM idempotency_keys WHERE begun_at <= $1 ORDER BY begun_at LIMIT $2 FOR UPDATE SKIP LOCKED)";
    let removed = i64::from(ANSWERS_REMOVED_MAX);
    rows::execute(session, old, &[&Moment(kept_since(request.at)), &removed]).await?;
    let beyond = "DELETE FROM idempotency_keys WHERE (account, key) IN ( \
         SELECT account, key FROM idempotency_keys WHERE account = $1 ORDER BY begun_at DESC LIMIT $2 OFFSET $3 \
         FOR UPDATE SKIP LOCKED)";
    let account = values::text(&request.account);
    let kept = i64::from(ANSWERS_OF_ACCOUNT_MAX);
    rows::execute(session, beyond, &[&account, &removed, &kept]).await?;
    Ok(())
}

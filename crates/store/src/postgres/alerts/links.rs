//! Links of alerts that were used, on whichever replica. The row is the use: whoever inserts it is the first.

use async_trait::async_trait;
use sentinel_core::alert::ports::UsedLinks;
use sentinel_core::ports::StoreError;
use sentinel_core::time::Timestamp;

use super::super::PostgresStore;
use super::super::connector::Session;
use super::super::failure::Failure;
use super::super::ports::run;
use super::super::rows;
use super::super::sessions::Scope;
use super::super::values::Moment;

#[async_trait]
impl UsedLinks for PostgresStore {
    async fn use_once(&self, nonce: &str, expires_at: Timestamp, now: Timestamp) -> Result<bool, StoreError> {
        let nonce = nonce.to_owned();
        run!(self, Scope::Change, |session| use_once(
            session, &nonce, expires_at, now
        ))
    }
}

async fn use_once(
    session: &Session,
    nonce: &str,
    expires_at: Timestamp,
    now: Timestamp,
) -> Result<bool, Failure> {
    rows::execute(
        session,
        "DELETE FROM used_links WHERE expires_at <= $1",
        &[&Moment(now)],
    )
    .await?;
    let insert = "INSERT INTO used_links (nonce, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    let inserted = rows::execute(session, insert, &[&nonce, &Moment(expires_at)]).await?;
    Ok(inserted == 1)
}

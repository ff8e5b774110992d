//! The log of what operators did, each event chained to the one before it.
//!
//! Whoever writes one holds the end of the chain until his transaction ends, so that it never forks; ids are taken while it is held, so they
//! grow along the chain. It is written last in a transaction: nothing else is waited for with the end in hand.

use sentinel_core::audit::{ChainHash, ChainHead, ChainedEvent};
use sentinel_core::event::AdminEvent;
use sentinel_core::network::ClientIp;
use sentinel_core::ports::{EventFilter, StoredEvent};
use tokio_postgres::Row;

use super::connector::Session;
use super::failure::Failure;
use super::filter::Conditions;
use super::rows::{self, column};
use super::values::{self, Moment};
use crate::bounds::page_rows;
use crate::change;

const SELECT: &str = "SELECT id, at, actor, client_ip, action, detail, previous_hash, hash FROM admin_events";
const SELECT_HEAD: &str = "SELECT began_after, length, last_id, hash FROM audit_chain";

pub(super) async fn append(session: &Session, event: &AdminEvent) -> Result<(), Failure> {
    // As it will be read back: that is what the hash is over.
    let event = &AdminEvent {
        at: Moment::stored(event.at),
        actor: values::text(&event.actor).into_owned(),
        client_ip: event.client_ip,
        action: values::text(&event.action).into_owned(),
        detail: values::text(&event.detail).into_owned(),
    };
    let before = read_head(session, &format!("{SELECT_HEAD} FOR UPDATE"))
        .await?
        .hash;
    let hash = before.followed_by(event);
    let insert = "WITH made AS ( \
             INSERT INTO admin_events (at, actor, client_ip, action, detail, previous_hash, hash, binding_id) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id) \
         UPDATE audit_chain SET length = length + 1, last_id = made.id, hash = $7 FROM made";
    let values: &rows::Values<'_> = &[
        &Moment(event.at),
        &event.actor,
        &event.client_ip.map(ClientIp::addr),
        &event.action,
        &event.detail,
        &before.as_bytes().as_slice(),
        &hash.as_bytes().as_slice(),
        &change::binding_of(event),
    ];
    rows::execute(session, insert, values).await.map(drop)
}

pub(super) async fn head(session: &Session) -> Result<ChainHead, Failure> {
    read_head(session, SELECT_HEAD).await
}

async fn read_head(session: &Session, select: &str) -> Result<ChainHead, Failure> {
    let row = rows::first(session, select, &[]).await?;
    let row = row.ok_or_else(|| Failure::damaged("audit_chain"))?;
    Ok(ChainHead {
        began_after: column(&row, "began_after")?,
        length: column::<i64>(&row, "length")?.cast_unsigned(),
        last_id: column(&row, "last_id")?,
        hash: hash(&row, "hash")?.ok_or_else(|| Failure::damaged("audit_chain.hash"))?,
    })
}

fn hash(row: &Row, name: &str) -> Result<Option<ChainHash>, Failure> {
    let bytes: Option<&[u8]> = column(row, name)?;
    let bytes = bytes.map(<[u8; 32]>::try_from).transpose();
    let bytes = bytes.map_err(|_| Failure::damaged(name))?;
    Ok(bytes.map(ChainHash::from_bytes))
}

pub(super) async fn chained(session: &Session, after: i64, limit: u32) -> Result<Vec<ChainedEvent>, Failure> {
    let statement = format!("{SELECT} WHERE id > $1 ORDER BY id LIMIT $2");
    let values: &rows::Values<'_> = &[&after, &i64::from(page_rows(limit))];
    let rows = rows::query(session, &statement, values).await?;
    rows.iter()
        .map(|row| {
            Ok(ChainedEvent {
                id: column(row, "id")?,
                event: read(row)?,
                hashes: hash(row, "previous_hash")?.zip(hash(row, "hash")?),
            })
        })
        .collect()
}

pub(super) async fn list(session: &Session, filter: EventFilter) -> Result<Vec<StoredEvent>, Failure> {
    let mut conditions = Conditions::default();
    let text = |text: Option<String>| text.map(|text| values::text(&text).into_owned());
    conditions.add("actor = ?", text(filter.actor));
    conditions.add("action = ?", text(filter.action));
    conditions.add("binding_id = ?", filter.binding.map(|id| id.0));
    conditions.add("at >= ?", filter.since.map(Moment));
    conditions.add("at < ?", filter.until.map(Moment));
    conditions.add("id < ?", filter.before);
    let statement = conditions.page(SELECT, page_rows(filter.limit));
    let rows = session.query(&statement, &conditions.values()).await?;
    rows.iter()
        .map(|row| {
            Ok(StoredEvent {
                id: column(row, "id")?,
                event: read(row)?,
            })
        })
        .collect()
}

pub(super) async fn newest(session: &Session, limit: u32) -> Result<Vec<AdminEvent>, Failure> {
    let filter = EventFilter {
        limit,
        ..EventFilter::default()
    };
    let stored = list(session, filter).await?;
    Ok(stored.into_iter().map(|stored| stored.event).collect())
}

pub(super) fn read(row: &Row) -> Result<AdminEvent, Failure> {
    Ok(AdminEvent {
        at: rows::timestamp(row, "at")?,
        actor: column(row, "actor")?,
        client_ip: rows::address(row, "client_ip")?,
        action: column(row, "action")?,
        detail: column(row, "detail")?,
    })
}

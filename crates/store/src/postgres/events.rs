//! The log of what operators did.

use sentinel_core::event::AdminEvent;
use tokio_postgres::Row;

use super::connector::Session;
use super::failure::Failure;
use super::rows::{self, column};
use super::values::{self, Moment};
use crate::bounds::page_rows;

pub(super) async fn append(session: &Session, event: &AdminEvent) -> Result<(), Failure> {
    let insert =
        "INSERT INTO admin_events (at, actor, client_ip, action, detail) VALUES ($1, $2, $3, $4, $5)";
    let client_ip = event.client_ip.map(sentinel_core::network::ClientIp::addr);
    rows::execute(
        session,
        insert,
        &[
            &Moment(event.at),
            &values::text(&event.actor),
            &client_ip,
            &values::text(&event.action),
            &values::text(&event.detail),
        ],
    )
    .await?;
    Ok(())
}

pub(super) async fn newest(session: &Session, limit: u32) -> Result<Vec<AdminEvent>, Failure> {
    let select = "SELECT at, actor, client_ip, action, detail FROM admin_events ORDER BY id DESC LIMIT $1";
    let rows = rows::query(session, select, &[&i64::from(page_rows(limit))]).await?;
    rows.iter().map(read).collect()
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

//! Finding and removing what names an address or a key: in small steps, each one command, so that the writer's other commands wait for none
//! of them for long.

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};
use sentinel_core::ports::{Forgettable, ForgettingStore, StoreError, Traces};

use super::SqliteStore;
use super::failure::Failure;
use super::rows;
use crate::bounds::PAGE_ROWS_MAX;
use crate::forgetting::{ForgettingSteps, Place, look_through};
use crate::network_list;

/// So many rows of the audit log are looked through at once.
const LOG_ROWS_AT_ONCE: u32 = 10_000;

#[async_trait]
impl ForgettingStore for SqliteStore {
    async fn traces(&self, of: &Forgettable) -> Result<Traces, StoreError> {
        look_through(self, of, false).await
    }

    async fn forget_traces(&self, of: &Forgettable) -> Result<Traces, StoreError> {
        look_through(self, of, true).await
    }
}

#[async_trait]
impl ForgettingSteps for SqliteStore {
    async fn log(
        &self,
        of: &Forgettable,
        from: i64,
        removes: bool,
    ) -> Result<(Traces, Option<i64>), StoreError> {
        let of = of.clone();
        step(self, removes, move |connection| {
            log_step(connection, &of, from, removes)
        })
        .await
    }

    async fn rows(
        &self,
        place: Place,
        of: &Forgettable,
        after: i64,
        removes: bool,
    ) -> Result<(u64, Option<i64>), StoreError> {
        let of = of.clone();
        step(self, removes, move |connection| {
            table(place).step(connection, &of, after, removes)
        })
        .await
    }

    async fn top_places(&self, of: &Forgettable, removes: bool) -> Result<u64, StoreError> {
        let of = of.clone();
        step(self, removes, move |connection| {
            top_places(connection, &of, removes)
        })
        .await
    }

    async fn kept(&self, of: &Forgettable) -> Result<(u64, u64), StoreError> {
        let of = of.clone();
        self.read(move |connection| kept(connection, &of)).await
    }
}

/// Readers look; only the writer removes.
async fn step<T: Send + 'static>(
    store: &SqliteStore,
    removes: bool,
    work: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
) -> Result<T, StoreError> {
    if removes {
        store.write(work).await
    } else {
        store.read(work).await
    }
}

/// Looks through the next rows; says after which id to go on, none at the end.
fn log_step(
    connection: &Connection,
    of: &Forgettable,
    after: i64,
    removes: bool,
) -> Result<(Traces, Option<i64>), Failure> {
    let select = "SELECT id, client_ip, hint, networks FROM intercept_logs WHERE id > ? ORDER BY id LIMIT ?";
    let (mut own, mut mentions, mut last) = (Vec::new(), Vec::new(), None);
    let mut prepared = connection.prepare_cached(select)?;
    let mut read = prepared.query(params![after, LOG_ROWS_AT_ONCE])?;
    while let Some(row) = read.next()? {
        let id: i64 = row.get("id")?;
        last = Some(id);
        let address = rows::address(&row.get::<_, String>("client_ip")?, "intercept_logs.client_ip")?;
        let hint: Option<String> = row.get("hint")?;
        let networks: String = row.get("networks")?;
        if of.is_address(address) || hint.is_some_and(|hint| of.is_hint(&hint)) {
            own.push(id);
        } else if let Some(others) = without(of, &networks)? {
            mentions.push((id, others));
        }
    }
    if removes {
        let mut delete = connection.prepare_cached("DELETE FROM intercept_logs WHERE id = ?")?;
        for id in &own {
            delete.execute([id])?;
        }
        let mut update = connection.prepare_cached("UPDATE intercept_logs SET networks = ? WHERE id = ?")?;
        for (id, others) in &mentions {
            update.execute(params![others, id])?;
        }
    }
    let traces = Traces {
        intercepts: own.len() as u64,
        mentions: mentions.len() as u64,
        ..Traces::default()
    };
    Ok((traces, last))
}

/// The other networks of a list that names it; none when the list does not.
fn without(of: &Forgettable, networks: &str) -> Result<Option<String>, Failure> {
    let networks = network_list::read(networks).ok_or_else(|| Failure::damaged("intercept_logs.networks"))?;
    if !networks.iter().any(|network| of.is_network(network)) {
        return Ok(None);
    }
    let others = networks.iter().filter(|network| !of.is_network(network));
    Ok(Some(network_list::write(&others.copied().collect())))
}

/// How the rows of a place are read.
struct Table {
    /// Gives each row's id, an address if it has one, and all that it says, for the ids after the first value, at most the second.
    select: &'static str,
    /// Removes the row with this id; none when rows stay.
    delete: Option<&'static str>,
}

const ARCHIVED: Table = Table {
    select: "SELECT id, NULL AS address, record AS said FROM archived_bindings WHERE id > ? ORDER BY id LIMIT ?",
    delete: Some("DELETE FROM archived_bindings WHERE id = ?"),
};
// Transitions and deliveries go with their alert.
const ALERTS: Table = Table {
    select: "SELECT id, NULL AS address, subject || ' ' || record || ' ' || coalesce( \
             (SELECT group_concat(t.record, ' ') FROM alert_transitions t WHERE t.alert_id = alerts.id), '') AS said \
         FROM alerts WHERE id > ? ORDER BY id LIMIT ?",
    delete: Some("DELETE FROM alerts WHERE id = ?"),
};
const EVENTS: Table = Table {
    select: "SELECT id, client_ip AS address, detail AS said FROM admin_events WHERE id > ? ORDER BY id LIMIT ?",
    delete: None,
};

const fn table(place: Place) -> &'static Table {
    match place {
        Place::Archived => &ARCHIVED,
        Place::Alerts => &ALERTS,
        Place::Events => &EVENTS,
    }
}

impl Table {
    /// Looks through the next rows; says after which id to go on, none at the end.
    fn step(
        &self,
        connection: &Connection,
        of: &Forgettable,
        after: i64,
        removes: bool,
    ) -> Result<(u64, Option<i64>), Failure> {
        let (mut named, mut last) = (Vec::new(), None);
        let mut prepared = connection.prepare_cached(self.select)?;
        let mut read = prepared.query(params![after, PAGE_ROWS_MAX])?;
        while let Some(row) = read.next()? {
            let id: i64 = row.get("id")?;
            last = Some(id);
            let address = row
                .get::<_, Option<String>>("address")?
                .map(|text| rows::address(&text, "admin_events.client_ip"))
                .transpose()?;
            let is_from_there = address.is_some_and(|address| of.is_address(address));
            if is_from_there || of.is_named_in(&row.get::<_, String>("said")?) {
                named.push(id);
            }
        }
        if let (Some(delete), true) = (self.delete, removes) {
            let mut delete = connection.prepare_cached(delete)?;
            for id in &named {
                delete.execute([id])?;
            }
        }
        Ok((named.len() as u64, last))
    }
}

/// What was counted there goes to those without a place of their own, as when a list is cut. The lists of all days are as long as they get, so
/// this is one step.
fn top_places(connection: &Connection, of: &Forgettable, removes: bool) -> Result<u64, Failure> {
    let select = "SELECT span, at, kind, subject, hint FROM top_refused WHERE subject <> ''";
    let mut prepared = connection.prepare_cached(select)?;
    let is_named = |row: &Row<'_>| -> Result<bool, Failure> {
        if row.get::<_, String>("kind")? == "address" {
            let address = rows::address(&row.get::<_, String>("subject")?, "top_refused.subject")?;
            return Ok(of.is_address(address));
        }
        let hint: Option<String> = row.get("hint")?;
        Ok(hint.is_some_and(|hint| of.is_hint(&hint)))
    };
    let mut named: Vec<(String, i64, String, String)> = Vec::new();
    let mut read = prepared.query([])?;
    while let Some(row) = read.next()? {
        if is_named(row)? {
            named.push((
                row.get("span")?,
                row.get("at")?,
                row.get("kind")?,
                row.get("subject")?,
            ));
        }
    }
    if removes {
        let mut to_others = connection.prepare_cached(
            "INSERT INTO top_refused (span, at, kind, subject, count) SELECT span, at, kind, '', count FROM top_refused \
             WHERE span = ? AND at = ? AND kind = ? AND subject = ? ON CONFLICT (span, at, kind, subject) DO UPDATE SET \
             count = min(count, 9223372036854775807 - excluded.count) + excluded.count",
        )?;
        let mut delete = connection.prepare_cached(
            "DELETE FROM top_refused WHERE span = ? AND at = ? AND kind = ? AND subject = ?",
        )?;
        for (span, at, kind, subject) in &named {
            to_others.execute(params![span, at, kind, subject])?;
            delete.execute(params![span, at, kind, subject])?;
        }
    }
    Ok(named.len() as u64)
}

/// Bindings in force and sessions: they stay.
fn kept(connection: &Connection, of: &Forgettable) -> Result<(u64, u64), Failure> {
    let network = match of {
        Forgettable::Addresses(network) => *network,
        Forgettable::Key(hint) => {
            let bindings: i64 = connection
                .prepare_cached("SELECT count(*) FROM bindings WHERE hint = ?")?
                .query_row([hint.as_str()], |row| row.get(0))?;
            return Ok((bindings.cast_unsigned(), 0));
        }
    };
    let (family, first, last) = rows::network_range(network);
    let count = "SELECT count(DISTINCT binding_id) FROM binding_networks \
         WHERE family = ? AND first_address >= ? AND first_address <= ? AND last_address <= ?";
    let bindings: i64 = connection
        .prepare_cached(count)?
        .query_row(params![family, first, last, last], |row| row.get(0))?;
    let mut sessions = 0;
    let mut prepared = connection.prepare_cached("SELECT client_ip FROM admin_sessions")?;
    let mut read = prepared.query([])?;
    while let Some(row) = read.next()? {
        let address = rows::address(&row.get::<_, String>(0)?, "admin_sessions.client_ip")?;
        sessions += u64::from(of.is_address(address));
    }
    Ok((bindings.cast_unsigned(), sessions))
}

//! Finding and removing what names an address or a key: in small steps, each a transaction of its own, so that whoever writes waits for none
//! of them for long.

use async_trait::async_trait;
use sentinel_core::network::ClientIp;
use sentinel_core::ports::{Forgettable, ForgettingStore, StoreError, Traces};

use super::PostgresStore;
use super::connector::Session;
use super::failure::Failure;
use super::ports::run;
use super::rows::{self, column};
use super::sessions::Scope;
use crate::bounds::PAGE_ROWS_MAX;
use crate::forgetting::{ForgettingSteps, Place, look_through};

/// So many ids of the audit log are looked through at once.
const IDS_AT_ONCE: i64 = 50_000;

#[async_trait]
impl ForgettingStore for PostgresStore {
    async fn traces(&self, of: &Forgettable) -> Result<Traces, StoreError> {
        look_through(self, of, false).await
    }

    async fn forget_traces(&self, of: &Forgettable) -> Result<Traces, StoreError> {
        look_through(self, of, true).await
    }
}

#[async_trait]
impl ForgettingSteps for PostgresStore {
    async fn log(
        &self,
        of: &Forgettable,
        from: i64,
        removes: bool,
    ) -> Result<(Traces, Option<i64>), StoreError> {
        let of = of.clone();
        run!(self, Scope::Job, |session| log_step(session, &of, from, removes))
    }

    async fn rows(
        &self,
        place: Place,
        of: &Forgettable,
        after: i64,
        removes: bool,
    ) -> Result<(u64, Option<i64>), StoreError> {
        let of = of.clone();
        run!(self, Scope::Job, |session| table(place)
            .step(session, &of, after, removes))
    }

    async fn top_places(&self, of: &Forgettable, removes: bool) -> Result<u64, StoreError> {
        let of = of.clone();
        run!(self, Scope::Job, |session| top_places(session, &of, removes))
    }

    async fn kept(&self, of: &Forgettable) -> Result<(u64, u64), StoreError> {
        let of = of.clone();
        run!(self, Scope::Report, |session| kept(session, &of))
    }
}

/// What a statement compares with, as a text: the network, or the hint.
fn value(of: &Forgettable) -> String {
    match of {
        Forgettable::Addresses(network) => network.to_string(),
        Forgettable::Key(hint) => hint.as_str().to_owned(),
    }
}

/// The conditions for rows of the audit log about it, and for rows about others whose networks name it; `$1` is [`value`].
fn log_conditions(of: &Forgettable) -> (&'static str, &'static str) {
    match of {
        Forgettable::Addresses(_) => (
            "client_ip <<= $1::text::inet",
            "NOT client_ip <<= $1::text::inet AND networks <> '' AND EXISTS ( \
             SELECT FROM unnest(string_to_array(networks, ' ')) AS named WHERE named::inet <<= $1::text::inet)",
        ),
        Forgettable::Key(_) => ("hint = $1::text", "false AND $1::text IS NULL"),
    }
}

/// Looks through the next ids; says from where to go on, none at the end.
async fn log_step(
    session: &Session,
    of: &Forgettable,
    from: i64,
    removes: bool,
) -> Result<(Traces, Option<i64>), Failure> {
    let next = "SELECT min(id) AS first FROM intercept_logs WHERE id >= $1";
    let row = rows::first(session, next, &[&from]).await?;
    let Some(first) = row
        .map(|row| column::<Option<i64>>(&row, "first"))
        .transpose()?
        .flatten()
    else {
        return Ok((Traces::default(), None));
    };
    let end = first.saturating_add(IDS_AT_ONCE);
    let (own, mention) = log_conditions(of);
    let value = value(of);
    let values: &rows::Values<'_> = &[&value, &first, &end];
    let within = "id >= $2 AND id < $3";
    let mut traces = Traces::default();
    if removes {
        let delete = format!("DELETE FROM intercept_logs WHERE {within} AND {own}");
        traces.intercepts = rows::execute(session, &delete, values).await?;
        let update = format!(
            "UPDATE intercept_logs SET networks = array_to_string(ARRAY( \
                 SELECT network FROM unnest(string_to_array(networks, ' ')) WITH ORDINALITY AS named (network, place) \
                 WHERE NOT network::inet <<= $1::text::inet ORDER BY place), ' ') \
             WHERE {within} AND {mention}"
        );
        if let Forgettable::Addresses(_) = of {
            traces.mentions = rows::execute(session, &update, values).await?;
        }
    } else {
        let count = format!(
            "SELECT count(*) FILTER (WHERE {own}) AS own, count(*) FILTER (WHERE {mention}) AS mentions \
             FROM intercept_logs WHERE {within}"
        );
        if let Some(row) = rows::first(session, &count, values).await? {
            traces.intercepts = column::<i64>(&row, "own")?.cast_unsigned();
            traces.mentions = column::<i64>(&row, "mentions")?.cast_unsigned();
        }
    }
    Ok((traces, Some(end)))
}

/// How the rows of a place are read.
struct Table {
    /// Gives each row's id, an address if it has one, and all that it says, for the ids after `$1`, at most `$2`.
    select: &'static str,
    /// Removes the rows with the ids `$1`; none when they stay.
    delete: Option<&'static str>,
}

const ARCHIVED: Table = Table {
    select: "SELECT id, NULL::inet AS address, record::text AS said FROM archived_bindings WHERE id > $1 ORDER BY id LIMIT $2",
    delete: Some("DELETE FROM archived_bindings WHERE id = ANY($1)"),
};
// Transitions and deliveries go with their alert.
const ALERTS: Table = Table {
    select: "SELECT id, NULL::inet AS address, concat_ws(' ', subject, record, \
             (SELECT string_agg(t.record, ' ') FROM alert_transitions t WHERE t.alert_id = alerts.id)) AS said \
         FROM alerts WHERE id > $1 ORDER BY id LIMIT $2",
    delete: Some("DELETE FROM alerts WHERE id = ANY($1)"),
};
const EVENTS: Table = Table {
    select: "SELECT id, client_ip AS address, detail AS said FROM admin_events WHERE id > $1 ORDER BY id LIMIT $2",
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
    async fn step(
        &self,
        session: &Session,
        of: &Forgettable,
        after: i64,
        removes: bool,
    ) -> Result<(u64, Option<i64>), Failure> {
        let read = rows::query(session, self.select, &[&after, &i64::from(PAGE_ROWS_MAX)]).await?;
        let mut named: Vec<i64> = Vec::new();
        let mut last = None;
        for row in &read {
            let id: i64 = column(row, "id")?;
            last = Some(id);
            let address: Option<ClientIp> = rows::address(row, "address")?;
            let is_from_there = address.is_some_and(|address| of.is_address(address));
            if is_from_there || of.is_named_in(column(row, "said")?) {
                named.push(id);
            }
        }
        if let (Some(delete), true, false) = (self.delete, removes, named.is_empty()) {
            rows::execute(session, delete, &[&named]).await?;
        }
        Ok((named.len() as u64, last))
    }
}

/// What was counted there goes to those without a place of their own, as when a list is cut.
async fn top_places(session: &Session, of: &Forgettable, removes: bool) -> Result<u64, Failure> {
    let named = match of {
        Forgettable::Addresses(_) => {
            "CASE WHEN kind = 'address' AND subject <> '' THEN subject::inet <<= $1::text::inet ELSE false END"
        }
        Forgettable::Key(_) => "kind = 'key' AND hint = $1::text",
    };
    let statement = if removes {
        format!(
            "WITH gone AS (DELETE FROM top_refused WHERE {named} RETURNING span, at, kind, count, missed_max), \
             kept AS (INSERT INTO top_refused (span, at, kind, subject, count, missed_max) \
                 SELECT span, at, kind, '', least(sum(count), 9223372036854775807)::bigint, 0 FROM gone GROUP BY span, at, kind \
                 ON CONFLICT (span, at, kind, subject) DO UPDATE SET \
                 count = least(top_refused.count, 9223372036854775807 - excluded.count) + excluded.count) \
             SELECT count(*) AS places FROM gone"
        )
    } else {
        format!("SELECT count(*) AS places FROM top_refused WHERE {named}")
    };
    let row = rows::first(session, &statement, &[&value(of)]).await?;
    let row = row.ok_or_else(|| Failure::damaged("top_refused"))?;
    Ok(column::<i64>(&row, "places")?.cast_unsigned())
}

/// Bindings in force and sessions: they stay.
async fn kept(session: &Session, of: &Forgettable) -> Result<(u64, u64), Failure> {
    let select = match of {
        Forgettable::Addresses(_) => {
            "SELECT (SELECT count(DISTINCT binding_id) FROM binding_networks WHERE network <<= $1::text::inet) AS bindings, \
             (SELECT count(*) FROM admin_sessions WHERE client_ip <<= $1::text::inet) AS sessions"
        }
        Forgettable::Key(_) => {
            "SELECT (SELECT count(*) FROM bindings WHERE hint = $1::text) AS bindings, 0::bigint AS sessions"
        }
    };
    let row = rows::first(session, select, &[&value(of)]).await?;
    let row = row.ok_or_else(|| Failure::damaged("bindings"))?;
    let count = |name| column::<i64>(&row, name).map(i64::cast_unsigned);
    Ok((count("bindings")?, count("sessions")?))
}

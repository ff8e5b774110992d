//! What operators do with bindings: pages, counts, and changes that each leave their event, and tell the other replicas, in the same
//! transaction.

use sentinel_core::binding::{BindingCounts, BindingId, BindingRecord, BindingStatus};
use sentinel_core::event::Actor;
use sentinel_core::network::{ClientIp, Network};
use sentinel_core::ports::BindingFilter;

use super::changes::announce;
use super::connector::Session;
use super::failure::Failure;
use super::filter::Conditions;
use super::rows::{self, SELECT_RECORD, column};
use super::values::{self, Moment};
use super::{archive, bindings, events};
use crate::bounds::page_rows;
use crate::change::{self, Action};

pub(super) async fn list(session: &Session, filter: &BindingFilter) -> Result<Vec<BindingRecord>, Failure> {
    let mut conditions = Conditions::default();
    conditions.add("status = ?", filter.status.map(BindingStatus::as_str));
    let hint = filter.hint.as_deref().map(values::text);
    conditions.add(
        r"hint ILIKE ? ESCAPE '\'",
        hint.as_deref().map(values::containing),
    );
    conditions.add("id < ?", filter.before.map(|id| id.0));
    conditions.add(
        "id IN (SELECT binding_id FROM binding_networks WHERE network >>= ?)",
        filter.address.map(ClientIp::addr),
    );
    let statement = conditions.page(SELECT_RECORD, page_rows(filter.limit));
    let rows = session.query(&statement, &conditions.values()).await?;
    rows.iter().map(rows::record).collect()
}

pub(super) async fn counts(session: &Session) -> Result<BindingCounts, Failure> {
    let mut counts = BindingCounts::default();
    let select = "SELECT status, count(*) AS count FROM bindings GROUP BY status";
    for row in rows::query(session, select, &[]).await? {
        let count = column::<i64>(&row, "count")?.cast_unsigned();
        match BindingStatus::from_word(column(&row, "status")?) {
            Some(BindingStatus::Active) => counts.active = count,
            Some(BindingStatus::Banned) => counts.banned = count,
            None => return Err(Failure::damaged("bindings.status")),
        }
    }
    Ok(counts)
}

pub(super) async fn unbind(
    session: &Session,
    id: BindingId,
    actor: &Actor,
) -> Result<Option<BindingRecord>, Failure> {
    let reason = Action::Unbind.as_str();
    let Some(before) = archive::put_one_away(session, id, reason, actor.at).await? else {
        return Ok(None);
    };
    events::append(session, &change::event(Action::Unbind, actor, &before, None)).await?;
    Ok(Some(before))
}

pub(super) async fn ban(
    session: &Session,
    id: BindingId,
    reason: &str,
    actor: &Actor,
) -> Result<Option<BindingRecord>, Failure> {
    change(
        session,
        id,
        actor,
        &Becomes::Status(BindingStatus::Banned, reason),
    )
    .await
}

pub(super) async fn unban(
    session: &Session,
    id: BindingId,
    actor: &Actor,
) -> Result<Option<BindingRecord>, Failure> {
    change(session, id, actor, &Becomes::Status(BindingStatus::Active, "")).await
}

pub(super) async fn set_networks(
    session: &Session,
    id: BindingId,
    networks: Vec<Network>,
    actor: &Actor,
) -> Result<Option<BindingRecord>, Failure> {
    let networks = change::without_repetition(networks);
    change(session, id, actor, &Becomes::Networks(&networks)).await
}

/// What a change makes of a binding.
enum Becomes<'c> {
    /// This status, for this reason.
    Status(BindingStatus, &'c str),
    /// Bound to these networks.
    Networks(&'c [Network]),
}

impl Becomes<'_> {
    const fn action(&self) -> Action {
        match self {
            Self::Status(BindingStatus::Banned, _) => Action::Ban,
            Self::Status(BindingStatus::Active, _) => Action::Unban,
            Self::Networks(_) => Action::SetNetworks,
        }
    }

    async fn apply(&self, session: &Session, id: BindingId) -> Result<(), Failure> {
        match self {
            Self::Status(status, reason) => {
                let update = "UPDATE bindings SET status = $2, ban_reason = $3 WHERE id = $1";
                let values: &rows::Values<'_> = &[&id.0, &status.as_str(), &values::text(reason)];
                rows::execute(session, update, values).await.map(drop)
            }
            Self::Networks(networks) => bindings::replace_networks(session, id, networks).await,
        }
    }
}

/// One change: a new version, the change itself, the event with what was before and what is after, and word to the other replicas.
async fn change(
    session: &Session,
    id: BindingId,
    actor: &Actor,
    becomes: &Becomes<'_>,
) -> Result<Option<BindingRecord>, Failure> {
    let Some(before) = bindings::locked(session, id).await? else {
        return Ok(None);
    };
    let version = bindings::next_version(session, before.binding.version).await?;
    let update = "UPDATE bindings SET version = $2, updated_at = $3, archive_marked_at = NULL WHERE id = $1";
    rows::execute(session, update, &[&id.0, &version.0, &Moment(actor.at)]).await?;
    becomes.apply(session, id).await?;
    let after = bindings::by_id(session, id).await?;
    events::append(
        session,
        &change::event(becomes.action(), actor, &before, after.as_ref()),
    )
    .await?;
    let changed = bindings::changed(before.binding.fingerprint, version, actor.at);
    announce(session, changed).await?;
    Ok(after)
}

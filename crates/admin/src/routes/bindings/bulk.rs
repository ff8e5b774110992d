//! One change of many bindings, named or found by a filter. Each is a change of its own, with its own event, and is made only if the binding
//! is still as it was when it was found.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use sentinel_core::binding::{BindingEdit, BindingId, BindingRecord, BindingStatus, Edited};
use sentinel_core::event::Actor;
use sentinel_core::ports::{BindingAdmin, BindingFilter, StoreError};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::changes::{ban_reason, expiry, label};
use super::query::BindingQuery;
use crate::extract::{JsonBody, SignedIn};
use crate::parts::Admin;
use crate::problem::{Code, Problem};

/// The most bindings of one call.
pub(super) const BULK_MAX: usize = 1_000;
/// For so long one call goes on with the next binding: shorter than a request may take.
pub(super) const BULK_TIME_MAX: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum BulkAction {
    Ban,
    Unban,
    Unbind,
    Label,
    Unlabel,
}

/// What to do, and with which bindings: those with these ids, or those that the filter lets through.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Bulk {
    action: BulkAction,
    #[serde(default)]
    #[schema(max_items = 1000)]
    ids: Option<Vec<i64>>,
    #[serde(default)]
    filter: Option<BindingQuery>,
    /// Of a ban.
    #[serde(default)]
    reason: Option<String>,
    /// Of a ban: when it ends by itself.
    #[serde(default)]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// Which label, where the action is about one.
    #[serde(default)]
    label: Option<String>,
    /// Only says what would be done.
    #[serde(default)]
    dry_run: bool,
    /// The `changed` of the dry run before: where it would be another now, nothing is changed.
    #[serde(default)]
    expected: Option<usize>,
}

/// What was done, or would be.
#[derive(Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(super) struct BulkDone {
    /// How many bindings were found, up to the most of one call.
    matched: usize,
    changed: usize,
    /// They are as they should be already.
    unchanged: usize,
    /// They changed meanwhile, are gone, or the store did not do it: then the call ends there.
    failed: usize,
    dry_run: bool,
    /// There are others, or the call did not get to them: call again, with another `Idempotency-Key`.
    has_more: bool,
}

impl Bulk {
    fn edit(&self, admin: &Admin) -> Result<BindingEdit, Problem> {
        let is_ban = matches!(self.action, BulkAction::Ban);
        let is_label = matches!(self.action, BulkAction::Label | BulkAction::Unlabel);
        for (name, is_given, fits) in [
            ("reason", self.reason.is_some(), is_ban),
            ("expires_at", self.expires_at.is_some(), is_ban),
            ("label", self.label.is_some(), is_label),
        ] {
            if is_given && !fits {
                return Err(Problem::field(name, "It does not go with this action."));
            }
        }
        if self.expected.is_some() && self.dry_run {
            return Err(Problem::field("expected", "It does not go with a dry run."));
        }
        let label = || label("label", self.label.as_deref().unwrap_or_default());
        Ok(match self.action {
            BulkAction::Ban => BindingEdit::Ban {
                reason: ban_reason(self.reason.as_deref())?,
                expires_at: expiry(self.expires_at.as_deref(), admin.clock.now())?,
            },
            BulkAction::Unban => BindingEdit::Unban,
            BulkAction::Unbind => BindingEdit::Unbind,
            BulkAction::Label => BindingEdit::AddLabel(label()?),
            BulkAction::Unlabel => BindingEdit::RemoveLabel(label()?),
        })
    }

    fn filter(&mut self) -> Result<BindingFilter, Problem> {
        let limit = u32::try_from(BULK_MAX).unwrap_or(u32::MAX);
        match (self.ids.take(), self.filter.take()) {
            (Some(ids), None) if ids.is_empty() || ids.len() > BULK_MAX => Err(Problem::field(
                "ids",
                format!("It must hold 1 to {BULK_MAX} ids."),
            )),
            (Some(ids), None) => Ok(BindingFilter {
                ids: Some(ids.into_iter().map(BindingId).collect()),
                limit,
                ..BindingFilter::default()
            }),
            (None, Some(query)) => query.filter_alone(limit),
            (None, None) => Err(Problem::field("ids", "It is required, or 'filter' in its place.")),
            (Some(_), Some(_)) => Err(Problem::field("filter", "Give it or 'ids', not both.")),
        }
    }
}

/// Whether the change would leave the binding as it is.
fn is_done(edit: &BindingEdit, record: &BindingRecord) -> bool {
    match edit {
        BindingEdit::Ban { reason, expires_at } => {
            record.binding.status == BindingStatus::Banned
                && record.ban_reason == *reason
                && record.ban_expires_at == *expires_at
        }
        BindingEdit::Unban => record.binding.status == BindingStatus::Active,
        BindingEdit::AddLabel(_) | BindingEdit::RemoveLabel(_) => {
            edit.labels_after(&record.remarks.labels).as_ref() == Some(&record.remarks.labels)
        }
        BindingEdit::Unbind | BindingEdit::Networks(_) | BindingEdit::Remarks { .. } => false,
    }
}

/// `POST /admin/api/bindings/bulk`.
#[utoipa::path(
    post,
    path = "/admin/api/bindings/bulk",
    summary = "Changes many bindings alike, or says what that would do.",
    request_body = Bulk,
    responses((status = 200, description = "What was done, or would be.", body = BulkDone)),
    extensions(("x-problems" = json!(["selection_changed"])))
)]
pub(super) async fn bulk(
    State(admin): State<Arc<Admin>>,
    caller: SignedIn,
    JsonBody(mut body): JsonBody<Bulk>,
) -> Result<Json<BulkDone>, Problem> {
    let edit = body.edit(&admin)?;
    let filter = body.filter()?;
    let counted = admin.bindings.count_some(filter.clone()).await?;
    let found = admin.bindings.list(filter).await?;
    let mut done = BulkDone {
        matched: found.len(),
        dry_run: body.dry_run,
        has_more: counted.counts.total() > found.len() as u64,
        ..BulkDone::default()
    };
    let (unchanged, others): (Vec<_>, Vec<_>) = found.into_iter().partition(|record| is_done(&edit, record));
    done.unchanged = unchanged.len();
    if body.expected.is_some_and(|expected| expected != others.len()) {
        let detail = format!(
            "It would change {} bindings by now, and none was changed; look again with 'dry_run'.",
            others.len()
        );
        return Err(Problem::new(Code::SelectionChanged, detail));
    }
    if body.dry_run {
        done.changed = others.len();
    } else {
        let actor = caller.actor(admin.clock.now());
        let until = Instant::now() + BULK_TIME_MAX;
        let ended = carry_out(&*admin.bindings, others, &edit, &actor, until, &mut done).await;
        if let Err(error) = ended
            && done.changed == 0
        {
            // Nothing was done: an answer that may come again must not say that this is how it ended.
            return Err(error.into());
        }
    }
    Ok(Json(done))
}

/// Goes on until the store fails; what it did not get to, the answer calls more.
async fn carry_out(
    bindings: &dyn BindingAdmin,
    records: Vec<BindingRecord>,
    edit: &BindingEdit,
    actor: &Actor,
    until: Instant,
    done: &mut BulkDone,
) -> Result<(), StoreError> {
    for BindingRecord { binding, .. } in records {
        if Instant::now() >= until {
            done.has_more = true;
            return Ok(());
        }
        let edited = bindings.edit(binding.id, edit.clone(), Some(binding.version), actor.clone());
        match edited.await {
            Ok(Edited::Done(_)) => done.changed += 1,
            Ok(Edited::Outdated(_) | Edited::Missing) => done.failed += 1,
            Err(error) => {
                tracing::warn!(%error, binding = binding.id.0, "a change of many bindings stopped here");
                done.failed += 1;
                done.has_more = true;
                return Err(error);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! `/admin/api/bindings`: looking at bindings and changing them. Every change is written down by the store in the same
//! transaction. A row never carries the key's fingerprint.

mod bulk;
mod changes;
mod create;
mod history;
mod query;
mod view;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::{Access, Route};
use crate::auth::permission::Permission;
use crate::extract::{BindingIdInPath, QueryString};
use crate::page;
use crate::parts::Admin;
use crate::problem::Problem;
use query::BindingQuery;
pub(super) use view::BindingView;

pub(super) fn routes() -> Vec<Route> {
    let read = Access::Needs(Permission::BindingsRead);
    let change = Access::Needs(Permission::BindingsChange);
    vec![
        Route::get("/admin/api/bindings", read, list),
        Route::get("/admin/api/bindings/counts", read, counts),
        Route::get("/admin/api/bindings/{id}", read, show),
        Route::get("/admin/api/bindings/{id}/history", read, history::history),
        Route::post("/admin/api/bindings", change, create::create).answered_once(),
        Route::post("/admin/api/bindings/bulk", change, bulk::bulk).answered_once(),
        Route::patch("/admin/api/bindings/{id}", change, changes::set_remarks).answered_once(),
        Route::post("/admin/api/bindings/unbind", change, changes::unbind).answered_once(),
        Route::post("/admin/api/bindings/ban", change, changes::ban).answered_once(),
        Route::post("/admin/api/bindings/unban", change, changes::unban).answered_once(),
        Route::put("/admin/api/bindings/ip", change, changes::set_networks).answered_once(),
    ]
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(
    list,
    counts,
    show,
    history::history,
    create::create,
    bulk::bulk,
    changes::set_remarks,
    changes::unbind,
    changes::ban,
    changes::unban,
    changes::set_networks
))]
pub(super) struct Documented;

/// One page of bindings.
#[derive(Serialize, utoipa::ToSchema)]
struct BindingsPage {
    items: Vec<BindingView>,
    /// With the newest first, the `before` of the next page; none on the last one.
    next_before: Option<i64>,
    /// The `after` of the next page in the same order; none on the last one.
    next_after: Option<String>,
}

/// `GET /admin/api/bindings`.
#[utoipa::path(
    get,
    path = "/admin/api/bindings",
    summary = "Lists bindings, newest first unless asked otherwise.",
    params(BindingQuery),
    responses((status = 200, description = "One page.", body = BindingsPage))
)]
async fn list(
    State(admin): State<Arc<Admin>>,
    QueryString(query): QueryString<BindingQuery>,
) -> Result<Json<BindingsPage>, Problem> {
    let limit = page::limit(query.limit.as_deref())?;
    let (filter, place) = query.page(limit.with_one_more())?;
    let rows = admin.bindings.list_ordered(filter, place).await?;
    let (rows, has_more) = limit.cut(rows);
    let last = rows.last().filter(|_| has_more);
    let next_after = last.map(|row| query::cursor_text(place.order, row));
    let is_newest = place.order == sentinel_core::ports::BindingOrder::Newest;
    let next_before = last.filter(|_| is_newest).map(|row| row.binding.id.0);
    Ok(Json(BindingsPage {
        items: rows.into_iter().map(BindingView::from).collect(),
        next_before,
        next_after,
    }))
}

/// How many bindings a filter lets through.
#[derive(Serialize, utoipa::ToSchema)]
struct BindingCountsView {
    total: u64,
    active: u64,
    banned: u64,
    /// False when there are more than are ever counted.
    is_exact: bool,
}

/// `GET /admin/api/bindings/counts`.
#[utoipa::path(
    get,
    path = "/admin/api/bindings/counts",
    summary = "Counts bindings by status, under the same filter as the list.",
    params(BindingQuery),
    responses((status = 200, description = "How many there are.", body = BindingCountsView))
)]
async fn counts(
    State(admin): State<Arc<Admin>>,
    QueryString(query): QueryString<BindingQuery>,
) -> Result<Json<BindingCountsView>, Problem> {
    let (filter, _) = query.page(0)?;
    let counted = admin.bindings.count_some(filter).await?;
    Ok(Json(BindingCountsView {
        total: counted.counts.total(),
        active: counted.counts.active,
        banned: counted.counts.banned,
        is_exact: counted.is_exact,
    }))
}

/// `GET /admin/api/bindings/{id}`.
#[utoipa::path(
    get,
    path = "/admin/api/bindings/{id}",
    summary = "Shows one binding.",
    params(("id" = i64, Path)),
    responses((status = 200, description = "The binding as it is now.", body = BindingView)),
    extensions(("x-problems" = json!(["binding_not_found"])))
)]
async fn show(
    State(admin): State<Arc<Admin>>,
    BindingIdInPath(id): BindingIdInPath,
) -> Result<Json<BindingView>, Problem> {
    let record = admin.bindings.show(id).await?;
    record
        .map(|record| Json(record.into()))
        .ok_or_else(Problem::binding_not_found)
}

#[cfg(test)]
mod tests;

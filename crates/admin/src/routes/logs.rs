//! `/admin/api/logs`: the audit log of refused and observed requests, newest first.

mod explanation;
mod export;
mod query;
mod tail;
mod view;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::{Access, Route};
use crate::auth::permission::Permission;
use crate::extract::QueryString;
use crate::page::{self, Page};
use crate::parts::Admin;
use crate::problem::Problem;
pub(crate) use export::EXPORTS_MAX;
use query::LogQuery;
pub(super) use view::InterceptView;

pub(super) fn routes() -> Vec<Route> {
    let read = Access::Needs(Permission::LogsRead);
    vec![
        Route::get("/admin/api/logs", read, list),
        Route::get("/admin/api/logs/export", read, export::export),
        Route::get("/admin/api/logs/tail", read, tail::tail),
        Route::get(
            "/admin/api/logs/by-reference/{reference}",
            read,
            explanation::by_reference,
        ),
    ]
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(list, export::export, tail::tail, explanation::by_reference))]
pub(super) struct Documented;

/// `GET /admin/api/logs`.
#[utoipa::path(
    get,
    path = "/admin/api/logs",
    summary = "Lists refused and observed requests, newest first.",
    params(LogQuery),
    responses((status = 200, description = "One page.", body = Page<InterceptView>))
)]
async fn list(
    State(admin): State<Arc<Admin>>,
    QueryString(query): QueryString<LogQuery>,
) -> Result<Json<Page<InterceptView>>, Problem> {
    query.is_no_export()?;
    let limit = page::limit(query.limit.as_deref())?;
    let filter = query.filter(limit.with_one_more())?;
    let rows = admin.intercepts.list(filter).await?;
    Ok(Json(limit.page(rows, |row| row.id, InterceptView::from)))
}

#[cfg(test)]
mod tests;

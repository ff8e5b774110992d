//! `/admin/api/diagnostics/…`: what operators ask when something is not as they expect. One question is one file. Nothing is changed by asking.

mod address;
mod checks;
mod explain;
mod upstream;

use super::{Access, Route};
use crate::auth::permission::Permission;

pub(super) fn routes() -> Vec<Route> {
    let run = Access::Needs(Permission::DiagnosticsRun);
    vec![
        Route::get("/admin/api/diagnostics/address", run, address::address),
        Route::get("/admin/api/diagnostics/checks", run, checks::checks),
        Route::post("/admin/api/diagnostics/explain", run, explain::explain),
        Route::post("/admin/api/diagnostics/upstream", run, upstream::upstream),
    ]
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(address::address, checks::checks, explain::explain, upstream::upstream))]
pub(super) struct Documented;

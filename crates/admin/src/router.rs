//! Puts the listener together from the table of routes. A route is public or needs a permission by its place in the
//! table, so none can be added without that choice.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use tower_http::catch_panic::CatchPanicLayer;

use crate::answers::answer_once;
use crate::console;
use crate::extract::BODY_BYTES_MAX;
use crate::middleware::{Guard, after_panic, identify, limit_time, locate, require, secure};
use crate::parts::{Admin, AdminParts};
use crate::problem::{Code, Problem};
use crate::routes::{self, Access};

/// Builds the admin listener's router. Serve it with [`crate::serve`], which tells handlers the peer's address.
pub fn router(parts: AdminParts) -> Router {
    let admin = Arc::new(Admin::from(parts));
    let mut router = Router::new();
    for route in routes::all() {
        let handler = if route.is_answered_once {
            let once = from_fn_with_state(Arc::clone(&admin), answer_once);
            route.handler.route_layer(once)
        } else {
            route.handler
        };
        let handler = match route.access {
            Access::Public => handler,
            Access::Needs(permission) => {
                let guard = Guard {
                    admin: Arc::clone(&admin),
                    permission,
                };
                handler.route_layer(from_fn_with_state(guard, require))
            }
        };
        router = router.route(route.path, handler);
    }
    router
        .merge(console::routes())
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(Arc::clone(&admin), locate))
        .layer(from_fn(limit_time))
        .layer(CatchPanicLayer::custom(after_panic))
        .layer(from_fn(secure))
        .layer(from_fn(identify))
        .with_state(admin)
}

async fn not_found() -> Problem {
    Problem::new(Code::NotFound, "The API is under /admin/api/.")
}

async fn method_not_allowed() -> Problem {
    Problem::new(
        Code::MethodNotAllowed,
        "The Allow header names the methods that it answers.",
    )
}

#[cfg(test)]
mod tests;

//! All routes, in one table: path, method, who may call it, handler. One resource is one file beside this one.

use std::convert::Infallible;
use std::sync::Arc;

use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};
use utoipa::OpenApi as _;

use crate::auth::permission::Permission;
use crate::parts::Admin;

mod account;
mod administrators;
mod alert_links;
mod alerts;
mod audit;
mod bindings;
mod dashboard;
mod diagnostics;
mod health;
mod login;
mod logs;
mod metrics;
mod oidc;
mod openapi;
mod session;
mod sessions;
mod settings;
mod tokens;

pub(crate) use logs::EXPORTS_MAX;
pub use logs::LogFormat;

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody who reaches the listener.
    Public,
    /// Callers who have the permission.
    Needs(Permission),
}

/// One route.
pub(crate) struct Route {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) access: Access,
    pub(crate) handler: MethodRouter<Arc<Admin>, Infallible>,
    /// Whether a request that comes again with the same `Idempotency-Key` gets its first answer again.
    pub(crate) is_answered_once: bool,
}

impl Route {
    /// Takes an `Idempotency-Key`.
    fn answered_once(self) -> Self {
        Self {
            is_answered_once: true,
            ..self
        }
    }

    fn get<T: 'static>(path: &'static str, access: Access, handler: impl Handler<T, Arc<Admin>>) -> Self {
        Self {
            method: "GET",
            path,
            access,
            handler: on(MethodFilter::GET, handler),
            is_answered_once: false,
        }
    }

    fn post<T: 'static>(path: &'static str, access: Access, handler: impl Handler<T, Arc<Admin>>) -> Self {
        Self {
            method: "POST",
            path,
            access,
            handler: on(MethodFilter::POST, handler),
            is_answered_once: false,
        }
    }

    fn put<T: 'static>(path: &'static str, access: Access, handler: impl Handler<T, Arc<Admin>>) -> Self {
        Self {
            method: "PUT",
            path,
            access,
            handler: on(MethodFilter::PUT, handler),
            is_answered_once: false,
        }
    }

    fn patch<T: 'static>(path: &'static str, access: Access, handler: impl Handler<T, Arc<Admin>>) -> Self {
        Self {
            method: "PATCH",
            path,
            access,
            handler: on(MethodFilter::PATCH, handler),
            is_answered_once: false,
        }
    }

    fn delete<T: 'static>(path: &'static str, access: Access, handler: impl Handler<T, Arc<Admin>>) -> Self {
        Self {
            method: "DELETE",
            path,
            access,
            handler: on(MethodFilter::DELETE, handler),
            is_answered_once: false,
        }
    }
}

/// Every route of the listener.
pub(crate) fn all() -> Vec<Route> {
    [
        health::routes(),
        metrics::routes(),
        login::routes(),
        oidc::routes(),
        session::routes(),
        sessions::routes(),
        account::routes(),
        administrators::routes(),
        tokens::routes(),
        dashboard::routes(),
        bindings::routes(),
        logs::routes(),
        audit::routes(),
        settings::routes(),
        alerts::routes(),
        alert_links::routes(),
        diagnostics::routes(),
        openapi::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What the handlers say of themselves, by the resource that they belong to.
pub(crate) fn documents() -> Vec<(&'static str, utoipa::openapi::OpenApi)> {
    vec![
        ("health", health::Documented::openapi()),
        ("metrics", metrics::Documented::openapi()),
        ("login", login::Documented::openapi()),
        ("oidc", oidc::Documented::openapi()),
        ("dashboard", dashboard::Documented::openapi()),
        ("bindings", bindings::Documented::openapi()),
        ("logs", logs::Documented::openapi()),
        ("audit", audit::Documented::openapi()),
        ("settings", settings::Documented::openapi()),
        ("alerts", alerts::Documented::openapi()),
        ("session", session::Documented::openapi()),
        ("sessions", sessions::Documented::openapi()),
        ("account", account::Documented::openapi()),
        ("administrators", administrators::Documented::openapi()),
        ("tokens", tokens::Documented::openapi()),
        ("diagnostics", diagnostics::Documented::openapi()),
        ("openapi", openapi::Documented::openapi()),
    ]
}

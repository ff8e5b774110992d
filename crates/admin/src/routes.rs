//! All routes, in one table: path, method, who may call it, handler. One resource is one file beside this one.

use std::convert::Infallible;
use std::sync::Arc;

use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};

use crate::parts::Admin;

mod alerts;
mod bindings;
mod dashboard;
mod health;
mod login;
mod logs;
mod metrics;
mod settings;

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody who reaches the listener.
    Public,
    /// Callers with a good token.
    SignedIn,
}

/// One route.
pub(crate) struct Route {
    #[cfg_attr(not(test), expect(dead_code, reason = "tests call every route by it"))]
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) access: Access,
    pub(crate) handler: MethodRouter<Arc<Admin>, Infallible>,
}

impl Route {
    fn get<T: 'static>(path: &'static str, access: Access, handler: impl Handler<T, Arc<Admin>>) -> Self {
        Self {
            method: "GET",
            path,
            access,
            handler: on(MethodFilter::GET, handler),
        }
    }

    fn post<T: 'static>(path: &'static str, access: Access, handler: impl Handler<T, Arc<Admin>>) -> Self {
        Self {
            method: "POST",
            path,
            access,
            handler: on(MethodFilter::POST, handler),
        }
    }

    fn put<T: 'static>(path: &'static str, access: Access, handler: impl Handler<T, Arc<Admin>>) -> Self {
        Self {
            method: "PUT",
            path,
            access,
            handler: on(MethodFilter::PUT, handler),
        }
    }
}

/// Every route of the listener.
pub(crate) fn all() -> Vec<Route> {
    [
        health::routes(),
        metrics::routes(),
        login::routes(),
        dashboard::routes(),
        bindings::routes(),
        logs::routes(),
        settings::routes(),
        alerts::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

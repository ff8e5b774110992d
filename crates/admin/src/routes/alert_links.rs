//! `/admin/ui/alerts/act`: the page that a link in an alert's message leads to. It shows what the link would do, and does it when
//! somebody gives a name and confirms.
//!
//! The link is the permission: it is signed, works once, and expires. Must never act on a GET, for chat platforms open links to preview them,
//! and needs no script.

mod page;

use std::sync::Arc;

use axum::extract::{RawForm, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sentinel_core::event::{Actor, printable};
use serde::Deserialize;

use super::{Access, Route};
use crate::alerts::{LinkRefused, LinkedAction};
use crate::extract::{CallerIp, QueryString};
use crate::parts::Admin;
use page::{Language, Outcome};

const PATH: &str = "/admin/ui/alerts/act";
const STYLE_PATH: &str = "/admin/ui/alerts/act.css";
/// The most characters of the name that whoever confirms gives.
const NAME_CHARACTERS_MAX: usize = 64;
/// The page loads its style from here, and sends its form to here.
const CONTENT_SECURITY_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get(PATH, Access::Public, show),
        Route::post(PATH, Access::Public, follow),
        Route::get(STYLE_PATH, Access::Public, style),
    ]
}

#[derive(Deserialize)]
struct Link {
    #[serde(default)]
    token: String,
}

#[derive(Deserialize)]
struct Confirmation {
    #[serde(default)]
    token: String,
    #[serde(default)]
    name: String,
}

/// `GET /admin/ui/alerts/act?token=`: what the link would do.
async fn show(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    QueryString(link): QueryString<Link>,
) -> Response {
    let language = Language::of(&headers);
    match admin.alerts.linked_action(&link.token, admin.clock.now()).await {
        Ok(action) => answer(StatusCode::OK, language, &Outcome::Asked(&action, &link.token)),
        Err(refused) => refusal(language, &refused),
    }
}

/// `POST /admin/ui/alerts/act`: does it. The form carries the token and who confirms.
async fn follow(
    State(admin): State<Arc<Admin>>,
    CallerIp(client_ip): CallerIp,
    headers: HeaderMap,
    RawForm(form): RawForm,
) -> Response {
    let language = Language::of(&headers);
    let Ok(Confirmation { token, name }) = serde_urlencoded::from_bytes(&form) else {
        return refusal(language, &LinkRefused::Forged);
    };
    let now = admin.clock.now();
    let name = printable(name.trim().as_bytes(), NAME_CHARACTERS_MAX);
    if name.is_empty() {
        return match admin.alerts.linked_action(&token, now).await {
            Ok(action) => answer(
                StatusCode::UNPROCESSABLE_ENTITY,
                language,
                &Outcome::Asked(&action, &token),
            ),
            Err(refused) => refusal(language, &refused),
        };
    }
    let actor = Actor {
        // What the account of an administrator is called has no such prefix.
        name: format!("link: {name}"),
        client_ip: Some(client_ip),
        at: now,
    };
    match admin.alerts.follow_link(&token, actor).await {
        Ok(action) => {
            tracing::info!(alert = %action.alert, action = ?action.action, %client_ip, "a link of an alert was followed");
            answer(StatusCode::OK, language, &Outcome::Done(&action))
        }
        Err(refused) => refusal(language, &refused),
    }
}

async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], page::STYLE).into_response()
}

fn refusal(language: Language, refused: &LinkRefused) -> Response {
    let status = match refused {
        LinkRefused::Forged => StatusCode::NOT_FOUND,
        LinkRefused::Expired | LinkRefused::Used => StatusCode::GONE,
        LinkRefused::Pointless => StatusCode::CONFLICT,
        LinkRefused::Store(error) => {
            tracing::warn!(%error, "a link of an alert could not be followed");
            StatusCode::SERVICE_UNAVAILABLE
        }
    };
    answer(status, language, &Outcome::Refused(refused))
}

fn answer(status: StatusCode, language: Language, outcome: &Outcome<'_>) -> Response {
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    ];
    (status, headers, page::render(language, outcome)).into_response()
}

#[cfg(test)]
mod tests;

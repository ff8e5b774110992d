//! `/health`, `/livez` and `/readyz`: is the process up, and do its parts work?
//!
//! A caller hears which part fails; why is for the log alone, since these paths need no sign-in.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use futures_util::future::join_all;
use sentinel_core::ports::{Health, StoreError};
use serde::Serialize;
use tokio::time::{Instant, timeout};

use super::{Access, Route};
use crate::parts::Admin;
use crate::problem::{Code, PartHealth, Problem};

/// So long a part may take to say that it works.
const CHECK_TIME_MAX: Duration = Duration::from_secs(2);

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/health", Access::Public, health),
        Route::get("/livez", Access::Public, livez),
        Route::get("/readyz", Access::Public, ready),
    ]
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(health, livez, ready))]
pub(super) struct Documented;

#[derive(Serialize, utoipa::ToSchema)]
struct Alive {
    status: &'static str,
}

#[derive(Serialize, utoipa::ToSchema)]
struct Ready {
    status: &'static str,
    parts: Vec<PartHealth>,
}

/// Says that the process answers.
#[utoipa::path(
    get,
    path = "/health",
    summary = "Says that the process answers.",
    responses((status = 200, description = "It does.", body = Alive))
)]
async fn health() -> Json<Alive> {
    Json(Alive { status: "ok" })
}

/// Says that the process answers.
#[utoipa::path(
    get,
    path = "/livez",
    summary = "Says that the process answers.",
    responses((status = 200, description = "It does.", body = Alive))
)]
async fn livez() -> Json<Alive> {
    health().await
}

/// `GET /readyz`: every part that requests depend on works; one that they do without may be away.
#[utoipa::path(
    get,
    path = "/readyz",
    summary = "Says whether every part works that requests depend on.",
    responses((status = 200, description = "They all do; `degraded` when one is away that requests do without.", body = Ready)),
    extensions(("x-problems" = json!(["not_ready"])))
)]
async fn ready(State(admin): State<Arc<Admin>>) -> Response {
    let parts = check_parts(&admin).await;
    let is_dispensable = |part: &PartHealth| {
        let names = admin.dispensable_health.iter().map(|(name, _)| *name);
        names.into_iter().any(|name| name == part.name)
    };
    if parts.iter().all(|part| part.ok || is_dispensable(part)) {
        let is_whole = parts.iter().all(|part| part.ok);
        let status = if is_whole { "ready" } else { "degraded" };
        return Json(Ready { status, parts }).into_response();
    }
    Problem::new(
        Code::NotReady,
        "The log says why. Requests are judged by what is still known.",
    )
    .parts(parts)
    .into_response()
}

/// How a part fares, for operators: nothing in it names a host or an account.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct CheckedPart {
    pub(super) name: &'static str,
    pub(super) ok: bool,
    /// One sentence.
    pub(super) detail: String,
}

impl From<&CheckedPart> for PartHealth {
    fn from(part: &CheckedPart) -> Self {
        Self {
            name: part.name,
            ok: part.ok,
        }
    }
}

/// Asks all parts at once.
async fn check_parts(admin: &Admin) -> Vec<PartHealth> {
    let parts = check_parts_in_detail(admin).await;
    parts.iter().map(PartHealth::from).collect()
}

/// Asks all parts at once.
pub(super) async fn check_parts_in_detail(admin: &Admin) -> Vec<CheckedPart> {
    join_all(
        admin
            .health
            .iter()
            .chain(&admin.dispensable_health)
            .map(|(name, health)| check_part(name, health.as_ref())),
    )
    .await
}

async fn check_part(name: &'static str, health: &dyn Health) -> CheckedPart {
    let asked_at = Instant::now();
    let detail = match timeout(CHECK_TIME_MAX, health.check()).await {
        Ok(Ok(())) => {
            let milliseconds = asked_at.elapsed().as_millis();
            return CheckedPart {
                name,
                ok: true,
                detail: format!("It answered within {} ms.", milliseconds + 1),
            };
        }
        Ok(Err(error)) => {
            tracing::warn!(part = name, %error, "a part does not work");
            match error {
                StoreError::Busy => "It is busy: more work waits than it takes.".to_owned(),
                StoreError::Unavailable(_) => "It cannot be used just now; the log says why.".to_owned(),
                StoreError::SecretOutdated => {
                    "This replica's HMAC secret is not the current one any more.".to_owned()
                }
                StoreError::Damaged(_) => "What it holds cannot be read; the log says what.".to_owned(),
            }
        }
        Err(_) => {
            let limit_s = CHECK_TIME_MAX.as_secs();
            tracing::warn!(part = name, limit_s, "a part does not answer");
            format!("It did not answer within {limit_s} s.")
        }
    };
    CheckedPart {
        name,
        ok: false,
        detail,
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use super::*;
    use crate::testing::{Console, FakeHealth};

    #[tokio::test]
    async fn health_and_livez_are_ok_while_the_process_runs() {
        let console = Console::new();
        for path in ["/health", "/livez"] {
            let answer = console.get_anonymously(path).await;
            assert_eq!(
                (answer.status, answer.body),
                (StatusCode::OK, json!({"status": "ok"}))
            );
        }
    }

    #[tokio::test]
    async fn readyz_names_the_part_that_fails_and_not_the_cause() {
        let cause = StoreError::Unavailable("connect to 10.0.0.1 as root".to_owned());
        let console = Console::with_health(vec![
            ("store", FakeHealth::Works),
            ("cache", FakeHealth::Fails(cause)),
        ]);
        let answer = console.get_anonymously("/readyz").await;
        answer.is_problem(StatusCode::SERVICE_UNAVAILABLE, "not_ready");
        assert_eq!(
            answer.body["parts"],
            json!([{"name": "store", "ok": true}, {"name": "cache", "ok": false}])
        );
        assert!(!answer.text.contains("10.0.0.1"), "{}", answer.text);
    }

    #[tokio::test]
    async fn readyz_is_ok_when_every_part_works() {
        let console = Console::with_health(vec![("store", FakeHealth::Works)]);
        let answer = console.get_anonymously("/readyz").await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(
            answer.body,
            json!({"status": "ready", "parts": [{"name": "store", "ok": true}]})
        );
    }

    #[tokio::test]
    async fn readyz_is_degraded_without_a_part_that_requests_do_without() {
        let away = FakeHealth::Fails(StoreError::Unavailable("connection refused".to_owned()));
        let mut console = Console::with_parts(vec![("store", FakeHealth::Works)], vec![("redis", away)]);
        let answer = console.get_anonymously("/readyz").await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(
            answer.body,
            json!({"status": "degraded", "parts": [{"name": "store", "ok": true}, {"name": "redis", "ok": false}]})
        );
        console = Console::with_parts(
            vec![("store", FakeHealth::Hangs)],
            vec![("redis", FakeHealth::Works)],
        );
        let answer = console.get_anonymously("/readyz").await;
        answer.is_problem(StatusCode::SERVICE_UNAVAILABLE, "not_ready");
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_never_answers_fails_at_the_bound() {
        let console = Console::with_health(vec![("store", FakeHealth::Hangs)]);
        let asked_at = Instant::now();
        let answer = console.get_anonymously("/readyz").await;
        answer.is_problem(StatusCode::SERVICE_UNAVAILABLE, "not_ready");
        let waited = asked_at.elapsed();
        assert!(
            waited >= CHECK_TIME_MAX && waited < CHECK_TIME_MAX * 2,
            "{waited:?}"
        );
    }
}

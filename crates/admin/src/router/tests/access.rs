//! Every route, called by everybody who must not get through: without a token, with one that is expired, forged, or of a lesser role.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use sentinel_core::account::Role;
use sentinel_core::network::PeerAddr;
use serde_json::{Value, json};

use crate::TOKEN_LIFE_DEFAULT;
use crate::auth::permission::Permission;
use crate::routes::{self, Access};
use crate::testing::{Console, SECRET, USERNAME, ip};

/// Every route, and what it takes to call it; empty for everybody.
const ROUTES: [(&str, &str); 61] = [
    ("DELETE /admin/api/account/second-factor", "account.own"),
    ("DELETE /admin/api/administrators/{id}", "administrators.manage"),
    ("DELETE /admin/api/sessions/{id}", "sessions.own"),
    ("DELETE /admin/api/tokens/{id}", "tokens.manage"),
    ("GET /admin/api/administrators", "administrators.manage"),
    ("GET /admin/api/alerts", "alerts.read"),
    ("GET /admin/api/alerts/channels", "alerts.read"),
    ("GET /admin/api/alerts/deliveries", "alerts.read"),
    ("GET /admin/api/audit", "audit.read"),
    ("GET /admin/api/audit/verify", "audit.read"),
    ("GET /admin/api/bindings", "bindings.read"),
    ("GET /admin/api/bindings/counts", "bindings.read"),
    ("GET /admin/api/bindings/{id}", "bindings.read"),
    ("GET /admin/api/bindings/{id}/history", "bindings.read"),
    ("GET /admin/api/dashboard", "dashboard.read"),
    ("GET /admin/api/diagnostics/address", "diagnostics.run"),
    ("GET /admin/api/diagnostics/checks", "diagnostics.run"),
    ("GET /admin/api/logs", "logs.read"),
    ("GET /admin/api/logs/by-reference/{reference}", "logs.read"),
    ("GET /admin/api/logs/export", "logs.read"),
    ("GET /admin/api/logs/tail", "logs.read"),
    ("GET /admin/api/oidc", ""),
    ("GET /admin/api/oidc/callback", ""),
    ("GET /admin/api/oidc/start", ""),
    ("GET /admin/api/openapi.json", ""),
    ("GET /admin/api/session", "sessions.own"),
    ("GET /admin/api/sessions", "sessions.own"),
    ("GET /admin/api/settings", "settings.read"),
    ("GET /admin/api/settings/history", "settings.read"),
    ("GET /admin/api/tokens", "tokens.manage"),
    ("GET /admin/ui/alerts/act", ""),
    ("GET /admin/ui/alerts/act.css", ""),
    ("GET /health", ""),
    ("GET /livez", ""),
    ("GET /metrics", ""),
    ("GET /readyz", ""),
    ("PATCH /admin/api/administrators/{id}", "administrators.manage"),
    ("PATCH /admin/api/bindings/{id}", "bindings.change"),
    ("POST /admin/api/account/second-factor", "account.own"),
    ("POST /admin/api/account/second-factor/confirm", "account.own"),
    ("POST /admin/api/administrators", "administrators.manage"),
    (
        "POST /admin/api/administrators/{id}/reset-password",
        "administrators.manage",
    ),
    (
        "POST /admin/api/administrators/{id}/reset-second-factor",
        "administrators.manage",
    ),
    ("POST /admin/api/alerts/deliveries/retry", "alerts.change"),
    ("POST /admin/api/alerts/test", "alerts.change"),
    ("POST /admin/api/bindings", "bindings.change"),
    ("POST /admin/api/bindings/ban", "bindings.change"),
    ("POST /admin/api/bindings/bulk", "bindings.change"),
    ("POST /admin/api/bindings/unban", "bindings.change"),
    ("POST /admin/api/bindings/unbind", "bindings.change"),
    ("POST /admin/api/diagnostics/explain", "diagnostics.run"),
    ("POST /admin/api/diagnostics/upstream", "diagnostics.run"),
    ("POST /admin/api/login", ""),
    ("POST /admin/api/session/end", "sessions.own"),
    ("POST /admin/api/session/refresh", ""),
    ("POST /admin/api/settings/rollback", "settings.change"),
    ("POST /admin/api/tokens", "tokens.manage"),
    ("POST /admin/ui/alerts/act", ""),
    ("PUT /admin/api/account/password", "account.own"),
    ("PUT /admin/api/bindings/ip", "bindings.change"),
    ("PUT /admin/api/settings", "settings.change"),
];

/// Those that take a permission, each with the least role that has it.
pub(super) fn protected() -> impl Iterator<Item = (&'static str, Role)> {
    ROUTES.into_iter().filter_map(|(name, permission)| {
        let mut all = Permission::ALL.into_iter();
        let permission = all.find(|known| known.name() == permission)?;
        Some((name, permission.least_role()))
    })
}

pub(super) fn call_of(name: &str) -> (Method, String) {
    let (method, path) = name.split_once(' ').expect("method and path");
    (method.parse().expect("a method"), path.replace("{id}", "1"))
}

#[test]
fn every_route_is_in_the_list_of_permissions() {
    let there: BTreeSet<(String, &str)> = routes::all()
        .into_iter()
        .map(|route| {
            let permission = match route.access {
                Access::Public => "",
                Access::Needs(permission) => permission.name(),
            };
            (format!("{} {}", route.method, route.path), permission)
        })
        .collect();
    let expected = ROUTES
        .into_iter()
        .map(|(name, permission)| (name.to_owned(), permission))
        .collect();
    assert_eq!(there, expected);
    let public = ROUTES.iter().filter(|(_, permission)| permission.is_empty());
    assert_eq!(
        protected().count() + public.count(),
        ROUTES.len(),
        "every permission in the list is one"
    );
}

/// Tokens that must open nothing.
fn bad_tokens(good: &str) -> Vec<(&'static str, String)> {
    let sign = |secret: &[u8], algorithm, session: &str, is_alone: bool, name: &str| {
        let now = 1_800_000_000;
        let claims = json!({"iss": "sentinel", "aud": "sentinel-admin", "sub": name, "iat": now, "nbf": now,
            "exp": now + 60, "sid": session, "role": "owner", "alone": is_alone});
        jsonwebtoken::encode(
            &Header::new(algorithm),
            &claims,
            &EncodingKey::from_secret(secret),
        )
        .expect("signs")
    };
    let parts: Vec<&str> = good.split('.').collect();
    let unknown = "ab".repeat(16);
    // {"alg":"none","typ":"JWT"}
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    vec![
        ("no algorithm", format!("{none}.{}.", parts[1])),
        (
            "no algorithm, a signature",
            format!("{none}.{}.{}", parts[1], parts[2]),
        ),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        (
            "another secret",
            sign(&[1; 32], Algorithm::HS256, &unknown, true, USERNAME),
        ),
        (
            "another algorithm",
            sign(&SECRET, Algorithm::HS384, &unknown, true, USERNAME),
        ),
        (
            "a session that is none",
            sign(&SECRET, Algorithm::HS256, &unknown, false, USERNAME),
        ),
        (
            "no session, for another account",
            sign(&SECRET, Algorithm::HS256, &unknown, true, "owner"),
        ),
        ("a program's, unknown", format!("sentinel_{}", "A".repeat(43))),
        ("a program's, endless", format!("sentinel_{}", "A".repeat(4_000))),
        ("nonsense", "nonsense".to_owned()),
        ("empty", String::new()),
    ]
}

#[tokio::test]
async fn no_protected_route_answers_without_a_good_token() {
    let console = Console::new();
    for (name, _) in protected() {
        let good = console.token().await;
        let (method, path) = call_of(name);
        let answer = console.call(method.clone(), &path, None, &Value::Null).await;
        answer.is_problem(StatusCode::UNAUTHORIZED, "sign_in_required");
        assert_eq!(
            answer.headers[header::WWW_AUTHENTICATE],
            "Bearer realm=\"sentinel-admin\""
        );
        for (flaw, token) in bad_tokens(&good) {
            let answer = console
                .call(method.clone(), &path, Some(&token), &Value::Null)
                .await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{name}: {flaw}");
        }
        let answer = console.call(method, &path, Some(&good), &Value::Null).await;
        assert_ne!(
            answer.status,
            StatusCode::UNAUTHORIZED,
            "{name}: a good token opens it"
        );
    }
    let old = console.token().await;
    console.clock.advance(TOKEN_LIFE_DEFAULT);
    for (name, _) in protected() {
        let (method, path) = call_of(name);
        let answer = console.call(method, &path, Some(&old), &Value::Null).await;
        answer.is_problem(StatusCode::UNAUTHORIZED, "sign_in_required");
    }
}

#[tokio::test]
async fn no_protected_route_answers_a_lesser_role() {
    let console = Console::new();
    for (name, least) in protected() {
        let (method, path) = call_of(name);
        for role in Role::ALL {
            let token = console.token_of(role).await;
            let answer = console
                .call(method.clone(), &path, Some(&token), &Value::Null)
                .await;
            if role < least {
                answer.is_problem(StatusCode::FORBIDDEN, "permission_denied");
            } else {
                let code = &answer.body["type"];
                assert_ne!(code, "urn:sentinel:problem:permission_denied", "{name}: {role:?}");
                assert_ne!(code, "urn:sentinel:problem:sign_in_required", "{name}: {role:?}");
            }
        }
    }
}

#[tokio::test]
async fn callers_behind_the_trusted_proxy_are_told_apart_and_others_are_not_believed() {
    let console = Console::new();
    let login = async |peer: [u8; 4], header: Option<&str>| {
        let mut request = Request::post("/admin/api/login").header(header::CONTENT_TYPE, "application/json");
        if let Some(header) = header {
            request = request.header("x-real-ip", header);
        }
        let body = json!({"username": USERNAME, "password": "wrong"}).to_string();
        let mut request = request.body(Body::from(body)).expect("good");
        request
            .extensions_mut()
            .insert(PeerAddr(SocketAddr::from((peer, 50_000))));
        console.send(request).await;
        let stored = console.store.lock();
        stored
            .events
            .last()
            .and_then(|event| event.client_ip)
            .expect("written")
    };
    let proxy = [192, 0, 2, 80];
    for (peer, header, expected) in [
        (proxy, Some("203.0.113.5"), "203.0.113.5"),
        (proxy, Some("2001:db8::5"), "2001:db8::5"),
        (proxy, None, "192.0.2.80"),
        (proxy, Some("nonsense"), "192.0.2.80"),
        ([192, 0, 2, 81], Some("203.0.113.5"), "192.0.2.81"),
        ([192, 0, 2, 81], None, "192.0.2.81"),
    ] {
        assert_eq!(login(peer, header).await, ip(expected), "{peer:?} {header:?}");
    }
}

#[tokio::test]
async fn public_routes_answer_without_a_token() {
    let console = Console::new();
    for (name, _) in ROUTES.iter().filter(|(_, permission)| permission.is_empty()) {
        let (method, path) = call_of(name);
        let mut request = Request::builder().method(method).uri(path);
        if name.ends_with("/refresh") {
            // Its cookie is what it is public for.
            request = request.header("x-sentinel-console", "0");
        }
        let answer = console.send(request.body(Body::empty()).expect("good")).await;
        assert_ne!(
            answer.body["type"], "urn:sentinel:problem:sign_in_required",
            "{name}"
        );
    }
}

use axum::body::Body;
use http::Request;
use sentinel_core::account::external::{ExternalAdministrator, ExternalIdentity};
use sentinel_core::account::{Role, StoredPasswordHash};
use sentinel_core::attempts::FREE_FAILURES_PER_ACCOUNT_MAX;
use sentinel_core::ports::AccountStore as _;
use sentinel_core::time::Clock as _;
use sentinel_testkit::SigningKey;
use serde_json::{Value, json};

use super::*;
use crate::oidc::FLOW_LIFE_MAX;
use crate::testing::oidc::{CallFault, FakeCalls, ISSUER, PUBLIC_URL, parts};
use crate::testing::{Answer as HttpAnswer, Console, PASSWORD, USERNAME};

mod answers;
mod outages;
mod tokens;

/// A console with a provider, and a browser in front of it.
struct Stage {
    console: Console,
    calls: Arc<FakeCalls>,
}

impl Stage {
    fn new() -> Self {
        Self::with_key(SigningKey::ec("first"))
    }

    fn with_key(key: SigningKey) -> Self {
        let calls = FakeCalls::new(key);
        Self {
            console: Console::with_provider(parts(Arc::clone(&calls))),
            calls,
        }
    }

    async fn get(&self, path: &str, cookie: &str) -> HttpAnswer {
        let request = Request::get(path).header(header::COOKIE, cookie);
        let request = request.header(header::USER_AGENT, "Browser/1");
        self.console
            .send(request.body(Body::empty()).expect("good"))
            .await
    }

    /// Where the browser is sent, and its cookie from then on.
    async fn start(&self, cookie: &str) -> (String, String) {
        let answer = self.get(START_PATH, cookie).await;
        assert_eq!(answer.status, StatusCode::FOUND, "{answer:?}");
        (location(&answer), answer.cookie())
    }

    async fn come_back(&self, (code, state): &(String, String), cookie: &str) -> HttpAnswer {
        let query = serde_urlencoded::to_string([("code", code), ("state", state)]).expect("a query");
        self.get(&format!("/admin/api/oidc/callback?{query}"), cookie)
            .await
    }

    /// The whole way, for somebody about whom the provider says this.
    async fn sign_in(&self, claims: &Value) -> HttpAnswer {
        let (url, cookie) = self.start("").await;
        let approved = self.calls.provider.approve(&url, claims);
        self.come_back(&approved, &cookie).await
    }

    /// What the console gets for the session that a sign-in gave.
    async fn session_of(&self, answer: &HttpAnswer) -> Value {
        assert_eq!(word(answer), DONE, "{answer:?}");
        let refreshed = self.console.refresh(&refresh_cookie(answer)).await;
        assert_eq!(refreshed.status, StatusCode::OK, "{refreshed:?}");
        refreshed.body
    }

    fn last_event(&self) -> AdminEvent {
        let stored = self.console.store.lock();
        stored.events.last().cloned().expect("written down")
    }

    fn events(&self) -> usize {
        self.console.store.lock().events.len()
    }
}

fn ann(groups: &[&str]) -> Value {
    json!({"sub": "7", "preferred_username": "ann", "groups": groups})
}

fn location(answer: &HttpAnswer) -> String {
    answer.headers[header::LOCATION]
        .to_str()
        .expect("text")
        .to_owned()
}

/// What the console's page is told.
fn word(answer: &HttpAnswer) -> String {
    assert_eq!(answer.status, StatusCode::FOUND, "{answer:?}");
    let location = location(answer);
    let word = location.strip_prefix(&format!("{PUBLIC_URL}{PAGE_PATH}?oidc="));
    word.unwrap_or_else(|| panic!("{location} is not the page"))
        .to_owned()
}

fn refresh_cookie(answer: &HttpAnswer) -> String {
    let mut set = answer.headers.get_all(header::SET_COOKIE).iter();
    let refresh = set.find_map(|value| {
        let text = value.to_str().expect("text");
        text.starts_with("sentinel_refresh=").then(|| text.to_owned())
    });
    let refresh = refresh.expect("a session");
    assert!(
        refresh.ends_with("; HttpOnly; SameSite=Strict; Secure"),
        "{refresh}"
    );
    refresh.split(';').next().expect("a pair").to_owned()
}

#[tokio::test]
async fn without_a_provider_there_is_nothing() {
    let console = Console::new();
    let answer = console.get_anonymously(PATH).await;
    assert_eq!(
        answer.body,
        json!({"is_on": false, "name": null, "start_url": null})
    );
    for path in [START_PATH, "/admin/api/oidc/callback?code=1&state=2"] {
        let answer = console.get_anonymously(path).await;
        answer.is_problem(StatusCode::NOT_FOUND, "not_found");
    }
}

#[tokio::test]
async fn whom_the_provider_vouches_for_comes_in_and_can_be_seen_and_ended() {
    let stage = Stage::with_key(SigningKey::rsa("first"));
    let answer = stage.get(PATH, "").await;
    let start_url = "https://sentinel.example/admin/api/oidc/start";
    assert_eq!(
        answer.body,
        json!({"is_on": true, "name": "Example", "start_url": start_url})
    );

    let answer = stage.sign_in(&ann(&["staff", "ops"])).await;
    let granted = stage.session_of(&answer).await;
    assert_eq!(
        granted["account"],
        json!({"name": "oidc:ann", "role": "operator"})
    );
    let token = granted["token"].as_str().expect("a token");
    let session = stage
        .console
        .call(http::Method::GET, "/admin/api/session", Some(token), &Value::Null);
    let session = session.await.body;
    assert_eq!(session["account"]["is_external"], true);
    assert_eq!(session["account"]["is_configured"], false);
    let event = stage.last_event();
    assert_eq!(
        (event.action.as_str(), event.actor.as_str()),
        ("login", "oidc:ann")
    );
    let detail: Value = serde_json::from_str(&event.detail).expect("JSON");
    let expected = json!({"method": "oidc", "issuer": ISSUER, "subject": "7", "role": "operator"});
    assert_eq!(detail, expected);

    let all = stage.console.get("/admin/api/administrators").await;
    assert_eq!(
        all.body["items"][1]["external"],
        json!({"issuer": ISSUER, "subject": "7"})
    );
    let sessions = stage.console.get("/admin/api/sessions").await.body;
    let own = sessions["items"].as_array().expect("a list").iter();
    let own: Vec<&Value> = own.filter(|session| session["account"] == "oidc:ann").collect();
    assert_eq!(own.len(), 1, "{sessions}");
    assert_eq!(own[0]["user_agent"], "Browser/1");
    let path = format!("/admin/api/sessions/{}", own[0]["id"].as_str().expect("an id"));
    let owner = stage.console.token().await;
    let ended = stage
        .console
        .call(http::Method::DELETE, &path, Some(&owner), &Value::Null)
        .await;
    assert_eq!(ended.status, StatusCode::NO_CONTENT);
    let after = stage
        .console
        .call(http::Method::GET, "/admin/api/session", Some(token), &Value::Null);
    after
        .await
        .is_problem(StatusCode::UNAUTHORIZED, "sign_in_required");
}

#[tokio::test]
async fn a_name_opens_no_other_account_and_no_password_opens_this_one() {
    let stage = Stage::new();
    stage.console.add_administrator(Role::Viewer).await;
    for (subject, name) in [("1", USERNAME), ("2", "viewer")] {
        let claims = json!({"sub": subject, "preferred_username": name, "groups": ["staff"]});
        let granted = stage.session_of(&stage.sign_in(&claims).await).await;
        let expected = json!({"name": format!("oidc:{name}"), "role": "viewer"});
        assert_eq!(granted["account"], expected);
        for password in ["", PASSWORD] {
            let answer = stage.console.login(&format!("oidc:{name}"), password).await;
            answer.is_problem(StatusCode::UNAUTHORIZED, "credentials_invalid");
        }
    }
    let own = stage.console.login("viewer", PASSWORD).await;
    assert_eq!(own.status, StatusCode::OK, "the local account is as it was");
    let all = stage.console.get("/admin/api/administrators").await.body;
    assert_eq!(all["items"].as_array().map(Vec::len), Some(4), "{all}");
}

#[tokio::test]
async fn nobody_without_a_mapped_value_gets_in_and_the_role_is_taken_anew() {
    let stage = Stage::new();
    for claims in [ann(&[]), ann(&["Staff"]), json!({"sub": "7"})] {
        assert_eq!(word(&stage.sign_in(&claims).await), "role_missing");
        let detail: Value = serde_json::from_str(&stage.last_event().detail).expect("JSON");
        assert_eq!(
            (&detail["reason"], &detail["subject"]),
            (&json!("role_missing"), &json!("7"))
        );
        assert_eq!(stage.last_event().actor, "unknown");
    }
    assert_eq!(stage.console.accounts.administrators().await, Ok(Vec::new()));

    let first = stage.session_of(&stage.sign_in(&ann(&["admins"])).await).await;
    assert_eq!(first["account"]["role"], "owner");
    let token = first["token"].as_str().expect("a token");
    let tokens = async || {
        let call = stage
            .console
            .call(http::Method::GET, "/admin/api/tokens", Some(token), &Value::Null);
        call.await.status
    };
    assert_eq!(tokens().await, StatusCode::OK);
    let second = stage.session_of(&stage.sign_in(&ann(&["staff"])).await).await;
    assert_eq!(second["account"]["role"], "viewer");
    assert_eq!(
        tokens().await,
        StatusCode::FORBIDDEN,
        "the earlier session has the new role, too"
    );

    let id = stage.console.accounts.administrators().await.expect("works")[0]
        .id
        .0;
    let path = format!("/admin/api/administrators/{id}");
    let owner = stage.console.token().await;
    let disable = json!({"is_disabled": true});
    let disabled = stage
        .console
        .call(http::Method::PATCH, &path, Some(&owner), &disable)
        .await;
    assert_eq!(disabled.status, StatusCode::OK, "{disabled:?}");
    assert_eq!(word(&stage.sign_in(&ann(&["admins"])).await), "account_disabled");
    let there = stage.console.accounts.administrators().await.expect("works");
    assert_eq!(there[0].role, Role::Viewer, "nothing about it has changed");
}

#[tokio::test]
async fn what_the_provider_decides_is_not_changed_here() {
    let stage = Stage::new();
    let granted = stage.session_of(&stage.sign_in(&ann(&["admins"])).await).await;
    let own = granted["token"].as_str().expect("a token");
    let id = stage.console.accounts.administrators().await.expect("works")[0]
        .id
        .0;
    let of = |end: &str| format!("/admin/api/administrators/{id}{end}");
    let password = json!({"current": "x", "new": "a long enough password"});
    for (method, path, body) in [
        (
            http::Method::PUT,
            "/admin/api/account/password".to_owned(),
            password,
        ),
        (
            http::Method::POST,
            "/admin/api/account/second-factor".to_owned(),
            Value::Null,
        ),
        (http::Method::PATCH, of(""), json!({"role": "viewer"})),
        (
            http::Method::POST,
            of("/reset-password"),
            json!({"password": "a long enough password"}),
        ),
        (http::Method::POST, of("/reset-second-factor"), Value::Null),
    ] {
        let answer = stage.console.call(method, &path, Some(own), &body).await;
        answer.is_problem(StatusCode::FORBIDDEN, "account_not_changeable");
    }
    let found = stage.console.accounts.administrators().await.expect("works");
    assert_eq!(found[0].password, StoredPasswordHash::new(String::new()));
}

#[tokio::test]
async fn an_account_of_another_provider_is_nobodys() {
    let stage = Stage::new();
    let external = ExternalAdministrator {
        identity: ExternalIdentity::new("https://former.example", "7").expect("an identity"),
        shown_as: vec!["ann".to_owned()],
        role: Role::Owner,
    };
    let from = Actor {
        name: String::new(),
        client_ip: None,
        at: stage.console.clock.now(),
    };
    let admitted = stage.console.accounts.admit_external(external, from).await;
    assert!(
        matches!(admitted, Ok(AdministratorAdded::Done(_))),
        "{admitted:?}"
    );
    let id = sentinel_core::account::session::SessionId::from_bytes([9; 16]);
    stage.console.begin_session_of("oidc:ann", id).await;
    let session = stage
        .console
        .accounts
        .session(id, stage.console.clock.now())
        .await;
    let session = session.expect("works").expect("in force").session;
    let secret = crate::JwtSecret::new(crate::testing::SECRET).expect("long enough");
    let cookies = crate::auth::refresh::RefreshCookies::new(&secret);
    let cookie = cookies.set(&session, stage.console.clock.now(), true);
    let cookie = cookie
        .to_str()
        .expect("text")
        .split(';')
        .next()
        .expect("a pair")
        .to_owned();
    let answer = stage.console.refresh(&cookie).await;
    answer.is_problem(StatusCode::UNAUTHORIZED, "sign_in_required");
}

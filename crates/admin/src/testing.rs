//! For tests only: the ports in memory, a clock that a test sets, and a console that speaks to the router.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use sentinel_core::account::memory::MemoryAccounts;
use sentinel_core::account::session::{AdminSession, SessionId};
use sentinel_core::account::{AdministratorName, NewAdministrator, Role, StoredPasswordHash};
use sentinel_core::attempts::InProcessAttempts;
use sentinel_core::client_ip::{ClientIpRules, ClientIpSource};
use sentinel_core::event::Actor;
use sentinel_core::network::PeerAddr;
use sentinel_core::policy::{LiveRules, Rules};
use sentinel_core::ports::{AccountStore as _, AdministratorAdded, Health, StoreError};
use sentinel_core::time::{Clock, Timestamp};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::auth::password::tests::{cheap_hash, cheap_text};
use crate::{Account, AdminParts, JwtSecret, OidcParts, SealingSecret, TokenLife, router};

pub(crate) mod alerts;
mod answers;
mod diagnostics;
mod figures;
pub(crate) mod oidc;
mod settings;
mod store;

pub(crate) use alerts::FakeAlerts;
pub(crate) use diagnostics::FakeDiagnostics;
pub(crate) use figures::METRICS_TEXT;
use figures::{FakeFigures, FakeKeys};
pub(crate) use settings::FakeSettings;
pub(crate) use store::{FINGERPRINT, FakeStore, binding, intercept, ip};

/// 2027-01-15T08:00:00Z.
pub(crate) const START: Timestamp = Timestamp::from_unix_ms(1_800_000_000_000);
pub(crate) const USERNAME: &str = "admin";
/// The one proxy that is believed about callers' addresses.
pub(crate) const TRUSTED_PROXY: &str = "192.0.2.80/32";
pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const SECRET: [u8; 32] = *b"a secret for tests of 32 letters";

/// A clock that stands still until a test moves it.
pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    /// At [`START`].
    pub(crate) fn start() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(START.unix_ms())))
    }

    pub(crate) fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).expect("small");
        self.0.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.0.load(Ordering::SeqCst))
    }
}

/// A part as a test wants it.
pub(crate) enum FakeHealth {
    Works,
    Fails(StoreError),
    Hangs,
    Panics,
}

#[async_trait]
impl Health for FakeHealth {
    async fn check(&self) -> Result<(), StoreError> {
        match self {
            Self::Works => Ok(()),
            Self::Fails(error) => Err(error.clone()),
            Self::Hangs => std::future::pending().await,
            Self::Panics => panic!("a part with a bug"),
        }
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// The body as JSON, null when it is none.
    pub(crate) body: Value,
}

impl Answer {
    /// Asserts that it is the problem with this code, in full form.
    pub(crate) fn is_problem(&self, status: StatusCode, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(self.body["type"], format!("urn:sentinel:problem:{code}"));
        assert_eq!(self.body["status"], status.as_u16());
        for member in ["title", "detail"] {
            assert!(
                self.body[member].as_str().is_some_and(|text| !text.is_empty()),
                "{self:?}"
            );
        }
        let request_id = self.headers["x-request-id"].to_str().expect("text");
        assert_eq!(request_id.len(), 32);
    }

    /// The cookie that it sets, as a browser sends it back.
    pub(crate) fn cookie(&self) -> String {
        let set = self.headers[header::SET_COOKIE].to_str().expect("text");
        set.split(';').next().unwrap_or_default().to_owned()
    }

    /// Asserts that it is a refusal of this field.
    pub(crate) fn names_field(&self, field: &str) {
        self.is_problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid_field");
        assert_eq!(self.body["field"], field, "{self:?}");
    }
}

/// The router over the fakes, and a caller of it.
pub(crate) struct Console {
    pub(crate) store: Arc<FakeStore>,
    pub(crate) accounts: MemoryAccounts,
    pub(crate) settings: Arc<FakeSettings>,
    pub(crate) alerts: Arc<FakeAlerts>,
    pub(crate) diagnostics: Arc<FakeDiagnostics>,
    pub(crate) rules: LiveRules,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) router: Router,
}

impl Console {
    pub(crate) fn new() -> Self {
        Self::with_health(vec![("store", FakeHealth::Works)])
    }

    pub(crate) fn with_health(health: Vec<(&'static str, FakeHealth)>) -> Self {
        Self::with_parts(health, Vec::new())
    }

    /// With parts that requests need, and parts that they do without.
    pub(crate) fn with_parts(
        health: Vec<(&'static str, FakeHealth)>,
        dispensable: Vec<(&'static str, FakeHealth)>,
    ) -> Self {
        Self::built(health, dispensable, false, None)
    }

    /// Where administrators may sign in by a provider, too.
    pub(crate) fn with_provider(oidc: OidcParts) -> Self {
        Self::built(vec![("store", FakeHealth::Works)], Vec::new(), false, Some(oidc))
    }

    /// Where viewers see the networks of addresses only.
    pub(crate) fn masking_for_viewers() -> Self {
        Self::built(vec![("store", FakeHealth::Works)], Vec::new(), true, None)
    }

    fn built(
        health: Vec<(&'static str, FakeHealth)>,
        dispensable: Vec<(&'static str, FakeHealth)>,
        masks_addresses_for_viewers: bool,
        oidc: Option<OidcParts>,
    ) -> Self {
        let store = Arc::new(FakeStore::default());
        let failing = Arc::clone(&store);
        let accounts = MemoryAccounts::failing_when(move || failing.lock().failure.clone());
        let clock = TestClock::start();
        let settings = Arc::<FakeSettings>::default();
        let alerts = Arc::<FakeAlerts>::default();
        let diagnostics = Arc::<FakeDiagnostics>::default();
        let rules = LiveRules::new(Rules::default());
        let shared = |(name, part): (&'static str, FakeHealth)| (name, Arc::new(part) as Arc<dyn Health>);
        let parts = AdminParts {
            bindings: store.clone(),
            keys: Arc::new(FakeKeys),
            intercepts: store.clone(),
            traffic: store.clone(),
            events: store.clone(),
            audit: store.clone(),
            answers: store.clone(),
            health: health.into_iter().map(shared).collect(),
            dispensable_health: dispensable.into_iter().map(shared).collect(),
            figures: Arc::new(FakeFigures),
            live: Arc::new(FakeFigures),
            clock: clock.clone(),
            account: Account::new(USERNAME, cheap_hash(PASSWORD)).expect("a good name"),
            accounts: Arc::new(accounts.clone()),
            sealing_secret: SealingSecret::new(SECRET).expect("long enough"),
            client_ip: ClientIpRules::new(
                vec![TRUSTED_PROXY.parse().expect("a network")],
                ClientIpSource::from_header(http::HeaderName::from_static("x-real-ip")),
            ),
            attempts: Arc::new(InProcessAttempts::default()),
            jwt_secret: JwtSecret::new(SECRET).expect("long enough"),
            token_life: TokenLife::default(),
            masks_addresses_for_viewers,
            settings: settings.clone(),
            alerts: alerts.clone(),
            stored: store.clone(),
            rules: rules.clone(),
            diagnostics: diagnostics.clone(),
            oidc,
        };
        Self {
            store,
            accounts,
            settings,
            alerts,
            diagnostics,
            rules,
            clock,
            router: router(parts),
        }
    }

    /// Sends any request, from 192.0.2.1 unless it says otherwise.
    pub(crate) async fn send(&self, mut request: Request<Body>) -> Answer {
        if request.extensions().get::<PeerAddr>().is_none() {
            request
                .extensions_mut()
                .insert(PeerAddr(SocketAddr::from(([192, 0, 2, 1], 50_000))));
        }
        let response = self.router.clone().oneshot(request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        // Events go on for as long as somebody listens.
        let is_endless = parts
            .headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind == "text/event-stream");
        let body = if is_endless { Body::empty() } else { body };
        let bytes = body.collect().await.expect("in memory").to_bytes();
        let text = String::from_utf8(bytes.to_vec()).expect("text");
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer {
            status: parts.status,
            headers: parts.headers,
            text,
            body,
        }
    }

    /// A request with a JSON body, and with this token.
    pub(crate) async fn call(&self, method: Method, path: &str, token: Option<&str>, body: &Value) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        self.send(
            request
                .body(Body::from(body.to_string()))
                .expect("a good request"),
        )
        .await
    }

    pub(crate) async fn get_anonymously(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).expect("a good request"))
            .await
    }

    pub(crate) async fn login(&self, username: &str, password: &str) -> Answer {
        let credentials = json!({"username": username, "password": password});
        self.call(Method::POST, "/admin/api/login", None, &credentials)
            .await
    }

    pub(crate) async fn token(&self) -> String {
        let answer = self.login(USERNAME, PASSWORD).await;
        answer.body["token"].as_str().expect("signed in").to_owned()
    }

    /// An administrator with this role, named after it, whose password is [`PASSWORD`].
    pub(crate) async fn add_administrator(&self, role: Role) -> i64 {
        let new = NewAdministrator {
            name: AdministratorName::new(role.as_str()).expect("a good name"),
            role,
            password: StoredPasswordHash::new(cheap_text(PASSWORD)),
        };
        let actor = Actor {
            name: "cli".to_owned(),
            client_ip: None,
            at: self.clock.now(),
        };
        match self.accounts.add_administrator(new, actor).await {
            Ok(AdministratorAdded::Done(added)) => added.id.0,
            other => panic!("it was to be added: {other:?}"),
        }
    }

    /// A token of an administrator with this role.
    pub(crate) async fn token_of(&self, role: Role) -> String {
        let is_there = self.accounts.administrator_named(role.as_str()).await;
        if is_there.expect("the store works").is_none() {
            self.add_administrator(role).await;
        }
        let answer = self.login(role.as_str(), PASSWORD).await;
        answer.body["token"].as_str().expect("signed in").to_owned()
    }

    /// A session of this administrator that nobody signed in for.
    pub(crate) async fn begin_session_of(&self, name: &str, id: SessionId) {
        let holder = self
            .accounts
            .administrator_named(name)
            .await
            .expect("the store works");
        let now = self.clock.now();
        let session = AdminSession {
            id,
            administrator: holder.map(|administrator| administrator.id),
            account: name.to_owned(),
            generation: 1,
            client_ip: ip("192.0.2.1"),
            user_agent: String::new(),
            created_at: now,
            refreshed_at: now,
            last_seen_at: now,
            expires_at: now.plus(Duration::from_hours(1)),
        };
        assert_eq!(self.accounts.begin_session(session).await, Ok(true));
    }

    /// Ends the session that this token is of.
    pub(crate) async fn end_session(&self, token: &str) {
        let path = "/admin/api/session/end";
        let ended = self.call(Method::POST, path, Some(token), &Value::Null).await;
        assert_eq!(ended.status, StatusCode::NO_CONTENT, "{ended:?}");
    }

    /// A refresh with this cookie, as the console sends it.
    pub(crate) async fn refresh(&self, cookie: &str) -> Answer {
        let request = Request::post("/admin/api/session/refresh")
            .header(header::COOKIE, cookie)
            .header("x-sentinel-console", "1");
        self.send(request.body(Body::empty()).expect("a good request"))
            .await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        let token = self.token().await;
        self.call(Method::GET, path, Some(&token), &Value::Null).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        let token = self.token().await;
        self.call(Method::POST, path, Some(&token), body).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        let token = self.token().await;
        self.call(Method::PUT, path, Some(&token), body).await
    }
}

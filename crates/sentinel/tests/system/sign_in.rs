//! Sign-in by a provider of identities, on real replicas and a provider on a port of its own.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use sentinel_core::time::{Clock as _, SystemClock};
use sentinel_testkit::{IdentityProvider, RawClient, RawResponse, SigningKey};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::cluster::{Cluster, PASSWORD, USERNAME};
use crate::console::Console;

/// The provider, until this is dropped.
struct Serving(JoinHandle<()>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn provider() -> (IdentityProvider, Serving) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let now = SystemClock.now().unix_ms() / 1000;
    let provider = IdentityProvider::new(&format!("http://{address}"), now, SigningKey::rsa("first"));
    let answering = Router::new().fallback(answer).with_state(provider.clone());
    let serving = tokio::spawn(async move {
        // It ends with the test.
        let _ = axum::serve(listener, answering).await;
    });
    (provider, Serving(serving))
}

async fn answer(
    State(provider): State<IdentityProvider>,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, String) {
    let authorization = headers.get("authorization").and_then(|value| value.to_str().ok());
    let (status, body) = provider.answer(uri.path(), authorization, body.as_bytes());
    (StatusCode::from_u16(status).expect("a status"), body)
}

fn location(answer: &RawResponse) -> String {
    assert_eq!(answer.status(), 302, "{}", answer.text());
    answer.header("location").expect("it leads somewhere").to_owned()
}

/// The cookie of this name that the answer sets.
fn cookie(answer: &RawResponse, name: &str) -> String {
    let text = String::from_utf8_lossy(&answer.head.bytes).into_owned();
    let set = text.lines().find_map(|line| {
        let (header, value) = line.split_once(": ")?;
        (header.eq_ignore_ascii_case("set-cookie") && value.starts_with(name)).then(|| value.to_owned())
    });
    let set = set.unwrap_or_else(|| panic!("{name} is not set: {text}"));
    set.split(';').next().expect("a pair").to_owned()
}

#[tokio::test]
async fn a_sign_in_that_begins_on_one_replica_ends_on_another_and_holds_on_both() {
    let (provider, serving) = provider().await;
    let cluster = Cluster::builder()
        .variable("SENTINEL_ADMIN_PUBLIC_URL", "http://127.0.0.1:1")
        .variable("SENTINEL_ADMIN_OIDC_ISSUER", provider.issuer())
        .variable("SENTINEL_ADMIN_OIDC_CLIENT_ID", IdentityProvider::CLIENT_ID)
        .variable(
            "SENTINEL_ADMIN_OIDC_CLIENT_SECRET",
            IdentityProvider::CLIENT_SECRET,
        )
        .variable("SENTINEL_ADMIN_OIDC_OPERATORS", "ops")
        .start(2)
        .await;
    let [here, there] = &cluster.replicas[..] else {
        panic!("two were started");
    };
    let started = RawClient::connect(here.admin)
        .await
        .get("/admin/api/oidc/start", &[])
        .await;
    let claims = json!({"sub": "7", "preferred_username": USERNAME, "groups": ["ops"]});
    let (code, state) = provider.approve(&location(&started), &claims);
    let flow = cookie(&started, "sentinel_oidc");
    let path = format!("/admin/api/oidc/callback?code={code}&state={state}");
    let back = RawClient::connect(there.admin)
        .await
        .get(&path, &[("cookie", &flow)])
        .await;
    assert_eq!(
        location(&back),
        "http://127.0.0.1:1/admin/ui/sign-in?oidc=done",
        "{}",
        there.log()
    );

    let refresh = cookie(&back, "sentinel_refresh");
    let headers = [("cookie", refresh.as_str()), ("x-sentinel-console", "1")];
    let mut client = RawClient::connect(here.admin).await;
    let granted = client.post("/admin/api/session/refresh", &headers, "{}").await;
    let granted: Value = serde_json::from_slice(&granted.body).expect("JSON");
    let expected = json!({"name": format!("oidc:{USERNAME}"), "role": "operator"});
    assert_eq!(granted["account"], expected, "{granted}");
    let owner = Console::sign_in(here.admin).await;
    let (_, listed) = owner.get("/admin/api/administrators").await;
    assert_eq!(
        listed["items"][1]["external"]["issuer"],
        json!(provider.issuer()),
        "{listed}"
    );
    for replica in [here, there] {
        let log = replica.log();
        for secret in [code.as_str(), state.as_str(), IdentityProvider::CLIENT_SECRET] {
            assert!(!log.contains(secret), "{log}");
        }
    }

    drop(serving);
    let (status, _) = Console::try_sign_in(there.admin, USERNAME, PASSWORD).await;
    assert_eq!(status, 200, "a password works while the provider is away");
}

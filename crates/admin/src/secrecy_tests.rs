//! For tests only: what passes the listener in secret is in no log line and in no answer but the one that grants it.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use http::{Method, Request, header};
use sentinel_core::ports::StoreError;
use serde_json::{Value, json};
use tracing::Level;

use crate::testing::{Console, PASSWORD, SECRET, USERNAME};

/// Everything that was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8(bytes.clone()).expect("text")
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const WRONG_PASSWORD: &str = "almost correct horse";
const FORGED_TOKEN: &str = "eyJhbGciOiJub25lIn0.Zm9yZ2Vk.c2lnbmF0dXJl";

#[tokio::test]
async fn passwords_and_tokens_are_in_no_log_and_no_answer() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // For the whole process, since a subscriber of one thread misses what other threads' tests reached first. What those log
    // meanwhile is held to the same.
    tracing::subscriber::set_global_default(subscriber).expect("no other test sets one");
    tracing::callsite::rebuild_interest_cache();

    let console = Console::new();
    let token = console.token().await;
    let mut answers = Vec::new();
    for (username, password) in [
        (USERNAME, WRONG_PASSWORD),
        (PASSWORD, WRONG_PASSWORD),
        ("nobody", PASSWORD),
    ] {
        answers.push(console.login(username, password).await);
    }
    for body in [
        json!({"password": [PASSWORD]}),
        json!({"username": {"x": PASSWORD}}),
        json!(PASSWORD),
    ] {
        answers.push(console.call(Method::POST, "/admin/api/login", None, &body).await);
    }
    let not_json = Request::post("/admin/api/login")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(format!("username=admin&password={PASSWORD}")));
    answers.push(console.send(not_json.expect("good")).await);
    for token in [&token, FORGED_TOKEN] {
        for failure in [None, Some(StoreError::Unavailable("away".to_owned()))] {
            console.store.lock().failure = failure;
            answers.push(
                console
                    .call(Method::GET, "/admin/api/dashboard", Some(token), &Value::Null)
                    .await,
            );
        }
        // A token in the wrong place, where addresses are logged.
        answers.push(
            console
                .get_anonymously(&format!("/admin/api/logs?token={token}"))
                .await,
        );
    }

    let log = log.text();
    assert!(
        log.contains("sign-in") && log.contains("the store failed a request"),
        "it was recorded: {log}"
    );
    let answers = format!("{answers:?} {:?}", console.store.lock().events);
    let signing_secret = std::str::from_utf8(&SECRET).expect("text");
    for secret in [
        PASSWORD,
        WRONG_PASSWORD,
        token.as_str(),
        FORGED_TOKEN,
        signing_secret,
        "$argon2",
    ] {
        assert!(!log.contains(secret), "'{secret}' was logged: {log}");
        assert!(!answers.contains(secret), "'{secret}' was answered: {answers}");
    }
}

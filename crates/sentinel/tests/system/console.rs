//! The admin API as the console uses it.

use std::net::SocketAddr;

use sentinel_testkit::{RawClient, RawResponse};
use serde_json::{Value, json};

use crate::cluster::{PASSWORD, USERNAME};

/// A session on one replica; its token is good on all of them.
#[derive(Clone)]
pub(crate) struct Console {
    admin: SocketAddr,
    token: String,
}

impl Console {
    /// Signs in as the configured account.
    pub(crate) async fn sign_in(admin: SocketAddr) -> Self {
        Self::sign_in_as(admin, USERNAME, PASSWORD).await
    }

    /// Status and JSON of an attempt at signing in.
    pub(crate) async fn try_sign_in(admin: SocketAddr, username: &str, password: &str) -> (u16, Value) {
        let nobody = Self {
            admin,
            token: String::new(),
        };
        let credentials = json!({"username": username, "password": password});
        nobody.post("/admin/api/login", &credentials).await
    }

    /// Signs in.
    pub(crate) async fn sign_in_as(admin: SocketAddr, username: &str, password: &str) -> Self {
        let (status, body) = Self::try_sign_in(admin, username, password).await;
        assert_eq!(status, 200, "{body}");
        let token = body["token"].as_str().expect("a token").to_owned();
        Self { admin, token }
    }

    /// The same session on another replica.
    pub(crate) fn on(&self, admin: SocketAddr) -> Self {
        Self {
            admin,
            ..self.clone()
        }
    }

    /// Status and JSON of a GET.
    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        read(&self.send("GET", path, None).await)
    }

    /// Status and JSON of a POST.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        read(&self.send("POST", path, Some(body)).await)
    }

    /// Status and JSON of a PUT.
    pub(crate) async fn put(&self, path: &str, body: &Value) -> (u16, Value) {
        read(&self.send("PUT", path, Some(body)).await)
    }

    /// All bindings, newest first.
    pub(crate) async fn bindings(&self) -> Vec<Value> {
        let (status, body) = self.get("/admin/api/bindings").await;
        assert_eq!(status, 200, "{body}");
        body["items"].as_array().expect("a list").clone()
    }

    /// Bans a binding.
    pub(crate) async fn ban(&self, id: i64) {
        self.change("ban", id).await;
    }

    /// Lifts a ban.
    pub(crate) async fn unban(&self, id: i64) {
        self.change("unban", id).await;
    }

    /// Frees a key.
    pub(crate) async fn unbind(&self, id: i64) {
        self.change("unbind", id).await;
    }

    /// Binds a key to these networks.
    pub(crate) async fn set_networks(&self, id: i64, networks: &[&str]) {
        let body = json!({"id": id, "bound_ips": networks});
        let (status, body) = self.put("/admin/api/bindings/ip", &body).await;
        assert_eq!(status, 200, "{body}");
    }

    /// The binding that was made last.
    pub(crate) async fn newest(&self) -> i64 {
        self.bindings().await[0]["id"].as_i64().expect("a number")
    }

    async fn change(&self, what: &str, id: i64) {
        let path = format!("/admin/api/bindings/{what}");
        let (status, body) = self.post(&path, &json!({"id": id})).await;
        assert_eq!(status, 200, "{body}");
    }

    async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> RawResponse {
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: admin\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{body}",
            self.token,
            body.len()
        );
        RawClient::connect(self.admin).await.request(request).await
    }
}

fn read(answer: &RawResponse) -> (u16, Value) {
    (
        answer.status(),
        serde_json::from_slice(&answer.body).unwrap_or_default(),
    )
}

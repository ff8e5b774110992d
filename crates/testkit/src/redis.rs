//! A throw-away Redis or Valkey: a real server on a port of its own that keeps nothing on disk, and that a test stops,
//! kills, freezes and starts again. Must never touch a server that it did not start.

use std::net::SocketAddr;

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Client, FromRedisValue, RedisResult, TlsCertificates};
use rustix::process::Signal;

use self::builder::Role;
use crate::certificates::Authority;
use crate::process::ServerProcess;
use crate::wait::bounded;

mod builder;
mod cluster;
mod sentinel;

#[cfg(test)]
mod tests;

pub use builder::RedisBuilder;
pub use cluster::RedisCluster;
pub use sentinel::RedisSentinel;

const SERVER_NAMES: &[&str] = &["redis-server", "valkey-server"];
const MISSING: &str = "redis-server (or valkey-server) is missing: on Debian, apt-get install redis-server";

/// A Redis server that lives as long as this value, and at most as long as the test's process. What it holds is gone
/// once it ends.
pub struct RedisServer {
    process: ServerProcess,
    password: Option<String>,
    tls: bool,
    role: Role,
}

impl RedisServer {
    /// Starts a server with the defaults (no password, no TLS) and waits until it serves.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// A server with other settings.
    pub fn builder() -> RedisBuilder {
        RedisBuilder::default()
    }

    /// Where it listens, running or not: nobody else gets this port.
    pub fn address(&self) -> SocketAddr {
        self.process.address()
    }

    /// A `redis://…` URL, or `rediss://…` with TLS, with the password if there is one.
    pub fn url(&self) -> String {
        self.url_through(self.address())
    }

    /// The same through another address, such as that of a [`crate::FaultProxy`].
    pub fn url_through(&self, address: SocketAddr) -> String {
        match &self.password {
            Some(password) => self.url_with(&format!(":{password}@"), address),
            None => self.url_with("", address),
        }
    }

    /// The URL as a user that [`RedisBuilder::user`] made.
    pub fn url_as(&self, user: &str, password: &str) -> String {
        self.url_with(&format!("{user}:{password}@"), self.address())
    }

    fn url_with(&self, credentials: &str, address: SocketAddr) -> String {
        let scheme = if self.tls { "rediss" } else { "redis" };
        format!("{scheme}://{credentials}{address}/")
    }

    /// The certificate of the authority that signs the certificates of all servers with TLS, in PEM.
    pub fn authority_pem() -> &'static str {
        &Authority::of_the_process().pem
    }

    /// A connection that waits for an answer as long as the test does.
    pub async fn connect(&self) -> MultiplexedConnection {
        bounded("a connection to Redis", self.try_connect())
            .await
            .unwrap_or_else(|error| {
                panic!("Redis refuses a connection: {error}; {}", self.process.log_tail())
            })
    }

    async fn try_connect(&self) -> RedisResult<MultiplexedConnection> {
        let client = if self.tls {
            trusting(&self.url(), Self::authority_pem())
        } else {
            Client::open(self.url())
        };
        let patient = AsyncConnectionConfig::new().set_response_timeout(None);
        client?
            .get_multiplexed_async_connection_with_config(&patient)
            .await
    }

    /// Sends one command, such as `["CLIENT", "PAUSE", "100"]`, and returns its answer.
    ///
    /// # Panics
    /// When Redis answers with an error.
    pub async fn command<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let answer = bounded(&words.join(" "), self.try_command(words)).await;
        answer.unwrap_or_else(|error| panic!("{}: {error}", words.join(" ")))
    }

    async fn try_command<T: FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        let mut connection = self.try_connect().await?;
        let (name, arguments) = words.split_first().expect("a command has a name");
        ::redis::cmd(name)
            .arg(arguments)
            .query_async(&mut connection)
            .await
    }

    /// The value of a line such as `role:master` in what `INFO` says of `section`; empty when there is none.
    async fn try_info(&self, section: &str, name: &str) -> RedisResult<String> {
        let text: String = self.try_command(&["INFO", section]).await?;
        Ok(value_of(name, &text))
    }

    /// The same in what `CLUSTER INFO` says.
    async fn try_cluster_info(&self, name: &str) -> RedisResult<String> {
        let text: String = self.try_command(&["CLUSTER", "INFO"]).await?;
        Ok(value_of(name, &text))
    }

    /// Makes this server a replica of `primary` and waits until it holds what the primary does.
    pub async fn replica_of(&self, primary: &RedisServer) {
        if let Some(password) = &primary.password {
            let () = self.command(&["CONFIG", "SET", "masterauth", password]).await;
        }
        let (ip, port) = (
            primary.address().ip().to_string(),
            primary.address().port().to_string(),
        );
        let () = self.command(&["REPLICAOF", &ip, &port]).await;
        let follows = async || {
            let status = self.try_info("replication", "master_link_status").await;
            status.is_ok_and(|status| status == "up")
        };
        self.process.until(follows).await;
    }

    /// Shuts down the way a planned restart does.
    pub async fn stop(&self) {
        self.process.end_by(Signal::TERM).await;
    }

    /// Kills the server.
    pub async fn kill(&self) {
        self.process.kill().await;
    }

    /// Stops the server in its tracks: connections stay open and nothing answers.
    pub async fn freeze(&self) {
        self.process.freeze().await;
    }

    /// Lets a frozen server go on.
    pub fn thaw(&self) {
        self.process.thaw();
    }

    /// Starts the server again at the same address, empty; one that runs is stopped first.
    pub async fn restart(&self) {
        self.stop().await;
        self.launch().await;
    }

    async fn launch(&self) {
        self.process.launch();
        self.process
            .until(async || {
                self.try_command(&["PING"])
                    .await
                    .is_ok_and(|answer: String| answer == "PONG")
            })
            .await;
    }
}

/// A client that trusts one authority.
fn trusting(url: &str, authority_pem: &str) -> RedisResult<Client> {
    // The client takes the process's own provider; that there is one already is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let trust = TlsCertificates {
        client_tls: None,
        root_cert: Some(authority_pem.as_bytes().to_vec()),
    };
    Client::build_with_tls(url, trust)
}

/// What follows `name:` in a text of such lines.
fn value_of(name: &str, text: &str) -> String {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let found = lines.find(|(key, _)| *key == name);
    found.map_or_else(String::new, |(_, value)| value.to_owned())
}

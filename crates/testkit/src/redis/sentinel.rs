//! A primary and its replica under Redis Sentinels that fail over within a second or two. Must never be handed out
//! before the Sentinels know both servers and each other.

use std::collections::HashMap;
use std::net::SocketAddr;

use ::redis::FromRedisValue;

use super::builder::Role;
use super::{RedisBuilder, RedisServer};

/// What the Sentinels call the pair.
const SERVICE: &str = "sentinel-testkit";
/// The most Sentinels that a test gets.
pub(super) const SENTINELS_MAX: usize = 3;
/// Sentinel's own clocks tick every second or ten; a test does not wait that long. Redis 7 can be told so. A fail-over takes a replica only if
/// it said how it is within five ping periods, and once its primary is down it is asked every second (`sentinelSelectSlave` and
/// `sentinelSendPeriodicCommands` in Redis): with pings more often than every 200 ms it would depend on the moment whether there is one.
const QUICK: &[&str] = &[
    "SENTINEL",
    "DEBUG",
    "INFO-PERIOD",
    "100",
    "PING-PERIOD",
    "250",
    "ASK-PERIOD",
    "100",
    "PUBLISH-PERIOD",
    "100",
];

/// Two servers, one a replica of the other, and the Sentinels over them, for as long as this value lives.
pub struct RedisSentinel {
    servers: [RedisServer; 2],
    sentinels: Vec<RedisServer>,
}

impl RedisSentinel {
    /// Starts the pair under one Sentinel and waits until a fail-over is possible.
    pub async fn start() -> Self {
        RedisServer::builder().start_under_sentinels(1).await
    }

    pub(super) async fn over(builder: RedisBuilder, count: usize) -> Self {
        assert!(
            (1..=SENTINELS_MAX).contains(&count),
            "1 to {SENTINELS_MAX} Sentinels, not {count}"
        );
        let servers = [
            builder.clone().launch(Role::Plain).await,
            builder.launch(Role::Plain).await,
        ];
        servers[1].replica_of(&servers[0]).await;
        let lines = watch_lines(&servers[0], count / 2 + 1);
        let mut sentinels = Vec::with_capacity(count);
        for _ in 0..count {
            let watcher = RedisServer::builder();
            let watcher = if servers[0].tls { watcher.tls() } else { watcher };
            let lines = lines.clone();
            sentinels.push(watcher.launch(Role::Sentinel { lines }).await);
        }
        let pair = Self { servers, sentinels };
        for sentinel in &pair.sentinels {
            // An older Redis is slower, and no worse.
            let _ = sentinel.try_command::<()>(QUICK).await;
        }
        pair.ready().await;
        pair
    }

    /// What the Sentinels call the pair, the "master name" of a client's configuration.
    pub fn service_name(&self) -> &str {
        SERVICE
    }

    /// The Sentinels themselves.
    pub fn sentinels(&self) -> &[RedisServer] {
        &self.sentinels
    }

    /// Where the Sentinels listen.
    pub fn sentinel_addresses(&self) -> Vec<SocketAddr> {
        self.sentinels.iter().map(RedisServer::address).collect()
    }

    /// Both servers, whatever they are at the moment.
    pub fn servers(&self) -> &[RedisServer; 2] {
        &self.servers
    }

    /// The server that the Sentinels call the primary.
    pub async fn primary(&self) -> &RedisServer {
        let address = self.sentinels[0]
            .told_primary()
            .await
            .expect("Sentinel names a primary");
        let mut servers = self.servers.iter();
        servers
            .find(|server| server.address() == address)
            .expect("it is one of the two")
    }

    /// The other one.
    pub async fn replica(&self) -> &RedisServer {
        let primary = self.primary().await.address();
        let mut servers = self.servers.iter();
        servers
            .find(|server| server.address() != primary)
            .expect("there are two")
    }

    /// Has a Sentinel swap the two, and waits until the new primary takes writes. The old one may take some longer.
    pub async fn fail_over(&self) -> &RedisServer {
        self.ready().await;
        let next = self.replica().await;
        let () = self.sentinels[0]
            .command(&["SENTINEL", "FAILOVER", SERVICE])
            .await;
        self.follow(next).await
    }

    /// Kills the primary and waits until the Sentinels have made the replica the new one.
    pub async fn kill_primary(&self) -> &RedisServer {
        let next = self.replica().await;
        self.primary().await.kill().await;
        self.follow(next).await
    }

    async fn follow<'a>(&self, next: &'a RedisServer) -> &'a RedisServer {
        for sentinel in &self.sentinels {
            let knows = async || sentinel.told_primary().await == Some(next.address());
            sentinel.process.until(knows).await;
        }
        let is_primary = async || {
            next.try_info("replication", "role")
                .await
                .is_ok_and(|role| role == "master")
        };
        next.process.until(is_primary).await;
        next
    }

    /// Waits until every Sentinel sees a replica to fail over to and all the other Sentinels.
    pub async fn ready(&self) {
        let others = (self.sentinels.len() - 1).to_string();
        for sentinel in &self.sentinels {
            let ready = async || {
                let pair = sentinel.told("MASTER").await.unwrap_or_default();
                let replicas: Vec<Facts> = sentinel.told("REPLICAS").await.unwrap_or_default();
                let follows = |replica: &Facts| {
                    is(replica, "flags", "slave") && is(replica, "master-link-status", "ok")
                };
                is(&pair, "flags", "master")
                    && is(&pair, "num-other-sentinels", &others)
                    && replicas.len() == 1
                    && replicas.iter().all(follows)
            };
            sentinel.process.until(ready).await;
        }
    }
}

fn watch_lines(primary: &RedisServer, quorum: usize) -> String {
    let (ip, port) = (primary.address().ip(), primary.address().port());
    let password = primary.password.as_ref();
    let password = password.map(|password| format!("sentinel auth-pass {SERVICE} {password}\n"));
    format!(
        "sentinel monitor {SERVICE} {ip} {port} {quorum}\nsentinel down-after-milliseconds {SERVICE} 500\n\
         sentinel failover-timeout {SERVICE} 1000\n{}",
        password.unwrap_or_default()
    )
}

impl RedisServer {
    /// Which primary this Sentinel names.
    async fn told_primary(&self) -> Option<SocketAddr> {
        let (ip, port): (String, String) = self.told("GET-MASTER-ADDR-BY-NAME").await?;
        format!("{ip}:{port}").parse().ok()
    }

    /// What this Sentinel answers to a question about the pair.
    async fn told<T: FromRedisValue>(&self, question: &str) -> Option<T> {
        self.try_command(&["SENTINEL", question, SERVICE]).await.ok()
    }
}

/// What a Sentinel says of a server, name by name.
type Facts = HashMap<String, String>;

fn is(facts: &Facts, name: &str, value: &str) -> bool {
    facts.get(name).is_some_and(|found| found == value)
}

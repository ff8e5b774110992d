//! What a test may choose about a Redis server, and the configuration file that comes of it. Must never keep data on
//! disk, nor listen anywhere but on the loopback address.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use super::{MISSING, RedisCluster, RedisSentinel, RedisServer, SERVER_NAMES};
use crate::certificates::{self, Authority};
use crate::process::{HeldPort, Invocation, Program, ServerProcess, WatchedFolder};

/// How a [`RedisServer`] is started when the defaults do not serve.
#[derive(Clone, Debug, Default)]
pub struct RedisBuilder {
    password: Option<String>,
    tls: bool,
    settings: Vec<(String, String)>,
}

impl RedisBuilder {
    /// Asks the default user for a password, and uses it where the server is another's replica.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self.setting("requirepass", password)
            .setting("masterauth", password)
    }

    /// Adds a user with the ACL `rules` given, such as `~sentinel:* &* +@all`.
    #[must_use]
    pub fn user(self, name: &str, password: &str, rules: &str) -> Self {
        self.setting("user", &format!("{name} on >{password} {rules}"))
    }

    /// Speaks TLS only, with a certificate for `127.0.0.1` and `localhost` of
    /// [`RedisServer::authority_pem`].
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Bounds the memory: what does not fit is refused, or evicted as the setting `maxmemory-policy` says.
    #[must_use]
    pub fn memory_bytes_max(self, bytes: u64) -> Self {
        self.setting("maxmemory", &bytes.to_string())
    }

    /// Adds a line of the configuration file.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts the server and waits until it serves.
    ///
    /// # Panics
    /// When Redis is not installed, with what to install; when the server does not start, with the end of its log.
    pub async fn start(self) -> RedisServer {
        self.launch(Role::Plain).await
    }

    /// Starts three of them as a cluster, see [`RedisCluster`].
    pub async fn start_cluster(self) -> RedisCluster {
        RedisCluster::of(self).await
    }

    /// Starts two of them, one a replica of the other, under `sentinels` Sentinels, see [`RedisSentinel`].
    pub async fn start_under_sentinels(self, sentinels: usize) -> RedisSentinel {
        RedisSentinel::over(self, sentinels).await
    }

    pub(super) async fn launch(self, role: Role) -> RedisServer {
        let program = Program::on_path(SERVER_NAMES, MISSING);
        let folder = WatchedFolder::new_in(&std::env::temp_dir(), "sentinel-testkit-redis-", "");
        if self.tls {
            Authority::of_the_process().write(folder.path());
        }
        let port = HeldPort::new();
        let file = folder.path().join("redis.conf");
        let text = self.configuration(folder.path(), port.address(), &role);
        fs::write(&file, text).expect("a temporary file can be written");
        let mut arguments = vec![file.into()];
        if let Role::Sentinel { .. } = &role {
            arguments.push("--sentinel".into());
        }
        let invocation = Invocation {
            program,
            arguments,
            account: None,
        };
        let server = RedisServer {
            process: ServerProcess::new(invocation, folder, port),
            password: self.password,
            tls: self.tls,
            role,
        };
        server.launch().await;
        server
    }

    fn configuration(&self, folder: &Path, address: SocketAddr, role: &Role) -> String {
        let (port, folder) = (address.port(), folder.display());
        let mut text = format!("bind 127.0.0.1\ndaemonize no\ndir {folder}\n");
        let _ = if self.tls {
            writeln!(
                text,
                "port 0\ntls-port {port}\ntls-replication yes\ntls-cluster yes\ntls-auth-clients no\n\
                 tls-ca-cert-file {folder}/{}\ntls-cert-file {folder}/{}\ntls-key-file {folder}/{}",
                certificates::AUTHORITY,
                certificates::CERTIFICATE,
                certificates::KEY,
            )
        } else {
            writeln!(text, "port {port}")
        };
        text.push_str(&role.lines());
        for (name, value) in &self.settings {
            let _ = writeln!(text, "{name} {value}");
        }
        text
    }
}

/// What a server does beside serving.
pub(super) enum Role {
    Plain,
    /// A node of a cluster. The nodes talk to each other on a port of their own.
    ClusterNode {
        bus: HeldPort,
    },
    /// Watches other servers, as these lines say.
    Sentinel {
        lines: String,
    },
}

impl Role {
    fn lines(&self) -> String {
        // A new replica gets its copy at once and over the network.
        let forgetful = "save \"\"\nappendonly no\nrepl-diskless-sync yes\nrepl-diskless-sync-delay 0\n";
        match self {
            Self::Plain => forgetful.to_owned(),
            Self::ClusterNode { bus } => format!(
                "{forgetful}cluster-enabled yes\ncluster-config-file nodes.conf\ncluster-node-timeout 1000\n\
                 cluster-announce-ip 127.0.0.1\ncluster-port {}\n",
                bus.address().port()
            ),
            Self::Sentinel { lines } => lines.clone(),
        }
    }
}

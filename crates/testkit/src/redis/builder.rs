//! What a test may choose about a Redis server, and the configuration file that comes of it. Must never keep data on
//! disk, nor listen anywhere but on the loopback address.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::certificates::{self, Authority};
use super::{MISSING, RedisServer, SERVER_NAMES};
use crate::process::{HeldPort, Invocation, Program, ServerProcess};

/// How a [`RedisServer`] is started when the defaults do not serve.
#[derive(Clone, Debug, Default)]
pub struct RedisBuilder {
    password: Option<String>,
    tls: bool,
    settings: Vec<(String, String)>,
}

impl RedisBuilder {
    /// Asks the default user for a password.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self.setting("requirepass", password)
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
        let program = Program::on_path(SERVER_NAMES, MISSING);
        let folder = tempfile::Builder::new()
            .prefix("sentinel-testkit-redis-")
            .tempdir()
            .expect("a temporary folder");
        let port = HeldPort::new();
        if self.tls {
            Authority::of_the_process().write(folder.path());
        }
        let file = folder.path().join("redis.conf");
        fs::write(&file, self.configuration(folder.path(), &port)).expect("a temporary file can be written");
        let invocation = Invocation {
            program,
            arguments: vec![file.into()],
            account: None,
        };
        let process = ServerProcess::new(invocation, folder, port);
        RedisServer::launched(process, self.password, self.tls).await
    }

    fn configuration(&self, folder: &Path, port: &HeldPort) -> String {
        let port = port.address().port();
        let folder = folder.display();
        let (plain, encrypted) = if self.tls { (0, port) } else { (port, 0) };
        let mut text = format!(
            "bind 127.0.0.1\nport {plain}\ndir {folder}\ndaemonize no\nsave \"\"\nappendonly no\n\
             repl-diskless-sync yes\nrepl-diskless-sync-delay 0\n"
        );
        if self.tls {
            let _ = writeln!(
                text,
                "tls-port {encrypted}\ntls-replication yes\ntls-auth-clients no\ntls-ca-cert-file {folder}/{}\n\
                 tls-cert-file {folder}/{}\ntls-key-file {folder}/{}",
                certificates::AUTHORITY,
                certificates::CERTIFICATE,
                certificates::KEY,
            );
        }
        for (name, value) in &self.settings {
            let _ = writeln!(text, "{name} {value}");
        }
        text
    }
}

//! A throw-away PostgreSQL: a real server on a port of its own, with a data folder of its own, that a test stops,
//! kills, freezes and starts again. Must never touch a server that it did not start.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;

use rustix::process::Signal;
use tokio_postgres::{Client, NoTls};

use self::template::give;
use crate::certificates::{self, Authority};
use crate::process::{Account, HeldPort, Invocation, LOOK_AGAIN, ServerProcess};
use crate::wait::bounded;

mod installation;
mod template;

#[cfg(test)]
mod tests;

/// The superuser's name and password, and the password of every role that the kit makes.
const SUPERUSER: &str = "sentinel_testkit";
const PASSWORD: &str = "a-password-of-the-testkit";
/// The database that every server has.
const MAINTENANCE_DATABASE: &str = "postgres";

/// How a [`PostgresServer`] is started when the defaults do not serve.
#[derive(Clone, Debug, Default)]
pub struct PostgresBuilder {
    durable: bool,
    tls: bool,
    settings: Vec<(String, String)>,
}

impl PostgresBuilder {
    /// Keeps its data on disk and waits for it as a production server does (`fsync=on`). Off by default: what a killed
    /// server wrote is safe without, as long as the machine stays up.
    #[must_use]
    pub fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// Offers TLS, with a certificate for `127.0.0.1` and `localhost` of [`PostgresServer::authority_pem`]. Who asks for
    /// none is served as well.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Sets a server setting, such as `max_connections`. Set here, `ALTER SYSTEM` does not change it.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts the server and waits until it serves.
    ///
    /// # Panics
    /// When PostgreSQL is not installed, with what to install; when the server does not start, with the end of its log.
    pub async fn start(self) -> PostgresServer {
        let prepared = tokio::task::spawn_blocking(move || self.prepare());
        let process = prepared.await.unwrap_or_else(|panic| {
            // Says the same sentence in the test's own thread.
            std::panic::resume_unwind(panic.into_panic())
        });
        let server = PostgresServer { process };
        server.launch().await;
        server
    }

    fn prepare(self) -> ServerProcess {
        let installation = installation::find();
        let account = Account::if_root();
        let folder = template::copy(&installation, account, self.durable);
        if self.tls {
            Authority::of_the_process().write(folder.path());
            give(&folder.path().join(certificates::CERTIFICATE), account);
            give(&folder.path().join(certificates::KEY), account);
        }
        let port = HeldPort::new();
        let arguments = self.arguments(folder.path(), port.address());
        let invocation = Invocation {
            program: installation.server,
            arguments,
            account,
        };
        ServerProcess::new(invocation, folder, port)
    }

    fn arguments(self, folder: &Path, address: SocketAddr) -> Vec<OsString> {
        let on_or_off = |on: bool| if on { "on" } else { "off" }.to_owned();
        let file = |name: &str| folder.join(name).display().to_string();
        let ours = [
            ("listen_addresses", address.ip().to_string()),
            ("port", address.port().to_string()),
            ("unix_socket_directories", String::new()),
            // In the data folder, which goes with the server however that ends.
            ("dynamic_shared_memory_type", "mmap".to_owned()),
            ("shared_buffers", "16MB".to_owned()),
            ("fsync", on_or_off(self.durable)),
            ("ssl", on_or_off(self.tls)),
            ("ssl_cert_file", file(certificates::CERTIFICATE)),
            ("ssl_key_file", file(certificates::KEY)),
        ];
        let ours = ours.map(|(name, value)| (name.to_owned(), value));
        let mut arguments = vec!["-D".into(), folder.join("data").into()];
        // Of two settings with one name the later counts.
        for (name, value) in ours.into_iter().chain(self.settings) {
            arguments.extend(["-c".into(), format!("{name}={value}").into()]);
        }
        arguments
    }
}

/// A PostgreSQL server that lives as long as this value, and at most as long as the test's process.
pub struct PostgresServer {
    process: ServerProcess,
}

impl PostgresServer {
    /// Starts a server with the defaults and waits until it serves.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// A server with other settings.
    pub fn builder() -> PostgresBuilder {
        PostgresBuilder::default()
    }

    /// Where it listens, running or not: nobody else gets this port.
    pub fn address(&self) -> SocketAddr {
        self.process.address()
    }

    /// A `postgres://…` URL of the server's own database, as its superuser.
    pub fn dsn(&self) -> String {
        self.dsn_through(self.address())
    }

    /// The same through another address, such as that of a [`crate::FaultProxy`].
    pub fn dsn_through(&self, address: SocketAddr) -> String {
        format!("postgres://{SUPERUSER}:{PASSWORD}@{address}/{MAINTENANCE_DATABASE}")
    }

    /// The URL of a database that [`PostgresServer::create_database`] made, as its owner, through another address.
    pub fn database_dsn_through(&self, name: &str, address: SocketAddr) -> String {
        format!("postgres://{name}:{PASSWORD}@{address}/{name}")
    }

    /// The certificate of the authority that signs the certificates of all servers with TLS, in PEM.
    pub fn authority_pem() -> &'static str {
        &Authority::of_the_process().pem
    }

    /// Makes an empty database that belongs to a plain role of the same name, and returns its URL as that role.
    pub async fn create_database(&self, name: &str) -> String {
        let quoted = quoted(name);
        self.execute(&format!("CREATE ROLE {quoted} LOGIN PASSWORD '{PASSWORD}'"))
            .await;
        self.execute(&format!("CREATE DATABASE {quoted} OWNER {quoted}"))
            .await;
        self.database_dsn_through(name, self.address())
    }

    /// Runs statements as the superuser, outside of a transaction if there is only one.
    pub async fn execute(&self, statements: &str) {
        let run = async {
            let client = self.connect().await;
            client
                .batch_execute(statements)
                .await
                .unwrap_or_else(|error| panic!("{statements}: {error:?}"));
        };
        bounded(statements, run).await;
    }

    /// A connection as the superuser.
    pub async fn connect(&self) -> Client {
        let dsn = self.dsn();
        let connecting = tokio_postgres::connect(&dsn, NoTls);
        let (client, connection) = bounded("a connection to PostgreSQL", connecting)
            .await
            .unwrap_or_else(|error| {
                panic!(
                    "PostgreSQL refuses a connection: {error:?}; {}",
                    self.process.log_tail()
                )
            });
        tokio::spawn(connection);
        client
    }

    /// Makes every new transaction read-only unless it says otherwise, as on a standby, or takes that back. Sessions
    /// that are open follow too. Waits until the server has taken it over.
    pub async fn read_only(&self, on: bool) {
        let value = if on { "on" } else { "off" };
        let client = self.connect().await;
        let statements = [
            // A session may say otherwise, and this one has to write.
            "SET default_transaction_read_only = off",
            &format!("ALTER SYSTEM SET default_transaction_read_only = {value}"),
            "SELECT pg_reload_conf()",
        ];
        for statement in statements {
            let run = client.batch_execute(statement);
            bounded(statement, run).await.expect("the superuser may");
        }
        bounded("the setting to hold", async {
            while self.setting("default_transaction_read_only").await != value {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await;
    }

    /// What a new session is told by `SHOW`.
    async fn setting(&self, name: &str) -> String {
        let client = self.connect().await;
        let row = client.query_one(&format!("SHOW {name}"), &[]).await;
        row.expect("the setting is there").get(0)
    }

    /// Ends every client's session, as an operator or a fail-over does, and returns how many there were.
    pub async fn terminate_backends(&self) -> usize {
        let client = self.connect().await;
        let end = "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        let ended = bounded("the sessions to be told", client.query(end, &[])).await;
        let ended: Vec<i32> = ended
            .expect("the superuser may")
            .iter()
            .map(|row| row.get(0))
            .collect();
        let listed = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = ANY($1))";
        let some_left = async || -> bool {
            let row = client.query_one(listed, &[&ended]).await;
            row.expect("the superuser may").get(0)
        };
        bounded("the sessions to end", async {
            while some_left().await {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await;
        ended.len()
    }

    /// Shuts down the way a planned restart does: sessions are ended, the log is folded.
    pub async fn stop(&self) {
        // SIGINT is PostgreSQL's "fast" shutdown.
        self.process.end_by(Signal::INT).await;
    }

    /// Kills the server and its children: what was committed is recovered at the next start.
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

    /// Starts the server again at the same address with the same data; one that runs is stopped first.
    pub async fn restart(&self) {
        self.stop().await;
        self.launch().await;
    }

    async fn launch(&self) {
        self.process.launch();
        let dsn = self.dsn();
        self.process
            .until(async || tokio_postgres::connect(&dsn, NoTls).await.is_ok())
            .await;
    }
}

/// An identifier between the quotes that keep its case.
fn quoted(name: &str) -> String {
    assert!(
        name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'),
        "{name}: letters, digits and _ make a database name that needs no escaping in a URL"
    );
    format!("\"{name}\"")
}

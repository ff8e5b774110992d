//! One running Sentinel: started, asked, stopped, killed, frozen and started again by the test.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use sentinel_testkit::{HeldPort, RawClient, RawResponse, bounded};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

use crate::cluster::binary;
use crate::console::Console;

/// How often a state is looked at while a test waits for it.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// The most lines of a replica's log in the panic of a test that it failed.
const LOG_LINES_SHOWN: usize = 40;

/// One replica; it is killed with this value.
pub(crate) struct Replica {
    pub(crate) proxy: SocketAddr,
    pub(crate) admin: SocketAddr,
    environment: Vec<(String, String)>,
    log: PathBuf,
    child: Child,
    /// Of its two listeners: its own also while it does not run, so that it finds them free at every start.
    ports: [HeldPort; 2],
}

impl Replica {
    /// Starts it and waits until it is ready.
    pub(crate) async fn start(environment: Vec<(String, String)>, log: PathBuf) -> Self {
        let (proxy, admin) = (HeldPort::new(), HeldPort::new());
        let replica = Self {
            proxy: proxy.address(),
            admin: admin.address(),
            child: launch(&environment, &log, [&proxy, &admin]).await,
            environment,
            log,
            ports: [proxy, admin],
        };
        replica.until_ready().await;
        replica
    }

    /// Ends it in whatever way is left and starts it again, on the same addresses and the same data.
    pub(crate) async fn restart(&mut self) {
        self.relaunch().await;
        self.until_ready().await;
    }

    /// The same, be it ready or not.
    pub(crate) async fn relaunch(&mut self) {
        self.kill();
        self.child = launch(&self.environment, &self.log, self.ports.each_ref()).await;
    }

    /// Asks it to stop and waits until it has.
    pub(crate) async fn stop(&mut self) -> ExitStatus {
        self.send(Signal::TERM);
        let ended = async {
            loop {
                if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                    return status;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        bounded("a replica to stop", ended).await
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        // One that has ended already is no error.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Stops it where it is: it keeps its connections and does nothing.
    pub(crate) fn freeze(&self) {
        self.send(Signal::STOP);
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        self.send(Signal::CONT);
    }

    fn send(&self, signal: Signal) {
        // Not reaped yet, so the number is still this process's.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// A connection to the proxy from this loopback address.
    pub(crate) async fn client(&self, from: IpAddr) -> RawClient {
        RawClient::connect_from(from, self.proxy).await
    }

    /// One request with this key, on a path that binds.
    pub(crate) async fn get(&self, from: IpAddr, key: &str) -> RawResponse {
        self.get_path(from, "/v1/models", &[("authorization", &format!("Bearer {key}"))])
            .await
    }

    /// One request with these headers.
    pub(crate) async fn get_path(&self, from: IpAddr, path: &str, headers: &[(&str, &str)]) -> RawResponse {
        self.client(from).await.get(path, headers).await
    }

    /// The status of one request with this key; none when the connection ended without an answer, as it does when a change ends the
    /// request while it is under way.
    pub(crate) async fn status(&self, from: IpAddr, key: &str) -> Option<u16> {
        let request = format!(
            "GET /v1/models HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\r\n"
        );
        let asking = async {
            let socket = TcpSocket::new_v4()?;
            socket.bind((from, 0).into())?;
            let mut stream = socket.connect(self.proxy).await?;
            stream.write_all(request.as_bytes()).await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            std::io::Result::Ok(answer)
        };
        let answer = bounded("an answer or the end of a connection", asking)
            .await
            .ok()?;
        let line = String::from_utf8_lossy(&answer).lines().next()?.to_owned();
        line.split(' ').nth(1)?.parse().ok()
    }

    /// Waits until requests with this key are answered so.
    pub(crate) async fn until_status(&self, from: IpAddr, key: &str, status: u16) {
        let what = format!("requests from {from} to be answered with {status}");
        self.until(&what, async || self.status(from, key).await == Some(status))
            .await;
    }

    /// Status and code of an answer of Sentinel's own; an empty code when it is none.
    pub(crate) async fn verdict(&self, from: IpAddr, key: &str) -> (u16, String) {
        let answer = self.get(from, key).await;
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let code = body["error"]["code"].as_str().unwrap_or_default().to_owned();
        (answer.status(), code)
    }

    /// The console, signed in.
    pub(crate) async fn console(&self) -> Console {
        Console::sign_in(self.admin).await
    }

    /// What `/readyz` says: its status, and its body.
    pub(crate) async fn readiness(&self) -> (u16, Value) {
        let answer = RawClient::connect(self.admin).await.get("/readyz", &[]).await;
        (
            answer.status(),
            serde_json::from_slice(&answer.body).unwrap_or_default(),
        )
    }

    /// The value of a metric without labels, or of the line that begins so.
    pub(crate) async fn metric(&self, name: &str) -> Option<f64> {
        let answer = RawClient::connect(self.admin).await.get("/metrics", &[]).await;
        let text = answer.text();
        let line = text.lines().find(|line| line.starts_with(&format!("{name} ")))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    /// Waits until `/readyz` says that everything works.
    pub(crate) async fn until_ready(&self) {
        self.until("a replica to be ready", async || {
            self.readiness().await.1["status"] == "ready"
        })
        .await;
    }

    /// Waits until `holds` does; panics with the end of the log when it does not.
    pub(crate) async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let waiting = async {
            while !holds().await {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        if tokio::time::timeout(sentinel_testkit::WAIT_MAX, waiting)
            .await
            .is_err()
        {
            panic!("waited in vain for {what}; {}", tail(&self.log));
        }
    }

    /// All that it wrote to standard error so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.thaw();
        self.kill();
        if std::thread::panicking() {
            use std::io::Write as _;
            // The test fails for its own reason; this only helps to see it.
            let _ = writeln!(std::io::stderr(), "{}", tail(&self.log));
        }
    }
}

/// Starts the binary on these ports and waits until it listens, be it ready or not.
async fn launch(environment: &[(String, String)], log: &PathBuf, ports: [&HeldPort; 2]) -> Child {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .expect("the log can be written");
    let mut variables = environment.to_vec();
    for (name, port) in ["SENTINEL_LISTEN", "SENTINEL_ADMIN_LISTEN"]
        .into_iter()
        .zip(ports)
    {
        variables.push((name.to_owned(), port.address().to_string()));
    }
    let mut child = binary(&["serve"], variables)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(file)
        .spawn()
        .expect("the binary can be started");
    let out = child.stdout.take().expect("its output is a pipe");
    let listens = tokio::task::spawn_blocking(move || says_that_it_listens(out));
    let listens = bounded("a replica to listen", listens).await.expect("no panic");
    assert!(listens, "a replica ended instead of serving; {}", tail(log));
    child
}

/// Reads what a replica says at its start until both listeners are told of; false when it ends before.
fn says_that_it_listens(out: ChildStdout) -> bool {
    let mut lines = BufReader::new(out).lines().map_while(Result::ok);
    let listens = lines.any(|line| line.split_whitespace().next() == Some("admin"));
    // Whatever else it says must not fill the pipe.
    std::thread::spawn(move || lines.for_each(drop));
    listens
}

/// The end of a log.
fn tail(path: &PathBuf) -> String {
    let text = File::open(path)
        .and_then(std::io::read_to_string)
        .unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(LOG_LINES_SHOWN);
    format!("the end of {}:\n{}", path.display(), lines[from..].join("\n"))
}

//! A real server as a process of its own: started on a port that is ours, stopped, killed, frozen and started again
//! by the test, gone with it. Must never leave a process or a folder behind, nor know which server it runs.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
#[cfg(test)]
use std::path::Path;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(crate) use account::Account;
pub use port::HeldPort;
pub(crate) use program::{Program, search_path};
use rustix::process::{Pid, Signal, kill_process};
pub(crate) use watchdog::WatchedFolder;

use crate::process::family::Family;
use crate::wait::{WAIT_MAX, bounded};

mod account;
mod family;
mod port;
mod program;
mod watchdog;

#[cfg(test)]
mod tests;

/// How often the state of a process is looked at while a test waits for it.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(2);
/// The most lines of a server's log in the panic of a test that it failed.
const LOG_TAIL_LINES_MAX: usize = 30;

/// A shell that becomes the server once it is told to, so that nothing starts before the watchdog knows of it. In a
/// session of its own: what is frozen in the session of a test that dies would be woken by a SIGHUP.
const ON_THE_WORD: &str = r#"read -r _ && exec setsid "$@" </dev/null"#;

/// What to run, and as whom.
pub(crate) struct Invocation {
    pub(crate) program: Program,
    pub(crate) arguments: Vec<OsString>,
    /// Whom the server runs as, if not as the test's own user.
    pub(crate) account: Option<Account>,
}

/// One server, its folder, its port and its log. Running or not, it is gone when this is dropped or the test dies.
pub(crate) struct ServerProcess {
    invocation: Invocation,
    /// Kills the child as well: it is dropped first.
    folder: WatchedFolder,
    port: HeldPort,
    child: Mutex<Option<Child>>,
}

impl ServerProcess {
    /// A server that is not started yet.
    pub(crate) fn new(invocation: Invocation, folder: WatchedFolder, port: HeldPort) -> Self {
        let child = Mutex::default();
        Self {
            invocation,
            folder,
            port,
            child,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    #[cfg(test)]
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the process; that it serves is for the caller to find out.
    pub(crate) fn launch(&self) {
        let mut child = self.child();
        assert!(child.is_none(), "{} runs already", self.invocation.program);
        let log = self.open_log();
        let mut command = Command::new("sh");
        command
            .args(["-c", ON_THE_WORD, "sh"])
            .arg(self.invocation.program.path())
            .args(&self.invocation.arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a file can be opened twice"))
            .stderr(log);
        if let Some(account) = &self.invocation.account {
            command.uid(account.uid).gid(account.gid);
        }
        let mut started = command.spawn().expect("sh can be started");
        self.folder.watch(started.id());
        let mut word = started.stdin.take().expect("its input is a pipe");
        word.write_all(b"go\n")
            .expect("a shell that waits for a line reads it");
        *child = Some(started);
    }

    /// Whether the process runs: it was started, and has not ended by itself or by us.
    pub(crate) fn runs(&self) -> bool {
        let mut child = self.child();
        let ended = child
            .as_mut()
            .is_some_and(|child| child.try_wait().expect("a child can be waited for").is_some());
        if ended {
            self.folder.forget();
            *child = None;
        }
        child.is_some()
    }

    /// Asks the process to end by `signal` and waits until it has. One that does not run has ended already.
    pub(crate) async fn end_by(&self, signal: Signal) {
        self.thaw();
        self.send(signal);
        self.wait_for_end().await;
    }

    /// Ends the process and its children by SIGKILL and waits until all are gone.
    pub(crate) async fn kill(&self) {
        let Some(family) = self.family() else { return };
        // What is stopped makes no further children.
        self.send(Signal::STOP);
        let family = family.settled().await;
        family.signal(Signal::KILL);
        self.wait_for_end().await;
        family.gone().await;
    }

    /// Stops the process and its children by SIGSTOP: they keep their connections and answer nothing.
    pub(crate) async fn freeze(&self) {
        let family = self.family().expect("only a server that runs can be frozen");
        self.send(Signal::STOP);
        let family = family.settled().await;
        family.signal(Signal::STOP);
        family.stopped().await;
    }

    /// Lets what [`ServerProcess::freeze`] stopped go on.
    pub(crate) fn thaw(&self) {
        if let Some(family) = self.family() {
            family.signal(Signal::CONT);
        }
    }

    /// The last lines that the server wrote.
    pub(crate) fn log_tail(&self) -> String {
        let log = fs::read(self.log_path()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        let from = lines.len().saturating_sub(LOG_TAIL_LINES_MAX);
        format!(
            "the end of {}'s log:\n{}",
            self.invocation.program,
            lines[from..].join("\n")
        )
    }

    /// Waits until the server is `ready`; panics with the end of its log when it ends or the wait does.
    pub(crate) async fn until<F: Future<Output = bool>>(&self, ready: impl Fn() -> F) {
        let wait = async {
            while !ready().await {
                let program = &self.invocation.program;
                assert!(self.runs(), "{program} ended instead; {}", self.log_tail());
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        if tokio::time::timeout(WAIT_MAX, wait).await.is_err() {
            let (program, seconds) = (&self.invocation.program, WAIT_MAX.as_secs());
            panic!("waited {seconds} s for {program}; {}", self.log_tail());
        }
    }

    pub(crate) fn send(&self, signal: Signal) {
        if let Some(child) = self.child().as_ref() {
            // Not reaped yet, so the number is still this process's; that it has ended is no error.
            let _ = kill_process(Pid::from_child(child), signal);
        }
    }

    async fn wait_for_end(&self) {
        let what = format!("{} to end; {}", self.invocation.program, self.log_tail());
        bounded(&what, async {
            while self.runs() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await;
    }

    fn family(&self) -> Option<Family> {
        self.child()
            .as_ref()
            .map(|child| Family::of(Pid::from_child(child)))
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    fn open_log(&self) -> File {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_path())
            .expect("the log can be written")
    }
}

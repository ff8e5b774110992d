//! A server's folder, and the shell beside it that ends the server and removes the folder when the test lets go of a
//! pipe: by dropping it, by finishing, or by being killed. Must never signal a process that has already been reaped.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// Reads the number of the process to watch, or an empty line for none, until the pipe ends. A stopped parent makes no
/// more children, so what is listed then is all; a folder in which the dying still write needs more than one go.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
server=
while read -r line; do server=$line; done
if [ -n "$server" ]; then
    kill -STOP "$server"
    children=$(grep -ls "^PPid:[[:space:]]*$server\$" /proc/[0-9]*/status | cut -d / -f 3)
    kill -KILL "$server" $children
fi
(cd "$1" && eval "$2")
tries=0
until rm -rf -- "$1" || [ "$tries" -eq 100 ]; do
    tries=$((tries + 1))
    sleep 0.05
done
"#;

/// A folder that is removed, once the process that was last watched has been killed, when this is dropped or the test
/// dies.
pub(crate) struct WatchedFolder {
    path: PathBuf,
    shell: Child,
    pipe: Mutex<Option<ChildStdin>>,
}

impl WatchedFolder {
    /// Makes a folder in `parent`, its name beginning with `prefix`. The shell commands `parting` run in it in the end,
    /// to remove what a killed server leaves elsewhere.
    pub(crate) fn new_in(parent: &Path, prefix: &str, parting: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix(prefix)
            .tempdir_in(parent)
            .expect("a temporary folder");
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "sh"])
            .arg(folder.path())
            .arg(parting)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Whoever kills the test's process group must not reach the watchdog.
            .process_group(0)
            .spawn()
            .expect("sh can be started");
        let pipe = Mutex::new(shell.stdin.take());
        let path = folder.keep();
        Self { path, shell, pipe }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Watches the process with this number from now on.
    pub(super) fn watch(&self, process: u32) {
        self.tell(&process.to_string());
    }

    /// Watches nothing: the process has ended and its number may become another's.
    pub(super) fn forget(&self) {
        self.tell("");
    }

    fn tell(&self, line: &str) {
        let mut pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        let pipe = pipe.as_mut().expect("the pipe is open until the end");
        writeln!(pipe, "{line}").expect("the watchdog reads until the end");
    }
}

impl Drop for WatchedFolder {
    fn drop(&mut self) {
        // Does now what happens when the test dies, and waits until it is done.
        self.pipe.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let _ = self.shell.wait();
    }
}

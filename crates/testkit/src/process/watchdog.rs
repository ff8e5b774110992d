//! A shell beside each server that ends it, and removes its folder, when the test lets go of a pipe: by dropping the
//! server, by finishing, or by being killed. Must never signal a process that has already been reaped.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
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

pub(super) struct Watchdog {
    shell: Mutex<Child>,
    pipe: Mutex<Option<ChildStdin>>,
}

impl Watchdog {
    /// A watchdog that runs the shell commands `parting` in `folder` in the end, and removes it.
    pub(super) fn over(folder: &Path, parting: &str) -> Self {
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "sh"])
            .arg(folder)
            .arg(parting)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Whoever kills the test's process group must not reach the watchdog.
            .process_group(0)
            .spawn()
            .expect("sh can be started");
        let pipe = shell.stdin.take();
        Self {
            shell: Mutex::new(shell),
            pipe: Mutex::new(pipe),
        }
    }

    /// Watches the process with this number from now on.
    pub(super) fn watch(&self, process: u32) {
        self.tell(&process.to_string());
    }

    /// Watches nothing: the process has ended and its number may become another's.
    pub(super) fn forget(&self) {
        self.tell("");
    }

    /// Does now what happens when the test dies, and waits until it is done.
    pub(super) fn bite(&self) {
        self.pipe.lock().unwrap_or_else(PoisonError::into_inner).take();
        let _ = self.shell.lock().unwrap_or_else(PoisonError::into_inner).wait();
    }

    fn tell(&self, line: &str) {
        let mut pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        let pipe = pipe.as_mut().expect("the pipe is open until the end");
        writeln!(pipe, "{line}").expect("the watchdog reads until the end");
    }
}

//! A process and its children, as `/proc` shows them: a server's children may have left its process group, as
//! PostgreSQL's do. Must never signal a process without having seen whose child it is.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use crate::process::LOOK_AGAIN;
use crate::wait::bounded;

/// A process and the children that it had when it was looked at.
pub(super) struct Family {
    parent: Pid,
    children: Vec<Pid>,
}

impl Family {
    pub(super) fn of(parent: Pid) -> Self {
        let processes = fs::read_dir("/proc").expect("/proc is there").flatten();
        let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let children = numbers
            .filter(|number| Status::of(*number).is_some_and(|status| status.parent == parent.as_raw_pid()))
            .filter_map(Pid::from_raw)
            .collect();
        Self { parent, children }
    }

    /// The family once the parent, which has been sent a SIGSTOP, has stopped or ended and makes no more children.
    pub(super) async fn settled(self) -> Self {
        wait_for(&[self.parent], "the server to stop", |state| {
            "TtZX".contains(state)
        })
        .await;
        Self::of(self.parent)
    }

    /// Sends a signal to all. That one has ended is no error.
    pub(super) fn signal(&self, signal: Signal) {
        for process in self.children.iter().chain([&self.parent]) {
            let _ = kill_process(*process, signal);
        }
    }

    /// Waits until all have stopped or ended.
    pub(super) async fn stopped(&self) {
        wait_for(&self.children, "the server's children to stop", |state| {
            "TtZX".contains(state)
        })
        .await;
    }

    /// Waits until the children have ended, whoever takes note of it.
    pub(super) async fn gone(&self) {
        wait_for(&self.children, "the server's children to end", |state| {
            "ZX".contains(state)
        })
        .await;
    }
}

async fn wait_for(processes: &[Pid], what: &str, there: impl Fn(char) -> bool) {
    bounded(what, async {
        for process in processes {
            // A process that is not there any more has gone further than any state.
            while Status::of(process.as_raw_pid()).is_some_and(|status| !there(status.state)) {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
    })
    .await;
}

/// Two fields of `/proc/<number>/stat` (proc(5)).
pub(super) struct Status {
    pub(super) state: char,
    parent: i32,
}

impl Status {
    /// `None` when there is no such process.
    pub(super) fn of(process: i32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // The name before them is in parentheses, and may hold anything.
        let (_, fields) = text.rsplit_once(") ")?;
        let mut fields = fields.split(' ');
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        Some(Self { state, parent })
    }
}

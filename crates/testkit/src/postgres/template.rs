//! The data folder that every server begins with: made once by `initdb`, which takes most of a second, and copied for
//! each server. Must never be used by a server itself, nor be seen half made.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::installation::Installation;
use super::{PASSWORD, SUPERUSER};
use crate::process::{Account, WatchedFolder};

/// A folder in memory, where a copy takes a tenth of the time.
const MEMORY: &str = "/dev/shm";
/// Less than this left there, as in most containers, and the disk serves.
const MEMORY_BYTES_MIN: u64 = 1024 * 1024 * 1024;

/// Raise it when [`initialise`] makes something else than before.
const LAYOUT: u32 = 1;

/// A server that is killed leaves a few bytes of System V shared memory, of which a machine has a limited number of
/// pieces. Its number ends the seventh line of `postmaster.pid`.
const FREE_SHARED_MEMORY: &str = r#"
memory=$(sed -n '7s/.* //p' data/postmaster.pid)
[ -z "$memory" ] || ipcrm --shmem-id "$memory"
"#;

/// A new folder for one server, of the account that it will run as, with its data under `data`. On disk if it has to
/// be.
pub(super) fn copy(installation: &Installation, account: Option<Account>, on_disk: bool) -> WatchedFolder {
    let template = existing_or_new(installation, account);
    let parent = if !on_disk && has_room(MEMORY) {
        PathBuf::from(MEMORY)
    } else {
        std::env::temp_dir()
    };
    let folder = WatchedFolder::new_in(&parent, "sentinel-testkit-postgres-", FREE_SHARED_MEMORY);
    give(folder.path(), account);
    // Keeps owners and modes, which PostgreSQL looks at.
    let copied = Command::new("cp")
        .args(["-a", "--reflink=auto"])
        .args([&template, &folder.path().join("data")])
        .output()
        .expect("cp can be started");
    succeeded("cp", &copied);
    folder
}

fn has_room(memory: &str) -> bool {
    rustix::fs::statvfs(memory).is_ok_and(|room| room.f_bavail * room.f_frsize >= MEMORY_BYTES_MIN)
}

fn existing_or_new(installation: &Installation, account: Option<Account>) -> PathBuf {
    let shared = shared_folder();
    let version: String = installation
        .version
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || ".+-~".contains(*c))
        .collect();
    let template = shared.join(format!("{version}-{LAYOUT}"));
    if template.exists() {
        return template;
    }
    let lock = File::create(shared.join("lock")).expect("a lock in our own folder");
    lock.lock().expect("a file can be locked");
    // Another test may have made it while this one waited.
    if !template.exists() {
        let unfinished = shared.join("unfinished");
        // Left by one that was killed.
        let _ = fs::remove_dir_all(&unfinished);
        fs::create_dir(&unfinished).expect("a folder in our own folder");
        give(&unfinished, account);
        initialise(installation, &unfinished, account);
        fs::rename(&unfinished, &template).expect("a folder can be renamed");
    }
    template
}

/// The folder that all test processes of this user share.
fn shared_folder() -> PathBuf {
    let user = rustix::process::geteuid().as_raw();
    let folder = std::env::temp_dir().join(format!("sentinel-testkit-templates-{user}"));
    // That it exists already is the common case.
    let _ = fs::create_dir(&folder);
    let found = fs::symlink_metadata(&folder).expect("the folder was made, or is there");
    assert!(
        found.is_dir() && found.uid() == user,
        "{} belongs to somebody else: remove it",
        folder.display()
    );
    // The account that runs the server passes through; nobody else writes.
    fs::set_permissions(&folder, Permissions::from_mode(0o711)).expect("it is our own");
    folder
}

fn initialise(installation: &Installation, data: &Path, account: Option<Account>) {
    let password_file = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(password_file.path(), PASSWORD).expect("a temporary file can be written");
    give(password_file.path(), account);
    let mut command = Command::new(installation.initdb.path());
    command
        .arg("--pgdata")
        .arg(data)
        .arg("--pwfile")
        .arg(password_file.path())
        .args(["--username", SUPERUSER, "--auth", "scram-sha-256"])
        .args(["--encoding", "UTF8", "--locale", "C", "--no-sync"])
        // Small segments make a small folder to copy.
        .args(["--wal-segsize", "1"])
        .current_dir(data)
        .env("LC_ALL", "C");
    if let Some(account) = account {
        command.uid(account.uid).gid(account.gid);
    }
    succeeded("initdb", &command.output().expect("initdb can be started"));
}

pub(super) fn give(path: &Path, account: Option<Account>) {
    if let Some(account) = account {
        chown(path, Some(account.uid), Some(account.gid)).expect("root gives away what it likes");
    }
}

fn succeeded(program: &str, output: &Output) {
    assert!(
        output.status.success(),
        "{program} failed ({}): {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

//! Whom a server runs as when the tests run as root, which PostgreSQL refuses to. Must never pick an account that
//! owns anything of value.

use std::fs;

/// Accounts without rights, the best first.
const UNPRIVILEGED: &[&str] = &["postgres", "nobody"];

/// A user of this machine and its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Account {
    /// The account to step down to, or `None` when we are not root and stay who we are.
    pub(crate) fn if_root() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let accounts = fs::read_to_string("/etc/passwd").expect("/etc/passwd lists the accounts");
        let found = UNPRIVILEGED.iter().find_map(|name| Self::named(name, &accounts));
        Some(found.unwrap_or_else(|| {
            panic!(
                "PostgreSQL does not run as root, and there is no account of {UNPRIVILEGED:?} to run it as"
            )
        }))
    }

    /// Looks an account up in the text of `/etc/passwd` (passwd(5)).
    pub(super) fn named(name: &str, accounts: &str) -> Option<Self> {
        let mut lines = accounts.lines().map(|line| line.split(':'));
        lines.find_map(|mut fields| {
            if fields.next()? != name {
                return None;
            }
            let mut ids = fields.skip(1).map(str::parse);
            let (uid, gid) = (ids.next()?.ok()?, ids.next()?.ok()?);
            Some(Self { uid, gid })
        })
    }
}

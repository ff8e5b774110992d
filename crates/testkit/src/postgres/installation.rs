//! Finds an installed PostgreSQL server. Must never take a program of that name for it that is something else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Program, search_path};

/// The oldest major version that Sentinel supports.
const MAJOR_VERSION_MIN: u32 = 13;
/// Debian keeps the server's programs off the `PATH`, a folder per major version.
const DEBIAN_FOLDER: &str = "/usr/lib/postgresql";
const MISSING: &str = "a PostgreSQL server (13 or newer) is missing: on Debian, apt-get install postgresql";

/// The programs of one installation.
pub(super) struct Installation {
    pub(super) server: Program,
    pub(super) initdb: Program,
    /// What the server says of itself, such as `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`.
    pub(super) version: String,
}

/// The first one on the `PATH`, else the newest of Debian's.
///
/// # Panics
/// When there is none, with what to install.
pub(super) fn find() -> Installation {
    let mut found = search_path()
        .into_iter()
        .chain(debian_folders())
        .filter_map(|folder| installed_in(&folder));
    found.next().unwrap_or_else(|| panic!("{MISSING}"))
}

fn debian_folders() -> Vec<PathBuf> {
    let versions = fs::read_dir(DEBIAN_FOLDER).into_iter().flatten().flatten();
    let names = versions.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut majors: Vec<u32> = names.collect();
    majors.sort_unstable_by(|a, b| b.cmp(a));
    let folder = |major| Path::new(DEBIAN_FOLDER).join(format!("{major}/bin"));
    majors.into_iter().map(folder).collect()
}

fn installed_in(folder: &Path) -> Option<Installation> {
    // A link leads to the folder where the programs find each other.
    let initdb = folder.join("initdb").canonicalize().ok()?;
    let server = initdb.with_file_name("postgres");
    let output = Command::new(&server).arg("--version").output().ok()?;
    let version = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (major_version(&version)? >= MAJOR_VERSION_MIN).then(|| Installation {
        server: Program::at(server),
        initdb: Program::at(initdb),
        version,
    })
}

/// The major version in the server's own words, or `None` when these are not a PostgreSQL server's.
pub(super) fn major_version(words: &str) -> Option<u32> {
    let number = words.strip_prefix("postgres (PostgreSQL) ")?;
    let digits = number.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

//! Finds the servers' programs. Must never let a test pass without one: what is missing fails it with what to install.

use std::fmt;
use std::path::{Path, PathBuf};

/// A program that is there.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    path: PathBuf,
}

impl Program {
    /// The first of `names` on the `PATH`.
    ///
    /// # Panics
    /// With `missing`, a sentence that says what to install, when there is none.
    pub(crate) fn on_path(names: &[&str], missing: &str) -> Self {
        let folders = search_path();
        let mut candidates = names
            .iter()
            .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
        let path = candidates.find(|path| path.is_file());
        Self::at(path.unwrap_or_else(|| panic!("{missing}")))
    }

    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path.file_name().unwrap_or_default().to_string_lossy())
    }
}

/// The folders of the `PATH`, in order.
pub(crate) fn search_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).collect()
}

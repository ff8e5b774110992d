//! The folder in which secrets are kept: open to the owner only, each file written whole and flushed before it has its
//! name. One process at a time may write in it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::SecretsError;
use crate::config::{Secret, secret_file};

/// The folder's name in the data folder.
const FOLDER: &str = "secrets";
/// Held while secrets are made.
const LOCK_FILE: &str = "lock";
/// A file that is being written, before it has its name.
const UNFINISHED_FILE: &str = "unfinished";
/// Folders are for the owner only.
const FOLDER_MODE: u32 = 0o700;
/// As are files.
const FILE_MODE: u32 = 0o600;
/// The permissions of everybody else.
const OTHERS: u32 = 0o077;

/// The folder; holds its lock when it is open for writing.
pub(super) struct SecretsFolder {
    path: PathBuf,
    lock: Option<File>,
    /// What is worth saying about the files.
    pub(super) warnings: Vec<String>,
}

impl SecretsFolder {
    /// For reading only; need not be there.
    pub(super) fn look(data_folder: &Path) -> Self {
        Self {
            path: data_folder.join(FOLDER),
            lock: None,
            warnings: Vec::new(),
        }
    }

    /// For writing; made if it is not there yet.
    pub(super) fn open(data_folder: &Path) -> Result<Self, SecretsError> {
        let mut folder = Self::look(data_folder);
        make_folder(&folder.path)?;
        let path = folder.path(LOCK_FILE);
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .open(&path)
            .map_err(|cause| failed(&path, "cannot be written", cause))?;
        match lock.try_lock() {
            Ok(()) => folder.lock = Some(lock),
            Err(TryLockError::WouldBlock) => return Err(SecretsError::Busy(data_folder.to_owned())),
            Err(TryLockError::Error(cause)) => return Err(failed(&path, "cannot be locked", cause)),
        }
        folder.warn_if_open_to_others("");
        Ok(folder)
    }

    /// Where the file is.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() {
            self.path.clone()
        } else {
            self.path.join(name)
        }
    }

    /// What the file holds; none when it is not there. An empty file was not written by this module.
    pub(super) fn read(&self, name: &str) -> Result<Option<Secret>, SecretsError> {
        let path = self.path(name);
        match secret_file::read(&path) {
            Ok(secret) if secret.expose().is_empty() => Err(SecretsError::Damaged(path)),
            Ok(secret) => Ok(Some(secret)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(failed(&path, "cannot be read", cause)),
        }
    }

    /// Writes a file that is not there yet. The lock keeps others from making it between the look and the naming.
    pub(super) fn create(&self, name: &str, secret: &Secret) -> Result<(), SecretsError> {
        let path = self.path(name);
        if fs::symlink_metadata(&path).is_ok() {
            let cause = io::Error::from(io::ErrorKind::AlreadyExists);
            return Err(failed(&path, "is not written over", cause));
        }
        self.replace(name, secret)
    }

    /// Writes a file, whole or not at all.
    pub(super) fn replace(&self, name: &str, secret: &Secret) -> Result<(), SecretsError> {
        debug_assert!(
            self.lock.is_some(),
            "a folder that is written is open for writing"
        );
        let path = self.path(name);
        self.write_whole(&path, secret)
            .map_err(|cause| failed(&path, "cannot be written", cause))
    }

    fn write_whole(&self, path: &Path, secret: &Secret) -> io::Result<()> {
        let unfinished = self.path(UNFINISHED_FILE);
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(&unfinished)?;
        file.write_all(secret.expose().as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        File::open(&self.path)?.sync_all()
    }

    /// Warns when others may use the file, or with an empty name the folder.
    pub(super) fn warn_if_open_to_others(&mut self, name: &str) {
        let path = self.path(name);
        let is_open = fs::metadata(&path).is_ok_and(|metadata| metadata.permissions().mode() & OTHERS != 0);
        if is_open {
            let path = path.display();
            self.warnings.push(format!(
                "others than the owner may use {path}; run: chmod go= {path}"
            ));
        }
    }
}

/// Makes the folder and what is above it if they are not there yet, for the owner only.
pub(super) fn make_folder(path: &Path) -> Result<(), SecretsError> {
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(path)
        .map_err(|cause| failed(path, "the folder cannot be made", cause))
}

fn failed(path: &Path, what: &'static str, cause: io::Error) -> SecretsError {
    SecretsError::File {
        path: path.to_owned(),
        what,
        cause,
    }
}

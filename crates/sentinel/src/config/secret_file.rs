//! Reads a secret from a file of its own, as Docker and Kubernetes hand secrets to a container.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use super::given::Given;
use super::problem::{Origin, Problem};
use super::secret::Secret;
use super::setting::Setting;

/// The most bytes that a file with a secret may have.
pub(crate) const SECRET_FILE_BYTES_MAX: usize = 65_536;

/// Reads the file and takes what is in it, without one line end behind it. An empty file is an error: it was meant to
/// hold something.
pub(crate) fn take(path: &Path, setting: &'static Setting, origin: &Origin, given: &mut Given) {
    match read(path) {
        Ok(secret) if secret.expose().is_empty() => {
            let text = format!("the file {} is empty", path.display());
            given.errors.push(Problem::of(setting, origin.clone(), text));
        }
        Ok(secret) => {
            given.take(setting, secret, origin.clone());
            if is_readable_by_others(path) {
                let text = format!(
                    "every user of this machine can read {}; run: chmod o= {}",
                    path.display(),
                    path.display()
                );
                given.warnings.push(Problem::of(setting, origin.clone(), text));
            }
        }
        Err(error) => {
            let text = format!("the file {} cannot be used: {error}", path.display());
            given.errors.push(Problem::of(setting, origin.clone(), text));
        }
    }
}

/// The secret in the file.
pub(crate) fn read(path: &Path) -> io::Result<Secret> {
    let mut text = String::with_capacity(128);
    let limit = u64::try_from(SECRET_FILE_BYTES_MAX).unwrap_or(u64::MAX);
    File::open(path)?
        .take(limit.saturating_add(1))
        .read_to_string(&mut text)
        .map_err(|error| match error.kind() {
            // The standard text would be about a stream.
            io::ErrorKind::InvalidData => io::Error::new(error.kind(), "it is not UTF-8 text"),
            _ => error,
        })?;
    if text.len() > SECRET_FILE_BYTES_MAX {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {SECRET_FILE_BYTES_MAX} bytes"),
        ));
    }
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(Secret::new(text))
}

/// Whether everybody on this machine may read the file. A file that is gone is nobody's.
pub(crate) fn is_readable_by_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;

    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

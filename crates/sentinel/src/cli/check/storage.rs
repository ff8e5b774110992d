//! Checks what is kept on disk: the data folder, the store and the secrets.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use sentinel_core::ports::BindingAdmin as _;
use sentinel_store::{OpenError, SqliteStore};

use super::Finding;
use crate::config::Config;
use crate::secrets::{self, CheckedBy};

/// Whether the folder can be written, or made.
pub(super) fn data_folder(folder: &Path) -> Finding {
    const PART: &str = "data folder";
    let shown = folder.display();
    let advice = "let Sentinel's user write there, or set SENTINEL_DATA_DIR to another folder";
    match nearest_existing(folder) {
        Some(existing) if existing == folder => match write_probe(folder) {
            Ok(()) => Finding::good(PART, format!("{shown} can be written")),
            Err(error) => Finding::bad(PART, format!("{shown}: {error}"), advice),
        },
        Some(existing) => match write_probe(existing) {
            Ok(()) => Finding::good(PART, format!("{shown} will be made at first start")),
            Err(error) => Finding::bad(
                PART,
                format!("{shown} cannot be made: {}: {error}", existing.display()),
                advice,
            ),
        },
        None => Finding::bad(PART, format!("{shown} cannot be made"), advice),
    }
}

/// The folder itself, or the nearest one above it that is there.
fn nearest_existing(folder: &Path) -> Option<&Path> {
    folder
        .ancestors()
        .map(|path| {
            if path.as_os_str().is_empty() {
                Path::new(".")
            } else {
                path
            }
        })
        .find(|path| fs::symlink_metadata(path).is_ok())
}

/// Whether a file can be made in the folder; it is taken away again.
fn write_probe(folder: &Path) -> io::Result<()> {
    let path = folder.join(format!(".sentinel-check-{}", std::process::id()));
    File::create_new(&path)?;
    fs::remove_file(&path)
}

/// Whether the store is whole and of this version, and whether the secrets belong to it.
pub(super) async fn store_and_secrets(config: &Config) -> Vec<Finding> {
    let path = config.store.database();
    let shown = path.display();
    let store = match SqliteStore::check(&path) {
        Ok(schema) => Finding::good("store", format!("{shown} is whole; schema {schema}")),
        Err(OpenError::Missing { .. }) => {
            let finding = Finding::good("store", format!("{shown} will be made at first start"));
            return vec![finding, secrets(config, false)];
        }
        Err(error @ OpenError::SchemaOlder { .. }) => Finding::bad(
            "store",
            error.to_string(),
            "run: sentinel migrate (serve does it too)",
        ),
        Err(error) => Finding::bad("store", error.to_string(), ""),
    };
    if store.verdict == super::Verdict::Bad {
        return vec![store];
    }
    match count_bindings(&path).await {
        Ok(count) => vec![store, secrets(config, count > 0)],
        Err(error) => vec![store, Finding::bad("store", error, "")],
    }
}

async fn count_bindings(path: &Path) -> Result<u64, String> {
    let store = SqliteStore::open(path).map_err(|error| error.to_string())?;
    let counts = store.counts().await.map_err(|error| error.to_string());
    store.close().map_err(|error| error.to_string())?;
    counts.map(|counts| counts.active + counts.banned)
}

fn secrets(config: &Config, has_bindings: bool) -> Finding {
    match secrets::verify(config, &CheckedBy::Folder { has_bindings }) {
        Ok(()) => Finding::good("secrets", "are in order, or will be made at first start"),
        Err(error) => Finding::bad("secrets", error.to_string(), ""),
    }
}

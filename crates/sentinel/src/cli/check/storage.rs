//! Checks what is kept on disk: the data folder, the store and the secrets.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use sentinel_core::ports::{BindingAdmin as _, SettingStore as _, StoreError};
use sentinel_store::redis::RedisLink;
use sentinel_store::{OpenError, PostgresError, PostgresOptions, PostgresStore, SqliteStore};

use super::Finding;
use crate::config::{Config, PostgresConfig, RedisConfig};
use crate::secrets::{self, CheckedBy};

/// What to do about an older schema.
const MIGRATE: &str = "run: sentinel migrate (serve does it too)";
/// What to do about a database that cannot be used.
const CORRECT_DSN: &str = "put the server right, or PG_DSN; until then nothing is served";

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

/// Whether records can be kept.
pub(super) fn spool(folder: &Path) -> Finding {
    const PART: &str = "record spool";
    let shown = folder.display();
    if !folder.exists() {
        return Finding::good(PART, format!("{shown} will be made at first start"));
    }
    match write_probe(folder) {
        Ok(()) => Finding::good(PART, format!("{shown} can be written")),
        Err(error) => Finding::bad(
            PART,
            format!("{shown}: {error}"),
            "let Sentinel's user write there: without it refused requests cannot be recorded, and serve does not start",
        ),
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
    match &config.store.postgres {
        Some(postgres) => postgres_and_secrets(config, postgres).await,
        None => embedded_and_secrets(config).await,
    }
}

async fn postgres_and_secrets(config: &Config, postgres: &PostgresConfig) -> Vec<Finding> {
    let place = &postgres.dsn;
    let store = match PostgresStore::check(&postgres.dsn).await {
        Ok(schema) => Finding::good("store", format!("{place} can be written; schema {schema}")),
        Err(PostgresError::SchemaOlder { found: 0, .. }) => {
            let finding = Finding::good("store", format!("{place} will get its tables at first start"));
            return vec![finding, secrets(config, &CheckedBy::Shared(None))];
        }
        Err(error @ PostgresError::SchemaOlder { .. }) => Finding::bad("store", error.to_string(), MIGRATE),
        Err(error) => Finding::bad("store", error.to_string(), CORRECT_DSN),
    };
    if store.verdict == super::Verdict::Bad {
        return vec![store];
    }
    match shared_check(postgres).await {
        Ok(checked_by) => vec![store, secrets(config, &checked_by)],
        Err(error) => vec![store, Finding::bad("store", error, CORRECT_DSN)],
    }
}

/// What the store says of the secret.
async fn shared_check(postgres: &PostgresConfig) -> Result<CheckedBy, String> {
    let options = PostgresOptions {
        connections_max: 1,
        ..PostgresOptions::default()
    };
    let store = PostgresStore::open_as_it_is(&postgres.dsn, options)
        .await
        .map_err(|error| error.to_string())?;
    let settings = store.settings().await.map_err(|error| error.to_string());
    store.close().await;
    Ok(CheckedBy::Shared(secrets::check_in(&settings?)))
}

/// Whether Redis can be used, when there is one.
pub(super) async fn redis(config: &Config) -> Option<Finding> {
    const PART: &str = "redis";
    const ADVICE: &str = "put the server right, or REDIS_URL; until then every replica asks PostgreSQL and hears of changes from it alone";
    let RedisConfig { settings } = config.store.redis.as_ref()?;
    let place = settings.url();
    Some(match RedisLink::try_out(settings).await {
        Ok(()) => Finding::good(PART, format!("{place} takes writes")),
        Err(StoreError::Unavailable(why)) => Finding::bad(PART, format!("{place}: {why}"), ADVICE),
        Err(error) => Finding::bad(PART, format!("{place}: {error}"), ADVICE),
    })
}

async fn embedded_and_secrets(config: &Config) -> Vec<Finding> {
    let path = config.store.database();
    let shown = path.display();
    let store = match SqliteStore::check(&path) {
        Ok(schema) => Finding::good("store", format!("{shown} is whole; schema {schema}")),
        Err(OpenError::Missing { .. }) => {
            let finding = Finding::good("store", format!("{shown} will be made at first start"));
            return vec![
                finding,
                secrets(config, &CheckedBy::Folder { has_bindings: false }),
            ];
        }
        Err(error @ OpenError::SchemaOlder { .. }) => Finding::bad("store", error.to_string(), MIGRATE),
        Err(error) => Finding::bad("store", error.to_string(), ""),
    };
    if store.verdict == super::Verdict::Bad {
        return vec![store];
    }
    match count_bindings(&path).await {
        Ok(count) => {
            let has_bindings = count > 0;
            vec![store, secrets(config, &CheckedBy::Folder { has_bindings })]
        }
        Err(error) => vec![store, Finding::bad("store", error, "")],
    }
}

async fn count_bindings(path: &Path) -> Result<u64, String> {
    let store = SqliteStore::open(path).map_err(|error| error.to_string())?;
    let counts = store.counts().await.map_err(|error| error.to_string());
    store.close().map_err(|error| error.to_string())?;
    counts.map(|counts| counts.active + counts.banned)
}

fn secrets(config: &Config, checked_by: &CheckedBy) -> Finding {
    match secrets::verify(config, checked_by) {
        Ok(()) => Finding::good("secrets", "are in order, or will be made at first start"),
        Err(error) => Finding::bad("secrets", error.to_string(), ""),
    }
}

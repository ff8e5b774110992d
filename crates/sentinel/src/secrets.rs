//! The secrets of an installation: those that are configured, else those that were made at first start.
//!
//! What is made is kept in `<data folder>/secrets`, for the owner only, written whole or not at all, and never written
//! over. The admin's first password is kept as a hash only and handed to the caller once, to be shown.
//!
//! Keys are known by hashes under the HMAC secret. Under another secret every key would be unknown and bind anew, so
//! `hmac.check` says under which one the bindings were made, without telling it; where replicas share a store, that store says so.

mod files;
mod rotation;
mod shared;

use std::io;
use std::path::{Path, PathBuf};

use sentinel_admin::{AdminError, JwtSecret, Password, PasswordHash, SealingSecret};
use sentinel_alerts::links::LinkSigner;
use sentinel_core::fingerprint::{FingerprintHasher, NormalisedKey, SECRET_BYTES_MIN};

use crate::config::{AdminPassword, Config, Secret};
use files::SecretsFolder;

pub(crate) use rotation::{Agreed, agree_on, left_behind, under_others, unmarked_mark};
use rotation::{both, is_known};
pub(crate) use shared::{SharingError, check_in};

/// Holds the secret under which keys are hashed.
const HMAC_FILE: &str = "hmac";
/// Says under which secret keys were hashed.
const HMAC_CHECK_FILE: &str = "hmac.check";
/// Holds the secret under which sessions are signed.
const JWT_FILE: &str = "jwt";
/// Holds the hash of the admin's password.
const PASSWORD_HASH_FILE: &str = "admin_password_hash";
/// What is hashed to sign sessions under, where replicas must take each other's and no secret for it is configured.
const SESSIONS_TEXT: &str = "sentinel: sessions\n";
/// What is hashed to sign links in alerts under, so that every replica takes every link.
const LINKS_TEXT: &str = "sentinel: links in alerts\n";
/// What is hashed to seal second factors under: a secret that stays as long as there are bindings, whatever becomes of the one for sessions.
const SECOND_FACTORS_TEXT: &str = "sentinel: second factors of administrators\n";
/// How many random bytes a secret has.
const SECRET_BYTES: usize = 32;
/// How many characters a first password has, dashes not counted: 100 bits.
const PASSWORD_CHARACTERS: usize = 20;

/// The secrets that a server runs with.
#[derive(Debug)]
pub(crate) struct Secrets {
    /// Hashes keys under the HMAC secret.
    pub(crate) hasher: FingerprintHasher,
    /// Signs sessions.
    pub(crate) jwt: JwtSecret,
    /// Seals second factors.
    pub(crate) sealing: SealingSecret,
    /// Opens those that were sealed under the HMAC secret before, while there is one.
    pub(crate) sealing_previous: Option<SealingSecret>,
    /// Signs links in alerts.
    pub(crate) links: LinkSigner,
    /// What the admin's password is compared with.
    pub(crate) admin_password: PasswordHash,
    /// The admin's first password, when it was made just now: to be shown once.
    pub(crate) first_password: Option<Secret>,
    /// What is worth saying.
    pub(crate) warnings: Vec<String>,
}

/// Why there are no secrets to run with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretsError {
    /// A file or folder cannot be used.
    #[error("{path}: {what}: {cause}")]
    File {
        /// Which one.
        path: PathBuf,
        /// What failed.
        what: &'static str,
        /// Why.
        cause: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{0} is damaged: put it back from a backup, or move it away to have another one made")]
    Damaged(PathBuf),
    /// Another process is at it.
    #[error("another sentinel is starting on {0}; start again when it is up, or on another data folder")]
    Busy(PathBuf),
    /// The bindings were made under another secret.
    #[error(
        "the HMAC secret is not the one under which the bindings in this data folder were made, so every key would be \
         unknown and bind anew: put the old secret back (SENTINEL_HMAC_SECRET, or {0})"
    )]
    OtherHmacSecret(PathBuf),
    /// The bindings were made under a secret that is gone.
    #[error(
        "the HMAC secret is gone, but there are bindings that were made under it, and under another one every key would \
         be unknown and bind anew: put it back (SENTINEL_HMAC_SECRET, or {0})"
    )]
    LostHmacSecret(PathBuf),
    /// There are bindings that this server could not see.
    #[error(
        "{active} bindings and {banned} bans lie under an HMAC secret that this server does not have, so their keys would be unknown \
         and bind anew: set SENTINEL_HMAC_SECRET_PREVIOUS to that secret; or, to give them up, SENTINEL_HMAC_SECRET_GIVEN_UP={mark}"
    )]
    UnknownBindings {
        /// Under which secret.
        mark: String,
        /// How many may be used.
        active: u64,
        /// How many are banned.
        banned: u64,
    },
    /// Another replica hashes keys under another secret.
    #[error(
        "the HMAC secret is not the one that other replicas of this installation use, so every key would be unknown here and bind \
         anew: set SENTINEL_HMAC_SECRET to the same value everywhere (to change it, give the one before as \
         SENTINEL_HMAC_SECRET_PREVIOUS, too)"
    )]
    OtherSharedSecret,
    /// Other replicas have a secret, and this one has none.
    #[error(
        "this replica has no HMAC secret, but keys were bound under one by another replica, or before a data folder was lost: set \
         SENTINEL_HMAC_SECRET to that one (a replica that made it itself keeps it in its data folder, in secrets/hmac)"
    )]
    LostSharedSecret,
    /// The machine gives no random numbers.
    #[error("no random numbers: {0}")]
    Randomness(getrandom::Error),
    /// The admin's password cannot be hashed, or its hash cannot be used.
    #[error("the admin's password cannot be used: {0}")]
    Password(#[from] AdminError),
}

/// What says under which secret keys were hashed.
pub(crate) enum CheckedBy {
    /// The data folder, beside the embedded store.
    Folder {
        /// Whether any were.
        has_bindings: bool,
    },
    /// The store that replicas share; none before the first start of the first of them.
    Shared(Option<Secret>),
}

/// Whether any secret is kept in the data folder: not when replicas share a store and every secret is configured.
fn needs_data_folder(config: &Config) -> bool {
    let is_all_configured = config.hmac_secret.is_some() && config.admin.password.is_some();
    config.store.postgres.is_none() || !is_all_configured
}

/// Makes the data folder if it is not there yet, for the owner only.
pub(crate) fn prepare_data_folder(folder: &Path) -> Result<(), SecretsError> {
    files::make_folder(folder)
}

/// The secrets to run with; makes those that are neither configured nor kept. Hashes at most one password, which takes
/// tens of milliseconds.
pub(crate) fn prepare(config: &Config, checked_by: &CheckedBy) -> Result<Secrets, SecretsError> {
    let mut folder = if needs_data_folder(config) {
        prepare_data_folder(&config.store.data_dir)?;
        SecretsFolder::open(&config.store.data_dir)?
    } else {
        SecretsFolder::look(&config.store.data_dir)
    };
    let hasher = hasher(&mut folder, config, checked_by)?;
    let jwt = match (&config.admin.jwt_secret, checked_by) {
        (Some(secret), _) => secret.clone(),
        (None, CheckedBy::Folder { .. }) => kept_or_made(&mut folder, JWT_FILE)?,
        (None, CheckedBy::Shared(_)) => hashed(&hasher, SESSIONS_TEXT),
    };
    let jwt =
        JwtSecret::new(jwt.expose().as_bytes()).map_err(|_| SecretsError::Damaged(folder.path(JWT_FILE)))?;
    let (admin_password, first_password) = admin_password(&mut folder, config)?;
    if config.admin.password.is_none() && matches!(checked_by, CheckedBy::Shared(_)) {
        folder.warnings.push(
            "ADMIN_PASSWORD is not set: every replica makes and shows a password of its own; set one for all"
                .to_owned(),
        );
    }
    Ok(Secrets {
        sealing: sealing(&hashed(&hasher, SECOND_FACTORS_TEXT))?,
        sealing_previous: hashed_before(&hasher, SECOND_FACTORS_TEXT)
            .as_ref()
            .map(sealing)
            .transpose()?,
        links: LinkSigner::new(hashed(&hasher, LINKS_TEXT).expose().as_bytes()),
        hasher,
        jwt,
        admin_password,
        first_password,
        warnings: folder.warnings,
    })
}

/// The hasher alone; makes the secret if it is neither configured nor kept.
pub(crate) fn prepare_hasher(
    config: &Config,
    checked_by: &CheckedBy,
) -> Result<FingerprintHasher, SecretsError> {
    prepare_data_folder(&config.store.data_dir)?;
    let mut folder = SecretsFolder::open(&config.store.data_dir)?;
    hasher(&mut folder, config, checked_by)
}

/// The hasher and what tells its secret from any other, if there is a secret yet. Changes nothing.
pub(crate) fn hasher_if_any(
    config: &Config,
    checked_by: &CheckedBy,
) -> Result<Option<(FingerprintHasher, Secret)>, SecretsError> {
    verify(config, checked_by)?;
    let folder = SecretsFolder::look(&config.store.data_dir);
    let secret = match &config.hmac_secret {
        Some(secret) => Some(secret.clone()),
        None => kept(&folder, HMAC_FILE)?,
    };
    let hasher = secret.map(|secret| both(&folder, config, &secret)).transpose()?;
    Ok(hasher.map(|hasher| {
        let check = check_value(&hasher);
        (hasher, check)
    }))
}

/// Whether [`prepare`] would find the HMAC secret in order. Changes nothing.
pub(crate) fn verify(config: &Config, checked_by: &CheckedBy) -> Result<(), SecretsError> {
    let folder = SecretsFolder::look(&config.store.data_dir);
    let secret = match &config.hmac_secret {
        Some(secret) => Some(secret.clone()),
        None => kept(&folder, HMAC_FILE)?,
    };
    let has_bindings = match checked_by {
        CheckedBy::Folder { has_bindings } => *has_bindings,
        CheckedBy::Shared(check) => return verify_shared(&folder, config, secret.as_ref(), check.as_ref()),
    };
    match (secret, folder.read(HMAC_CHECK_FILE)?) {
        (None, _) if has_bindings => Err(SecretsError::LostHmacSecret(folder.path(HMAC_FILE))),
        (Some(secret), Some(check))
            if has_bindings && !is_known(&both(&folder, config, &secret)?, &check) =>
        {
            Err(SecretsError::OtherHmacSecret(folder.path(HMAC_FILE)))
        }
        _ => Ok(()),
    }
}

fn verify_shared(
    folder: &SecretsFolder,
    config: &Config,
    secret: Option<&Secret>,
    check: Option<&Secret>,
) -> Result<(), SecretsError> {
    match (secret, check) {
        (None, Some(_)) => Err(SecretsError::LostSharedSecret),
        (Some(secret), Some(check)) if !is_known(&both(folder, config, secret)?, check) => {
            Err(SecretsError::OtherSharedSecret)
        }
        _ => Ok(()),
    }
}

fn hasher(
    folder: &mut SecretsFolder,
    config: &Config,
    checked_by: &CheckedBy,
) -> Result<FingerprintHasher, SecretsError> {
    verify(config, checked_by)?;
    let secret = match &config.hmac_secret {
        Some(secret) => secret.clone(),
        None => kept_or_made(folder, HMAC_FILE)?,
    };
    let hasher = both(folder, config, &secret)?;
    if let CheckedBy::Folder { has_bindings } = checked_by {
        let check = check_value(&hasher);
        let kept = folder.read(HMAC_CHECK_FILE)?;
        // While there are bindings, a change is written down once the store knows of it.
        let is_first = kept.is_none() || !has_bindings;
        if is_first && kept.as_ref() != Some(&check) {
            folder.replace(HMAC_CHECK_FILE, &check)?;
        }
    }
    Ok(hasher)
}

fn hasher_under(folder: &SecretsFolder, secret: &Secret) -> Result<FingerprintHasher, SecretsError> {
    FingerprintHasher::new(secret.expose().as_bytes())
        .map_err(|_| SecretsError::Damaged(folder.path(HMAC_FILE)))
}

/// What tells one secret from another without telling the secret.
fn check_value(hasher: &FingerprintHasher) -> Secret {
    Secret::new(hasher.check().text())
}

fn sealing(secret: &Secret) -> Result<SealingSecret, AdminError> {
    SealingSecret::new(secret.expose().as_bytes())
}

/// As [`hashed`], of the secret before.
fn hashed_before(hasher: &FingerprintHasher, text: &str) -> Option<Secret> {
    let fingerprint = hasher.previous_fingerprint(&NormalisedKey::Exact(text))?;
    Some(Secret::new(hexadecimal(fingerprint.as_bytes())))
}

/// What follows from the secret and cannot be led back to it.
fn hashed(hasher: &FingerprintHasher, text: &str) -> Secret {
    Secret::new(hexadecimal(
        hasher.fingerprint(&NormalisedKey::Exact(text)).as_bytes(),
    ))
}

/// The secret in the file, if there is one.
fn kept(folder: &SecretsFolder, name: &str) -> Result<Option<Secret>, SecretsError> {
    match folder.read(name)? {
        Some(secret) if secret.expose().len() < SECRET_BYTES_MIN => {
            Err(SecretsError::Damaged(folder.path(name)))
        }
        secret => Ok(secret),
    }
}

fn kept_or_made(folder: &mut SecretsFolder, name: &str) -> Result<Secret, SecretsError> {
    if let Some(secret) = kept(folder, name)? {
        folder.warn_if_open_to_others(name);
        return Ok(secret);
    }
    let secret = Secret::new(hexadecimal(&random_bytes::<SECRET_BYTES>()?));
    folder.create(name, &secret)?;
    Ok(secret)
}

/// The hash to log in against, and the password itself when it was made just now.
fn admin_password(
    folder: &mut SecretsFolder,
    config: &Config,
) -> Result<(PasswordHash, Option<Secret>), SecretsError> {
    match &config.admin.password {
        Some(AdminPassword::Hash(hash)) => return Ok((PasswordHash::parse(hash.expose())?, None)),
        Some(AdminPassword::Plain(password)) => {
            return Ok((PasswordHash::parse(hash(password)?.expose())?, None));
        }
        None => {}
    }
    if let Some(kept) = folder.read(PASSWORD_HASH_FILE)? {
        folder.warn_if_open_to_others(PASSWORD_HASH_FILE);
        let hash = PasswordHash::parse(kept.expose())
            .map_err(|_| SecretsError::Damaged(folder.path(PASSWORD_HASH_FILE)))?;
        return Ok((hash, None));
    }
    let password = readable_password()?;
    let hash = hash(&password)?;
    folder.create(PASSWORD_HASH_FILE, &hash)?;
    Ok((PasswordHash::parse(hash.expose())?, Some(password)))
}

/// The argon2id hash of a password, in PHC form.
pub(crate) fn hash(password: &Secret) -> Result<Secret, AdminError> {
    sentinel_admin::hash_password(&Password::new(password.expose().to_owned())).map(Secret::new)
}

/// A password that is read off a screen without mistaking one character for another.
fn readable_password() -> Result<Secret, SecretsError> {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    const GROUP: usize = 5;
    let mut password = String::with_capacity(PASSWORD_CHARACTERS + PASSWORD_CHARACTERS / GROUP);
    for (index, byte) in random_bytes::<PASSWORD_CHARACTERS>()?.iter().enumerate() {
        if index > 0 && index % GROUP == 0 {
            password.push('-');
        }
        password.push(char::from(ALPHABET[usize::from(byte & 31)]));
    }
    Ok(Secret::new(password))
}

fn random_bytes<const COUNT: usize>() -> Result<[u8; COUNT], SecretsError> {
    let mut bytes = [0_u8; COUNT];
    getrandom::fill(&mut bytes).map_err(SecretsError::Randomness)?;
    Ok(bytes)
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

#[cfg(test)]
mod tests;

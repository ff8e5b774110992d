//! `sentinel import legacy`: bindings and refusals of the older Sentinel, which was written in Python, from its PostgreSQL and its `.env`.
//!
//! The older one keeps of a key the HMAC-SHA256 of its text. Where the gateway's profile takes every byte of a key for what it is, that is our
//! fingerprint, too, under the same secret. Where several spellings are one key (New API), it is not: then a list of the gateway's keys tells which key
//! a row means, and the key is hashed anew. What can be kept is told before anything is written; nothing is written without `--apply`.

mod database;
mod env_file;
mod gateway_keys;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use sentinel_core::binding::{BindingStatus, Remarks};
use sentinel_core::decision::RefusalReason;
use sentinel_core::event::{Intercept, InterceptOutcome, Reference};
use sentinel_core::fingerprint::{FingerprintHasher, KeyFingerprint, KeyHint, NormalisedKey};
use sentinel_core::policy::PolicyOverride;
use sentinel_core::ports::{MovedBinding, TransferItem};
use sentinel_core::profile::Normalisation;
use sentinel_core::time::Clock;

use super::batches::Import;
use super::lines::Spool;
use super::report::Report;
use super::{ExistingArgument, read_from};
use crate::cli::CliError;
use crate::config::Loaded;
use crate::stores::Authority;
use database::{LegacyBinding, LegacyDatabase, LegacyIntercept};
use gateway_keys::GatewayKeys;

/// What the rows of the older one say of the replica that they come from.
const REPLICA: &str = "legacy";
/// The most keys that are named because their spellings were bound to different networks.
const DIFFERING_SHOWN_MAX: usize = 20;

/// Where the older installation is.
#[derive(Debug, Args)]
pub(crate) struct LegacyArguments {
    /// The older installation's .env, with PG_DSN and SENTINEL_HMAC_SECRET in it
    #[arg(long, value_name = "FILE")]
    env: PathBuf,
    /// A file with the DSN of its database, when the one in the .env leads nowhere from here
    #[arg(long, value_name = "FILE")]
    dsn_file: Option<PathBuf>,
    /// A file with the gateway's keys, one a line, or - for standard input: tells which key a row means
    #[arg(long, value_name = "FILE")]
    gateway_keys: Option<PathBuf>,
    /// What happens to a key that is bound here already
    #[arg(long, value_enum, default_value_t = ExistingArgument::Keep)]
    existing: ExistingArgument,
    /// Write it
    #[arg(long)]
    apply: bool,
}

/// Why the older installation cannot be brought over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LegacyError {
    /// The `.env` does not say what is needed.
    #[error("{0} has no {1}, which the older installation was started with; nothing was imported")]
    NoVariable(PathBuf, &'static str),
    /// Its secret cannot be used.
    #[error(
        "the older installation's HMAC secret has fewer than 16 bytes, which is too few to be taken over; nothing was imported"
    )]
    ShortSecret,
    /// The DSN cannot be read.
    #[error(
        "the DSN of the older installation cannot be read: wanted postgresql://user:password@host:5432/database; nothing was imported"
    )]
    Dsn,
    /// The database cannot be reached.
    #[error("the older installation's database cannot be reached: {0}; nothing was imported")]
    Unreachable(String),
    /// The database broke off.
    #[error("the older installation's database: {0}; nothing was imported")]
    Database(String),
    /// It is another database.
    #[error("the database has no table {0} with the columns {1}; nothing was imported")]
    NoTable(&'static str, &'static str),
    /// Rows are not understood.
    #[error("nothing was imported, because {count} rows cannot be read; the first: {first}")]
    Rows {
        /// How many.
        count: u64,
        /// What is wrong with the first one.
        first: String,
    },
    /// Nothing says which keys the rows mean.
    #[error(
        "profile {profile} takes several spellings for one key, and the older installation hashed the text that a client sent: hand in the gateway's keys \
         with --gateway-keys FILE, or no binding can be kept; nothing was imported"
    )]
    KeysNeeded {
        /// The profile.
        profile: String,
    },
    /// The secrets differ.
    #[error(
        "the older installation's HMAC secret is another one than this installation's: set SENTINEL_HMAC_SECRET here to its value, while nothing is bound \
         here yet, or hand in the gateway's keys with --gateway-keys FILE; nothing was imported"
    )]
    OtherSecret,
}

/// Brings it over, or says what would be.
pub(super) async fn run(
    arguments: &LegacyArguments,
    loaded: &Loaded,
    authority: &Authority,
    clock: &dyn Clock,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let old = env_file::read(&arguments.env, arguments.dsn_file.as_deref())?;
    let old_hasher =
        FingerprintHasher::new(old.hmac_secret.expose().as_bytes()).map_err(|_| LegacyError::ShortSecret)?;
    let import = Import {
        authority,
        existing: arguments.existing.into(),
        is_rehearsal: !arguments.apply,
        clock,
    };
    let hasher = import.hasher(&loaded.config).await?;
    let profile = &loaded.config.upstream.profile;
    let keys = match &arguments.gateway_keys {
        Some(path) => read_from(path, |input| {
            GatewayKeys::read(input, &old_hasher, &hasher, profile, gateway_keys::KEYS_MAX)
        })?,
        None => GatewayKeys::default(),
    };
    let means_our_keys = profile.normalisation == Normalisation::Exact;
    let is_same_secret = is_same(&old_hasher, &hasher);
    if arguments.gateway_keys.is_none() && !means_our_keys {
        return Err(LegacyError::KeysNeeded {
            profile: profile.name.to_string(),
        }
        .into());
    }
    if arguments.gateway_keys.is_none() && !is_same_secret {
        return Err(LegacyError::OtherSecret.into());
    }
    let mut taking = Taking {
        keys,
        is_direct: means_our_keys && is_same_secret,
        old_hasher: &old_hasher,
        profile: profile.name.to_string(),
        merged: HashMap::new(),
        spool: Spool::new(&loaded.config.store.data_dir)?,
        told: Told::default(),
    };
    let mut database = LegacyDatabase::open(old.dsn.expose()).await?;
    database.each_binding(|binding| taking.binding(binding)).await?;
    taking.keep_merged()?;
    database
        .each_intercept(|intercept| taking.intercept(intercept))
        .await?;
    drop(database);
    write(import, taking, out).await
}

async fn write(mut import: Import<'_>, mut taking: Taking<'_>, out: &mut dyn Write) -> Result<(), CliError> {
    let mut report = Report::new(import.is_rehearsal);
    import.items(&mut taking.spool, &mut report).await?;
    import.note(&report).await?;
    taking.told.print(out)?;
    report.print(out)?;
    if import.is_rehearsal {
        writeln!(out, "To write it: the same with --apply.")?;
    }
    Ok(())
}

/// Whether two hashers hash alike.
fn is_same(one: &FingerprintHasher, other: &FingerprintHasher) -> bool {
    let probe = NormalisedKey::Exact("sentinel: is this the same secret?\n");
    one.fingerprint(&probe) == other.fingerprint(&probe)
}

/// Turns the older one's rows into ours.
struct Taking<'t> {
    keys: GatewayKeys,
    /// Whether its hashes are our fingerprints.
    is_direct: bool,
    old_hasher: &'t FingerprintHasher,
    profile: String,
    /// Bindings of listed keys, of which the older one may have several: one for each spelling.
    merged: HashMap<KeyFingerprint, MovedBinding>,
    spool: Spool,
    told: Told,
}

impl Taking<'_> {
    fn binding(&mut self, row: LegacyBinding) -> Result<(), CliError> {
        let listed = self.keys.find(&row.hash);
        let is_listed = listed.is_some();
        let by_hash = || {
            self.is_direct
                .then(|| (row.hash, KeyHint::from_stored("…".to_owned())))
        };
        let Some((fingerprint, hint)) = listed.or_else(by_hash) else {
            self.told.lose(row.status);
            return Ok(());
        };
        let is_banned = row.status == BindingStatus::Banned;
        let moved = MovedBinding {
            fingerprint,
            hint,
            status: row.status,
            networks: row.networks,
            policy: PolicyOverride::default(),
            bound_at: row.bound_at,
            updated_at: row.bound_at,
            last_used_at: row.last_used_at,
            use_count: 0,
            ban_reason: if is_banned {
                "banned in the older installation".to_owned()
            } else {
                String::new()
            },
            ban_expires_at: None,
            remarks: Remarks::default(),
            profile: self.profile.clone(),
        };
        if is_listed {
            self.told.by_key += 1;
            self.merge(moved);
        } else {
            self.told.by_hash += 1;
            self.spool.keep(TransferItem::Binding(moved))?;
        }
        Ok(())
    }

    /// Several spellings of one key: the first use of any of them binds it, as it would have here. A later one from another network may be a thief's, so its
    /// network is left out; a ban of any of them holds.
    fn merge(&mut self, mut moved: MovedBinding) {
        let mut there = match self.merged.entry(moved.fingerprint) {
            Entry::Vacant(place) => {
                place.insert(moved);
                return;
            }
            Entry::Occupied(place) => place,
        };
        self.told.merged += 1;
        let kept = there.get_mut();
        if moved.bound_at < kept.bound_at {
            std::mem::swap(kept, &mut moved);
        }
        if moved.networks != kept.networks && self.told.differing.len() < DIFFERING_SHOWN_MAX {
            self.told.differing.push(kept.hint.as_str().to_owned());
        }
        if moved.status == BindingStatus::Banned {
            kept.status = moved.status;
            kept.ban_reason = moved.ban_reason;
        }
        kept.last_used_at = kept.last_used_at.max(moved.last_used_at);
    }

    fn keep_merged(&mut self) -> Result<(), CliError> {
        let mut bindings: Vec<MovedBinding> = self.merged.drain().map(|(_, moved)| moved).collect();
        // As they were bound, so that ids go up with time.
        bindings.sort_by_key(|moved| (moved.bound_at, moved.fingerprint));
        for moved in bindings {
            self.spool.keep(TransferItem::Binding(moved))?;
        }
        Ok(())
    }

    fn intercept(&mut self, row: &LegacyIntercept) -> Result<(), CliError> {
        let known = match (&row.hash, row.hash.as_ref().and_then(|hash| self.keys.find(hash))) {
            (_, Some((fingerprint, hint))) => Some((fingerprint, Some(hint))),
            (Some(hash), None) if self.is_direct => Some((*hash, None)),
            _ => None,
        };
        let (fingerprint, hint) = known.unzip();
        self.spool.keep(TransferItem::Intercept(Intercept {
            reference: self.reference(row),
            at: row.at,
            last_at: row.at,
            reason: RefusalReason::KeyIpMismatch,
            outcome: InterceptOutcome::Refused,
            binding: None,
            networks: row.networks.clone().into(),
            fingerprint,
            hint: hint.flatten(),
            client_ip: row.client_ip,
            method: String::new(),
            path: String::new(),
            user_agent: String::new(),
            count: 1,
            profile: self.profile.as_str().into(),
            replica: REPLICA.into(),
        }))?;
        Ok(())
    }

    /// The same at every import, so that none is taken twice.
    fn reference(&self, row: &LegacyIntercept) -> Reference {
        let name = format!("sentinel: refusal {} of {}\n", row.id, row.at.unix_ms());
        let hash = self.old_hasher.fingerprint(&NormalisedKey::Exact(&name));
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.as_bytes()[..16]);
        Reference::from_bytes(bytes)
    }
}

/// What becomes of the older one's bindings, in words.
#[derive(Default)]
struct Told {
    by_key: u64,
    by_hash: u64,
    merged: u64,
    /// Hints of keys that were bound to other networks under another spelling.
    differing: Vec<String>,
    lost: u64,
    lost_banned: u64,
}

impl Told {
    fn lose(&mut self, status: BindingStatus) {
        self.lost += 1;
        self.lost_banned += u64::from(status == BindingStatus::Banned);
    }

    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self {
            by_key,
            by_hash,
            merged,
            lost,
            lost_banned,
            ..
        } = self;
        writeln!(
            out,
            "Of the bindings there, {by_key} name a listed key, {by_hash} are taken by their hash alone."
        )?;
        if *by_hash > 0 && *by_key == 0 {
            writeln!(
                out,
                "Nothing proves yet that keys are hashed there as they are here: put one key that is bound there into --gateway-keys."
            )?;
        }
        if *merged > 0 {
            writeln!(
                out,
                "{merged} are another spelling of a key that was bound there earlier: the earlier networks stay, a ban of either holds."
            )?;
        }
        if !self.differing.is_empty() {
            writeln!(
                out,
                "Bound from other networks under another spelling, so look at them: {}",
                self.differing.join(", ")
            )?;
        }
        if *lost > 0 {
            writeln!(
                out,
                "{lost} cannot be kept, {lost_banned} of them bans: their key is not listed, and its hash means nothing here."
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

//! A certificate and its key: read from files, held against each other, shown to clients.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use sentinel_core::time::Timestamp;
use x509_cert::der::Decode as _;

use super::{TlsConfig, provider};

/// The most bytes of a certificate file or a key file.
pub const PEM_BYTES_MAX: u64 = 1024 * 1024;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file is far larger than any certificate.
    #[error("{} has more than {PEM_BYTES_MAX} bytes", .0.display())]
    TooLarge(PathBuf),
    /// A file has no certificate.
    #[error("{} holds no certificate in PEM form", .0.display())]
    NoCertificate(PathBuf),
    /// A file has no key.
    #[error("{} holds no private key in PEM form", .0.display())]
    NoKey(PathBuf),
    /// What a certificate file holds is no certificate.
    #[error("{} holds a certificate that cannot be read", .0.display())]
    MalformedCertificate(PathBuf),
    /// What a key file holds is no key of a kind that can be used.
    #[error("{} holds a key that cannot be used: {source}", path.display())]
    UnusableKey {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: Error,
    },
    /// The key belongs to another certificate.
    #[error("the key in {} does not belong to the certificate in {}", key.display(), certificate.display())]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// There is no thread to watch the files.
    #[error("cannot start the thread that watches the certificate: {0}")]
    Watch(io::Error),
    /// The TLS library refuses the settings.
    #[error("TLS cannot be set up: {0}")]
    Setup(Error),
}

impl TlsError {
    /// Which file is to blame, if one is. Of two that do not fit, it is the key.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Read { path, .. }
            | Self::TooLarge(path)
            | Self::NoCertificate(path)
            | Self::NoKey(path)
            | Self::MalformedCertificate(path)
            | Self::UnusableKey { path, .. }
            | Self::Mismatch { key: path, .. } => Some(path),
            Self::Setup(_) | Self::Watch(_) => None,
        }
    }
}

/// A certificate with its chain and its key, which belong together.
#[derive(Clone)]
pub struct Certificate {
    key: Arc<CertifiedKey>,
    not_before: Timestamp,
    not_after: Timestamp,
}

impl Certificate {
    /// Reads both files. Whether it is the time to use the certificate is for the caller to judge.
    pub fn load(config: &TlsConfig) -> Result<Self, TlsError> {
        let chain = chain(&config.certificate)?;
        let key = private_key(&config.key)?;
        let malformed = || TlsError::MalformedCertificate(config.certificate.clone());
        let first = chain.first().ok_or_else(malformed)?;
        let parsed = x509_cert::Certificate::from_der(first).map_err(|_| malformed())?;
        let validity = parsed.tbs_certificate.validity;
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|source| match source {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::Mismatch {
                certificate: config.certificate.clone(),
                key: config.key.clone(),
            },
            Error::InvalidCertificate(_) => malformed(),
            source => TlsError::UnusableKey {
                path: config.key.clone(),
                source,
            },
        })?;
        Ok(Self {
            key: Arc::new(key),
            not_before: timestamp(validity.not_before),
            not_after: timestamp(validity.not_after),
        })
    }

    /// From when on clients take it.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// Until when.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Whether clients take it at this time.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Certificate")
            .field("not_before", &self.not_before)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

fn timestamp(time: x509_cert::time::Time) -> Timestamp {
    Timestamp::from_unix_ms(i64::try_from(time.to_unix_duration().as_millis()).unwrap_or(i64::MAX))
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(path)?;
    let chain: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&bytes).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err(TlsError::NoCertificate(path.to_owned())),
        Ok(chain) => Ok(chain),
        Err(_) => Err(TlsError::MalformedCertificate(path.to_owned())),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|_| TlsError::NoKey(path.to_owned()))
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |source| TlsError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(PEM_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > PEM_BYTES_MAX {
        return Err(TlsError::TooLarge(path.to_owned()));
    }
    Ok(bytes)
}

/// The certificate that clients see now.
pub(crate) struct Shown(RwLock<Arc<CertifiedKey>>);

impl Shown {
    pub(crate) fn new(certificate: &Certificate) -> Self {
        Self(RwLock::new(Arc::clone(&certificate.key)))
    }

    /// Shows another one from the next handshake on.
    pub(crate) fn show(&self, certificate: &Certificate) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&certificate.key);
    }

    /// What is shown now.
    pub(super) fn now(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.now())
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Shown")
    }
}

#[cfg(test)]
pub(super) mod tests;

//! Takes a certificate that was replaced on disk, without a restart. A thread of its own looks at the files every few seconds: whatever
//! replaces them (a rename, a copy, the switch of a link far above them) shows in what the files are then.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};

use sentinel_core::time::Clock;

use super::{Certificate, Shown, TlsConfig, TlsError};

/// The watch; dropping it ends it.
#[derive(Debug)]
pub(crate) struct CertificateWatch {
    _stop: mpsc::Sender<()>,
}

impl CertificateWatch {
    /// Reads the files, and from then on shows whatever they become.
    pub(crate) fn start(config: TlsConfig, clock: Arc<dyn Clock>) -> Result<(Arc<Shown>, Self), TlsError> {
        let mut reload = Reload::new(config, clock)?;
        let shown = Arc::clone(&reload.shown);
        let (stop, stopped) = mpsc::channel();
        std::thread::Builder::new()
            .name("certificates".to_owned())
            .spawn(move || {
                while stopped.recv_timeout(reload.config.reload_interval) == Err(RecvTimeoutError::Timeout) {
                    reload.look();
                }
            })
            .map_err(TlsError::Watch)?;
        Ok((shown, Self { _stop: stop }))
    }
}

/// What is being watched.
struct Reload {
    config: TlsConfig,
    shown: Arc<Shown>,
    clock: Arc<dyn Clock>,
    seen: Files,
}

impl Reload {
    fn new(config: TlsConfig, clock: Arc<dyn Clock>) -> Result<Self, TlsError> {
        // Looked at before they are read: a change in between is not missed.
        let seen = Files::now(&config);
        let certificate = Certificate::load(&config)?;
        if !certificate.is_valid_at(clock.now()) {
            let until = certificate.not_after().rfc3339();
            tracing::warn!(%until, "the certificate is not valid now: clients will not take it");
        }
        Ok(Self {
            shown: Arc::new(Shown::new(&certificate)),
            config,
            clock,
            seen,
        })
    }

    /// Takes the files if they changed and are in order. What is not is said once, not until it changes again; the old certificate stays.
    fn look(&mut self) {
        let now = Files::now(&self.config);
        if now == self.seen {
            return;
        }
        self.seen = now;
        match Certificate::load(&self.config) {
            Ok(certificate) => {
                self.shown.show(&certificate);
                let until = certificate.not_after().rfc3339();
                if certificate.is_valid_at(self.clock.now()) {
                    tracing::info!(%until, "the certificate was replaced");
                } else {
                    tracing::warn!(%until, "the certificate was replaced by one that is not valid now");
                }
            }
            Err(error) => tracing::error!(%error, "the new certificate is not taken; the old one stays"),
        }
    }
}

/// What both files were at one time.
#[derive(Debug, PartialEq, Eq)]
struct Files {
    certificate: Option<Identity>,
    key: Option<Identity>,
}

impl Files {
    fn now(config: &TlsConfig) -> Self {
        Self {
            certificate: Identity::of(&config.certificate),
            key: Identity::of(&config.key),
        }
    }
}

/// What tells one state of a file from another.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    /// None while there is no such file, or it cannot be reached.
    fn of(path: &Path) -> Option<Self> {
        let file = fs::metadata(path).ok()?;
        Some(Self {
            device: file.dev(),
            inode: file.ino(),
            bytes: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        })
    }
}

#[cfg(test)]
mod tests;

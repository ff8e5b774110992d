//! Certificates for servers on the loopback address, and the authority that signs them: one for all servers of a test
//! process, so that they trust each other. Must never outlive the process and its servers' folders.

use std::fs::{self, Permissions};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::LazyLock;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};

/// The files that [`write`] makes.
pub(crate) const AUTHORITY: &str = "authority.pem";
pub(crate) const CERTIFICATE: &str = "certificate.pem";
pub(crate) const KEY: &str = "key.pem";

static AUTHORITY_OF_THE_PROCESS: LazyLock<Authority> = LazyLock::new(Authority::new);

/// Who signs certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // OpenSSL takes a certificate for self-signed when its name is its issuer's.
        let name = "Sentinel's testkit";
        params.distinguished_name.push(DnType::CommonName, name);
        let pem = params.self_signed(&key).expect("signed").pem();
        let issuer = Issuer::new(params, key);
        Self { issuer, pem }
    }

    /// The one that signs all servers' certificates.
    pub(crate) fn of_the_process() -> &'static Self {
        &AUTHORITY_OF_THE_PROCESS
    }

    /// Writes a new certificate for `127.0.0.1` and `localhost`, its key and the authority's own into `folder`.
    pub(crate) fn write(&self, folder: &Path) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        params.subject_alt_names.push(SanType::IpAddress(loopback));
        let certificate = params.signed_by(&key, &self.issuer).expect("signed").pem();
        let files = [
            (AUTHORITY, &self.pem),
            (CERTIFICATE, &certificate),
            (KEY, &key.serialize_pem()),
        ];
        for (name, text) in files {
            let file = folder.join(name);
            fs::write(&file, text).expect("a temporary file can be written");
            // PostgreSQL asks for this of its key.
            fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("it is ours");
        }
    }
}

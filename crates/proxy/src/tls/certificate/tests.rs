use std::fs;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tempfile::TempDir;

use super::*;

/// A folder with a certificate and its key.
pub(in crate::tls) struct Folder {
    folder: TempDir,
    pub(in crate::tls) config: TlsConfig,
}

impl Folder {
    pub(in crate::tls) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = TlsConfig::new(folder.path().join("cert.pem"), folder.path().join("key.pem"));
        let made = Self { folder, config };
        let (certificate, key) = made_for(2040);
        made.write("cert.pem", certificate);
        made.write("key.pem", key);
        made
    }

    /// As who replaces files carefully: the new one is complete before it has the name.
    pub(in crate::tls) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let new = self.folder.path().join("new");
        fs::write(&new, text).expect("it can be written");
        fs::rename(new, self.folder.path().join(name)).expect("it can be renamed");
    }
}

/// A certificate from 2020 until the beginning of this year, and its key.
pub(in crate::tls) fn made_for(year: i32) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let mut wanted = CertificateParams::new(["localhost".to_owned()]).expect("a name");
    wanted.not_before = date_time_ymd(2020, 1, 1);
    wanted.not_after = date_time_ymd(year, 1, 1);
    let certificate = wanted.self_signed(&key).expect("a certificate");
    (certificate.pem(), key.serialize_pem())
}

#[test]
fn a_certificate_and_its_key_are_read() {
    let folder = Folder::new();
    let certificate = Certificate::load(&folder.config).expect("they belong together");
    assert_eq!(certificate.not_before().rfc3339(), "2020-01-01T00:00:00Z");
    assert_eq!(certificate.not_after().rfc3339(), "2040-01-01T00:00:00Z");
    let after = |milliseconds| Timestamp::from_unix_ms(certificate.not_after().unix_ms() + milliseconds);
    assert!(certificate.is_valid_at(after(0)) && !certificate.is_valid_at(after(1)));
    assert!(!certificate.is_valid_at(Timestamp::from_unix_ms(0)));
    let (issuer, _) = made_for(2040);
    let (own, key) = made_for(2030);
    folder.write("cert.pem", format!("Some words first.\n{own}\n{issuer}"));
    folder.write("key.pem", key);
    let chain = Certificate::load(&folder.config).expect("a chain");
    assert_eq!(
        chain.not_after().rfc3339(),
        "2030-01-01T00:00:00Z",
        "the first one counts"
    );
    assert_eq!(chain.key.cert.len(), 2);
}

#[test]
fn what_is_wrong_is_named_without_a_word_of_the_key() {
    let folder = Folder::new();
    let (certificate, key) = made_for(2040);
    let (other_certificate, other_key) = made_for(2040);
    let malformed = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let unusable = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for (certificate, key, wanted) in [
        (&*certificate, &*other_key, "does not belong to the certificate"),
        (&other_certificate, &key, "does not belong to the certificate"),
        ("", &key, "cert.pem holds no certificate"),
        (&key, &key, "cert.pem holds no certificate"),
        (
            malformed,
            &key,
            "cert.pem holds a certificate that cannot be read",
        ),
        (&certificate, "", "key.pem holds no private key"),
        (&certificate, &certificate, "key.pem holds no private key"),
        (&certificate, unusable, "key.pem holds a key that cannot be used"),
    ] {
        folder.write("cert.pem", certificate);
        folder.write("key.pem", key);
        let error = Certificate::load(&folder.config).expect_err(wanted);
        assert!(error.to_string().contains(wanted), "{error}");
        assert!(!format!("{error:?}").contains("PRIVATE"), "{error:?}");
    }
}

#[test]
fn a_file_has_its_bound() {
    let folder = Folder::new();
    let (certificate, key) = made_for(2040);
    let bytes_max = usize::try_from(PEM_BYTES_MAX).expect("it fits");
    let padded = |bytes: usize| format!("{certificate}{}", "\n".repeat(bytes - certificate.len()));
    folder.write("key.pem", key);
    folder.write("cert.pem", padded(bytes_max));
    Certificate::load(&folder.config).expect("not too large");
    folder.write("cert.pem", padded(bytes_max + 1));
    let error = Certificate::load(&folder.config).expect_err("too large");
    assert!(matches!(error, TlsError::TooLarge(_)), "{error}");
    let nowhere = TlsConfig::new(folder.folder.path().join("missing"), folder.config.key.clone());
    let error = Certificate::load(&nowhere).expect_err("missing");
    assert!(matches!(error, TlsError::Read { .. }), "{error}");
}

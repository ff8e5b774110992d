//! TLS towards PostgreSQL: rustls, with as much looked at in the server's certificate as the DSN asks for. Must never look at less.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::dsn::{ClientCertificate, PostgresDsn, Roots, TlsMode, is_direct};
use crate::error::PostgresError;

/// What makes connections of the DSN's kind. Reads the files that it names.
pub(super) fn connector(dsn: &PostgresDsn) -> Result<MakeRustlsConnect, PostgresError> {
    let failed = |cause: String| PostgresError::Tls {
        place: dsn.place().to_owned(),
        cause,
    };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = verifier(dsn, &provider).map_err(failed)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has cipher suites for TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match &dsn.client_certificate {
        None => builder.with_no_client_auth(),
        Some(files) => {
            let (chain, key) = identity(files).map_err(failed)?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| failed(format!("{}: {error}", files.key.display())))?
        }
    };
    if dsn.servers().iter().any(is_direct) {
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    Ok(MakeRustlsConnect::new(config))
}

fn verifier(
    dsn: &PostgresDsn,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, String> {
    let looked_at = match dsn.tls {
        TlsMode::Disable | TlsMode::Prefer | TlsMode::Require => {
            return Ok(Arc::new(Encrypted(Arc::clone(provider))));
        }
        TlsMode::VerifyCa | TlsMode::VerifyFull => {
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots(&dsn.roots)?), Arc::clone(provider))
                .build()
                .map_err(|error| error.to_string())?
        }
    };
    Ok(if dsn.tls == TlsMode::VerifyFull {
        looked_at
    } else {
        Arc::new(SignedByAuthority(looked_at))
    })
}

fn roots(roots: &Roots) -> Result<RootCertStore, String> {
    let path = match roots {
        Roots::Public => return Ok(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()),
        Roots::File(path) => path,
    };
    let mut store = RootCertStore::empty();
    for certificate in certificates(path)? {
        store
            .add(certificate)
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(store)
}

fn identity(
    files: &ClientCertificate,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| format!("{}: no private key in PEM: {error}", files.key.display()))?;
    Ok((certificates(&files.certificate)?, key))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let said = |error| format!("{}: no certificate in PEM: {error}", path.display());
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(said)?
        .collect::<Result<_, _>>()
        .map_err(said)?;
    if found.is_empty() {
        return Err(format!("{}: there is no certificate in it", path.display()));
    }
    Ok(found)
}

/// `sslmode=require`, in libpq's sense: encrypted, to whomever it is. Keeps listeners out, not impostors.
#[derive(Debug)]
struct Encrypted(Arc<CryptoProvider>);

impl ServerCertVerifier for Encrypted {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// `sslmode=verify-ca`: everything is looked at but the name. The name comes last, so nothing else is skipped with it.
#[derive(Debug)]
struct SignedByAuthority(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for SignedByAuthority {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self
            .0
            .verify_server_cert(certificate, intermediates, name, ocsp, now)
        {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

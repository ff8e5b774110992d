//! One connection to one address: TCP, and TLS on it where the upstream is `https`. A certificate that does not hold ends the attempt
//! before a byte of a request is sent.

use std::fmt;
use std::sync::Arc;

use rustix::io::Errno;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::endpoint::Endpoint;
use super::stream::UpstreamStream;
use super::{TCP_KEEPALIVE, UpstreamError};
use crate::config::Upstream;

/// What the upstream may speak inside TLS.
const ALPN: &[u8] = b"http/1.1";

/// Whom to believe about the upstream's certificates.
#[derive(Clone)]
pub struct UpstreamTrust(Arc<RootCertStore>);

/// Why a text holds no certificate authorities.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// It is no PEM.
    #[error("is no PEM file: {0}")]
    Pem(String),
    /// A certificate in it cannot be read.
    #[error("has a certificate that cannot be used: {0}")]
    Certificate(String),
    /// There is none in it.
    #[error("has no certificate in it (-----BEGIN CERTIFICATE-----)")]
    Empty,
}

impl UpstreamTrust {
    /// The authorities that browsers believe, as they were when this was built: the same on every machine, also in a container without any
    /// certificates of its own.
    pub fn public() -> Self {
        let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned();
        Self(Arc::new(roots.collect()))
    }

    /// The authorities in this PEM text, and no others.
    pub fn only(pem: &[u8]) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| TrustError::Pem(error.to_string()))?;
            roots
                .add(certificate)
                .map_err(|error| TrustError::Certificate(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(TrustError::Empty);
        }
        Ok(Self(Arc::new(roots)))
    }

    fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has cipher suites for TLS 1.2 and 1.3")
            .with_root_certificates(Arc::clone(&self.0))
            .with_no_client_auth();
        config.alpn_protocols = vec![ALPN.to_vec()];
        config
    }
}

impl fmt::Debug for UpstreamTrust {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "UpstreamTrust({} authorities)", self.0.len())
    }
}

/// Makes connections.
pub(crate) struct Connector {
    tls: Option<TlsConnector>,
}

impl Connector {
    pub(crate) fn new(upstream: &Upstream) -> Self {
        let tls = || TlsConnector::from(Arc::new(upstream.trust.client_config()));
        Self {
            tls: upstream.target.is_tls().then(tls),
        }
    }

    /// Connects; the caller bounds the time.
    pub(crate) async fn connect(&self, endpoint: &Endpoint) -> Result<UpstreamStream, UpstreamError> {
        let address = endpoint.address;
        let connect_error = |error| {
            if is_local(&error) {
                UpstreamError::Local(error)
            } else {
                UpstreamError::Connect(address, error)
            }
        };
        let stream = TcpStream::connect(address).await.map_err(connect_error)?;
        tune(&stream).map_err(connect_error)?;
        match (&self.tls, endpoint.origin.server_name()) {
            (Some(tls), Some(name)) => {
                let shaken = tls.connect(name.clone(), stream).await;
                let stream = shaken.map_err(|error| UpstreamError::Tls(address, error))?;
                Ok(UpstreamStream::Tls(Box::new(stream)))
            }
            _ => Ok(UpstreamStream::Plain(stream)),
        }
    }
}

/// Whether an attempt failed for want of something on this machine, so that it says nothing about the other one.
fn is_local(error: &std::io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::MFILE
                | Errno::NFILE
                | Errno::ADDRNOTAVAIL
                | Errno::ADDRINUSE
                | Errno::NOBUFS
                | Errno::NOMEM
                | Errno::AGAIN
        )
    )
}

/// No delay for small writes, and a question now and then whether a silent peer still lives.
pub(crate) fn tune(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(TCP_KEEPALIVE)
            .with_interval(TCP_KEEPALIVE / 3),
    )
}

#[cfg(test)]
mod tests {
    use std::io::Error;

    use super::*;

    #[test]
    fn what_this_machine_lacks_is_no_fault_of_the_upstreams() {
        for errno in [
            Errno::MFILE,
            Errno::NFILE,
            Errno::ADDRNOTAVAIL,
            Errno::ADDRINUSE,
            Errno::NOBUFS,
            Errno::NOMEM,
            Errno::AGAIN,
        ] {
            assert!(is_local(&Error::from(errno)), "{errno}");
        }
        for errno in [
            Errno::CONNREFUSED,
            Errno::CONNRESET,
            Errno::TIMEDOUT,
            Errno::HOSTUNREACH,
            Errno::NETUNREACH,
        ] {
            assert!(!is_local(&Error::from(errno)), "{errno}");
        }
        assert!(!is_local(&Error::other("something else")));
    }

    #[test]
    fn authorities_are_read_from_pem() {
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(Vec::new()).expect("no names");
        let pem = params.self_signed(&key).expect("signed").pem();
        let trust = UpstreamTrust::only(format!("# ours\n{pem}{pem}").as_bytes()).expect("certificates");
        assert!(!format!("{trust:?}").contains("(0 "));
        assert_eq!(UpstreamTrust::only(b"").err(), Some(TrustError::Empty));
        assert_eq!(
            UpstreamTrust::only(key.serialize_pem().as_bytes()).err(),
            Some(TrustError::Empty)
        );
        let garbled = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(
            UpstreamTrust::only(garbled.as_bytes()),
            Err(TrustError::Certificate(_))
        ));
        let cut = "-----BEGIN CERTIFICATE-----\nAAAA\n";
        assert!(matches!(
            UpstreamTrust::only(cut.as_bytes()),
            Err(TrustError::Pem(_))
        ));
    }
}

//! TLS towards clients: which certificate is shown, and the handshake. What comes after it, one protocol or another, is not decided here.
//!
//! Must never print a key, and never serve with a certificate that does not fit its key.

mod certificate;
mod watch;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use sentinel_core::time::Clock;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use certificate::Shown;
pub use certificate::{Certificate, PEM_BYTES_MAX, TlsError};
pub(crate) use watch::CertificateWatch;

/// How long a handshake may take; less when a request's head has to be there earlier.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the files are looked at.
const RELOAD_INTERVAL: Duration = Duration::from_secs(5);
/// The name of HTTP/2 in a handshake.
const HTTP2: &[u8] = b"h2";
/// The name of HTTP/1.1 in a handshake.
const HTTP11: &[u8] = b"http/1.1";

/// Where the certificate is that clients see.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    /// A PEM file: the certificate, then those between it and the authority that clients trust.
    pub certificate: PathBuf,
    /// A PEM file: its private key.
    pub key: PathBuf,
    /// How often both are looked at; what changed is taken without a restart.
    pub reload_interval: Duration,
}

impl TlsConfig {
    /// With the usual interval.
    pub fn new(certificate: PathBuf, key: PathBuf) -> Self {
        Self {
            certificate,
            key,
            reload_interval: RELOAD_INTERVAL,
        }
    }
}

/// Makes TLS connections of accepted ones.
#[derive(Clone)]
pub(crate) struct Tls(TlsAcceptor);

impl Tls {
    /// Shows the certificate that `shown` has at each handshake's time. TLS 1.2 and 1.3; sessions are resumed by tickets, which need no memory
    /// here. Early data is not taken: it could be sent again by whoever recorded it.
    fn new(shown: Arc<Shown>) -> Result<Self, TlsError> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?
            .with_no_client_auth()
            .with_cert_resolver(shown);
        config.alpn_protocols = vec![HTTP2.to_vec(), HTTP11.to_vec()];
        config.ticketer = aws_lc_rs::Ticketer::new().map_err(TlsError::Setup)?;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// Reads the certificate, and watches its files as long as the watch is kept.
    pub(crate) fn start(
        config: TlsConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, CertificateWatch), TlsError> {
        let (shown, watch) = CertificateWatch::start(config, clock)?;
        Ok((Self::new(shown)?, watch))
    }

    /// Shakes hands; whoever calls it bounds the time.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.0.accept(stream).await
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Tls")
    }
}

/// Whether client and server agreed on HTTP/2.
pub(crate) fn agreed_on_http2(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(HTTP2)
}

/// The one implementation of the algorithms.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

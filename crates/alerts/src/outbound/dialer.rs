//! Connects to judged addresses, with and without TLS. The name stays the one that was written: it is what the certificate has to be for.
//! Must never resolve a name on its own.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Host;

use super::{Destination, Guard, OutboundError};

/// The most addresses of one name that are tried.
pub const CONNECT_ADDRESSES_MAX: usize = 4;
/// The longest that one address may take to answer, and the longest that TLS may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The extra authorities cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the file of extra certificate authorities holds something that is no certificate")]
pub struct TrustProblem;

/// Whom to trust: the public authorities, and the ones in `extra_pem`.
pub fn trust(extra_pem: &[u8]) -> Result<Arc<ClientConfig>, TrustProblem> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    for certificate in CertificateDer::pem_slice_iter(extra_pem) {
        let certificate = certificate.map_err(|_| TrustProblem)?;
        roots.add(certificate).map_err(|_| TrustProblem)?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| TrustProblem)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Opens connections.
#[derive(Clone)]
pub struct Dialer {
    guard: Guard,
    tls: Arc<ClientConfig>,
}

impl Dialer {
    /// Connects where `guard` allows it, and trusts whom `tls` trusts.
    pub fn new(guard: Guard, tls: Arc<ClientConfig>) -> Self {
        Self { guard, tls }
    }

    /// A socket to the first address that takes the connection.
    pub async fn connect(&self, destination: &Destination) -> Result<TcpStream, OutboundError> {
        let host = || destination.host.to_string();
        let addresses = timeout(CONNECT_TIMEOUT, self.guard.addresses(destination))
            .await
            .map_err(|_| OutboundError::Timeout(host()))??;
        let mut cause = "it has no address".to_owned();
        for address in addresses.into_iter().take(CONNECT_ADDRESSES_MAX) {
            match timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => cause = error.kind().to_string(),
                Err(_) => "no answer in time".clone_into(&mut cause),
            }
        }
        Err(OutboundError::Unreachable { host: host(), cause })
    }

    /// TLS on a socket, for the destination's own name.
    pub async fn secure(
        &self,
        destination: &Destination,
        stream: TcpStream,
        protocols: &[&[u8]],
    ) -> Result<OutboundStream, OutboundError> {
        let failed = |cause: String| OutboundError::Tls {
            host: destination.host.to_string(),
            cause,
        };
        let name = match &destination.host {
            Host::Domain(name) => ServerName::try_from(name.trim_end_matches('.').to_owned())
                .map_err(|error| failed(error.to_string()))?,
            Host::Ipv4(address) => ServerName::IpAddress((*address).into()),
            Host::Ipv6(address) => ServerName::IpAddress((*address).into()),
        };
        let mut config = ClientConfig::clone(&self.tls);
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
        match timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok(stream)) => Ok(OutboundStream::Tls(Box::new(stream))),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(OutboundError::Timeout(destination.host.to_string())),
        }
    }
}

/// A connected stream.
#[derive(Debug)]
pub enum OutboundStream {
    /// A socket.
    Plain(TcpStream),
    /// TLS on a socket.
    Tls(Box<TlsStream<TcpStream>>),
}

impl OutboundStream {
    /// The other end of the socket.
    pub fn peer_addr(&self) -> io::Result<std::net::SocketAddr> {
        match self {
            Self::Plain(stream) => stream.peer_addr(),
            Self::Tls(stream) => stream.get_ref().0.peer_addr(),
        }
    }
}

impl AsyncRead for OutboundStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for OutboundStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

//! Checks what is reached over the network: the gateway, and the ports to listen on.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use super::Finding;
use crate::cli::healthcheck;
use crate::config::Config;

/// For how long a running server may take to say that it is the one that has the port.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Whether the gateway takes a TCP connection.
pub(super) async fn upstream(config: &Config) -> Option<Finding> {
    let url = config.upstream.url.as_ref()?;
    let connect = TcpStream::connect((url.host(), url.port()));
    let advice =
        "start the gateway, or correct UPSTREAM_URL; until then clients get 502 upstream_unreachable";
    let shown = format!("{}:{}", url.host(), url.port());
    let finding = match tokio::time::timeout(config.upstream.connect_timeout, connect).await {
        Ok(Ok(_)) => Finding::good("upstream", format!("{shown} takes connections")),
        Ok(Err(error)) => Finding::bad("upstream", format!("{shown}: {error}"), advice),
        Err(_) => {
            let waited = config.upstream.connect_timeout.as_secs();
            let text = format!("{shown}: no connection within {waited} s");
            Finding::bad("upstream", text, advice)
        }
    };
    Some(finding)
}

/// Whether both listeners can be opened, or are open in a running Sentinel.
pub(super) async fn ports(config: &Config) -> [Finding; 2] {
    [
        port(
            "proxy port",
            "SENTINEL_LISTEN",
            config.proxy.listen,
            config.admin.listen,
        )
        .await,
        port(
            "admin port",
            "SENTINEL_ADMIN_LISTEN",
            config.admin.listen,
            config.admin.listen,
        )
        .await,
    ]
}

async fn port(part: &'static str, setting: &str, listen: SocketAddr, admin: SocketAddr) -> Finding {
    let Err(error) = TcpListener::bind(listen).await else {
        return Finding::good(part, format!("{listen} is free"));
    };
    if error.kind() == io::ErrorKind::AddrInUse && healthcheck::run(admin, PROBE_TIMEOUT).await.is_ok() {
        return Finding::good(part, format!("{listen} is in use, and Sentinel is running"));
    }
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("stop what listens there (ss -ltnp), or set {setting} to another port")
        }
        io::ErrorKind::PermissionDenied => {
            format!("set {setting} to a port from 1024, or give the right to bind it")
        }
        io::ErrorKind::AddrNotAvailable => format!("set {setting} to an address that this machine has"),
        _ => format!("set {setting} to another address"),
    };
    Finding::bad(part, format!("{listen}: {error}"), advice)
}

//! Checks what is reached over the network: the gateway, and the ports to listen on.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use sentinel_proxy::AddressReport;
use tokio::net::TcpListener;

use super::Finding;
use crate::cli::healthcheck;
use crate::config::Config;

/// For how long a running server may take to say that it is the one that has the port.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Whether the gateway takes connections at its addresses, one finding for each of its URLs.
pub(super) async fn upstream(config: &Config) -> Vec<Finding> {
    let Some(upstream) = config.upstream.upstream() else {
        return Vec::new();
    };
    let reports = sentinel_proxy::probe(&upstream, config.upstream.connect_timeout).await;
    let origins = upstream.target.origins().iter();
    origins
        .map(|origin| {
            let origin = origin.to_string();
            let of_origin: Vec<_> = reports.iter().filter(|report| report.origin == origin).collect();
            upstream_finding(&origin, &of_origin, upstream.target.is_tls())
        })
        .collect()
}

fn upstream_finding(origin: &str, reports: &[&AddressReport], is_tls: bool) -> Finding {
    let shown = |report: &&AddressReport| match (report.address, &report.problem) {
        (Some(address), Some(problem)) => format!("{address}: {problem}"),
        (None, Some(problem)) => problem.clone(),
        (Some(address), None) => address.to_string(),
        (None, None) => String::new(),
    };
    let (bad, good): (Vec<_>, Vec<_>) = reports.iter().partition(|report| report.problem.is_some());
    let list = |reports: &[&AddressReport]| reports.iter().map(shown).collect::<Vec<_>>().join("; ");
    if good.is_empty() {
        let certificate = if is_tls {
            ", or set SENTINEL_UPSTREAM_CA_FILE to the authority of its certificate"
        } else {
            ""
        };
        let advice = format!(
            "start the gateway, or correct UPSTREAM_URL{certificate}; until then clients get 502 upstream_unreachable"
        );
        return Finding::bad("upstream", format!("{origin}: {}", list(&bad)), advice);
    }
    let speaks = if is_tls {
        "takes TLS connections"
    } else {
        "takes connections"
    };
    let text = format!("{origin} {speaks} at {}", list(&good));
    if bad.is_empty() {
        return Finding::good("upstream", text);
    }
    Finding::warning("upstream", format!("{text}, and not at {}", list(&bad)))
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

//! What goes on beside the requests: names are looked up again, and addresses are tried. One worker does it for all. Nothing in here may
//! delay a request.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::UpstreamError;
use super::connector::Connector;
use super::directory::Directory;
use super::endpoint::Endpoint;
use super::health::Failure;
use super::resolver::Resolver;
use super::stream::UpstreamStream;
use crate::config::{Bounds, HealthPath, UpstreamOrigin};
use crate::http1::response::{ResponseError, ResponseHead};

/// How many addresses are tried at once.
pub(crate) const CHECKS_AT_ONCE_MAX: usize = 16;
/// The most bytes of an answer to a health check that are read.
pub(crate) const HEALTH_ANSWER_BYTES_MAX: usize = 16 * 1024;
/// How soon a name is looked up again that never had an address.
const RESOLVE_RETRY: Duration = Duration::from_secs(1);

/// Keeps the directory true, for as long as it is polled.
pub(crate) async fn run(directory: Arc<Directory>, bounds: Bounds) {
    let mut lookups = JoinSet::new();
    for origin in directory.names() {
        let (directory, origin) = (Arc::clone(&directory), Arc::clone(origin));
        lookups.spawn(keep_resolved(directory, origin, bounds.upstream_resolve_interval));
    }
    let limit = bounds.upstream_health_interval.min(bounds.connect_timeout);
    let mut ticks = interval(bounds.upstream_health_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        check_all(&directory, limit).await;
    }
}

/// Looks one name up, again and again.
async fn keep_resolved(directory: Arc<Directory>, origin: Arc<UpstreamOrigin>, again_after: Duration) {
    let (mut is_known, mut has_failed) = (false, false);
    loop {
        let wait = match resolve(&directory.resolver, &origin).await {
            Ok(addresses) => {
                directory.found(&origin, addresses);
                (is_known, has_failed) = (true, false);
                again_after
            }
            Err(error) => {
                if !has_failed {
                    tracing::warn!(%origin, %error, "an upstream's name cannot be looked up");
                }
                directory.not_found(&origin, format!("{}: {error}", origin.host()));
                has_failed = true;
                if is_known {
                    again_after
                } else {
                    RESOLVE_RETRY.min(again_after)
                }
            }
        };
        sleep(wait).await;
    }
}

/// The addresses of a name; an error when there are none.
pub(super) async fn resolve(
    resolver: &Arc<dyn Resolver>,
    origin: &Arc<UpstreamOrigin>,
) -> io::Result<Vec<SocketAddr>> {
    let (resolver, origin) = (Arc::clone(resolver), Arc::clone(origin));
    let addresses = spawn_blocking(move || resolver.resolve(origin.host(), origin.port()))
        .await
        .map_err(io::Error::other)??;
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(addresses)
}

/// Tries every address. A single one that works is left alone, unless there is a path to ask for.
async fn check_all(directory: &Arc<Directory>, limit: Duration) {
    let endpoints = directory.endpoints();
    let is_alone = endpoints.len() == 1 && directory.health_path.is_none();
    let mut checks = JoinSet::new();
    for endpoint in endpoints {
        if is_alone && endpoint.is_up() {
            return;
        }
        if checks.len() >= CHECKS_AT_ONCE_MAX {
            checks.join_next().await;
        }
        let directory = Arc::clone(directory);
        checks.spawn(async move { check_and_note(&directory, &endpoint, limit).await });
    }
    while checks.join_next().await.is_some() {}
}

async fn check_and_note(directory: &Directory, endpoint: &Endpoint, limit: Duration) {
    let path = directory.health_path.as_ref();
    match check(&directory.connector, endpoint, path, limit).await {
        Ok(()) => endpoint.checked(path.is_some()),
        Err(CheckError::Connect(error @ UpstreamError::Local(_))) => {
            tracing::debug!(%error, address = %endpoint.address, "an upstream address could not be tried");
        }
        Err(error @ CheckError::Connect(_)) => endpoint.failed(Failure::Connect, &error),
        Err(error) => endpoint.failed(Failure::Check, &error),
    }
}

/// Why an address did not pass.
#[derive(Debug, thiserror::Error)]
pub(super) enum CheckError {
    /// There was no connection.
    #[error(transparent)]
    Connect(UpstreamError),
    /// There was no answer, or no HTTP in it.
    #[error("no answer to GET {path}: {error}")]
    Unanswered { path: String, error: UpstreamError },
    /// The answer was no success.
    #[error("GET {path} was answered with status {status}")]
    Status { path: String, status: u16 },
}

/// Connects and, when there is a path, asks for it: 2xx and 3xx pass.
pub(super) async fn check(
    connector: &Connector,
    endpoint: &Endpoint,
    path: Option<&HealthPath>,
    limit: Duration,
) -> Result<(), CheckError> {
    let mut stream = timeout(limit, connector.connect(endpoint))
        .await
        .unwrap_or(Err(UpstreamError::ConnectTimeout))
        .map_err(CheckError::Connect)?;
    let Some(path) = path.map(HealthPath::as_str) else {
        return Ok(());
    };
    let answer = timeout(limit, ask(&mut stream, endpoint.origin.authority(), path))
        .await
        .unwrap_or(Err(UpstreamError::Silent));
    match answer {
        Ok(status) if (200..400).contains(&status) => Ok(()),
        Ok(status) => Err(CheckError::Status {
            path: path.to_owned(),
            status,
        }),
        Err(error) => Err(CheckError::Unanswered {
            path: path.to_owned(),
            error,
        }),
    }
}

/// The status of the answer to one GET.
async fn ask(stream: &mut UpstreamStream, authority: &str, path: &str) -> Result<u16, UpstreamError> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {authority}\r\nuser-agent: key-ip-sentinel\r\naccept: */*\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut inbound = Vec::with_capacity(1024);
    loop {
        if stream.read_buf(&mut inbound).await? == 0 {
            return Err(UpstreamError::Closed);
        }
        if inbound.len() > HEALTH_ANSWER_BYTES_MAX {
            return Err(ResponseError::TooLarge.into());
        }
        while let Some(head) = ResponseHead::take(&mut inbound, false)? {
            if head.status >= 200 {
                return Ok(head.status);
            }
            inbound.extend_from_slice(head.following());
        }
    }
}

#[cfg(test)]
mod tests;

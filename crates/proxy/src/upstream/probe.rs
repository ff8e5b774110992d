//! Trying the upstream once, for a person who asks whether it can be reached as configured.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::directory::Directory;
use super::upkeep::{check, resolve};
use crate::config::{Bounds, Upstream};

/// What was found about one address of the upstream, or about a name that has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressReport {
    /// The origin as it was written.
    pub origin: String,
    /// The address; none when the name could not be looked up.
    pub address: Option<SocketAddr>,
    /// How long the attempt took.
    pub took: Duration,
    /// What is wrong; none when it connected, showed a certificate that holds, and passed its health check, as far as each applies.
    pub problem: Option<String>,
}

/// Looks every name of the upstream up, one after the other, and tries all addresses at once: a connection, TLS where it is `https`, and the
/// health path where there is one, each within `limit`.
pub async fn probe(upstream: &Upstream, limit: Duration) -> Vec<AddressReport> {
    let directory = Directory::new(upstream, &Bounds::default());
    let mut reports = Vec::new();
    for origin in directory.names() {
        let began = Instant::now();
        match resolve(&directory.resolver, origin).await {
            Ok(addresses) => directory.found(origin, addresses),
            Err(error) => reports.push(AddressReport {
                origin: origin.to_string(),
                address: None,
                took: began.elapsed(),
                problem: Some(format!("the name cannot be looked up: {error}")),
            }),
        }
    }
    let endpoints = directory.endpoints();
    let tried = endpoints.iter().map(async |endpoint| {
        let began = Instant::now();
        let path = directory.health_path.as_ref();
        let checked = check(&directory.connector, endpoint, path, limit).await;
        AddressReport {
            origin: endpoint.origin.to_string(),
            address: Some(endpoint.address),
            took: began.elapsed(),
            problem: checked.err().map(|error| error.to_string()),
        }
    });
    reports.extend(join_all(tried).await);
    reports
}

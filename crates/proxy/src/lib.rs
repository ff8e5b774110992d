//! The data plane: accept a connection, decide on each of its requests, forward those that have a permit.
//!
//! One thread per core, a worker, runs everything that a request needs; no request waits for another thread unless its key is not in the
//! in-process cache. This crate knows no database: it sees the ports of `sentinel-core`. It must never forward
//! without a [`sentinel_core::decision::Permit`], keep a body in memory, or write a status code outside `refusal`, other than the
//! yes of `forward_auth`.

mod admission;
mod alarm;
mod claim;
mod client;
mod config;
mod connection;
mod connections;
mod descriptors;
mod engine;
mod exchange;
mod figures;
mod forward;
mod forward_auth;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod headers;
mod http1;
mod http2;
mod judgement;
mod lifecycle;
mod listener;
mod live;
mod malformed;
mod outbound;
mod protocol;
mod record;
mod refusal;
mod throttle;
mod tls;
mod upgrade;
mod upstream;
mod worker;

pub use config::{
    AuthConvention, Bounds, Dependencies, ForwardAuth, HEALTH_PATH_BYTES_MAX, HealthPath, HostHeader,
    ProxyConfig, UPSTREAM_ORIGINS_MAX, Upstream, UpstreamOrigin, UpstreamTarget, UpstreamTargetError,
};
pub use engine::{Engine, StartError};
pub use figures::{Figures, FiguresSnapshot};
pub use live::asked::LiveRequests;
pub use malformed::Malformed;
pub use record::RECORD_WAIT_MAX;
pub use tls::{Certificate, PEM_BYTES_MAX, TlsConfig, TlsError};
pub use upstream::{AddressReport, Resolver, SystemResolver, TrustError, UpstreamTrust, probe};

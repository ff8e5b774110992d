//! The configuration as the rest of the binary reads it: typed, checked, without a trace of where it was written.
//!
//! Printing any of it shows no secret.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderName;
use sentinel_admin::OidcSettings;
use sentinel_core::client_ip::{ClientIpRules, ClientIpSource};
use sentinel_core::fingerprint::SecretMark;
use sentinel_core::network::Network;
use sentinel_core::policy::Rules;
use sentinel_core::profile::Profile;
use sentinel_proxy::{
    ForwardAuth, HealthPath, HostHeader, TlsConfig, Upstream, UpstreamTarget, UpstreamTrust,
};

use sentinel_store::PostgresDsn;
use sentinel_store::redis::RedisSettings;

use super::alerts::AlertConfig;
use super::secret::Secret;

/// The whole configuration.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The side of the clients.
    pub(crate) proxy: ProxyConfig,
    /// The listener that other proxies ask, if there is to be one.
    pub(crate) forward_auth: Option<ForwardAuth>,
    /// The side of the gateway.
    pub(crate) upstream: UpstreamConfig,
    /// What may change while the server runs, as it is at the start.
    pub(crate) live: LiveConfig,
    /// Under which keys are hashed; made at first start when none.
    pub(crate) hmac_secret: Option<Secret>,
    /// The one before, while bindings lie under it.
    pub(crate) hmac_secret_previous: Option<Secret>,
    /// The one whose bindings count no more.
    pub(crate) hmac_secret_given_up: Option<SecretMark>,
    /// Console and API.
    pub(crate) admin: AdminConfig,
    /// Where bindings are kept.
    pub(crate) store: StoreConfig,
    /// How refused requests are recorded.
    pub(crate) audit: AuditConfig,
    /// Where alerts go, and what makes them.
    pub(crate) alerts: AlertConfig,
    /// What is logged and how.
    pub(crate) log: LogConfig,
}

/// What may change while the server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LiveConfig {
    /// The general rules.
    pub(crate) rules: Rules,
    /// After how long without use a binding is archived.
    pub(crate) archived_after: Duration,
    /// For how long the log of refused requests is kept.
    pub(crate) intercepts_kept: Duration,
    /// How many rows of it.
    pub(crate) intercept_rows_max: u64,
    /// How many refusals of one key raise an alert.
    pub(crate) alert_count: u32,
    /// Within how long they are counted.
    pub(crate) alert_within: Duration,
}

/// The side of the clients.
#[derive(Clone, Debug)]
pub(crate) struct ProxyConfig {
    /// Where clients connect.
    pub(crate) listen: SocketAddr,
    /// The certificate that they see; they connect without TLS when none.
    pub(crate) tls: Option<TlsConfig>,
    /// How many cores serve requests; 0 means all.
    pub(crate) cores: usize,
    /// Who may say who the client is.
    pub(crate) trusted_proxies: Vec<Network>,
    /// In which header.
    pub(crate) client_ip_header: HeaderName,
    /// The most connections at once.
    pub(crate) connections_max: usize,
    /// The most of them from one address (IPv6: one /64), trusted proxies excepted; without limit when none.
    pub(crate) connections_per_address_max: Option<NonZeroUsize>,
    /// The most bytes of a request's head.
    pub(crate) header_bytes_max: usize,
    /// For how long a connection may wait for the whole head of its next request.
    pub(crate) header_timeout: Duration,
    /// For how long running requests may go on at shutdown.
    pub(crate) drain: Duration,
}

impl ProxyConfig {
    /// Whom to believe about client addresses.
    pub(crate) fn client_ip_rules(&self) -> ClientIpRules {
        let source = ClientIpSource::from_header(self.client_ip_header.clone());
        ClientIpRules::new(self.trusted_proxies.clone(), source)
    }
}

/// The side of the gateway.
#[derive(Clone, Debug)]
pub(crate) struct UpstreamConfig {
    /// Where it is; none only for commands that do not need it.
    pub(crate) url: Option<UpstreamTarget>,
    /// Whom to believe about its certificates; the public authorities when none.
    pub(crate) trust: Option<UpstreamTrust>,
    /// Its ways.
    pub(crate) profile: Profile,
    /// Which Host it sees.
    pub(crate) host_header: HostHeader,
    /// For how long connecting may take.
    pub(crate) connect_timeout: Duration,
    /// For how long a running request may be silent.
    pub(crate) idle_timeout: Duration,
    /// For how long a tunnel may be silent.
    pub(crate) tunnel_idle: Duration,
    /// For how long an idle connection is kept.
    pub(crate) pool_idle: Duration,
    /// The most connections at once, idle ones included.
    pub(crate) connections_max: usize,
    /// The most connections that one core makes at once.
    pub(crate) connects_max: usize,
    /// After how long its name is looked up again.
    pub(crate) resolve_interval: Duration,
    /// What is asked for to learn whether an address is healthy.
    pub(crate) health_path: Option<HealthPath>,
    /// How often that is done.
    pub(crate) health_interval: Duration,
}

impl UpstreamConfig {
    /// How the gateway is reached; none when there is no URL.
    pub(crate) fn upstream(&self) -> Option<Upstream> {
        let mut upstream = Upstream::new(self.url.clone()?);
        if let Some(trust) = &self.trust {
            upstream.trust = trust.clone();
        }
        upstream.health_path.clone_from(&self.health_path);
        Some(upstream)
    }
}

/// Console and API.
#[derive(Clone, Debug)]
pub(crate) struct AdminConfig {
    /// Where they are.
    pub(crate) listen: SocketAddr,
    /// The account's name.
    pub(crate) username: String,
    /// Its password; made at first start when none.
    pub(crate) password: Option<AdminPassword>,
    /// Under which sessions are signed; made at first start when none.
    pub(crate) jwt_secret: Option<Secret>,
    /// For how long a token of a sign-in is good.
    pub(crate) session: Duration,
    /// Where operators reach it; alerts have no links when none.
    pub(crate) public_url: Option<String>,
    /// Whether viewers see the networks of addresses only.
    pub(crate) masks_addresses_for_viewers: bool,
    /// The provider by which administrators may sign in, if there is one.
    pub(crate) oidc: Option<OidcConfig>,
}

/// The provider by which administrators may sign in.
#[derive(Clone, Debug)]
pub(crate) struct OidcConfig {
    /// What the admin listener has to know of it.
    pub(crate) settings: OidcSettings,
    /// Certificate authorities that it is believed by, besides the public ones.
    pub(crate) authorities: Vec<u8>,
}

/// The password as it was configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AdminPassword {
    /// In clear.
    Plain(Secret),
    /// An argon2id hash in PHC form.
    Hash(Secret),
}

/// Where bindings are kept.
#[derive(Clone, Debug)]
pub(crate) struct StoreConfig {
    /// The data folder.
    pub(crate) data_dir: PathBuf,
    /// The store that replicas share; the embedded one when none.
    pub(crate) postgres: Option<PostgresConfig>,
    /// What replicas share beside it; only there when it is.
    pub(crate) redis: Option<RedisConfig>,
    /// The most bindings in memory.
    pub(crate) cache_entries_max: usize,
    /// For how long one is believed.
    pub(crate) cache_life: Duration,
}

/// PostgreSQL.
#[derive(Clone, Debug)]
pub(crate) struct PostgresConfig {
    /// Where it is.
    pub(crate) dsn: PostgresDsn,
    /// The most connections of this replica.
    pub(crate) connections_max: usize,
}

/// Redis.
#[derive(Clone, Debug)]
pub(crate) struct RedisConfig {
    /// Where it is, and how to speak to it.
    pub(crate) settings: RedisSettings,
}

impl StoreConfig {
    /// The embedded database's file.
    pub(crate) fn database(&self) -> PathBuf {
        self.data_dir.join("sentinel.db")
    }

    /// Where records wait for the store.
    pub(crate) fn spool(&self) -> PathBuf {
        self.data_dir.join("spool")
    }
}

/// How refused requests are recorded.
#[derive(Clone, Debug)]
pub(crate) struct AuditConfig {
    /// How many bytes may wait for the store.
    pub(crate) spool_bytes_max: u64,
    /// This replica's name.
    pub(crate) replica_name: String,
}

/// What is logged and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogConfig {
    /// How lines look.
    pub(crate) format: LogFormat,
    /// What is logged, as tracing's filter directives.
    pub(crate) filter: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// Human on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Human,
    /// One JSON object per line.
    Json,
}

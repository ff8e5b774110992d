//! Builds the typed configuration out of what was written, one function per section, and checks what settings say
//! of each other.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderName;
use sentinel_admin::JWT_SECRET_BYTES_MIN;
use sentinel_core::fingerprint::SECRET_BYTES_MIN;
use sentinel_core::policy::{Failsafe, Keyless, Mode, Rules};
use sentinel_core::profile::Profile;
use sentinel_proxy::{AuthConvention, Certificate, ForwardAuth, HostHeader, TlsConfig, UpstreamTarget};
use sentinel_store::redis::RedisSettings;

use super::alerts;
use super::oidc;
use super::parse;
use super::setting::Setting;
use super::table;
use super::types::{
    AdminConfig, AdminPassword, AuditConfig, Config, LiveConfig, LogConfig, LogFormat, PostgresConfig,
    ProxyConfig, RedisConfig, StoreConfig, UpstreamConfig,
};
use super::values::Values;

/// A password with fewer characters is taken, with a warning.
const PASSWORD_CHARACTERS_GOOD: usize = 12;

/// What the command that loads the configuration needs of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Requirements {
    /// Whether the gateway's URL must be there.
    pub(crate) upstream: bool,
}

/// The configuration; of use only when `values` has no errors afterwards.
pub(crate) fn build(values: &mut Values<'_>, requirements: Requirements) -> Config {
    let proxy = proxy(values, requirements);
    let config = Config {
        forward_auth: forward_auth(values, &proxy),
        proxy,
        upstream: upstream(values, requirements),
        live: live(values),
        hmac_secret: values.parsed(&table::POLICY_HMAC_SECRET, |text| {
            parse::secret(text, SECRET_BYTES_MIN)
        }),
        hmac_secret_previous: values.parsed(&table::POLICY_HMAC_SECRET_PREVIOUS, |text| {
            parse::secret(text, SECRET_BYTES_MIN)
        }),
        hmac_secret_given_up: values.parsed(&table::POLICY_HMAC_SECRET_GIVEN_UP, parse::secret_mark),
        admin: admin(values),
        store: store(values),
        audit: audit(values),
        alerts: alerts::alerts(values),
        log: log(values),
    };
    check_addresses(values, &config);
    config
}

/// Where the admin listener is, whatever else is wrong: the health check needs nothing more.
pub(crate) fn admin_listen(values: &mut Values<'_>) -> SocketAddr {
    listen(values, &table::ADMIN_LISTEN)
}

fn listen(values: &mut Values<'_>, setting: &'static Setting) -> SocketAddr {
    values
        .parsed(setting, parse::listen_address)
        .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)))
}

fn proxy(values: &mut Values<'_>, requirements: Requirements) -> ProxyConfig {
    let trusted_proxies = values.list(&table::PROXY_TRUSTED_PROXIES, parse::trusted_network);
    if !values.is_given(&table::PROXY_TRUSTED_PROXIES) && values.is_given(&table::PROXY_CLIENT_IP_HEADER) {
        values.warning(
            &table::PROXY_CLIENT_IP_HEADER,
            "has no effect while SENTINEL_TRUSTED_PROXIES is not set: every client is its socket's address",
        );
    }
    ProxyConfig {
        listen: listen(values, &table::PROXY_LISTEN),
        tls: tls(values, requirements),
        cores: values.count(&table::PROXY_CORES),
        trusted_proxies,
        client_ip_header: values
            .parsed(&table::PROXY_CLIENT_IP_HEADER, parse::client_ip_header)
            .unwrap_or(HeaderName::from_static("x-real-ip")),
        connections_max: values.count(&table::PROXY_CONNECTIONS_MAX),
        connections_per_address_max: NonZeroUsize::new(
            values.count(&table::PROXY_CONNECTIONS_PER_ADDRESS_MAX),
        ),
        header_bytes_max: values.count(&table::PROXY_HEADER_BYTES_MAX),
        header_timeout: values.seconds(&table::PROXY_HEADER_TIMEOUT_SECONDS),
        drain: values.seconds(&table::PROXY_DRAIN_SECONDS),
    }
}

/// Only where it is to listen; then it has to be known who asks.
fn forward_auth(values: &mut Values<'_>, proxy: &ProxyConfig) -> Option<ForwardAuth> {
    let convention = values.choice(
        &table::FORWARD_AUTH_PROXY,
        &[
            AuthConvention::Forwarded,
            AuthConvention::Forwarded,
            AuthConvention::Original,
            AuthConvention::Path,
        ],
    );
    let peers = values.list(&table::FORWARD_AUTH_TRUSTED_PEERS, parse::trusted_network);
    let claims = values.choice(&table::FORWARD_AUTH_UNKNOWN_KEYS, &[true, false]);
    if !values.is_given(&table::FORWARD_AUTH_LISTEN) {
        for setting in [
            &table::FORWARD_AUTH_PROXY,
            &table::FORWARD_AUTH_TRUSTED_PEERS,
            &table::FORWARD_AUTH_UNKNOWN_KEYS,
        ] {
            if values.is_given(setting) {
                values.warning(
                    setting,
                    "has no effect while SENTINEL_FORWARD_AUTH_LISTEN is not set",
                );
            }
        }
        return None;
    }
    let listen = values.parsed(&table::FORWARD_AUTH_LISTEN, parse::listen_address)?;
    if !values.is_given(&table::FORWARD_AUTH_PROXY) {
        let wanted = table::FORWARD_AUTH_PROXY.wanted();
        values.error(&table::FORWARD_AUTH_PROXY, format!("is not set; wanted {wanted}"));
    }
    Some(ForwardAuth::new(
        listen,
        convention,
        peers,
        &proxy.trusted_proxies,
        claims,
    ))
}

/// Both files or neither. Only whoever serves has to be able to read them.
fn tls(values: &mut Values<'_>, requirements: Requirements) -> Option<TlsConfig> {
    let (certificate, key) = (&table::PROXY_TLS_CERT, &table::PROXY_TLS_KEY);
    for (given, missing) in [(certificate, key), (key, certificate)] {
        if values.is_given(given) && !values.is_given(missing) {
            let text = format!(
                "is set without {}; wanted both or neither",
                missing.environment_name()
            );
            values.error(given, text);
        }
    }
    let config = TlsConfig::new(values.text(certificate)?.into(), values.text(key)?.into());
    if requirements.upstream
        && let Err(error) = Certificate::load(&config)
    {
        let setting = if error.file() == Some(config.key.as_path()) {
            key
        } else {
            certificate
        };
        values.error(setting, format!("cannot be used: {error}"));
    }
    Some(config)
}

fn upstream(values: &mut Values<'_>, requirements: Requirements) -> UpstreamConfig {
    if requirements.upstream && !values.is_given(&table::UPSTREAM_URL) {
        values.error(
            &table::UPSTREAM_URL,
            "is not set; wanted the URL of the gateway that is protected, like http://127.0.0.1:3000",
        );
    }
    let url = values.parsed(&table::UPSTREAM_URL, parse::upstream_urls);
    let is_tls = url.as_ref().is_some_and(UpstreamTarget::is_tls);
    if values.is_given(&table::UPSTREAM_CA_FILE) && url.is_some() && !is_tls {
        values.warning(
            &table::UPSTREAM_CA_FILE,
            "has no effect: UPSTREAM_URL is not https",
        );
    }
    let by_scheme = if is_tls {
        HostHeader::Upstream
    } else {
        HostHeader::Preserve
    };
    UpstreamConfig {
        url,
        trust: values.parsed(&table::UPSTREAM_CA_FILE, parse::ca_file),
        profile: profile(values),
        host_header: values.choice(
            &table::UPSTREAM_HOST_HEADER,
            &[by_scheme, HostHeader::Preserve, HostHeader::Upstream],
        ),
        connect_timeout: values.seconds(&table::UPSTREAM_CONNECT_TIMEOUT_SECONDS),
        idle_timeout: values.seconds(&table::UPSTREAM_IDLE_TIMEOUT_SECONDS),
        tunnel_idle: values.seconds(&table::UPSTREAM_TUNNEL_IDLE_SECONDS),
        pool_idle: values.seconds(&table::UPSTREAM_POOL_IDLE_SECONDS),
        connections_max: values.count(&table::UPSTREAM_CONNECTIONS_MAX),
        connects_max: values.count(&table::UPSTREAM_CONNECTS_MAX),
        resolve_interval: values.seconds(&table::UPSTREAM_RESOLVE_SECONDS),
        health_path: values.parsed(&table::UPSTREAM_HEALTH_PATH, parse::health_path),
        health_interval: values.seconds(&table::UPSTREAM_HEALTH_SECONDS),
    }
}

/// The gateway's profile. Nothing that says who the client is may be one of its credentials.
fn profile(values: &mut Values<'_>) -> Profile {
    let own = values.profiles();
    let profile = values
        .parsed(&table::UPSTREAM_PROFILE, |text| parse::profile(text, own))
        .expect("the default profile is built in");
    let header = values.text(&table::PROXY_CLIENT_IP_HEADER).unwrap_or_default();
    let is_credential = |name: &HeaderName| name.as_str().eq_ignore_ascii_case(header);
    if profile.credential_headers.iter().any(is_credential) {
        let text = format!(
            "holds keys in the profile {}; wanted another header",
            profile.name
        );
        values.error(&table::PROXY_CLIENT_IP_HEADER, text);
    }
    profile
}

/// What may change while the server runs: read at the start, and again whenever an operator changed something.
pub(crate) fn live(values: &mut Values<'_>) -> LiveConfig {
    /// How long a day is; leap seconds do not matter here.
    const DAY: Duration = Duration::from_hours(24);
    let mut small = |setting| u32::try_from(values.number(setting)).unwrap_or(u32::MAX);
    let (archive_days, intercept_days, alert_count) = (
        small(&table::STORE_ARCHIVE_DAYS),
        small(&table::STORE_INTERCEPT_DAYS),
        small(&table::ALERT_THRESHOLD_COUNT),
    );
    LiveConfig {
        rules: rules(values),
        archived_after: DAY * archive_days,
        intercepts_kept: DAY * intercept_days,
        intercept_rows_max: values.number(&table::STORE_INTERCEPT_ROWS_MAX),
        alert_count,
        alert_within: values.seconds(&table::ALERT_THRESHOLD_SECONDS),
    }
}

fn rules(values: &mut Values<'_>) -> Rules {
    let learning_window = values.seconds(&table::POLICY_LEARNING_WINDOW_SECONDS);
    let mut small = |setting| u8::try_from(values.number(setting)).unwrap_or(u8::MAX);
    let (ipv4_prefix, ipv6_prefix) = (
        small(&table::POLICY_IPV4_PREFIX),
        small(&table::POLICY_IPV6_PREFIX),
    );
    Rules {
        mode: values.choice(&table::POLICY_MODE, &[Mode::Enforce, Mode::Observe]),
        keyless: values.choice(&table::POLICY_KEYLESS, &[Keyless::Pass, Keyless::Deny]),
        failsafe: values.choice(&table::POLICY_FAILSAFE_MODE, &[Failsafe::Closed, Failsafe::Open]),
        slots: u16::try_from(values.number(&table::POLICY_SLOTS)).unwrap_or(1),
        learning_window: (!learning_window.is_zero()).then_some(learning_window),
        ipv4_prefix,
        ipv6_prefix,
        claims_per_minute: u32::try_from(values.number(&table::POLICY_CLAIMS_PER_MINUTE_PER_ADDRESS))
            .unwrap_or(u32::MAX),
    }
}

fn admin(values: &mut Values<'_>) -> AdminConfig {
    let password = values.parsed(&table::ADMIN_PASSWORD, parse::admin_password);
    if let Some(AdminPassword::Plain(plain)) = &password
        && plain.expose().chars().count() < PASSWORD_CHARACTERS_GOOD
    {
        values.warning(
            &table::ADMIN_PASSWORD,
            format!("has fewer than {PASSWORD_CHARACTERS_GOOD} characters and can be guessed"),
        );
    }
    AdminConfig {
        listen: admin_listen(values),
        username: values
            .parsed(&table::ADMIN_USERNAME, parse::username)
            .unwrap_or_default(),
        password,
        jwt_secret: values.parsed(&table::ADMIN_JWT_SECRET, |text| {
            parse::secret(text, JWT_SECRET_BYTES_MIN)
        }),
        session: Duration::from_secs(60 * values.number(&table::ADMIN_SESSION_MINUTES)),
        public_url: values.parsed(&table::ADMIN_PUBLIC_URL, alerts::public_url),
        masks_addresses_for_viewers: values.choice(&table::ADMIN_ADDRESSES_FOR_VIEWERS, &[false, true]),
        oidc: oidc::oidc(values),
    }
}

fn store(values: &mut Values<'_>) -> StoreConfig {
    let dsn = values.parsed(&table::STORE_PG_DSN, parse::pg_dsn);
    let connections_max = values.count(&table::STORE_PG_CONNECTIONS_MAX);
    let is_embedded = !values.is_given(&table::STORE_PG_DSN);
    for setting in [
        &table::STORE_REDIS_URL,
        &table::STORE_REDIS_PREFIX,
        &table::STORE_REDIS_CA_FILE,
        &table::STORE_PG_CONNECTIONS_MAX,
    ] {
        if is_embedded && values.is_given(setting) {
            values.warning(
                setting,
                "has no effect while PG_DSN is not set: the embedded store serves one replica, which shares nothing",
            );
        }
    }
    let redis = redis(values).filter(|_| !is_embedded);
    StoreConfig {
        redis,
        postgres: dsn.map(|dsn| PostgresConfig { dsn, connections_max }),
        data_dir: PathBuf::from(values.text(&table::STORE_DATA_DIR).unwrap_or_default()),
        cache_entries_max: values.count(&table::STORE_CACHE_ENTRIES_MAX),
        cache_life: values.seconds(&table::STORE_CACHE_SECONDS),
    }
}

fn redis(values: &mut Values<'_>) -> Option<RedisConfig> {
    let url = values.parsed(&table::STORE_REDIS_URL, parse::redis_url);
    let prefix = values.parsed(&table::STORE_REDIS_PREFIX, parse::redis_prefix);
    let authorities = values.parsed(&table::STORE_REDIS_CA_FILE, parse::pem_file);
    let mut settings = RedisSettings::new(url?);
    if let Some(prefix) = prefix {
        settings = settings.with_prefix(&prefix).ok()?;
    }
    if let Some(authorities) = authorities {
        settings = settings.trusting(authorities);
    }
    Some(RedisConfig { settings })
}

fn audit(values: &mut Values<'_>) -> AuditConfig {
    AuditConfig {
        spool_bytes_max: values.number(&table::AUDIT_SPOOL_BYTES_MAX),
        replica_name: values
            .parsed(&table::AUDIT_REPLICA_NAME, parse::replica_name)
            .unwrap_or_else(host_name),
    }
}

/// What this machine, or this container, is called.
fn host_name() -> String {
    let system = rustix::system::uname();
    let name = system.nodename().to_string_lossy();
    name.chars().take(parse::REPLICA_NAME_CHARACTERS_MAX).collect()
}

fn log(values: &mut Values<'_>) -> LogConfig {
    LogConfig {
        format: values.choice(
            &table::LOG_FORMAT,
            &[LogFormat::Auto, LogFormat::Human, LogFormat::Json],
        ),
        filter: values
            .parsed(&table::LOG_FILTER, parse::log_filter)
            .unwrap_or_default(),
    }
}

/// Whether two listeners want one port, or the gateway is Sentinel itself.
fn check_addresses(values: &mut Values<'_>, config: &Config) {
    let forward_auth = config.forward_auth.as_ref().map(|asked| asked.listen);
    let listeners = [
        (&table::PROXY_LISTEN, Some(config.proxy.listen)),
        (&table::ADMIN_LISTEN, Some(config.admin.listen)),
        (&table::FORWARD_AUTH_LISTEN, forward_auth),
    ];
    let listeners = listeners.map(|(setting, listen)| listen.map(|listen| (setting, listen)));
    let listeners: Vec<_> = listeners.into_iter().flatten().collect();
    for (index, (setting, listen)) in listeners.iter().enumerate() {
        let earlier = listeners[..index].iter().find(|(_, taken)| {
            let is_anywhere = taken.ip().is_unspecified() || listen.ip().is_unspecified();
            taken.port() != 0 && taken.port() == listen.port() && (is_anywhere || taken.ip() == listen.ip())
        });
        if let Some((owner, taken)) = earlier {
            let owner = owner.environment_name();
            values.error(
                setting,
                format!("{listen} is taken by {owner} ({taken}); wanted another port"),
            );
        }
    }
    let origins = config.upstream.url.iter().flat_map(UpstreamTarget::origins);
    for origin in origins {
        let is_this_machine = origin.host() == "localhost"
            || origin
                .host()
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback() || address.is_unspecified());
        for (setting, listen) in &listeners {
            let name = setting.environment_name();
            let listens_there = listen.ip().is_unspecified() || listen.ip().is_loopback();
            if is_this_machine && listens_there && origin.port() == listen.port() {
                let text = format!("is Sentinel itself ({name} is {listen}); wanted the gateway's port");
                values.error(&table::UPSTREAM_URL, text);
            }
        }
    }
}

//! The table of all settings: the one place that names them.
//!
//! A name in the environment that is not fixed elsewhere is `SENTINEL_<SECTION>_<NAME>`. No name may look like what
//! Kubernetes sets for a service called `sentinel` (`SENTINEL_PORT`, `SENTINEL_SERVICE_HOST`, …).

use super::setting::{Kind, Setting};

/// Declares the settings as statics, and [`ALL`] with each of them in the order of the reference.
macro_rules! settings {
    ($($id:ident = $name:literal [$($environment:literal),+] $kind:expr, $default:expr, $help:literal;)+) => {
        $(
            #[doc = $help]
            pub(crate) static $id: Setting = Setting {
                name: $name,
                environment: &[$($environment),+],
                kind: $kind,
                default: $default,
                help: $help,
            };
        )+

        /// Every setting, in the order of the reference.
        pub(crate) static ALL: &[&Setting] = &[$(&$id),+];
    };
}

/// A whole number.
const fn number(min: u64, max: u64, unit: &'static str) -> Kind {
    Kind::Number { min, max, unit }
}

settings! {
    PROXY_LISTEN = "proxy.listen" ["SENTINEL_LISTEN"] Kind::Text, Some("0.0.0.0:7000"),
        "Where clients connect.";
    PROXY_TLS_CERT = "proxy.tls_cert" ["SENTINEL_PROXY_TLS_CERT"] Kind::Text, None,
        "A PEM file with the certificate that clients see and those between it and its authority; with it clients connect over TLS. Read again when it changes.";
    PROXY_TLS_KEY = "proxy.tls_key" ["SENTINEL_PROXY_TLS_KEY"] Kind::Text, None,
        "A PEM file with that certificate's private key.";
    PROXY_TRUSTED_PROXIES = "proxy.trusted_proxies" ["SENTINEL_TRUSTED_PROXIES"] Kind::List, None,
        "Networks of the reverse proxies in front; only they may say who the client is.";
    PROXY_CLIENT_IP_HEADER = "proxy.client_ip_header" ["SENTINEL_CLIENT_IP_HEADER"] Kind::Text, Some("x-real-ip"),
        "The header in which a trusted proxy names the client's address.";
    PROXY_CORES = "proxy.cores" ["SENTINEL_PROXY_CORES"] number(0, 1024, "cores"), Some("0"),
        "How many cores serve requests; 0 means all.";
    PROXY_CONNECTIONS_MAX = "proxy.connections_max" ["SENTINEL_PROXY_CONNECTIONS_MAX"]
        number(1, 1_000_000, "connections"), Some("20000"),
        "The most client connections that are open at once; of an HTTP/2 connection each further request that runs at the same time counts as one more.";
    PROXY_CONNECTIONS_PER_ADDRESS_MAX = "proxy.connections_per_address_max"
        ["SENTINEL_PROXY_CONNECTIONS_PER_ADDRESS_MAX"] number(0, 1_000_000, "connections"), Some("1000"),
        "The most of them that one address (IPv6: one /64, and four times as many of one /48) may have open, trusted proxies excepted; 0 means without limit.";
    PROXY_HEADER_BYTES_MAX = "proxy.header_bytes_max" ["SENTINEL_PROXY_HEADER_BYTES_MAX"]
        number(8192, 1_048_576, "bytes"), Some("32768"),
        "The most bytes that a request's head may have.";
    PROXY_HEADER_TIMEOUT_SECONDS = "proxy.header_timeout_seconds" ["SENTINEL_PROXY_HEADER_TIMEOUT_SECONDS"]
        number(1, 300, "seconds"), Some("75"),
        "For how long a client connection may wait for the whole head of its next request.";
    PROXY_DRAIN_SECONDS = "proxy.drain_seconds" ["SENTINEL_PROXY_DRAIN_SECONDS"]
        number(0, 3600, "seconds"), Some("30"),
        "For how long running requests may go on when Sentinel is stopped.";

    FORWARD_AUTH_LISTEN = "forward_auth.listen" ["SENTINEL_FORWARD_AUTH_LISTEN"] Kind::Text, None,
        "Where another proxy asks whether a request may go on, when it forwards by itself, like 127.0.0.1:7002; nowhere when it is not set.";
    FORWARD_AUTH_PROXY = "forward_auth.proxy" ["SENTINEL_FORWARD_AUTH_PROXY"]
        Kind::Choice(&["traefik", "caddy", "nginx", "envoy"]), None,
        "Which proxy asks there: each tells in a way of its own which request it asks about.";
    FORWARD_AUTH_TRUSTED_PEERS = "forward_auth.trusted_peers" ["SENTINEL_FORWARD_AUTH_TRUSTED_PEERS"]
        Kind::List, Some("127.0.0.0/8,::1/128"),
        "Networks of the proxies that may ask there; nobody else is answered.";
    FORWARD_AUTH_UNKNOWN_KEYS = "forward_auth.unknown_keys" ["SENTINEL_FORWARD_AUTH_UNKNOWN_KEYS"]
        Kind::Choice(&["claim", "pass"]), Some("claim"),
        "Whether an unknown key that is asked about is bound, for good since no answer of the gateway is seen there, or goes on unbound.";

    UPSTREAM_URL = "upstream.url" ["UPSTREAM_URL", "DOWNSTREAM_URL"] Kind::List, None,
        "The gateway that is protected, as http://host:port or https://host; several of one scheme share the load.";
    UPSTREAM_CA_FILE = "upstream.ca_file" ["SENTINEL_UPSTREAM_CA_FILE"] Kind::Text, None,
        "A PEM file with the certificate authorities that an https gateway is believed by, and no others; without it the public ones that this build knows.";
    UPSTREAM_PROFILE = "upstream.profile" ["SENTINEL_PROFILE"] Kind::Text, Some("new-api"),
        "Which kind of gateway it is, where it takes keys from and how it answers: new-api, one-api, sub2api, litellm, openai, anthropic, gemini, or one of your own below.";
    UPSTREAM_HOST_HEADER = "upstream.host_header" ["SENTINEL_UPSTREAM_HOST_HEADER"]
        Kind::Choice(&["auto", "preserve", "upstream"]), Some("auto"),
        "Whether the gateway sees the Host that the client sent (preserve), or its own (upstream); auto means its own with https, where a CDN would refuse any other, and the client's with http.";
    UPSTREAM_CONNECT_TIMEOUT_SECONDS = "upstream.connect_timeout_seconds"
        ["SENTINEL_UPSTREAM_CONNECT_TIMEOUT_SECONDS"] number(1, 120, "seconds"), Some("10"),
        "For how long connecting to the gateway may take.";
    UPSTREAM_IDLE_TIMEOUT_SECONDS = "upstream.idle_timeout_seconds" ["SENTINEL_UPSTREAM_IDLE_TIMEOUT_SECONDS"]
        number(10, 86_400, "seconds"), Some("900"),
        "For how long a running request may be silent in both directions, and one side of a WebSocket may take nothing of what waits for it.";
    UPSTREAM_TUNNEL_IDLE_SECONDS = "upstream.tunnel_idle_seconds" ["SENTINEL_UPSTREAM_TUNNEL_IDLE_SECONDS"]
        number(10, 604_800, "seconds"), Some("3600"),
        "For how long a WebSocket may be silent in both directions.";
    UPSTREAM_POOL_IDLE_SECONDS = "upstream.pool_idle_seconds" ["SENTINEL_UPSTREAM_POOL_IDLE_SECONDS"]
        number(1, 3600, "seconds"), Some("4"),
        "For how long an idle connection to the gateway is kept; must be below the gateway's own keep-alive time.";
    UPSTREAM_CONNECTIONS_MAX = "upstream.connections_max" ["SENTINEL_UPSTREAM_CONNECTIONS_MAX"]
        number(1, 1_000_000, "connections"), Some("20000"),
        "The most connections to the gateway that are open at once, idle ones included; further requests wait, within the time for connecting.";
    UPSTREAM_CONNECTS_MAX = "upstream.connects_max" ["SENTINEL_UPSTREAM_CONNECTS_MAX"]
        number(1, 65_536, "connections"), Some("256"),
        "The most connections to the gateway that one core makes at once; further ones wait, within the time for connecting.";
    UPSTREAM_RESOLVE_SECONDS = "upstream.resolve_seconds" ["SENTINEL_UPSTREAM_RESOLVE_SECONDS"]
        number(1, 86_400, "seconds"), Some("30"),
        "After how long the gateway's name is looked up again; while that fails, the addresses that were known stay.";
    UPSTREAM_HEALTH_PATH = "upstream.health_path" ["SENTINEL_UPSTREAM_HEALTH_PATH"] Kind::Text, None,
        "What is asked for at each address to learn whether it is healthy, like /api/status; without it a connection is tried.";
    UPSTREAM_HEALTH_SECONDS = "upstream.health_seconds" ["SENTINEL_UPSTREAM_HEALTH_SECONDS"]
        number(1, 3600, "seconds"), Some("5"),
        "How often each address is tried: when there are several, when one is down, or when there is a health path.";

    POLICY_MODE = "policy.mode" ["SENTINEL_MODE"] Kind::Choice(&["enforce", "observe"]), Some("enforce"),
        "Whether a key that is used from elsewhere is refused, or only recorded.";
    POLICY_FAILSAFE_MODE = "policy.failsafe_mode" ["SENTINEL_FAILSAFE_MODE"]
        Kind::Choice(&["closed", "open"]), Some("closed"),
        "Whether unknown keys are refused (closed) or go on (open) while the store is away.";
    POLICY_KEYLESS = "policy.keyless" ["SENTINEL_POLICY_KEYLESS"]
        Kind::Choice(&["pass", "deny"]), Some("pass"),
        "Whether requests without a key go on to the gateway, or are refused.";
    POLICY_SLOTS = "policy.slots" ["SENTINEL_POLICY_SLOTS"] number(1, 64, "networks"), Some("1"),
        "How many networks a key may learn by itself, the first included.";
    POLICY_LEARNING_WINDOW_SECONDS = "policy.learning_window_seconds" ["SENTINEL_POLICY_LEARNING_WINDOW_SECONDS"]
        number(0, 31_536_000, "seconds"), Some("0"),
        "For how long after its first use a key may learn further networks; 0 means without end.";
    POLICY_IPV4_PREFIX = "policy.ipv4_prefix" ["SENTINEL_POLICY_IPV4_PREFIX"] number(16, 32, "bits"), Some("32"),
        "How many bits of an IPv4 address are bound.";
    POLICY_IPV6_PREFIX = "policy.ipv6_prefix" ["SENTINEL_POLICY_IPV6_PREFIX"] number(32, 128, "bits"), Some("64"),
        "How many bits of an IPv6 address are bound.";
    POLICY_CLAIMS_PER_MINUTE_PER_ADDRESS = "policy.claims_per_minute_per_address"
        ["SENTINEL_POLICY_CLAIMS_PER_MINUTE_PER_ADDRESS"] number(0, 1_000_000, "claims"), Some("60"),
        "How many unknown keys one address may bring in a minute; 0 means without limit.";
    POLICY_HMAC_SECRET = "policy.hmac_secret" ["SENTINEL_HMAC_SECRET"] Kind::Secret, None,
        "Under which keys are hashed; made at first start. Another secret makes every key unknown, unless the one before is given, too.";
    POLICY_HMAC_SECRET_PREVIOUS = "policy.hmac_secret_previous" ["SENTINEL_HMAC_SECRET_PREVIOUS"] Kind::Secret, None,
        "The HMAC secret before this one: bindings under it stay in force and move with their keys' next use. docs/operations.md says how to change the secret.";
    POLICY_HMAC_SECRET_GIVEN_UP = "policy.hmac_secret_given_up" ["SENTINEL_HMAC_SECRET_GIVEN_UP"] Kind::Text, None,
        "The mark of an HMAC secret that is gone, 16 hexadecimal digits: bindings and bans under it count no more. A server that finds such bindings names it and does not start.";

    ADMIN_LISTEN = "admin.listen" ["SENTINEL_ADMIN_LISTEN"] Kind::Text, Some("127.0.0.1:7001"),
        "Where the console, its API, health and metrics are.";
    ADMIN_USERNAME = "admin.username" ["ADMIN_USERNAME"] Kind::Text, Some("admin"),
        "The name of the console's account.";
    ADMIN_PASSWORD = "admin.password" ["ADMIN_PASSWORD"] Kind::Secret, None,
        "Its password, plain or as `sentinel hash-password` prints it; made and shown once at first start.";
    ADMIN_JWT_SECRET = "admin.jwt_secret" ["ADMIN_JWT_SECRET"] Kind::Secret, None,
        "Under which sessions are signed; made at first start.";
    ADMIN_SESSION_MINUTES = "admin.session_minutes" ["SENTINEL_ADMIN_SESSION_MINUTES"]
        number(1, 1440, "minutes"), Some("60"),
        "For how long a token of a sign-in is good. The console renews it; without that a session ends after twelve times as long, and always after a week.";
    ADMIN_PUBLIC_URL = "admin.public_url" ["SENTINEL_ADMIN_PUBLIC_URL"] Kind::Text, None,
        "The console's address as operators reach it, like https://sentinel.example.com: links in alerts lead there, and the provider of a sign-in sends browsers back there. Without it alerts have no links.";
    ADMIN_ADDRESSES_FOR_VIEWERS = "admin.addresses_for_viewers" ["SENTINEL_ADMIN_ADDRESSES_FOR_VIEWERS"]
        Kind::Choice(&["whole", "masked"]), Some("whole"),
        "What viewers see of addresses, in every answer of the console and its API: all of them, or the networks that they lie in (/24 and /48).";

    ADMIN_OIDC_ISSUER = "admin.oidc_issuer" ["SENTINEL_ADMIN_OIDC_ISSUER"] Kind::Text, None,
        "The provider by which administrators may sign in (OpenID Connect), letter by letter as it calls itself, like https://id.example.com/realms/main; without it there are passwords alone.";
    ADMIN_OIDC_CLIENT_ID = "admin.oidc_client_id" ["SENTINEL_ADMIN_OIDC_CLIENT_ID"] Kind::Text, None,
        "What the provider knows this installation as.";
    ADMIN_OIDC_CLIENT_SECRET = "admin.oidc_client_secret" ["SENTINEL_ADMIN_OIDC_CLIENT_SECRET"] Kind::Secret, None,
        "What proves to the provider that it is this installation.";
    ADMIN_OIDC_NAME = "admin.oidc_name" ["SENTINEL_ADMIN_OIDC_NAME"] Kind::Text, Some("OpenID Connect"),
        "What the button on the sign-in page calls the provider.";
    ADMIN_OIDC_SCOPES = "admin.oidc_scopes" ["SENTINEL_ADMIN_OIDC_SCOPES"] Kind::List, Some("openid,profile,email"),
        "What the provider is asked for; some tell groups only when asked for the scope groups.";
    ADMIN_OIDC_ROLE_CLAIM = "admin.oidc_role_claim" ["SENTINEL_ADMIN_OIDC_ROLE_CLAIM"] Kind::Text, Some("groups"),
        "Which claim of the provider's token decides on roles, a text or a list of texts; dots lead into objects, like realm_access.roles.";
    ADMIN_OIDC_OWNERS = "admin.oidc_owners" ["SENTINEL_ADMIN_OIDC_OWNERS"] Kind::List, None,
        "Values of that claim that make an owner. Whoever has no value of these three lists does not get in.";
    ADMIN_OIDC_OPERATORS = "admin.oidc_operators" ["SENTINEL_ADMIN_OIDC_OPERATORS"] Kind::List, None,
        "Values of that claim that make an operator.";
    ADMIN_OIDC_VIEWERS = "admin.oidc_viewers" ["SENTINEL_ADMIN_OIDC_VIEWERS"] Kind::List, None,
        "Values of that claim that make a viewer.";
    ADMIN_OIDC_CA_FILE = "admin.oidc_ca_file" ["SENTINEL_ADMIN_OIDC_CA_FILE"] Kind::Text, None,
        "A PEM file with certificate authorities that the provider is believed by, besides the public ones that this build knows.";

    STORE_DATA_DIR = "store.data_dir" ["SENTINEL_DATA_DIR"] Kind::Text, Some("./data"),
        "The folder of the embedded database and of the secrets that are made at first start.";
    STORE_PG_DSN = "store.pg_dsn" ["PG_DSN"] Kind::Secret, None,
        "Where PostgreSQL is, like postgresql://user:password@host:5432/database; several hosts may be named. Without it the embedded store serves, on one replica.";
    STORE_PG_CONNECTIONS_MAX = "store.pg_connections_max" ["SENTINEL_STORE_PG_CONNECTIONS_MAX"]
        number(2, 1000, "connections"), Some("16"),
        "The most connections to PostgreSQL that one replica keeps open, a few for listening aside.";
    STORE_REDIS_URL = "store.redis_url" ["REDIS_URL"] Kind::Secret, None,
        "Where the Redis or Valkey is that replicas share beside PostgreSQL, like redis://user:password@host:6379; redis-sentinel:// and redis-cluster:// work too, and rediss:// is TLS.";
    STORE_REDIS_PREFIX = "store.redis_prefix" ["SENTINEL_STORE_REDIS_PREFIX"] Kind::Text, Some("sentinel:"),
        "What all keys in it begin with, so that installations can share one.";
    STORE_REDIS_CA_FILE = "store.redis_ca_file" ["SENTINEL_STORE_REDIS_CA_FILE"] Kind::Text, None,
        "A PEM file with the certificate authorities that it is believed by over TLS, and no others; without it the public ones that this build knows.";
    STORE_CACHE_ENTRIES_MAX = "store.cache_entries_max" ["SENTINEL_STORE_CACHE_ENTRIES_MAX"]
        number(1000, 100_000_000, "bindings"), Some("1000000"),
        "How many bindings are held in memory.";
    STORE_CACHE_SECONDS = "store.cache_seconds" ["SENTINEL_STORE_CACHE_SECONDS"]
        number(1, 60, "seconds"), Some("5"),
        "For how long a binding in memory is believed without asking the store again.";
    STORE_ARCHIVE_DAYS = "store.archive_days" ["ARCHIVE_DAYS"] number(1, 3650, "days"), Some("90"),
        "After how many days without use a binding is archived; its key's next use binds it anew. Banned ones stay.";
    STORE_INTERCEPT_DAYS = "store.intercept_days" ["SENTINEL_STORE_INTERCEPT_DAYS"] number(1, 3650, "days"), Some("90"),
        "For how many days the log of refused requests is kept.";
    STORE_INTERCEPT_ROWS_MAX = "store.intercept_rows_max" ["SENTINEL_STORE_INTERCEPT_ROWS_MAX"]
        number(1000, 10_000_000_000, "rows"), Some("10000000"),
        "The most rows of that log that are kept; the oldest go first. PostgreSQL drops whole days where it can.";

    AUDIT_SPOOL_BYTES_MAX = "audit.spool_bytes_max" ["SENTINEL_AUDIT_SPOOL_BYTES_MAX"]
        number(1_048_576, 1_099_511_627_776, "bytes"), Some("268435456"),
        "How many bytes of records may wait in the data folder for a store that is away or slow; beyond, refusals are only counted.";
    AUDIT_REPLICA_NAME = "audit.replica_name" ["SENTINEL_AUDIT_REPLICA_NAME"] Kind::Text, None,
        "The name of this replica in the log of refused requests; the name of the host when not set.";

    ALERT_WEBHOOK_URL = "alert.webhook_url" ["ALERT_WEBHOOK_URL"] Kind::Secret, None,
        "Where alerts are sent, as JSON: makes the channel named webhook. Further channels are below.";
    ALERT_WEBHOOK_SECRET = "alert.webhook_secret" ["ALERT_WEBHOOK_SECRET"] Kind::Secret, None,
        "Under which those calls are signed, after the Standard Webhooks: whsec_ and the base64 of 24 to 64 bytes; several, the newest first, while one takes another's place.";
    ALERT_THRESHOLD_COUNT = "alert.threshold_count" ["ALERT_THRESHOLD_COUNT"]
        number(1, 1_000_000, "refusals"), Some("5"),
        "How many refusals of one key raise an alert.";
    ALERT_THRESHOLD_SECONDS = "alert.threshold_seconds" ["ALERT_THRESHOLD_SECONDS"]
        number(1, 86_400, "seconds"), Some("300"),
        "Within how many seconds they are counted.";
    ALERT_LANGUAGE = "alert.language" ["SENTINEL_ALERT_LANGUAGE"] Kind::Choice(&["en", "zh"]), Some("en"),
        "The language of alerts, for channels that do not say their own.";
    ALERT_ALLOWED_NETWORKS = "alert.allowed_networks" ["SENTINEL_ALERT_ALLOWED_NETWORKS"] Kind::List, None,
        "Networks inside the installation that receivers of alerts may be in; without them only public addresses are called.";
    ALERT_PLAIN_HTTP = "alert.plain_http" ["SENTINEL_ALERT_PLAIN_HTTP"] Kind::Choice(&["refuse", "allow"]), Some("refuse"),
        "Whether receivers may be called over http, which anybody on the way can read.";
    ALERT_CA_FILE = "alert.ca_file" ["SENTINEL_ALERT_CA_FILE"] Kind::Text, None,
        "A PEM file with certificate authorities that receivers are believed by, besides the public ones that this build knows.";

    LOG_FORMAT = "log.format" ["SENTINEL_LOG_FORMAT"] Kind::Choice(&["auto", "human", "json"]), Some("auto"),
        "How log lines look; auto means human on a terminal and JSON elsewhere.";
    LOG_FILTER = "log.filter" ["SENTINEL_LOG_FILTER"] Kind::Text, Some("info"),
        "What is logged: a level (error, warn, info, debug, trace), or target=level pairs separated by commas.";
}

/// Those that may change while the server runs.
pub(crate) static LIVE: &[&Setting] = &[
    &POLICY_MODE,
    &POLICY_FAILSAFE_MODE,
    &POLICY_KEYLESS,
    &POLICY_SLOTS,
    &POLICY_LEARNING_WINDOW_SECONDS,
    &POLICY_IPV4_PREFIX,
    &POLICY_IPV6_PREFIX,
    &POLICY_CLAIMS_PER_MINUTE_PER_ADDRESS,
    &STORE_ARCHIVE_DAYS,
    &STORE_INTERCEPT_DAYS,
    &STORE_INTERCEPT_ROWS_MAX,
    &ALERT_THRESHOLD_COUNT,
    &ALERT_THRESHOLD_SECONDS,
];

/// Whether the setting may change while the server runs.
pub(crate) fn is_live(setting: &Setting) -> bool {
    LIVE.contains(&setting)
}

/// The setting with this name in the file.
pub(crate) fn by_name(name: &str) -> Option<&'static Setting> {
    ALL.iter().copied().find(|setting| setting.name == name)
}

/// The setting with this name in the environment.
pub(crate) fn by_environment_name(name: &str) -> Option<&'static Setting> {
    ALL.iter()
        .copied()
        .find(|setting| setting.environment.contains(&name))
}

/// The setting that was probably meant by a name that is none, in either spelling.
pub(crate) fn nearest(unknown: &str) -> Option<&'static Setting> {
    /// Below this likeness a suggestion would be a guess.
    const LIKENESS_MIN: f64 = 0.88;
    let plain = |name: &str| {
        name.to_ascii_lowercase()
            .replace('.', "_")
            .trim_start_matches("sentinel_")
            .to_owned()
    };
    let wanted = plain(unknown);
    let spellings = |setting: &'static Setting| {
        let last = setting.name.rsplit('.').next().unwrap_or_default();
        let mut names = vec![plain(setting.name), plain(last)];
        names.extend(setting.environment.iter().map(|name| plain(name)));
        names
    };
    ALL.iter()
        .copied()
        .map(|setting| {
            let likeness = spellings(setting)
                .iter()
                .map(|name| strsim::jaro_winkler(name, &wanted))
                .fold(0.0, f64::max);
            (likeness, setting)
        })
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, setting)| setting)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_follow_the_pattern() {
        /// Names that are relied on from outside.
        const FIXED: &[&str] = &[
            "UPSTREAM_URL",
            "DOWNSTREAM_URL",
            "PG_DSN",
            "REDIS_URL",
            "SENTINEL_HMAC_SECRET",
            "SENTINEL_HMAC_SECRET_PREVIOUS",
            "SENTINEL_HMAC_SECRET_GIVEN_UP",
            "ADMIN_USERNAME",
            "ADMIN_PASSWORD",
            "ADMIN_JWT_SECRET",
            "ARCHIVE_DAYS",
            "SENTINEL_FAILSAFE_MODE",
            "SENTINEL_PROFILE",
            "SENTINEL_TRUSTED_PROXIES",
            "SENTINEL_CLIENT_IP_HEADER",
            "SENTINEL_MODE",
            "SENTINEL_DATA_DIR",
            "SENTINEL_LISTEN",
            "SENTINEL_ADMIN_LISTEN",
            "ALERT_WEBHOOK_URL",
            "ALERT_WEBHOOK_SECRET",
            "ALERT_THRESHOLD_COUNT",
            "ALERT_THRESHOLD_SECONDS",
        ];
        let mut names = BTreeSet::new();
        for setting in ALL {
            assert!(
                names.insert(setting.name.to_owned()),
                "{} is there twice",
                setting.name
            );
            assert_eq!(setting.name.split('.').count(), 2, "{}", setting.name);
            assert!(setting.help.ends_with('.'), "{}", setting.name);
            let derived = format!("SENTINEL_{}", setting.name.replace('.', "_").to_uppercase());
            for name in setting.environment {
                assert!(names.insert((*name).to_owned()), "{name} is there twice");
                assert!(
                    FIXED.contains(name) || *name == derived,
                    "{name} is neither fixed nor {derived}"
                );
            }
        }
        for name in FIXED {
            assert!(by_environment_name(name).is_some(), "{name} is missing");
        }
    }

    #[test]
    fn the_nearest_setting_is_found_in_both_spellings() {
        let nearest_name = |unknown| nearest(unknown).map(|setting| setting.name);
        assert_eq!(nearest_name("upstream.ulr"), Some("upstream.url"));
        assert_eq!(nearest_name("mode"), Some("policy.mode"));
        assert_eq!(nearest_name("SENTINEL_UPSTREAM_URL"), Some("upstream.url"));
        assert_eq!(
            nearest_name("SENTINEL_TRUSTED_PROXY"),
            Some("proxy.trusted_proxies")
        );
        assert_eq!(nearest_name("SENTINEL_ADMIN_PASSWORD"), Some("admin.password"));
        assert_eq!(nearest_name("PG_DSN"), Some("store.pg_dsn"));
        assert_eq!(nearest_name("colour.of_the_sky"), None);
    }
}

//! Loading as a whole. [`every_setting`] goes through the table; [`sources`] is about what is read where.

mod alerts;
mod every_setting;
mod oidc;
mod sources;

use std::fs;
use std::num::NonZeroUsize;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use sentinel_core::policy::Rules;
use sentinel_proxy::HostHeader;
use tempfile::TempDir;

use super::*;

/// A folder with files that a test reads settings from.
struct Fixture {
    folder: TempDir,
    sources: Sources,
}

impl Fixture {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            sources: Sources::default(),
        }
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.sources
            .environment
            .push((OsString::from(name), OsString::from(value)));
        self
    }

    fn file(mut self, text: &str) -> Self {
        self.sources.file = Some(self.write("sentinel.toml", text.as_bytes(), 0o600));
        self
    }

    fn write(&self, name: &str, content: &[u8], mode: u32) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, content).expect("the folder can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("the file is ours");
        path
    }

    fn load(&self) -> Result<Loaded, ConfigErrors> {
        let requirements = Requirements { upstream: false };
        load(&self.sources, requirements)
    }

    fn loaded(&self) -> Loaded {
        self.load()
            .unwrap_or_else(|errors| panic!("wanted no errors: {errors}"))
    }

    fn errors(&self) -> Vec<String> {
        let ConfigErrors(problems) = self.load().expect_err("wanted errors");
        problems.iter().map(ToString::to_string).collect()
    }

    /// The one error that there is.
    fn error(&self) -> String {
        let errors = self.errors();
        assert_eq!(errors.len(), 1, "{errors:#?}");
        errors.into_iter().next().expect("there is one")
    }

    fn warnings(&self) -> Vec<String> {
        self.loaded().warnings.iter().map(ToString::to_string).collect()
    }
}

#[test]
fn without_anything_the_defaults_hold() {
    let loaded = Fixture::new().loaded();
    let config = loaded.config;
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert_eq!(config.proxy.listen.to_string(), "0.0.0.0:7000");
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:7001");
    assert_eq!(config.live.rules, Rules::default());
    assert!(config.proxy.trusted_proxies.is_empty());
    assert_eq!(config.proxy.client_ip_header, "x-real-ip");
    assert_eq!((config.proxy.cores, config.proxy.connections_max), (0, 20_000));
    assert_eq!(
        config.proxy.connections_per_address_max.map(NonZeroUsize::get),
        Some(1_000)
    );
    assert_eq!(config.proxy.header_bytes_max, 32_768);
    assert_eq!(config.proxy.header_timeout, Duration::from_secs(75));
    assert_eq!(config.proxy.drain, Duration::from_secs(30));
    assert_eq!(config.upstream.url, None);
    assert_eq!(config.upstream.profile.name, "new-api");
    assert_eq!(config.upstream.host_header, HostHeader::Preserve);
    assert_eq!(config.upstream.connect_timeout, Duration::from_secs(10));
    assert_eq!(config.upstream.idle_timeout, Duration::from_mins(15));
    assert_eq!(config.upstream.pool_idle, Duration::from_secs(4));
    assert_eq!(config.upstream.connects_max, 256);
    assert_eq!(config.upstream.resolve_interval, Duration::from_secs(30));
    assert_eq!(config.upstream.health_interval, Duration::from_secs(5));
    assert!(config.upstream.trust.is_none() && config.upstream.health_path.is_none());
    assert_eq!(config.live.archived_after, Duration::from_hours(24 * 90));
    assert_eq!(config.live.intercepts_kept, Duration::from_hours(24 * 90));
    assert_eq!(
        (config.live.alert_count, config.live.alert_within),
        (5, Duration::from_mins(5))
    );
    assert_eq!(config.admin.username, "admin");
    assert_eq!(config.admin.session, Duration::from_hours(1));
    assert_eq!(config.store.database(), PathBuf::from("./data/sentinel.db"));
    assert_eq!(config.store.cache_entries_max, 1_000_000);
    assert_eq!(config.store.cache_life, Duration::from_secs(5));
    assert_eq!(config.log.format, LogFormat::Auto);
    assert!(
        config.hmac_secret.is_none() && config.admin.jwt_secret.is_none() && config.admin.password.is_none()
    );
}

#[test]
fn zero_means_what_its_help_says() {
    let config = Fixture::new()
        .variable("SENTINEL_PROXY_CONNECTIONS_PER_ADDRESS_MAX", "0")
        .variable("SENTINEL_POLICY_CLAIMS_PER_MINUTE_PER_ADDRESS", "0")
        .variable("SENTINEL_POLICY_LEARNING_WINDOW_SECONDS", "0")
        .loaded()
        .config;
    assert_eq!(config.proxy.connections_per_address_max, None);
    assert_eq!(config.live.rules.claims_per_minute, 0);
    assert_eq!(config.live.rules.learning_window, None);
}

#[test]
fn a_command_that_serves_needs_an_upstream() {
    let requirements = Requirements { upstream: true };
    let errors = load(&Sources::default(), requirements).expect_err("there is no upstream");
    assert_eq!(
        errors.to_string(),
        "the configuration has 1 error:\n  - UPSTREAM_URL or DOWNSTREAM_URL (upstream.url): is not set; wanted the URL \
         of the gateway that is protected, like http://127.0.0.1:3000"
    );
}

#[test]
fn a_certificate_and_its_key_come_together_and_are_read_by_who_serves() {
    let both = || {
        Fixture::new()
            .variable("SENTINEL_PROXY_TLS_CERT", "/nowhere/cert.pem")
            .variable("SENTINEL_PROXY_TLS_KEY", "/nowhere/key.pem")
    };
    let tls = both().loaded().config.proxy.tls.expect("TLS");
    assert_eq!(
        (tls.certificate, tls.key),
        ("/nowhere/cert.pem".into(), "/nowhere/key.pem".into())
    );
    let requirements = Requirements { upstream: true };
    let serving = both().variable("UPSTREAM_URL", "http://gateway");
    let errors = load(&serving.sources, requirements)
        .expect_err("no such file")
        .to_string();
    assert!(
        errors.contains("(proxy.tls_cert): cannot be used: cannot read /nowhere/cert.pem"),
        "{errors}"
    );
    for (given, missing) in [
        ("SENTINEL_PROXY_TLS_CERT", "SENTINEL_PROXY_TLS_KEY"),
        ("SENTINEL_PROXY_TLS_KEY", "SENTINEL_PROXY_TLS_CERT"),
    ] {
        let error = Fixture::new().variable(given, "/nowhere").error();
        assert!(error.starts_with(given), "{error}");
        assert!(
            error.contains(&format!("is set without {missing}; wanted both or neither")),
            "{error}"
        );
    }
}

#[test]
fn which_host_an_https_gateway_sees() {
    let host_header = |url, variables: &[(&str, &str)]| {
        let mut fixture = Fixture::new().variable("UPSTREAM_URL", url);
        for (name, value) in variables {
            fixture = fixture.variable(name, value);
        }
        fixture.loaded().config.upstream.host_header
    };
    assert_eq!(host_header("http://gateway", &[]), HostHeader::Preserve);
    assert_eq!(host_header("https://gateway", &[]), HostHeader::Upstream);
    let preserve = [("SENTINEL_UPSTREAM_HOST_HEADER", "preserve")];
    assert_eq!(host_header("https://gateway", &preserve), HostHeader::Preserve);
}

#[test]
fn forward_authentication_wants_to_know_who_asks() {
    let asked = |variables: &[(&str, &str)]| {
        variables.iter().fold(Fixture::new(), |fixture, (name, value)| {
            fixture.variable(name, value)
        })
    };
    assert!(asked(&[]).loaded().config.forward_auth.is_none());
    let listen = ("SENTINEL_FORWARD_AUTH_LISTEN", "127.0.0.1:7002");
    let error = asked(&[listen]).error();
    assert!(error.contains("SENTINEL_FORWARD_AUTH_PROXY"), "{error}");
    let proxy = ("SENTINEL_FORWARD_AUTH_PROXY", "envoy");
    let loaded = asked(&[listen, proxy, ("SENTINEL_FORWARD_AUTH_UNKNOWN_KEYS", "pass")]).loaded();
    let config = loaded.config.forward_auth.expect("it listens");
    assert_eq!(
        (config.convention, config.claims),
        (sentinel_proxy::AuthConvention::Path, false)
    );
    let warnings = asked(&[proxy]).loaded().warnings;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let taken = asked(&[("SENTINEL_FORWARD_AUTH_LISTEN", "0.0.0.0:7001"), proxy]).error();
    assert!(taken.contains("is taken by SENTINEL_ADMIN_LISTEN"), "{taken}");
}

#[test]
fn what_listens_and_what_is_reached_must_differ() {
    let error = Fixture::new()
        .variable("SENTINEL_LISTEN", "0.0.0.0:7000")
        .variable("SENTINEL_ADMIN_LISTEN", "127.0.0.1:7000")
        .error();
    assert!(error.contains("is taken by SENTINEL_LISTEN"), "{error}");
    for url in [
        "http://127.0.0.1:7000",
        "http://localhost:7000",
        "http://[::1]:7000",
        "http://127.0.0.1:7001",
        "http://gateway:3000,http://127.0.0.1:7001",
    ] {
        let error = Fixture::new().variable("UPSTREAM_URL", url).error();
        assert!(error.contains("is Sentinel itself"), "{url}: {error}");
    }
    for url in [
        "http://127.0.0.1:3000",
        "http://gateway:7000",
        "http://192.0.2.1:7000",
    ] {
        Fixture::new().variable("UPSTREAM_URL", url).loaded();
    }
    // Port 0 is another port each time.
    Fixture::new()
        .variable("SENTINEL_LISTEN", "127.0.0.1:0")
        .variable("SENTINEL_ADMIN_LISTEN", "127.0.0.1:0")
        .loaded();
}

#[test]
fn what_has_no_effect_is_warned_of() {
    for (name, value, warning) in [
        (
            "SENTINEL_CLIENT_IP_HEADER",
            "x-real-ip",
            "has no effect while SENTINEL_TRUSTED_PROXIES is not set",
        ),
        (
            "ALERT_WEBHOOK_URL",
            "https://hooks.example/token",
            "the receiver cannot tell alerts from forgeries",
        ),
        (
            "ALERT_WEBHOOK_SECRET",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "has no effect while ALERT_WEBHOOK_URL is not set",
        ),
        ("ADMIN_PASSWORD", "short", "can be guessed"),
        (
            "SENTINEL_STORE_PG_CONNECTIONS_MAX",
            "8",
            "has no effect while PG_DSN is not set",
        ),
        (
            "REDIS_URL",
            "redis://:token@cache",
            "has no effect while PG_DSN is not set",
        ),
    ] {
        let warnings = Fixture::new().variable(name, value).warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(
            warnings[0].starts_with(name) && warnings[0].contains(warning),
            "{warnings:?}"
        );
        assert!(!warnings[0].contains("token"), "{warnings:?}");
    }
}

#[test]
fn the_health_check_needs_its_own_setting_only() {
    let fixture = Fixture::new()
        .variable("SENTINEL_MODE", "nonsense")
        .variable("SENTINEL_ADMIN_LISTEN", "127.0.0.1:9")
        .file("nonsense");
    assert_eq!(
        admin_listen(&fixture.sources).map(|listen| listen.port()).ok(),
        Some(9)
    );
    let fixture = Fixture::new().variable("SENTINEL_ADMIN_LISTEN", "here");
    assert!(admin_listen(&fixture.sources).is_err());
}

#[test]
fn the_operators_view_has_values_and_sources_but_no_secrets() {
    let loaded = Fixture::new()
        .variable("SENTINEL_TRUSTED_PROXIES", "10.0.0.0/8,\n192.0.2.1")
        .variable("ADMIN_PASSWORD", "correct horse battery")
        .file("[policy]\nslots = 3")
        .loaded();
    let view = |name: &str| {
        let setting = loaded.settings.iter().find(|setting| setting.name == name);
        let setting = setting.expect("every setting is there");
        (setting.value.as_str(), setting.source)
    };
    assert_eq!(loaded.settings.len(), table::ALL.len());
    assert_eq!(
        view("proxy.trusted_proxies"),
        ("10.0.0.0/8, 192.0.2.1", Source::Environment)
    );
    assert_eq!(view("policy.slots"), ("3", Source::File));
    assert_eq!(view("policy.mode"), ("enforce", Source::Default));
    assert_eq!(view("admin.password"), ("set", Source::Environment));
    assert_eq!(view("admin.jwt_secret"), ("not set", Source::Default));
    let json = serde_json::to_string(&loaded.settings).expect("it is plain data");
    assert!(!json.contains("correct horse"), "{json}");
}

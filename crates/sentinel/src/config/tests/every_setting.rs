//! Every setting, with a good and a bad value, from the environment and from the file, each alone and all at once.

use super::super::setting::{Kind, Setting};
use super::super::table;
use super::*;

/// A setting's name, a good value and a bad one; empty where there is none.
const CASES: &[(&str, &str, &str)] = &[
    ("proxy.listen", "127.0.0.1:7100", "localhost"),
    // Each is bad without the other.
    ("proxy.tls_cert", "", "/etc/sentinel/cert.pem"),
    ("proxy.tls_key", "", ""),
    (
        "proxy.trusted_proxies",
        "10.1.0.0/16,2001:db8::/32",
        "10.0.0.0/8,everybody",
    ),
    ("proxy.client_ip_header", "CF-Connecting-IP", "x_real_ip"),
    ("proxy.cores", "2", "-1"),
    ("proxy.connections_max", "1000000", "0"),
    ("proxy.connections_per_address_max", "1000000", "1000001"),
    ("proxy.header_bytes_max", "8192", "8191"),
    ("proxy.header_timeout_seconds", "300", "301"),
    ("proxy.drain_seconds", "0", "3601"),
    // Nobody can ask without it being known who does.
    ("forward_auth.listen", "", "localhost"),
    ("forward_auth.proxy", "caddy", "haproxy"),
    (
        "forward_auth.trusted_peers",
        "10.1.0.0/16,fd00::/16",
        "10.0.0.0/8,everybody",
    ),
    ("forward_auth.unknown_keys", "pass", "refuse"),
    (
        "upstream.url",
        "http://127.0.0.1:3000",
        "http://a,https://gateway:3000",
    ),
    ("upstream.ca_file", "", "/nonexistent/ca.pem"),
    ("upstream.profile", "litellm", "gpt"),
    ("upstream.host_header", "upstream", "client"),
    ("upstream.connect_timeout_seconds", "1", "0"),
    ("upstream.idle_timeout_seconds", "10", "9"),
    ("upstream.tunnel_idle_seconds", "604800", "9"),
    ("upstream.pool_idle_seconds", "3600", "3601"),
    ("upstream.connections_max", "1000000", "0"),
    ("upstream.connects_max", "1", "0"),
    ("upstream.resolve_seconds", "86400", "0"),
    ("upstream.health_path", "/api/status?probe=1", "api/status"),
    ("upstream.health_seconds", "3600", "3601"),
    ("policy.mode", "observe", "watch"),
    ("policy.failsafe_mode", "open", "half"),
    ("policy.keyless", "deny", "ask"),
    ("policy.slots", "64", "65"),
    ("policy.learning_window_seconds", "31536000", "31536001"),
    ("policy.ipv4_prefix", "16", "15"),
    ("policy.ipv6_prefix", "128", "129"),
    ("policy.claims_per_minute_per_address", "1000000", "many"),
    ("policy.hmac_secret", "0123456789012345", "012345678901234"),
    (
        "policy.hmac_secret_previous",
        "0123456789012345",
        "012345678901234",
    ),
    (
        "policy.hmac_secret_given_up",
        "0123456789abcdef",
        "0123456789abcde",
    ),
    ("admin.listen", "[::1]:7101", ":seven"),
    ("admin.username", "root", "a\tb"),
    ("admin.password", "1234567890123", "$argon2id$v=19$m=19456"),
    (
        "admin.jwt_secret",
        "00000000000000000000000000000000",
        "0000000000000000000000000000000",
    ),
    ("admin.session_minutes", "1440", "1441"),
    (
        "admin.public_url",
        "https://sentinel.example.com",
        "sentinel.example.com",
    ),
    ("admin.addresses_for_viewers", "masked", "none"),
    // It needs the others beside it.
    ("admin.oidc_issuer", "", ""),
    ("admin.oidc_client_id", "sentinel", "a\tb"),
    ("admin.oidc_client_secret", "hunter2", "a\tb"),
    ("admin.oidc_name", "Keycloak", "a\tb"),
    ("admin.oidc_scopes", "openid,groups", "profile"),
    ("admin.oidc_role_claim", "realm_access.roles", "a\tb"),
    ("admin.oidc_owners", "admins,Ops and more", "a\tb"),
    ("admin.oidc_operators", "ops", "a\tb"),
    ("admin.oidc_viewers", "staff", "a\tb"),
    ("admin.oidc_ca_file", "", "/nonexistent/ca.pem"),
    ("store.data_dir", "/var/lib/sentinel", ""),
    (
        "store.pg_dsn",
        "postgresql://user:hunter2@db/sentinel",
        "postgres:user:hunter2@db/sentinel",
    ),
    ("store.pg_connections_max", "1000", "1"),
    (
        "store.redis_url",
        "redis://:hunter2@cache/0",
        "http://:hunter2@cache/0",
    ),
    ("store.redis_prefix", "staging:", "a{b"),
    ("store.redis_ca_file", "", "/nonexistent/ca.pem"),
    ("store.cache_entries_max", "1000", "999"),
    ("store.cache_seconds", "60", "61"),
    ("store.archive_days", "3650", "3651"),
    ("store.intercept_days", "1", "0"),
    ("store.intercept_rows_max", "1000", "999"),
    ("audit.spool_bytes_max", "1048576", "1048575"),
    ("audit.replica_name", "sentinel-0", "sentinel 0"),
    ("alert.webhook_url", "https://hooks.example/hunter2", "hunter2"),
    (
        "alert.webhook_secret",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "hunter2",
    ),
    ("alert.threshold_count", "1", "0"),
    ("alert.threshold_seconds", "86400", "86401"),
    ("alert.language", "zh", "fr"),
    (
        "alert.allowed_networks",
        "10.0.0.0/8,fd00::/8",
        "10.0.0.0/8,inside",
    ),
    ("alert.plain_http", "allow", "yes"),
    ("alert.ca_file", "", "/nonexistent/ca.pem"),
    ("log.format", "JSON", "xml"),
    ("log.filter", "info,sentinel_proxy=debug", "info,=["),
];

fn cases() -> impl Iterator<Item = (&'static Setting, &'static str, &'static str)> {
    CASES.iter().map(|(name, good, bad)| {
        let setting = table::by_name(name).unwrap_or_else(|| panic!("{name} is no setting"));
        (setting, *good, *bad)
    })
}

/// The file that sets this to `value`, a number as a number.
fn line(setting: &Setting, value: &str) -> String {
    let (section, key) = setting.name.split_once('.').expect("section.name");
    let value = match (setting.kind, value.parse::<i64>()) {
        (Kind::Number { .. }, Ok(number)) => number.to_string(),
        _ => toml::Value::from(value).to_string(),
    };
    format!("[{section}]\n{key} = {value}\n")
}

#[test]
fn there_is_a_case_for_each() {
    let names: Vec<_> = cases().map(|(setting, ..)| setting.name).collect();
    let all: Vec<_> = table::ALL.iter().map(|setting| setting.name).collect();
    assert_eq!(names, all);
}

#[test]
fn good_values_are_taken_from_both_sources() {
    for (setting, good, _) in cases().filter(|(_, good, _)| !good.is_empty()) {
        let loaded = |fixture: Fixture, source: Source| {
            let loaded = fixture.loaded();
            let view = loaded.settings.iter().find(|view| view.name == setting.name);
            assert_eq!(view.map(|view| view.source), Some(source), "{}", setting.name);
            loaded
        };
        for name in setting.environment {
            loaded(Fixture::new().variable(name, good), Source::Environment);
        }
        loaded(Fixture::new().file(&line(setting, good)), Source::File);
        if !setting.is_secret() {
            loaded(
                Fixture::new().file(&line(setting, &format!(" {good}\n"))),
                Source::File,
            );
        }
    }
}

#[test]
fn bad_values_are_told_with_both_names_and_never_a_secret() {
    for (setting, _, bad) in cases().filter(|(_, _, bad)| !bad.is_empty()) {
        let mut errors = vec![Fixture::new().file(&line(setting, bad)).error()];
        errors.extend(
            setting
                .environment
                .iter()
                .map(|name| Fixture::new().variable(name, bad).error()),
        );
        for error in errors {
            for name in setting.environment.iter().chain([&setting.name]) {
                assert!(error.contains(name), "{error}");
            }
            assert!(
                ["wanted", "leave it out", " like "]
                    .iter()
                    .any(|word| error.contains(word)),
                "{error}"
            );
            assert!(!error.contains("hunter2"), "{error}");
            assert!(!setting.is_secret() || !error.contains(bad), "{error}");
        }
    }
}

#[test]
fn secrets_are_taken_from_files_of_their_own() {
    for (setting, good, bad) in cases().filter(|(setting, ..)| setting.is_secret()) {
        let value = if good.is_empty() { bad } else { good };
        let (section, key) = setting.name.split_once('.').expect("section.name");
        let by_variable = Fixture::new();
        let path = by_variable.write("secret", format!("{value}\n").as_bytes(), 0o600);
        let path = path.to_str().expect("UTF-8");
        let by_variable = by_variable.variable(&format!("{}_FILE", setting.environment_name()), path);
        let by_file = Fixture::new().file(&format!("[{section}]\n{key}_file = '{path}'"));
        for fixture in [by_variable.sources, by_file.sources] {
            let given = fixture.gather();
            let text = given.value(setting).map(|value| value.text.expose());
            assert_eq!(text, Some(value), "{}", setting.name);
        }
    }
}

#[test]
fn everything_wrong_is_told_at_once() {
    let mut fixture = Fixture::new();
    for (index, (setting, _, bad)) in cases().filter(|(_, _, bad)| !bad.is_empty()).enumerate() {
        if index % 2 == 0 {
            fixture = fixture.variable(setting.environment_name(), bad);
        }
    }
    let mut file = String::from("[colour]\nsky = 'blue'\n");
    for (index, (setting, _, bad)) in cases().filter(|(_, _, bad)| !bad.is_empty()).enumerate() {
        if index % 2 == 1 {
            // A table may be opened once only; dotted keys may be mixed.
            let value = line(setting, bad);
            let (_, value) = value.split_once(" = ").expect("key = value");
            file.insert_str(0, &format!("{} = {value}", setting.name));
        }
    }
    let errors = fixture.file(&file).errors().join("\n");
    for (setting, ..) in cases().filter(|(_, _, bad)| !bad.is_empty()) {
        assert!(
            errors.contains(setting.name),
            "{} is not told:\n{errors}",
            setting.name
        );
    }
    assert!(errors.contains("'colour.sky' is no setting"), "{errors}");
    assert!(!errors.contains("hunter2"), "{errors}");
}

//! Sign-in by a provider in the configuration.

use sentinel_admin::{CLAIM_CHARACTERS_MAX, ROLE_VALUES_MAX};

use super::super::oidc::CLIENT_BYTES_MAX;
use super::*;

const GOOD: [(&str, &str); 5] = [
    ("SENTINEL_ADMIN_PUBLIC_URL", "https://sentinel.example/"),
    ("SENTINEL_ADMIN_OIDC_ISSUER", "https://id.example/realms/main"),
    ("SENTINEL_ADMIN_OIDC_CLIENT_ID", "sentinel"),
    ("SENTINEL_ADMIN_OIDC_CLIENT_SECRET", "hunter2"),
    ("SENTINEL_ADMIN_OIDC_OWNERS", "admins, on-call"),
];

/// With these instead of the good ones, or besides; an empty value leaves one out.
fn with(changes: &[(&str, &str)]) -> Fixture {
    let good = GOOD
        .iter()
        .filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    let all = good.chain(changes).filter(|(_, value)| !value.is_empty());
    all.fold(Fixture::new(), |fixture, (name, value)| {
        fixture.variable(name, value)
    })
}

#[test]
fn a_provider_is_all_there_or_not_at_all() {
    let loaded = with(&[]).loaded();
    assert_eq!(loaded.warnings.len(), 0, "{:?}", loaded.warnings);
    let config = loaded.config.admin.oidc.expect("it is configured");
    let settings = &config.settings;
    assert_eq!(settings.issuer.as_str(), "https://id.example/realms/main");
    let callback = "https://sentinel.example/admin/api/oidc/callback";
    assert_eq!(settings.console.callback(), callback);
    assert_eq!(
        (settings.name.as_str(), settings.client_id.as_str()),
        ("OpenID Connect", "sentinel")
    );
    assert_eq!(settings.scopes, ["openid", "profile", "email"]);
    assert_eq!(
        (settings.roles.claim.as_str(), &settings.roles.owners[..]),
        ("groups", &["admins".to_owned(), "on-call".to_owned()][..])
    );
    assert!(settings.roles.operators.is_empty() && settings.roles.viewers.is_empty());
    assert!(!format!("{config:?}").contains("hunter2"));

    let errors =
        with(&GOOD.map(|(name, value)| (name, if name.ends_with("ISSUER") { value } else { "" }))).errors();
    assert_eq!(errors.len(), 4, "{errors:#?}");
    for (name, _) in GOOD.iter().filter(|(name, _)| !name.ends_with("ISSUER")) {
        assert!(
            errors.iter().any(|error| error.contains(name)),
            "{name}: {errors:#?}"
        );
    }

    let none = with(&[("SENTINEL_ADMIN_OIDC_ISSUER", "")]);
    assert!(none.loaded().config.admin.oidc.is_none());
    let warnings = none.warnings();
    assert_eq!(warnings.len(), 3, "{warnings:#?}");
}

#[test]
fn what_cannot_be_is_told() {
    let long = "x".repeat(CLIENT_BYTES_MAX + 1);
    let shown = "x".repeat(CLAIM_CHARACTERS_MAX + 1);
    let many = vec!["x"; ROLE_VALUES_MAX + 1].join(",");
    for (name, value, expected) in [
        ("SENTINEL_ADMIN_OIDC_ISSUER", "http://id.example", "https"),
        ("SENTINEL_ADMIN_OIDC_ISSUER", "id.example", "wanted"),
        ("SENTINEL_ADMIN_OIDC_ISSUER", "https://id.example?x", "wanted"),
        ("SENTINEL_ADMIN_OIDC_CLIENT_ID", &long, "wanted"),
        ("SENTINEL_ADMIN_OIDC_CLIENT_SECRET", &long, "wanted"),
        ("SENTINEL_ADMIN_OIDC_NAME", &shown, "wanted"),
        ("SENTINEL_ADMIN_OIDC_VIEWERS", &many, "at most"),
        ("SENTINEL_ADMIN_OIDC_SCOPES", "openid,\"", "wanted"),
        ("SENTINEL_ADMIN_PUBLIC_URL", "sentinel.example", "wanted"),
        ("ADMIN_USERNAME", "OIDC:admin", "wanted another name"),
    ] {
        let error = with(&[(name, value)]).error();
        assert!(error.contains(name) && error.contains(expected), "{error}");
    }
}

#[test]
fn sign_ins_that_others_can_see_are_warned_of() {
    let warnings = with(&[("SENTINEL_ADMIN_PUBLIC_URL", "http://sentinel.example")]).warnings();
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert!(warnings[0].contains("is not https"), "{warnings:#?}");
    let local = with(&[
        ("SENTINEL_ADMIN_PUBLIC_URL", "http://127.0.0.1:7001"),
        ("SENTINEL_ADMIN_OIDC_ISSUER", "http://localhost:8080/realms/main"),
    ]);
    assert_eq!(local.warnings().len(), 0);
}

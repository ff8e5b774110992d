//! What is read where, and what goes before what.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use super::super::file::{CONFIG_FILE_BYTES_MAX, SYNTAX_ERRORS_MAX};
use super::super::secret_file::SECRET_FILE_BYTES_MAX;
use super::super::values::{VALUE_CHARACTERS_MAX, quoted};
use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn the_environment_goes_before_the_file_and_empty_is_not_set() {
    let file = "[policy]\nslots = 2\n[admin]\npassword = ''\n";
    let slots = |fixture: Fixture| fixture.loaded().config.live.rules.slots;
    assert_eq!(slots(Fixture::new().file(file)), 2);
    assert_eq!(
        slots(Fixture::new().file(file).variable("SENTINEL_POLICY_SLOTS", "3")),
        3
    );
    for empty in ["", " ", "\n"] {
        assert_eq!(
            slots(Fixture::new().file(file).variable("SENTINEL_POLICY_SLOTS", empty)),
            2
        );
    }
    assert!(Fixture::new().file(file).loaded().config.admin.password.is_none());
}

#[test]
fn two_names_of_one_setting_must_agree() {
    let two = |one, other| {
        Fixture::new()
            .variable("UPSTREAM_URL", one)
            .variable("DOWNSTREAM_URL", other)
    };
    let url = two("http://gateway:3000", "http://gateway:3000 ")
        .loaded()
        .config
        .upstream
        .url;
    assert_eq!(url.map(|url| url.origins()[0].port()), Some(3000));
    let error = two("http://gateway:3000", "http://gateway:3001").error();
    assert!(
        error.contains("is also set by environment, DOWNSTREAM_URL, to a different value"),
        "{error}"
    );

    let fixture = Fixture::new();
    let path = fixture.write("secret", SECRET.to_uppercase().as_bytes(), 0o600);
    let error = fixture
        .variable("SENTINEL_HMAC_SECRET", SECRET)
        .variable("SENTINEL_HMAC_SECRET_FILE", path.to_str().expect("UTF-8"))
        .error();
    assert!(error.contains("to a different value"), "{error}");
    assert!(!error.to_lowercase().contains(SECRET), "{error}");
}

#[test]
fn unknown_names_in_the_file_are_errors_with_a_suggestion() {
    let errors = Fixture::new()
        .file(
            "mode = 'observe'\n[upstream]\nulr = 'http://x'\n\n[polcy]\nslots = 1\n[sky]\ncolour = 'blue'\n",
        )
        .errors();
    let wanted = [
        (
            "'mode' is no setting; did you mean mode in section [policy]?",
            "line 1]",
        ),
        (
            "'upstream.ulr' is no setting; did you mean url in section [upstream]?",
            "line 3]",
        ),
        (
            "'polcy.slots' is no setting; did you mean slots in section [policy]?",
            "line 6]",
        ),
        ("'sky.colour' is no setting", "line 8]"),
    ];
    assert_eq!(errors.len(), wanted.len(), "{errors:#?}");
    for (text, line) in wanted {
        assert!(
            errors
                .iter()
                .any(|error| error.starts_with(text) && error.ends_with(line)),
            "{text}: {errors:#?}"
        );
    }
}

#[test]
fn unknown_variables_of_ours_are_warned_of_and_kubernetes_is_not() {
    let warnings = Fixture::new()
        .variable("SENTINEL_CONFIG", "ignored")
        .variable("SENTINEL_PORT", "tcp://10.0.0.1:7000")
        .variable("SENTINEL_SERVICE_HOST", "10.0.0.1")
        .variable("HOME", "/root")
        .variable("SENTINEL_ADMIN_PASSWORD", SECRET)
        .variable("UPSTREAM_URL_FILE", "/dev/null")
        .warnings();
    assert_eq!(
        warnings,
        [
            "SENTINEL_ADMIN_PASSWORD is no setting and is not read; did you mean ADMIN_PASSWORD?",
            "UPSTREAM_URL_FILE is not read: only secrets are taken from files",
        ]
    );
}

#[test]
fn secrets_are_never_numbers() {
    let error = Fixture::new().file("[admin]\npassword = 1234567890123").error();
    assert!(
        error.contains("is a integer; write it in quotes") || error.contains("write it in quotes"),
        "{error}"
    );
    assert!(!error.contains("1234567890123"), "{error}");
    for secret in [
        "0x00000000000000000000000000000010",
        "00000000000000000000000000000001",
        "1e3              ",
    ] {
        let config = Fixture::new()
            .variable("SENTINEL_HMAC_SECRET", secret)
            .file(&format!("[policy]\nhmac_secret = '{secret}'"))
            .loaded()
            .config;
        assert_eq!(config.hmac_secret, Some(Secret::new(secret)));
    }
}

#[test]
fn a_secret_file_loses_one_line_end() {
    for (content, secret) in [
        (format!("{SECRET}\n"), SECRET.to_owned()),
        (format!("{SECRET}\r\n"), SECRET.to_owned()),
        (format!("{SECRET}\n\n"), format!("{SECRET}\n")),
        (format!(" {SECRET} "), format!(" {SECRET} ")),
    ] {
        let fixture = Fixture::new();
        let path = fixture.write("secret", content.as_bytes(), 0o600);
        let fixture = fixture.variable("SENTINEL_HMAC_SECRET_FILE", path.to_str().expect("UTF-8"));
        assert_eq!(fixture.loaded().config.hmac_secret, Some(Secret::new(secret)));
    }
}

#[test]
fn bad_secret_files_are_errors_and_open_ones_are_warned_of() {
    let with_file = |content: &[u8], mode| {
        let fixture = Fixture::new();
        let path = fixture.write("secret", content, mode);
        fixture.variable("ADMIN_JWT_SECRET_FILE", path.to_str().expect("UTF-8"))
    };
    let full = "x".repeat(SECRET_FILE_BYTES_MAX);
    with_file(full.as_bytes(), 0o600).loaded();
    for (content, complaint) in [
        (&b"\n"[..], "is empty"),
        (b"\xff\xfe", "it is not UTF-8 text"),
        (format!("{full}x").as_bytes(), "it has more than 65536 bytes"),
    ] {
        let error = with_file(content, 0o600).error();
        assert!(
            error.starts_with("ADMIN_JWT_SECRET (admin.jwt_secret): the file "),
            "{error}"
        );
        assert!(error.contains(complaint), "{error}");
    }
    let error = Fixture::new()
        .variable("ADMIN_JWT_SECRET_FILE", "/nowhere/jwt")
        .error();
    assert!(
        error.contains("the file /nowhere/jwt cannot be used: No such file"),
        "{error}"
    );

    assert!(with_file(SECRET.as_bytes(), 0o640).warnings().is_empty());
    let warnings = with_file(SECRET.as_bytes(), 0o644).warnings();
    assert!(
        warnings.len() == 1 && warnings[0].contains("every user of this machine can read"),
        "{warnings:?}"
    );
}

#[test]
fn an_open_configuration_file_is_warned_of_when_it_holds_secrets() {
    let open = |text: &str| {
        let mut fixture = Fixture::new();
        fixture.sources.file = Some(fixture.write("open.toml", text.as_bytes(), 0o644));
        fixture.warnings()
    };
    assert!(open("[policy]\nslots = 1").is_empty());
    let warnings = open(&format!("[admin]\njwt_secret = '{SECRET}'"));
    assert!(
        warnings.len() == 1 && warnings[0].contains("holds secrets"),
        "{warnings:?}"
    );
}

#[test]
fn a_broken_file_is_told_by_line_without_showing_it() {
    let errors = Fixture::new()
        .file(&format!(
            "[admin]\nusername = 'a'\npassword = \"{SECRET}\njwt_secret = {SECRET}\n"
        ))
        .errors();
    assert!(
        errors[0].contains("is not valid TOML") && errors[0].ends_with("line 3]"),
        "{errors:#?}"
    );
    assert!(errors.iter().all(|error| !error.contains(SECRET)), "{errors:#?}");

    let mut fixture = Fixture::new();
    fixture.sources.file = Some(fixture.folder.path().join("missing.toml"));
    assert!(fixture.error().contains("cannot be read: No such file"));
    fixture.sources.file = Some(fixture.folder.path().to_owned());
    assert!(fixture.error().contains("cannot be read"));

    let full = format!("#{}", "x".repeat(CONFIG_FILE_BYTES_MAX - 1));
    Fixture::new().file(&full).loaded();
    let error = Fixture::new().file(&format!("{full}x")).error();
    assert!(error.contains("it has more than 1048576 bytes"), "{error}");
}

#[test]
fn values_of_the_wrong_type_are_told() {
    for (file, complaint) in [
        ("[policy]\nslots = 1.5", "is a float; wanted a whole number"),
        ("[policy]\nslots = 99999999999999999999", "out of range"),
        ("[policy]\nmode = true", "write it in quotes"),
        ("[proxy]\ntrusted_proxies = [1]", "wanted a list of texts"),
        ("[proxy]\ntrusted_proxies = 1", "wanted a list like"),
        ("[admin]\npassword_file = 1", "wanted the path of a file"),
    ] {
        let error = Fixture::new().file(file).error();
        assert!(error.contains(complaint), "{file}: {error}");
    }
    let fixture =
        Fixture::new().file("[proxy]\ntrusted_proxies = ['10.0.0.0/8', '2001:db8::1']\ncores = 0x2");
    let proxy = fixture.loaded().config.proxy;
    assert_eq!((proxy.trusted_proxies.len(), proxy.cores), (2, 2));
}

#[test]
fn a_variable_that_is_no_text_is_told() {
    let mut fixture = Fixture::new();
    let value = OsStr::from_bytes(b"\xff").to_owned();
    fixture
        .sources
        .environment
        .push((OsString::from("SENTINEL_MODE"), value));
    assert!(fixture.error().contains("is not UTF-8 text"));
}

#[test]
fn nothing_that_is_loaded_prints_a_secret() {
    let fixture = Fixture::new()
        .variable("SENTINEL_HMAC_SECRET", SECRET)
        .variable("ADMIN_PASSWORD", SECRET)
        .variable("ADMIN_JWT_SECRET", SECRET)
        .variable("ALERT_WEBHOOK_URL", &format!("https://hooks.example/{SECRET}"));
    let shown = format!(
        "{:?} {:?} {:?}",
        fixture.loaded(),
        fixture.sources,
        fixture.sources.gather()
    );
    assert!(
        shown.contains("Secret(redacted)") && !shown.contains(SECRET),
        "{shown}"
    );
    let failing = fixture
        .variable("PG_DSN", &format!("postgres://u:{SECRET}@db"))
        .variable("UPSTREAM_URL", &format!("http://u:{SECRET}@gateway"))
        .variable("SENTINEL_LISTEN", "x");
    let errors = failing.load().expect_err("wrong");
    assert!(!format!("{errors} {errors:?}").contains(SECRET), "{errors:?}");
}

#[test]
fn a_file_that_is_no_toml_raises_so_many_errors_and_no_more() {
    let nonsense = "= =\n".repeat(3 * SYNTAX_ERRORS_MAX);
    let errors = Fixture::new().file(&nonsense).errors();
    assert!((1..=SYNTAX_ERRORS_MAX).contains(&errors.len()), "{errors:?}");
}

#[test]
fn a_wrong_value_is_shown_in_part() {
    let shown = quoted(&"x".repeat(VALUE_CHARACTERS_MAX + 1));
    assert_eq!(
        shown.chars().count(),
        VALUE_CHARACTERS_MAX + 3,
        "quotes, and … in place of the rest"
    );
}

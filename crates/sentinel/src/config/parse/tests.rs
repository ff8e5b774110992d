use super::*;

#[test]
fn urls_of_the_gateway() {
    for (text, host, port) in [
        ("http://gateway:3000", "gateway", 3000),
        ("HTTP://gateway", "gateway", 80),
        ("http://gateway/", "gateway", 80),
        ("http://192.0.2.1:8080/", "192.0.2.1", 8080),
        ("http://[2001:db8::1]:8080", "2001:db8::1", 8080),
        ("https://gateway", "gateway", 443),
        ("http://gateway:3000,\nhttp://gateway:3001,", "gateway", 3000),
    ] {
        let target = upstream_urls(text).unwrap_or_else(|wrong| panic!("{text}: {wrong}"));
        let origin = &target.origins()[0];
        assert_eq!((origin.host(), origin.port()), (host, port));
    }
    for (text, complaint) in [
        ("gateway:3000", "has no http:// in front"),
        ("user:hunter2@gateway", "has no http:// in front"),
        ("http://gateway,https://gateway", "one scheme for all"),
        ("http://gateway,http://gateway:80", "names one origin twice"),
        (
            "http://gateway,http://user:hunter2@gateway",
            "user name or password",
        ),
        ("ftp://gateway", "'ftp' is no scheme"),
        ("http://user:hunter2@gateway", "user name or password"),
        ("http://gateway/v1", "has a path"),
        ("http://gateway//", "has a path"),
        ("http://gateway?x=1", "has a query"),
        ("http://gateway#x", "has a query or a fragment"),
        ("http://", "is no URL"),
        ("http://:3000", "is no URL"),
        ("http://gateway:", "is no URL"),
        ("http://gateway:0", "is no URL"),
        ("http://gateway:65536", "is no URL"),
        ("http://gate way", "is no URL"),
        ("http://[nonsense]:3000", "is no URL"),
    ] {
        let wrong = upstream_urls(text).expect_err(text);
        assert!(wrong.contains(complaint), "{text}: {wrong}");
        assert!(!wrong.contains("hunter2"), "{wrong}");
    }
}

#[test]
fn certificate_authorities_are_read_from_a_bounded_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("ca.pem");
    let path = path.to_str().expect("UTF-8");
    let wrong = ca_file(path).expect_err("there is none");
    assert!(
        wrong.contains("cannot be read") && wrong.contains("wanted"),
        "{wrong}"
    );
    std::fs::write(path, " ".repeat(CA_FILE_BYTES_MAX)).expect("it can be written");
    assert!(ca_file(path).expect_err("empty").contains("no certificate"));
    std::fs::write(path, " ".repeat(CA_FILE_BYTES_MAX + 1)).expect("it can be written");
    assert!(ca_file(path).expect_err("too large").contains("more than"));
}

#[test]
fn health_paths() {
    assert_eq!(
        health_path("/api/status").as_ref().map(HealthPath::as_str),
        Ok("/api/status")
    );
    assert!(health_path("api/status").is_err_and(|wrong| wrong.contains("is no path")));
}

#[test]
fn trusted_networks_are_narrow() {
    for text in ["10.0.0.0/8", "192.0.2.1", "2001:db8::/16", "fd00::1"] {
        assert!(trusted_network(text).is_ok(), "{text}");
    }
    for text in ["0.0.0.0/0", "10.0.0.0/7", "::/0", "2000::/15"] {
        let wrong = trusted_network(text).expect_err(text);
        assert!(wrong.contains("is too wide"), "{wrong}");
    }
    assert!(trusted_network("::ffff:10.0.0.0/104").is_err_and(|wrong| wrong.contains("mapped")));
    assert!(trusted_network("gateway").is_err_and(|wrong| wrong.contains("neither")));
}

#[test]
fn client_address_headers() {
    assert_eq!(
        client_ip_header("X-Forwarded-For").map(|name| name.to_string()),
        Ok("x-forwarded-for".to_owned())
    );
    for (text, complaint) in [
        ("x_real_ip", "underscore"),
        ("x real ip", "no header's name"),
        ("Authorization", "means something else"),
        ("x-api-key", "means something else"),
        ("Host", "means something else"),
    ] {
        assert!(
            client_ip_header(text).is_err_and(|wrong| wrong.contains(complaint)),
            "{text}"
        );
    }
}

#[test]
fn listen_addresses() {
    assert_eq!(
        listen_address(":7000").map(|address| address.to_string()),
        Ok("0.0.0.0:7000".to_owned())
    );
    assert_eq!(
        listen_address("[::]:7000").map(|address| address.port()),
        Ok(7000)
    );
    for text in ["7000", "localhost:7000", "0.0.0.0", "0.0.0.0:70000"] {
        assert!(listen_address(text).is_err(), "{text}");
    }
}

#[test]
fn passwords_and_hashes() {
    let plain = |text: &str| matches!(admin_password(text), Ok(AdminPassword::Plain(_)));
    assert!(plain("hunter2") && plain("$dollar") && plain(&"x".repeat(PASSWORD_BYTES_MAX)));
    assert!(admin_password(&"x".repeat(PASSWORD_BYTES_MAX + 1)).is_err());
    let hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$bGRzc2Rmc2Rmc2Rmc2Rmc2Rmc2Rmc2Rmc2Rmc2Rmc2Q";
    assert!(matches!(admin_password(hash), Ok(AdminPassword::Hash(_))));
    for damaged in [
        hash.replace("argon2id", "argon2i"),
        hash[..40].to_owned(),
        "$argon2id".to_owned(),
        // What a shell or a compose file makes of a hash in double quotes.
        hash.replace("$v", "").replace("$m", ""),
        "$2b$12$abcdefghijklmnopqrstuv".to_owned(),
    ] {
        let wrong = admin_password(&damaged).map(|_| ()).expect_err(&damaged);
        assert!(wrong.contains("sentinel hash-password"), "{wrong}");
    }
}

#[test]
fn names_and_profiles() {
    assert!(username(&"x".repeat(USERNAME_CHARACTERS_MAX)).is_ok());
    assert!(username(&"x".repeat(USERNAME_CHARACTERS_MAX + 1)).is_err());
    assert!(username("a\u{202e}b").is_err());
    let mut own = Profile::built_in("openai").expect("built in");
    own.name = "mine".into();
    let name = |text| profile(text, std::slice::from_ref(&own)).map(|profile| profile.name);
    assert_eq!(name("LiteLLM").as_deref(), Ok("litellm"));
    assert_eq!(name("mine").as_deref(), Ok("mine"));
    assert_eq!(
        name("gpt").expect_err("no such profile"),
        "'gpt' is no profile; wanted one of new-api, one-api, sub2api, litellm, openai, anthropic, gemini, mine"
    );
}

#[test]
fn a_replica_has_a_short_plain_name() {
    for good in [
        "sentinel-0",
        "a",
        "eu_west.1",
        &"x".repeat(REPLICA_NAME_CHARACTERS_MAX),
    ] {
        assert_eq!(replica_name(good).as_deref(), Ok(good));
    }
    for bad in [
        "",
        "a b",
        "a/b",
        "ü",
        &"x".repeat(REPLICA_NAME_CHARACTERS_MAX + 1),
    ] {
        assert!(replica_name(bad).is_err(), "{bad}");
    }
}

use std::ffi::OsString;
use std::fs;
use std::net::TcpListener;

use sentinel_store::SqliteStore;
use sentinel_testkit::unreachable_address;
use tempfile::TempDir;

use super::*;

/// A data folder, a gateway that listens, and free ports.
struct Fixture {
    folder: TempDir,
    gateway: TcpListener,
}

impl Fixture {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            gateway: TcpListener::bind("127.0.0.1:0").expect("a free port"),
        }
    }

    /// What is printed with these variables over good ones.
    async fn check(&self, variables: &[(&str, &str)]) -> (String, Result<(), CliError>) {
        let upstream = format!("http://{}", self.gateway.local_addr().expect("it is bound"));
        let data = self.folder.path().join("data");
        let mut all = vec![
            ("UPSTREAM_URL", upstream.as_str()),
            ("SENTINEL_DATA_DIR", data.to_str().expect("UTF-8")),
            ("SENTINEL_LISTEN", "127.0.0.1:0"),
            ("SENTINEL_ADMIN_LISTEN", "127.0.0.1:0"),
        ];
        all.retain(|(name, _)| variables.iter().all(|(other, _)| name != other));
        all.extend(variables);
        let sources = Sources {
            environment: all
                .into_iter()
                .map(|(name, value)| (OsString::from(name), OsString::from(value)))
                .collect(),
            file: None,
        };
        let mut out = anstream::StripStream::new(Vec::new());
        let outcome = run(&sources, &mut out).await;
        (String::from_utf8(out.into_inner()).expect("UTF-8"), outcome)
    }
}

#[tokio::test]
async fn a_fresh_installation_is_in_order_and_stays_untouched() {
    let fixture = Fixture::new();
    let (text, outcome) = fixture
        .check(&[("ADMIN_PASSWORD", "correct horse battery")])
        .await;
    assert!(outcome.is_ok(), "{text}");
    assert!(!text.contains("problem") && !text.contains("warning"), "{text}");
    for part in [
        "configuration",
        "profile        new-api (built in); keys in x-goog-api-key, ?key, x-api-key, ",
        "data folder",
        "record spool",
        "store",
        "secrets",
        "upstream",
        "proxy port",
        "admin port",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(
        text.contains("admin.password = set (environment)") && !text.contains("correct horse"),
        "{text}"
    );
    assert!(!fixture.folder.path().join("data").exists());
    assert_eq!(
        fs::read_dir(fixture.folder.path()).expect("it is there").count(),
        0
    );
}

#[tokio::test]
async fn the_certificate_that_clients_see_is_looked_at() {
    let fixture = Fixture::new();
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let write = |name: &str, text: String| {
        let path = fixture.folder.path().join(name);
        fs::write(&path, text).expect("it can be written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let (certificate, key) = (
        write("cert.pem", cert.pem()),
        write("key.pem", signing_key.serialize_pem()),
    );
    let variables = [
        ("SENTINEL_PROXY_TLS_CERT", &*certificate),
        ("SENTINEL_PROXY_TLS_KEY", &*key),
    ];
    let (text, outcome) = fixture.check(&variables).await;
    assert!(
        outcome.is_ok() && text.contains("certificate    valid for "),
        "{text}"
    );
    write("key.pem", String::new());
    let (text, outcome) = fixture.check(&variables).await;
    assert_eq!(outcome.expect_err("no key").exit_code(), 2);
    assert!(
        text.contains("SENTINEL_PROXY_TLS_KEY") && text.contains("holds no private key"),
        "{text}"
    );
}

#[tokio::test]
async fn a_wrong_configuration_is_told_at_once() {
    let (text, outcome) = Fixture::new()
        .check(&[("UPSTREAM_URL", ""), ("SENTINEL_MODE", "watch")])
        .await;
    assert_eq!(outcome.expect_err("wrong").exit_code(), 2);
    assert_eq!(
        text.lines().filter(|line| line.starts_with("problem")).count(),
        2,
        "{text}"
    );
}

#[tokio::test]
async fn each_part_that_is_not_in_order_is_told_with_what_to_do() {
    let fixture = Fixture::new();
    let listening = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let listening = (
        listening.local_addr().expect("it is bound").to_string(),
        listening,
    );
    let in_the_way = fixture.folder.path().join("file");
    fs::write(&in_the_way, "a file").expect("it can be written");
    let below_a_file = in_the_way.join("data");
    let upstream = format!("http://{}", unreachable_address().await);
    let (text, outcome) = fixture
        .check(&[
            ("UPSTREAM_URL", &upstream),
            ("SENTINEL_LISTEN", &listening.0),
            ("SENTINEL_DATA_DIR", below_a_file.to_str().expect("UTF-8")),
        ])
        .await;
    assert_eq!(outcome.expect_err("not in order").exit_code(), 1);
    for (part, advice) in [
        ("data folder", "set SENTINEL_DATA_DIR to another folder"),
        ("upstream", "start the gateway"),
        ("proxy port", "set SENTINEL_LISTEN to another port"),
    ] {
        let line = format!("\nproblem  {part:<14} ");
        assert!(text.contains(&line), "{part}: {text}");
        assert!(text.contains(advice), "{text}");
    }
}

#[tokio::test]
async fn every_upstream_is_tried_and_tls_with_it() {
    let fixture = Fixture::new();
    let good = format!("http://{}", fixture.gateway.local_addr().expect("it is bound"));
    let dead = format!("http://{}", unreachable_address().await);
    let (text, outcome) = fixture
        .check(&[("UPSTREAM_URL", &format!("{good},{dead}"))])
        .await;
    assert!(outcome.is_err(), "{text}");
    assert!(text.contains(&format!("{good} takes connections at")), "{text}");
    assert!(
        text.contains(&format!("problem  upstream       {dead}: ")),
        "{text}"
    );

    let speaks_no_tls = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let url = format!("https://{}", speaks_no_tls.local_addr().expect("it is bound"));
    let closing = tokio::spawn(async move { while speaks_no_tls.accept().await.is_ok() {} });
    let (text, outcome) = fixture.check(&[("UPSTREAM_URL", &url)]).await;
    closing.abort();
    assert!(
        outcome.is_err() && text.contains("no TLS with the upstream"),
        "{text}"
    );
    assert!(text.contains("SENTINEL_UPSTREAM_CA_FILE"), "{text}");
}

#[tokio::test]
async fn a_store_is_looked_at_and_a_broken_one_is_left_alone() {
    let fixture = Fixture::new();
    let data = fixture.folder.path().join("data");
    fs::create_dir(&data).expect("a fresh folder");
    SqliteStore::migrate(&data.join("sentinel.db")).expect("a fresh store");
    let (text, outcome) = fixture.check(&[]).await;
    assert!(outcome.is_ok() && text.contains("is whole; schema"), "{text}");

    fs::write(data.join("sentinel.db"), "this is no database, whatever it was").expect("it can be written");
    let (text, outcome) = fixture.check(&[]).await;
    assert!(
        outcome.is_err() && text.contains("not a SQLite database"),
        "{text}"
    );
    assert_eq!(
        fs::read_to_string(data.join("sentinel.db")).expect("it is there"),
        "this is no database, whatever it was"
    );
}

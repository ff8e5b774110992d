//! TLS towards the server, and who it has to be.

use std::io::Write as _;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use sentinel_testkit::PostgresServer;
use tempfile::NamedTempFile;

use super::super::sessions::Scope;
use super::super::{PostgresDsn, PostgresOptions, PostgresStore};
use super::DATABASE;
use crate::error::PostgresError;

/// A server that has a certificate for `localhost`, and the authority that signed it.
async fn server_with_tls() -> (PostgresServer, NamedTempFile) {
    let server = PostgresServer::builder().tls().start().await;
    server.create_database(DATABASE).await;
    (server, file(PostgresServer::authority_pem()))
}

/// One that signed nothing.
fn stranger() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed")
}

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(text.as_bytes()).expect("written");
    file
}

/// A name that is not in the server's certificate.
const OTHER_NAME: &str = "db.invalid";

/// The server by this name, with these options.
fn dsn(server: &PostgresServer, host: &str, options: &str) -> PostgresDsn {
    let plain = server.database_dsn_through(DATABASE, server.address());
    let named = plain.replacen("@127.0.0.1:", &format!("@{host}:"), 1);
    format!("{named}?hostaddr=127.0.0.1&{options}")
        .parse()
        .expect("a DSN")
}

/// Whether the session is encrypted.
async fn is_encrypted(dsn: &PostgresDsn) -> Result<bool, PostgresError> {
    let store = PostgresStore::open(dsn, PostgresOptions::default()).await?;
    let look = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let found = store
        .sessions
        .run(Scope::Question, move |session| {
            Box::pin(async move { Ok(session.query_one(look, &[]).await?.get(0)) })
        })
        .await;
    Ok(found.expect("the session is there"))
}

#[tokio::test]
async fn each_mode_looks_at_as_much_as_it_says() {
    let (server, authority) = server_with_tls().await;
    let ours = format!("sslrootcert={}", authority.path().display());
    let stranger = file(&stranger().pem());
    let strangers = format!("sslrootcert={}", stranger.path().display());
    let encrypted = async |host: &str, options: &str| is_encrypted(&dsn(&server, host, options)).await;

    assert!(!encrypted("localhost", "sslmode=disable").await.unwrap());
    for mode in ["prefer", "require"] {
        assert!(
            encrypted("localhost", &format!("sslmode={mode}")).await.unwrap(),
            "{mode}"
        );
        assert!(
            encrypted(OTHER_NAME, &format!("sslmode={mode}")).await.unwrap(),
            "{mode}"
        );
    }
    assert!(
        encrypted("localhost", &format!("sslmode=verify-full&{ours}"))
            .await
            .unwrap()
    );
    assert!(
        encrypted(OTHER_NAME, &format!("sslmode=verify-ca&{ours}"))
            .await
            .unwrap()
    );
    for (host, options) in [
        // Signed by whom we believe, but for another name.
        (OTHER_NAME, format!("sslmode=verify-full&{ours}")),
        ("localhost", format!("sslmode=verify-full&{strangers}")),
        ("localhost", format!("sslmode=verify-ca&{strangers}")),
        // As in libpq: with an authority of one's own, it is looked at.
        ("localhost", format!("sslmode=require&{strangers}")),
        ("localhost", "sslmode=verify-full".to_owned()),
    ] {
        let refused = encrypted(host, &options).await.expect_err(&options);
        assert!(
            matches!(refused, PostgresError::Tls { .. }),
            "{options}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn the_password_is_bound_to_the_channel() {
    let (server, authority) = server_with_tls().await;
    let options = format!(
        "sslmode=verify-full&sslrootcert={}&channel_binding=require",
        authority.path().display()
    );
    assert!(is_encrypted(&dsn(&server, "localhost", &options)).await.unwrap());
    let unencrypted = is_encrypted(&dsn(
        &server,
        "localhost",
        "sslmode=disable&channel_binding=require",
    ))
    .await;
    assert!(unencrypted.is_err());
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_asked_for() {
    let server = PostgresServer::start().await;
    server.create_database(DATABASE).await;
    for mode in ["require", "verify-ca", "verify-full"] {
        let refused = is_encrypted(&dsn(&server, "localhost", &format!("sslmode={mode}"))).await;
        let refused = refused.expect_err(mode);
        assert!(
            matches!(refused, PostgresError::Tls { .. }),
            "{mode}: {refused:?}"
        );
    }
    assert!(
        !is_encrypted(&dsn(&server, "localhost", "sslmode=prefer"))
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_named() {
    let server = PostgresServer::start().await;
    let empty = file("");
    let empty = empty.path().display();
    for options in [
        "sslmode=verify-full&sslrootcert=/nowhere/ca.pem".to_owned(),
        format!("sslmode=verify-full&sslrootcert={empty}"),
        format!("sslmode=require&sslcert={empty}&sslkey={empty}"),
    ] {
        let refused = is_encrypted(&dsn(&server, "localhost", &options))
            .await
            .expect_err(&options);
        let said = refused.to_string();
        assert!(matches!(refused, PostgresError::Tls { .. }), "{said}");
        assert!(
            said.contains("/nowhere/ca.pem") || said.contains(&empty.to_string()),
            "{said}"
        );
    }
}

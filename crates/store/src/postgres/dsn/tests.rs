use proptest::prelude::*;
use tokio_postgres::config::{ChannelBinding, TargetSessionAttrs};

use super::*;

fn dsn(text: &str) -> PostgresDsn {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> DsnError {
    text.parse::<PostgresDsn>().expect_err(text)
}

const PASSWORD: &str = "s3cr%23t";

#[test]
fn both_forms_name_the_same() {
    let url =
        format!("postgresql://app:{PASSWORD}@db1:5433,db2/keys?sslmode=verify-full&sslrootcert=/etc/ca.pem");
    let pairs = "host=db1,db2 port=5433,5432 user=app password='s3cr#t' dbname = keys sslmode=verify-full \
                 sslrootcert='/etc/ca.pem'";
    for text in [url.as_str(), pairs] {
        let dsn = dsn(text);
        assert_eq!(dsn.place(), "app@db1:5433,db2:5432/keys");
        assert_eq!(
            (dsn.tls(), &dsn.roots),
            (TlsMode::VerifyFull, &Roots::File("/etc/ca.pem".into()))
        );
        assert_eq!(dsn.servers().len(), 2);
        for server in dsn.servers() {
            assert_eq!(server.get_password(), Some("s3cr#t".as_bytes()));
            assert_eq!(server.get_ssl_mode(), SslMode::Require);
            assert_eq!((server.get_hosts().len(), server.get_ports().len()), (1, 1));
        }
    }
}

#[test]
fn the_password_is_never_shown() {
    let shown = |text: &str| {
        let dsn = dsn(text);
        format!("{dsn} {dsn:?}")
    };
    for text in [
        "postgres://app:hunter2@db/keys",
        "host=db user=app password=hunter2 dbname=keys",
    ] {
        assert!(!shown(text).contains("hunter2"));
        assert!(shown(text).contains("app@db:5432/keys"));
    }
    // Whatever cannot be read is not quoted either: the password may be what made it so.
    for text in [
        "host=db password=hunter 2=x",
        "host=db password='hunter2",
        "hunter2",
        "postgres://app:p@db/keys?options=hunter2%zz",
        "postgres://db:hunter2/keys",
        "postgres://app:p@db/keys?hunter2=1",
        "postgres://app:p@db/keys?hunter2",
        "postgres://app:p@db/keys?channel_binding=hunter2",
        "postgres://app:p@db/keys?sslmode=hunter2",
    ] {
        let error = refused(text);
        let said = format!("{error} {error:?}");
        assert!(!said.contains("unter") && !said.contains("2=x"), "{text}: {said}");
    }
}

#[test]
fn each_tls_mode_of_libpq_has_its_meaning() {
    let mode = |options: &str| dsn(&format!("postgres://db/keys?{options}")).tls();
    assert_eq!(mode(""), TlsMode::Prefer);
    assert_eq!(mode("sslmode=disable"), TlsMode::Disable);
    assert_eq!(mode("sslmode=allow"), TlsMode::Prefer);
    assert_eq!(mode("sslmode=require"), TlsMode::Require);
    assert_eq!(mode("sslmode=verify-ca"), TlsMode::VerifyCa);
    assert_eq!(mode("sslmode=require&sslrootcert=/ca.pem"), TlsMode::VerifyCa);
    assert_eq!(mode("sslmode=require&sslrootcert=system"), TlsMode::Require);
    let both = dsn("postgres://db?sslcert=/c.pem&sslkey=/k.pem");
    assert!(both.client_certificate.is_some());
    assert!(matches!(
        refused("postgres://db?sslcert=/c.pem"),
        DsnError::Invalid { .. }
    ));
}

#[test]
fn only_a_server_that_takes_writes_may_be_asked_for() {
    for word in ["any", "read-write", "primary"] {
        let dsn = dsn(&format!("postgres://db?target_session_attrs={word}"));
        // The connector looks itself, so that it can say what is wrong.
        assert_eq!(
            dsn.servers()[0].get_target_session_attrs(),
            TargetSessionAttrs::Any
        );
    }
    for word in ["read-only", "standby", "prefer-standby"] {
        let error = refused(&format!("host=db target_session_attrs={word}"));
        assert!(error.to_string().contains("primary"), "{error}");
    }
}

#[test]
fn servers_are_counted() {
    let hosts = |count: usize| format!("host={}", vec!["db"; count].join(","));
    assert_eq!(dsn(&hosts(HOSTS_MAX)).servers().len(), HOSTS_MAX);
    assert_eq!(refused(&hosts(HOSTS_MAX + 1)), DsnError::TooManyHosts);
    assert_eq!(refused("user=app"), DsnError::NoHost);
    assert_eq!(refused("host=a,b,c port=1,2"), DsnError::Mismatched);
    assert_eq!(refused("host=a,b hostaddr=127.0.0.1"), DsnError::Mismatched);
    let by_address = dsn("hostaddr=127.0.0.1 port=5433");
    assert_eq!(by_address.place(), "127.0.0.1:5433");
    assert_eq!(dsn("postgres://[::1]:5433/keys").place(), "[::1]:5433/keys");
}

#[test]
fn a_socket_of_the_file_system_has_no_tls() {
    let dsn = dsn("host=/run/postgresql,db sslmode=verify-full");
    assert_eq!(dsn.place(), "/run/postgresql/.s.PGSQL.5432,db:5432");
    assert_eq!(dsn.servers()[0].get_ssl_mode(), SslMode::Disable);
    assert_eq!(dsn.servers()[1].get_ssl_mode(), SslMode::Require);
}

#[test]
fn every_connection_is_bounded() {
    let server = |options: &str| dsn(&format!("postgres://db?{options}")).servers()[0].clone();
    let plain = server("");
    assert_eq!(plain.get_connect_timeout(), Some(&CONNECT_WAIT_MAX));
    assert_eq!(plain.get_tcp_user_timeout(), Some(&UNACKNOWLEDGED_MAX));
    assert!(plain.get_keepalives());
    assert_eq!(plain.get_keepalives_idle(), KEEPALIVE_IDLE_MAX);
    assert_eq!(plain.get_keepalives_retries(), Some(KEEPALIVE_PROBES));
    assert_eq!(plain.get_application_name(), Some("key-ip-sentinel"));
    // In libpq's units: seconds for the one, milliseconds for the other. Nothing takes a bound away.
    let set = server("connect_timeout=2&tcp_user_timeout=1500&channel_binding=require");
    assert_eq!(set.get_connect_timeout(), Some(&Duration::from_secs(2)));
    assert_eq!(set.get_tcp_user_timeout(), Some(&Duration::from_millis(1_500)));
    assert_eq!(set.get_channel_binding(), ChannelBinding::Require);
    let unset = server("connect_timeout=0&tcp_user_timeout=0");
    assert_eq!(unset.get_connect_timeout(), Some(&CONNECT_WAIT_MAX));
    assert_eq!(unset.get_tcp_user_timeout(), Some(&UNACKNOWLEDGED_MAX));
    assert_eq!(
        server("connect_timeout=60").get_connect_timeout(),
        Some(&CONNECT_WAIT_MAX)
    );
}

#[test]
fn options_and_escapes_are_kept() {
    let dsn =
        dsn(r"host=db password='it\'s a \\ pass' options='-c search_path=sentinel' application_name=one");
    let server = &dsn.servers()[0];
    assert_eq!(server.get_password(), Some(r"it's a \ pass".as_bytes()));
    assert_eq!(server.get_options(), Some("-c search_path=sentinel"));
    assert_eq!(server.get_application_name(), Some("one"));
    assert_eq!(refused("postgres://db?service=x"), DsnError::UnknownOption);
    assert_eq!(refused(""), DsnError::Malformed);
}

proptest! {
    #[test]
    fn whatever_is_written_is_read_or_refused_without_a_quote(
        text in r"(postgres://)?[a-z'=\\ %@:/?&,\[\]0-9é]{0,60}",
        secret in "[A-Z]{12}",
    ) {
        let text = format!("{text}{secret}");
        // A name may be shown; an error shows nothing at all.
        if let Err(error) = text.parse::<PostgresDsn>() {
            let said = format!("{error} {error:?}");
            prop_assert!(!said.contains(&secret));
        }
    }
}

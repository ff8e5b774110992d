//! What a database may be when a store is opened on it.

use sentinel_core::binding::BindingId;
use sentinel_core::ports::{
    AuditStore as _, EventFilter, InterceptFilter, InterceptStore, SettingStore as _, verify,
};
use sentinel_testkit::{Fault, FaultProxy, PostgresServer, bounded};
use tokio::task::JoinSet;

use super::super::dsn::HOSTS_MAX;
use super::super::schema;
use super::super::{CONNECT_WAIT_MAX, PostgresDsn, PostgresMigrated, PostgresOptions, PostgresStore};
use super::{DATABASE, new_database, outside};
use crate::error::PostgresError;

async fn refused(dsn: &PostgresDsn) -> PostgresError {
    let opened = PostgresStore::open(dsn, PostgresOptions::default()).await;
    opened.expect_err("a store that cannot be opened")
}

/// The test kit's DSN with something else in a place.
fn with(server: &PostgresServer, from: &str, to: &str) -> PostgresDsn {
    let dsn = server.database_dsn_through(DATABASE, server.address());
    dsn.replacen(from, to, 1).parse().expect("a DSN")
}

/// A name in the catalogue that changes with any change of the schema.
async fn tables(server: &PostgresServer) -> Vec<String> {
    let outside = outside(server).await;
    let look = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1";
    let rows = outside.query(look, &[]).await.expect("the catalogue");
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn three_replicas_may_start_at_once() {
    let (server, dsn) = new_database().await;
    let mut starting = JoinSet::new();
    for _ in 0..3 {
        let dsn = dsn.clone();
        starting.spawn(async move { PostgresStore::migrate(&dsn).await.expect("migrated") });
    }
    let mut made = starting.join_all().await;
    made.sort_by_key(|migrated| migrated.from);
    let to = schema::needed();
    assert_eq!(made[0], PostgresMigrated { from: 0, to });
    assert_eq!(made[1..], [PostgresMigrated { from: to, to }; 2]);
    assert_eq!(PostgresStore::check(&dsn).await.expect("whole"), to);
    let mut opening = JoinSet::new();
    for _ in 0..3 {
        let dsn = dsn.clone();
        opening.spawn(async move {
            PostgresStore::open(&dsn, PostgresOptions::default())
                .await
                .expect("opened")
        });
    }
    opening.join_all().await;
    drop(server);
}

#[tokio::test]
async fn a_check_changes_nothing() {
    let (server, dsn) = new_database().await;
    let error = PostgresStore::check(&dsn)
        .await
        .expect_err("nothing is there yet");
    assert!(
        matches!(error, PostgresError::SchemaOlder { found: 0, .. }),
        "{error}"
    );
    assert_eq!(tables(&server).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_table_that_is_gone_or_not_permitted_is_named() {
    let (server, dsn) = new_database().await;
    PostgresStore::migrate(&dsn).await.expect("migrated");
    let outside = outside(&server).await;
    outside
        .batch_execute("REVOKE UPDATE ON alerts FROM CURRENT_USER")
        .await
        .unwrap();
    let error = PostgresStore::check(&dsn)
        .await
        .expect_err("one permission is missing");
    assert!(matches!(error, PostgresError::PermissionDenied { .. }), "{error}");
    assert!(error.to_string().contains("alerts"), "{error}");
    outside.batch_execute("DROP TABLE alerts CASCADE").await.unwrap();
    let error = PostgresStore::check(&dsn).await.expect_err("a table is gone");
    assert!(matches!(error, PostgresError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("alerts"), "{error}");
}

#[tokio::test]
async fn another_program_s_database_is_left_alone() {
    let (server, dsn) = new_database().await;
    outside(&server)
        .await
        .batch_execute("CREATE TABLE orders (id int)")
        .await
        .unwrap();
    let error = refused(&dsn).await;
    assert!(matches!(error, PostgresError::ForeignDatabase { .. }), "{error}");
    assert_eq!(tables(&server).await, ["orders"]);
}

#[tokio::test]
async fn a_newer_schema_is_left_alone() {
    let (server, dsn) = new_database().await;
    PostgresStore::migrate(&dsn).await.expect("migrated");
    let outside = outside(&server).await;
    outside
        .batch_execute("UPDATE refinery_schema_history SET version = 999 WHERE version = 1")
        .await
        .unwrap();
    let errors = [
        refused(&dsn).await,
        PostgresStore::migrate(&dsn).await.expect_err("newer"),
        PostgresStore::check(&dsn).await.expect_err("newer"),
    ];
    for error in errors {
        assert!(
            matches!(error, PostgresError::SchemaNewer { found: 999, .. }),
            "{error}"
        );
    }
    outside
        .batch_execute("DELETE FROM refinery_schema_history")
        .await
        .unwrap();
    let error = refused(&dsn).await;
    assert!(matches!(error, PostgresError::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn each_reason_not_to_get_in_has_its_own_words() {
    let (server, dsn) = new_database().await;
    let shown = dsn.place().to_owned();
    let password = with(&server, &format!("{DATABASE}:"), &format!("{DATABASE}:hunter2"));
    let error = refused(&password).await;
    assert!(matches!(error, PostgresError::Rejected { .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("hunter2"));
    assert!(error.to_string().contains(&shown), "{error}");

    let no_password = format!("postgres://{DATABASE}@{}/{DATABASE}", server.address());
    let error = refused(&no_password.parse().expect("a DSN")).await;
    assert!(matches!(error, PostgresError::Rejected { .. }), "{error:?}");

    let error = refused(&with(&server, &format!("//{DATABASE}:"), "//nobody:")).await;
    assert!(matches!(error, PostgresError::Rejected { .. }), "{error:?}");

    let dsn = server.database_dsn_through(DATABASE, server.address());
    let elsewhere = format!("{}nowhere", dsn.trim_end_matches(DATABASE));
    let error = refused(&elsewhere.parse().expect("a DSN")).await;
    assert!(matches!(error, PostgresError::NoDatabase { .. }), "{error:?}");

    server.execute(&format!("ALTER ROLE {DATABASE} NOLOGIN")).await;
    let error = refused(&dsn.parse().expect("a DSN")).await;
    assert!(matches!(error, PostgresError::Rejected { .. }), "{error:?}");
    server.stop().await;
    let error = refused(&dsn.parse().expect("a DSN")).await;
    assert!(matches!(error, PostgresError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_user_who_may_make_no_tables_is_told_so() {
    let (server, dsn) = new_database().await;
    let owner = outside(&server).await;
    owner
        .batch_execute("CREATE SCHEMA kept; ALTER ROLE CURRENT_USER SET search_path = nowhere")
        .await
        .unwrap();
    let error = refused(&dsn).await;
    assert!(error.to_string().contains("search_path"), "{error}");
    server
        .execute(&format!(
            "ALTER DATABASE {DATABASE} OWNER TO CURRENT_USER; ALTER ROLE {DATABASE} RESET search_path"
        ))
        .await;
    let error = refused(&dsn).await;
    assert!(
        matches!(error, PostgresError::PermissionDenied { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_read_only_server_is_not_the_authority() {
    let (server, dsn) = new_database().await;
    server.read_only(true).await;
    let error = refused(&dsn).await;
    assert!(matches!(error, PostgresError::ReadOnly { .. }), "{error:?}");
    assert!(PostgresStore::check(&dsn).await.is_err());
    // Of several servers the one that takes writes is found, wherever it stands.
    let (other, _) = new_database().await;
    let [first, second] = [server.address(), other.address()].map(|address| address.port());
    let both = with(
        &other,
        &other.address().to_string(),
        &format!("127.0.0.1:{first},127.0.0.1:{second}"),
    );
    PostgresStore::open(&both, PostgresOptions::default())
        .await
        .expect("the second one");
    other.read_only(true).await;
    let error = refused(&both).await;
    let said = error.to_string();
    assert!(
        said.contains(&first.to_string()) && said.contains(&second.to_string()),
        "{said}"
    );
}

#[tokio::test]
async fn a_silent_server_leaves_time_for_the_others() {
    let (server, dsn) = new_database().await;
    let silent = FaultProxy::in_front_of(server.address()).await;
    silent.set(Fault::Blackhole).await;
    let both = with(
        &server,
        &server.address().to_string(),
        &format!("{},{}", silent.address(), server.address()),
    );
    assert!(both.servers().len() <= HOSTS_MAX);
    let begun = std::time::Instant::now();
    let store = PostgresStore::open(&both, PostgresOptions::default())
        .await
        .expect("the other one");
    drop(store);
    // The first session waits half of the time for the silent one; the ones after it ask the one that served first.
    assert!(begun.elapsed() < CONNECT_WAIT_MAX, "{:?}", begun.elapsed());

    let alone = with(
        &server,
        &server.address().to_string(),
        &silent.address().to_string(),
    );
    let begun = std::time::Instant::now();
    let error = bounded("the attempt to end", refused(&alone)).await;
    assert!(matches!(error, PostgresError::Unreachable { .. }), "{error:?}");
    assert!(begun.elapsed() >= CONNECT_WAIT_MAX);
    silent.set(Fault::Refuse).await;
    let error = refused(&alone).await;
    assert!(matches!(error, PostgresError::Unreachable { .. }), "{error:?}");
    PostgresStore::open(&both, PostgresOptions::default())
        .await
        .expect("the first one is down");
    drop(dsn);
}

#[tokio::test]
async fn a_database_of_another_encoding_is_refused() {
    let server = PostgresServer::start().await;
    let dsn = server.create_database(DATABASE).await;
    server
        .execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
        .await;
    let latin = format!("{}latin", dsn.trim_end_matches(DATABASE));
    let error = refused(&latin.parse().expect("a DSN")).await;
    assert!(
        matches!(&error, PostgresError::Encoding { found, .. } if found == "LATIN1"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_database_of_the_first_schema_is_migrated_with_all_that_is_in_it() {
    let (server, dsn) = new_database().await;
    PostgresStore::migrate(&dsn).await.expect("migrated");
    // Back to how the first version left it, with a row that is there twice.
    let first = format!(
        "SET ROLE {DATABASE}; \
         CREATE TEMP TABLE first AS SELECT * FROM refinery_schema_history WHERE version = 1; \
         DROP SCHEMA public CASCADE; CREATE SCHEMA public; \
         CREATE TABLE refinery_schema_history AS SELECT * FROM first; {} \
         INSERT INTO intercept_logs (reference, at, reason, outcome, client_ip, method, path, user_agent, count) \
         SELECT 'sr_' || number, '2030-01-01', 'key_missing', 'refused', '192.0.2.1', 'GET', '/', '', 1 \
         FROM unnest(ARRAY[1, 2, 2]) AS number; \
         INSERT INTO settings VALUES ('policy.slots', '3', '2030-01-01', 'root'), ('internal.check', '7', '2030-01-01', 'system'); \
         UPDATE settings_version SET value = 7; \
         INSERT INTO admin_events (at, actor, action, detail) VALUES \
         ('2030-01-01', 'root', 'ban', '{{\"after\":null,\"binding\":7,\"hint\":\"sk\"}}'), ('2030-01-01', 'root', 'login', 'x');",
        include_str!("../../../migrations/postgres/V1__initial.sql")
    );
    outside(&server)
        .await
        .batch_execute(&first)
        .await
        .expect("the first schema");
    let store = PostgresStore::open(&dsn, PostgresOptions::default())
        .await
        .expect("opened");
    let filter = InterceptFilter {
        limit: 10,
        ..InterceptFilter::default()
    };
    let rows = InterceptStore::list(&store, filter).await.expect("rows");
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row.intercept.last_at == row.intercept.at));
    // Where the history of settings begins, there is a way back to.
    let began = store
        .settings_at(7)
        .await
        .expect("an answer")
        .expect("it is there");
    assert_eq!(
        began.values.into_iter().collect::<Vec<_>>(),
        [("policy.slots".to_owned(), "3".to_owned())]
    );
    let history = store.setting_changes(None, 10).await.expect("a page");
    assert_eq!(
        (history.len(), history[0].version, history[0].actor.as_str()),
        (1, 7, "system")
    );
    // What operators did before there was a chain stays outside of it, and belongs to its binding's history.
    let filter = EventFilter {
        binding: Some(BindingId(7)),
        limit: 10,
        ..EventFilter::default()
    };
    let events = store.events(filter).await.expect("events");
    assert_eq!((events.len(), events[0].event.action.as_str()), (1, "ban"));
    assert_eq!(store.chain_head().await.expect("a head").began_after, 2);
    assert_eq!(verify(&store).await.expect("a verdict").first_broken, None);
}

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

/// Makes a table with one row in it.
async fn keep_a_row(postgres: &PostgresServer) {
    postgres
        .execute("CREATE TABLE kept (number int); INSERT INTO kept VALUES (7)")
        .await;
}

async fn kept_rows(postgres: &PostgresServer) -> i64 {
    let client = postgres.connect().await;
    let row = client.query_one("SELECT count(*) FROM kept", &[]).await;
    row.expect("the table is there").get(0)
}

#[tokio::test]
async fn a_database_belongs_to_a_plain_role_of_its_name() {
    let postgres = PostgresServer::start().await;
    let dsn = postgres.create_database("bindings").await;
    assert_eq!(dsn, postgres.database_dsn_through("bindings", postgres.address()));
    let (client, connection) = tokio_postgres::connect(&dsn, NoTls)
        .await
        .expect("the role may log in");
    tokio::spawn(connection);
    client
        .batch_execute("CREATE TABLE kept (number int)")
        .await
        .expect("the owner may");
    let row = client
        .query_one("SELECT rolsuper FROM pg_roles WHERE rolname = current_user", &[])
        .await;
    assert!(!row.expect("a row").get::<_, bool>(0));
    let wrong = dsn.replace(PASSWORD, "wrong");
    assert!(tokio_postgres::connect(&wrong, NoTls).await.is_err());
}

#[tokio::test]
async fn what_was_committed_survives_a_stop_and_a_kill() {
    let postgres = PostgresServer::start().await;
    let (address, dsn) = (postgres.address(), postgres.dsn());
    keep_a_row(&postgres).await;
    postgres.stop().await;
    assert!(tokio_postgres::connect(&dsn, NoTls).await.is_err());
    postgres.restart().await;
    assert_eq!((postgres.address(), kept_rows(&postgres).await), (address, 1));
    let session = postgres.connect().await;
    postgres.kill().await;
    assert!(tokio_postgres::connect(&dsn, NoTls).await.is_err());
    assert!(session.batch_execute("SELECT 1").await.is_err());
    postgres.restart().await;
    assert_eq!(kept_rows(&postgres).await, 1);
}

#[tokio::test]
async fn a_frozen_server_answers_nothing_until_it_is_thawed() {
    let postgres = PostgresServer::start().await;
    let session = postgres.connect().await;
    postgres.freeze().await;
    let query = session.query_one("SELECT 7", &[]);
    tokio::pin!(query);
    let dsn = postgres.dsn();
    let connect = tokio_postgres::connect(&dsn, NoTls);
    tokio::pin!(connect);
    tokio::select! {
        biased;
        _ = &mut query => panic!("a frozen session answered"),
        _ = &mut connect => panic!("a frozen server took a session"),
        () = std::future::ready(()) => {}
    }
    postgres.thaw();
    let row = bounded("the answer", query).await.expect("the session goes on");
    assert_eq!(row.get::<_, i32>(0), 7);
    assert!(bounded("the session", connect).await.is_ok());
    postgres.freeze().await;
    postgres.kill().await;
}

#[tokio::test]
async fn a_read_only_server_refuses_writes_until_it_is_writable_again() {
    let postgres = PostgresServer::start().await;
    keep_a_row(&postgres).await;
    let session = postgres.connect().await;
    postgres.read_only(true).await;
    let insert = "INSERT INTO kept VALUES (8)";
    let refused = session.batch_execute(insert).await.expect_err("it is read-only");
    assert_eq!(
        refused.code(),
        Some(&tokio_postgres::error::SqlState::READ_ONLY_SQL_TRANSACTION)
    );
    postgres.read_only(false).await;
    session.batch_execute(insert).await.expect("it is writable again");
    assert_eq!(kept_rows(&postgres).await, 2);
}

#[tokio::test]
async fn terminated_sessions_end_and_the_server_goes_on() {
    let postgres = PostgresServer::start().await;
    let sessions = [postgres.connect().await, postgres.connect().await];
    assert_eq!(postgres.terminate_backends().await, 2);
    for session in sessions {
        assert!(session.batch_execute("SELECT 1").await.is_err());
    }
    postgres.execute("SELECT 1").await;
}

#[tokio::test]
async fn settings_reach_the_server() {
    let postgres = PostgresServer::builder()
        .durable()
        .setting("max_connections", "7")
        .start()
        .await;
    assert_eq!(postgres.setting("fsync").await, "on");
    assert_eq!(postgres.setting("max_connections").await, "7");
    assert_eq!(
        PostgresServer::start().await.setting("fsync").await,
        "off",
        "the default is fast"
    );
}

#[tokio::test]
async fn tls_is_offered_with_a_certificate_of_the_authority() {
    let postgres = PostgresServer::builder().tls().start().await;
    let folder = postgres.process.folder();
    let file = std::fs::read_to_string(folder.join(certificates::AUTHORITY));
    assert_eq!(file.expect("it was written"), PostgresServer::authority_pem());
    let mut connection = TcpStream::connect(postgres.address()).await.expect("it listens");
    // SSLRequest: its length and a code that is no version (PostgreSQL, "Message Formats").
    connection
        .write_all(&[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])
        .await
        .expect("it reads");
    let answer = bounded("the answer", connection.read_u8()).await;
    assert_eq!(answer.expect("it answers"), b'S');
}

#[tokio::test]
#[should_panic(expected = "no_such_setting")]
async fn a_server_that_does_not_start_says_why() {
    PostgresServer::builder()
        .setting("no_such_setting", "1")
        .start()
        .await;
}

#[tokio::test]
async fn a_dropped_server_leaves_no_folder_no_memory_and_no_process() {
    let postgres = PostgresServer::start().await;
    let memory = shared_memory_of(&postgres);
    assert!(shared_memory().contains(&memory));
    let session = postgres.connect().await;
    let folder = postgres.process.folder().to_owned();
    let dsn = postgres.dsn();
    drop(postgres);
    assert!(!folder.exists());
    // It goes with the last process that is attached to it: a session's may end a moment after the server.
    bounded("the memory to go", async {
        while shared_memory().contains(&memory) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(tokio_postgres::connect(&dsn, NoTls).await.is_err());
    bounded("the session to end", async {
        while !session.is_closed() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// The number of a server's piece of System V shared memory, from `postmaster.pid`.
fn shared_memory_of(postgres: &PostgresServer) -> String {
    let file = postgres.process.folder().join("data/postmaster.pid");
    let text = std::fs::read_to_string(file).expect("a server that runs has one");
    let line = text.lines().nth(6).expect("the seventh line");
    let number = line.split_whitespace().next_back();
    number.expect("a key and a number").to_owned()
}

/// The numbers of all pieces of the machine.
fn shared_memory() -> Vec<String> {
    let text = std::fs::read_to_string("/proc/sysvipc/shm").expect("/proc is there");
    let pieces = text
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().nth(1));
    pieces.map(str::to_owned).collect()
}

#[test]
fn versions_are_read_in_the_server_s_own_words() {
    let version = |words| installation::major_version(words);
    assert_eq!(
        version("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)"),
        Some(15)
    );
    assert_eq!(version("postgres (PostgreSQL) 18beta1"), Some(18));
    assert_eq!(version("postgres_exporter, version 0.15.0"), None);
}

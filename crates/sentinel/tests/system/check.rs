//! The commands around serving: `check`, `migrate` and `bindings`, on PostgreSQL and with Redis.

use sentinel_testkit::{PostgresServer, RedisServer, unreachable_address};

use crate::cluster::{Cluster, succeeded};
use crate::{HOME, KEY};

#[tokio::test]
async fn a_fresh_database_is_migrated_once_and_checked_before_and_after() {
    let cluster = Cluster::builder().start(0).await;
    let check = |cluster: &Cluster| {
        let free = [
            ("SENTINEL_LISTEN", "127.0.0.1:0"),
            ("SENTINEL_ADMIN_LISTEN", "127.0.0.1:0"),
        ];
        succeeded(cluster.command_with(&["check"], &free))
    };
    let before = check(&cluster);
    assert!(before.contains("will get its tables at first start"), "{before}");
    assert!(before.contains("takes writes"), "{before}");
    let tables = async || -> i64 {
        let count =
            "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')";
        let row = cluster.database().await.query_one(count, &[]).await;
        row.expect("a catalogue").get(0)
    };
    assert_eq!(tables().await, 0, "a check makes nothing");
    let migrated = cluster.done(&["migrate"]);
    assert!(migrated.contains("schema 0 → "), "{migrated}");
    assert!(cluster.done(&["migrate"]).contains("nothing to do"));
    let made = tables().await;
    let after = check(&cluster);
    assert!(after.contains("can be written; schema "), "{after}");
    assert_eq!(tables().await, made, "a check makes nothing");
    assert!(!after.contains("test") || !after.contains("password"), "{after}");
}

#[tokio::test]
async fn what_is_wrong_with_the_stores_is_said_in_words_with_what_to_do() {
    let (postgres, redis) = (
        PostgresServer::start().await,
        RedisServer::builder().password("right").start().await,
    );
    let nowhere = unreachable_address().await;
    let wrong_password = redis.url().replace("right", "hunter2");
    let no_database = postgres
        .dsn()
        .rsplit_once('/')
        .map(|(server, _)| format!("{server}/nothing"));
    let no_database = no_database.expect("a URL");
    let dead_postgres = postgres.dsn_through(nowhere);
    let dead_redis = redis.url_through(nowhere);
    let (dsn, url) = (postgres.dsn(), redis.url());
    let cluster = Cluster::builder().embedded().start(0).await;
    for (dsn, url, part, words) in [
        (&dead_postgres, &url, "store", "cannot connect"),
        (&no_database, &url, "store", "create it first"),
        (
            &dsn,
            &dead_redis,
            "redis",
            "until then every replica asks PostgreSQL",
        ),
        (
            &dsn,
            &wrong_password,
            "redis",
            "put the server right, or REDIS_URL",
        ),
    ] {
        let output = cluster.command_with(&["check"], &[("PG_DSN", dsn), ("REDIS_URL", url)]);
        let told = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{told}");
        let line = format!("problem  {part}");
        assert!(told.contains(&line) && told.contains(words), "{words}: {told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
    let output = cluster.command_with(
        &["check"],
        &[("PG_DSN", "postgres:hunter2@"), ("REDIS_URL", "hunter2")],
    );
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(
        told.contains("PG_DSN") && told.contains("REDIS_URL") && !told.contains("hunter2"),
        "{told}"
    );
}

#[tokio::test]
async fn bindings_are_changed_by_commands_and_running_replicas_follow() {
    let cluster = Cluster::start(1).await;
    let replica = cluster.replica();
    assert_eq!(replica.get(HOME, KEY).await.status(), 200);
    let list = cluster.done(&["bindings", "list"]);
    let id = list
        .lines()
        .nth(1)
        .and_then(|line| line.split(' ').next())
        .expect("a row")
        .to_owned();
    assert!(
        cluster
            .done(&["bindings", "ban", &id, "--reason", "leaked"])
            .contains("banned")
    );
    replica.until_status(HOME, KEY, 403).await;
    cluster.done(&["bindings", "unban", &id]);
    replica.until_status(HOME, KEY, 200).await;
}

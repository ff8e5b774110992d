use ::redis::ErrorKind;

use super::sentinel::SENTINELS_MAX;
use super::*;

async fn holds(redis: &RedisServer, key: &str) -> Option<String> {
    redis.command(&["GET", key]).await
}

#[tokio::test]
async fn a_server_serves_forgets_and_leaves_nothing() {
    let redis = RedisServer::start().await;
    let (address, folder) = (redis.address(), redis.process.folder().to_owned());
    let () = redis.command(&["SET", "kept", "7"]).await;
    assert_eq!(holds(&redis, "kept").await.as_deref(), Some("7"));
    redis.stop().await;
    assert!(redis.try_connect().await.is_err());
    redis.restart().await;
    assert_eq!((redis.address(), holds(&redis, "kept").await), (address, None));
    redis.kill().await;
    assert!(redis.try_connect().await.is_err());
    redis.restart().await;
    assert_eq!(holds(&redis, "kept").await, None);
    drop(redis);
    assert!(!folder.exists());
}

#[tokio::test]
async fn a_frozen_server_answers_nothing_until_it_is_thawed() {
    let redis = RedisServer::start().await;
    let mut connection = redis.connect().await;
    redis.freeze().await;
    let command = ::redis::cmd("PING");
    let ping = command.query_async::<String>(&mut connection);
    tokio::pin!(ping);
    tokio::select! {
        biased;
        _ = &mut ping => panic!("a frozen server answered"),
        () = std::future::ready(()) => {}
    }
    redis.thaw();
    let answer = bounded("the answer", ping).await;
    assert_eq!(answer.expect("the connection goes on"), "PONG");
}

#[tokio::test]
async fn a_password_and_users_are_asked_for() {
    let redis = RedisServer::builder()
        .password("of-the-default-user")
        .user("reader", "of-the-reader", "~sentinel:* +get")
        .start()
        .await;
    let open = |url: String| async move {
        let client = Client::open(url).expect("a URL");
        client.get_multiplexed_async_connection().await
    };
    let stranger = open(format!("redis://{}/", redis.address())).await;
    let mut stranger = stranger.expect("asked at the first command");
    let refused = ::redis::cmd("PING").query_async::<String>(&mut stranger).await;
    assert_eq!(
        refused.expect_err("a password is asked for").code(),
        Some("NOAUTH")
    );
    let reader = open(redis.url_as("reader", "of-the-reader")).await;
    let mut reader = reader.expect("a user");
    let read = ::redis::cmd("GET")
        .arg("sentinel:a")
        .query_async::<Option<String>>(&mut reader)
        .await;
    assert_eq!(read.expect("the reader may read"), None);
    let refused = ::redis::cmd("SET")
        .arg("sentinel:a")
        .arg(1)
        .exec_async(&mut reader)
        .await;
    assert_eq!(
        refused.expect_err("the reader may not write").code(),
        Some("NOPERM")
    );
}

#[tokio::test]
async fn tls_is_spoken_and_the_authority_is_told() {
    let redis = RedisServer::builder().tls().password("secret").start().await;
    assert!(redis.url().starts_with("rediss://:secret@127.0.0.1:"));
    let () = redis.command(&["SET", "kept", "7"]).await;
    let stranger = trusting(&redis.url(), &Authority::new().pem).expect("a URL");
    let refused = stranger.get_multiplexed_async_connection().await;
    assert_eq!(refused.err().map(|error| error.kind()), Some(ErrorKind::Io));
    let replica = RedisServer::builder().tls().start().await;
    replica.replica_of(&redis).await;
    assert_eq!(holds(&replica, "kept").await.as_deref(), Some("7"));
}

#[tokio::test]
async fn memory_is_bounded() {
    let redis = RedisServer::builder().memory_bytes_max(1).start().await;
    let refused = redis.try_command::<()>(&["SET", "key", "value"]).await;
    assert_eq!(refused.expect_err("there is no room").code(), Some("OOM"));
}

#[tokio::test]
async fn a_replica_follows_its_primary() {
    let primary = RedisServer::builder().password("secret").start().await;
    let replica = RedisServer::start().await;
    let () = primary.command(&["SET", "kept", "7"]).await;
    replica.replica_of(&primary).await;
    assert_eq!(holds(&replica, "kept").await.as_deref(), Some("7"));
    let refused = replica.try_command::<()>(&["SET", "kept", "8"]).await;
    assert_eq!(
        refused.expect_err("a replica is read-only").code(),
        Some("READONLY")
    );
}

#[tokio::test]
#[should_panic(expected = "no-such-setting")]
async fn a_server_that_does_not_start_says_why() {
    RedisServer::builder()
        .setting("no-such-setting", "1")
        .start()
        .await;
}

#[tokio::test]
async fn a_cluster_is_whole_breaks_with_a_node_and_mends() {
    let begun = std::time::Instant::now();
    let cluster = RedisCluster::start().await;
    println!("whole {:?}", begun.elapsed());
    for key in ["a", "b", "c", "d", "e"] {
        let owner = cluster.owner_of(key).await;
        let () = owner.command(&["SET", key, "7"]).await;
    }
    let node = &cluster.nodes()[1];
    node.kill().await;
    cluster.broken().await;
    println!("broken {:?}", begun.elapsed());
    node.restart().await;
    cluster.whole().await;
    println!("mended {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_cluster_may_ask_for_a_password_and_speak_tls() {
    let cluster = RedisServer::builder()
        .password("secret")
        .tls()
        .start_cluster()
        .await;
    let owner = cluster.owner_of("kept").await;
    let () = owner.command(&["SET", "kept", "7"]).await;
    assert!(
        cluster
            .urls()
            .iter()
            .all(|url| url.starts_with("rediss://:secret@"))
    );
}

#[tokio::test]
async fn a_sentinel_fails_over_when_told_and_when_the_primary_dies() {
    let begun = std::time::Instant::now();
    let pair = RedisSentinel::start().await;
    println!("ready {:?}", begun.elapsed());
    let first = pair.primary().await.address();
    let () = pair.primary().await.command(&["SET", "kept", "7"]).await;
    assert_ne!(pair.fail_over().await.address(), first);
    println!("over {:?}", begun.elapsed());
    pair.ready().await;
    println!("ready {:?}", begun.elapsed());
    assert_eq!(pair.kill_primary().await.address(), first);
    println!("killed {:?}", begun.elapsed());
    assert_eq!(holds(pair.primary().await, "kept").await.as_deref(), Some("7"));
}

#[tokio::test]
async fn three_sentinels_agree() {
    let begun = std::time::Instant::now();
    let pair = RedisServer::builder()
        .password("secret")
        .start_under_sentinels(SENTINELS_MAX)
        .await;
    println!("ready {:?}", begun.elapsed());
    assert_eq!(pair.sentinel_addresses().len(), 3);
    let replica = pair.replica().await.address();
    assert_eq!(pair.kill_primary().await.address(), replica);
    println!("killed {:?}", begun.elapsed());
}

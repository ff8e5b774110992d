use ::redis::ErrorKind;

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
        _ = &mut ping => panic!("a frozen server answered"),
        () = tokio::time::sleep(std::time::Duration::from_millis(50)) => {}
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

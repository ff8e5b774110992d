//! TLS, users and passwords; and what is said when one of them is wrong: in words, and never with a password.

use sentinel_core::attempts::{AttemptLimiter as _, CountedBy};
use sentinel_core::time::Timestamp;
use sentinel_testkit::RedisServer;

use super::support::{link, settings};
use crate::changes::{ChangeFeed as _, Heard};
use crate::conformance::address;
use crate::counting::conformance::add;
use crate::redis::failure::Failure;
use crate::redis::{
    RedisAnnouncer, RedisAttempts, RedisCache, RedisChanges, RedisCounters, RedisLink, RedisSettings,
};
use crate::shared::conformance::{NOTHING, put};

/// What the module's documentation asks for.
const RIGHTS: &str = "~sentinel:* &sentinel:changes +@read +@write +@scripting +@connection +@pubsub +time";
const PASSWORD: &str = "correct-horse";

async fn refusal(settings: &RedisSettings) -> String {
    let outcome = RedisLink::try_out(settings).await;
    let words = outcome.expect_err("refused").to_string();
    assert!(!words.contains(PASSWORD) && !words.contains("battery"), "{words}");
    words
}

#[tokio::test]
async fn a_user_with_the_rights_that_are_documented_can_do_everything() {
    let server = RedisServer::builder()
        .password("of-the-default-user")
        .user("proxy", PASSWORD, RIGHTS)
        .start()
        .await;
    let url = server.url_as("proxy", PASSWORD);
    let link = link(&url).await;
    put(&RedisCache::new(link.clone()), 5, NOTHING).await;
    let mut feed = RedisChanges::listen(settings(&url));
    assert_eq!(feed.next().await, Heard::Connected);
    let announcer = RedisAnnouncer::new(link.clone());
    super::channel::announce_and_hear(&announcer, &mut feed, 1).await;
    let counters = RedisCounters::new(link.clone()).expect("random numbers");
    assert_eq!(add(&counters, "a", 1).await, 1);
    assert_eq!(
        add(&another_replicas(&url).await, "a", 1).await,
        2,
        "on the server"
    );
    let attempts = RedisAttempts::new(link);
    let now = Timestamp::from_unix_ms(1_800_000_000_000);
    let attempt = attempts.begin("admin", address("192.0.2.1"), now).await;
    assert_eq!(attempt.expect("counted").counted_by, CountedBy::Both);
}

async fn another_replicas(url: &str) -> RedisCounters {
    RedisCounters::new(link(url).await).expect("random numbers")
}

#[tokio::test]
async fn in_a_cluster_the_rights_that_are_documented_suffice() {
    let cluster = RedisServer::builder()
        .user("proxy", PASSWORD, &format!("{RIGHTS} +cluster|slots"))
        .start_cluster()
        .await;
    let node = cluster.nodes()[0].address();
    let settings = settings(&format!("redis-cluster://proxy:{PASSWORD}@{node}"));
    assert_eq!(RedisLink::try_out(&settings).await, Ok(()));
    let mut feed = RedisChanges::listen(settings.clone());
    assert_eq!(feed.next().await, Heard::Connected);
    let link = RedisLink::open(settings);
    link.up().await;
    put(&RedisCache::new(link.clone()), 5, NOTHING).await;
    super::channel::announce_and_hear(&RedisAnnouncer::new(link), &mut feed, 1).await;
}

#[tokio::test]
async fn a_wrong_password_and_a_missing_right_are_said() {
    let server = RedisServer::builder()
        .password(PASSWORD)
        .user("reader", PASSWORD, "~* &* +@read +@connection +@scripting")
        .user("stranger", PASSWORD, "~other:* &* +@all")
        .start()
        .await;
    for (user, password) in [("default", "battery-staple"), ("nobody", PASSWORD)] {
        let words = refusal(&settings(&server.url_as(user, password))).await;
        assert!(words.contains("the user or the password is wrong"), "{words}");
    }
    let words = refusal(&settings(&format!("redis://{}", server.address()))).await;
    assert!(words.contains("the user or the password is wrong"), "{words}");
    for user in ["reader", "stranger"] {
        let words = refusal(&settings(&server.url_as(user, PASSWORD))).await;
        assert!(words.contains("lacks a right"), "{user}: {words}");
    }
}

#[tokio::test]
async fn a_server_with_tls_is_trusted_by_its_authority_alone() {
    let server = RedisServer::builder().tls().password(PASSWORD).start().await;
    let strange = settings(&server.url());
    let words = refusal(&strange).await;
    assert!(words.contains("certificate"), "{words}");
    let authority = RedisServer::authority_pem().as_bytes().to_vec();
    let trusted = strange.trusting(authority);
    assert_eq!(RedisLink::try_out(&trusted).await, Ok(()));
    let link = RedisLink::open(trusted.clone());
    link.up().await;
    put(&RedisCache::new(link.clone()), 5, NOTHING).await;
    let mut feed = RedisChanges::listen(trusted);
    assert_eq!(feed.next().await, Heard::Connected);
    super::channel::announce_and_hear(&RedisAnnouncer::new(link), &mut feed, 1).await;
}

#[tokio::test]
async fn plain_text_to_a_server_with_tls_and_the_other_way_round_are_refused() {
    let encrypted = RedisServer::builder().tls().start().await;
    let plain = RedisServer::start().await;
    refusal(&settings(&format!("redis://{}", encrypted.address()))).await;
    refusal(&settings(&format!("rediss://{}", plain.address()))).await;
}

#[tokio::test]
async fn an_authority_that_is_none_is_said() {
    let settings = settings("rediss://127.0.0.1:1").trusting(b"-----BEGIN CERTIFICATE-----\nx".to_vec());
    refusal(&settings).await;
}

#[test]
fn what_a_server_says_becomes_words() {
    let failure = |line: &str| {
        let answer = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).expect("an answer");
        Failure::from(answer.extract_error().expect_err("an error"))
    };
    let cases = [
        ("LOADING Redis is loading the dataset in memory", "still loading"),
        (
            "READONLY You can't write against a read only replica.",
            "read replica",
        ),
        (
            "ERR Error running script (call to f_x): @user_script:1: @user_script: 1: -READONLY You can't write",
            "read replica",
        ),
        (
            "OOM command not allowed when used memory > 'maxmemory'.",
            "maxmemory-policy",
        ),
        ("CLUSTERDOWN The cluster is down", "does not serve every key"),
        ("MASTERDOWN Link with MASTER is down", "lost its primary"),
        ("NOAUTH Authentication required.", "password is wrong"),
        ("WRONGPASS invalid username-password pair", "password is wrong"),
        ("ERR max number of clients reached", "max number of clients"),
    ];
    for (line, words) in cases {
        let failure = failure(line);
        assert!(failure.words.contains(words), "{line}: {}", failure.words);
        assert!(failure.is_everybodys, "{line}");
    }
    let own = failure("NOPERM this user has no permissions to run the 'publish' command");
    assert!(
        own.words.contains("lacks a right") && !own.is_everybodys,
        "{}",
        own.words
    );
}

//! The channels on which replicas hear of each other are lost, one or both: then what others change is noticed on the other one, or within
//! the short life that bindings have meanwhile.

use sentinel_testkit::Fault;

use super::Installation;
use crate::cluster::Cluster;
use crate::replica::Replica;
use crate::{HOME, KEY};

/// Waits until the replica's metrics say so of its channels.
pub(super) async fn are(replica: &Replica, channels: &[(&str, bool)]) {
    for (channel, is_up) in channels {
        let metric = format!("sentinel_change_channel_up{{channel=\"{channel}\"}}");
        let value = f64::from(u8::from(*is_up));
        replica
            .until(&format!("{metric} {value}"), async || {
                replica.metric(&metric).await == Some(value)
            })
            .await;
    }
}

/// An installation whose bindings live far longer than a test waits: what is noticed was heard, or lived shorter.
async fn long_lived() -> Installation {
    let builder = Cluster::builder().variable("SENTINEL_STORE_CACHE_SECONDS", "60");
    let installation = Installation::start_with(builder).await;
    for replica in installation.replicas() {
        assert_eq!(replica.get(HOME, KEY).await.status(), 200);
    }
    installation
}

/// No replica can listen to PostgreSQL any more, though the connections that it has for everything else go on.
async fn stop_listening(installation: &Installation) {
    let database = installation.cluster.database().await;
    installation
        .cluster
        .postgres()
        .execute("ALTER DATABASE sentinel ALLOW_CONNECTIONS false")
        .await;
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE pid <> pg_backend_pid() AND (query LIKE 'LISTEN %' OR query = 'SELECT 1')";
    database.query(end, &[]).await.expect("the superuser may");
}

async fn listen_again(installation: &Installation) {
    installation
        .cluster
        .postgres()
        .execute("ALTER DATABASE sentinel ALLOW_CONNECTIONS true")
        .await;
}

/// A ban and its end, made on the first replica, are noticed on the second.
async fn follows(installation: &Installation) {
    let [here, there] = installation.replicas();
    let console = here.console().await;
    console.ban(installation.id).await;
    there.until_status(HOME, KEY, 403).await;
    console.unban(installation.id).await;
    there.until_status(HOME, KEY, 200).await;
}

#[tokio::test]
async fn without_redis_changes_are_heard_of_over_postgresql() {
    let installation = long_lived().await;
    installation.redis_line.set(Fault::Blackhole).await;
    for replica in installation.replicas() {
        are(replica, &[("redis", false), ("postgresql", true)]).await;
    }
    follows(&installation).await;
    installation.redis_line.set(Fault::None).await;
    installation.is_well().await;
    follows(&installation).await;
}

#[tokio::test]
async fn without_listening_to_postgresql_changes_are_heard_of_over_redis() {
    let installation = long_lived().await;
    stop_listening(&installation).await;
    for replica in installation.replicas() {
        are(replica, &[("postgresql", false), ("redis", true)]).await;
    }
    follows(&installation).await;
    listen_again(&installation).await;
    installation.is_well().await;
    follows(&installation).await;
}

#[tokio::test]
async fn without_any_channel_changes_are_noticed_within_the_short_life() {
    let installation = long_lived().await;
    let [here, there] = installation.replicas();
    stop_listening(&installation).await;
    installation.redis_line.set(Fault::Blackhole).await;
    for replica in [here, there] {
        are(replica, &[("postgresql", false), ("redis", false)]).await;
    }
    follows(&installation).await;
    listen_again(&installation).await;
    installation.redis_line.set(Fault::None).await;
    installation.is_well().await;
    follows(&installation).await;
}

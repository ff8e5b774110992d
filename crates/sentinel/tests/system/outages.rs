//! PostgreSQL or Redis goes away, in every way that it can, and comes back: known keys stay enforced, unknown ones do as the failsafe mode
//! says, and nobody has to start Sentinel again.

mod both;
mod channels;
mod failsafe;
mod postgres;
mod redis;
mod slow;

use std::time::{Duration, Instant};

use sentinel_testkit::{Fault, FaultProxy, PostgresServer, RedisServer};

use crate::cluster::{Cluster, ClusterBuilder};
use crate::replica::Replica;
use crate::{ELSEWHERE, HOME, KEY};

/// A key that was banned before anything went wrong.
const BANNED: &str = "sk-bannedbannedbanned0123456789";

/// How a server goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// Shut down as planned.
    Stopped,
    /// Gone at once.
    Killed,
    /// It keeps its connections and does nothing.
    Frozen,
    /// The line swallows everything.
    Silent,
    /// The line is cut, and new connections are refused.
    CutOff,
}

/// An installation whose servers are reached over lines that can fail.
struct Installation {
    cluster: Cluster,
    postgres_line: FaultProxy,
    redis_line: FaultProxy,
    /// The binding of [`KEY`].
    id: i64,
}

impl Installation {
    /// One replica that has used [`KEY`] and [`BANNED`], and a second one that never saw either.
    async fn start() -> Self {
        Self::start_with(Cluster::builder()).await
    }

    async fn start_with(builder: ClusterBuilder) -> Self {
        let (postgres, redis) = tokio::join!(PostgresServer::start(), RedisServer::start());
        let postgres_line = FaultProxy::in_front_of(postgres.address()).await;
        let redis_line = FaultProxy::in_front_of(redis.address()).await;
        let dsn = postgres.database_dsn_through("sentinel", postgres_line.address());
        let mut cluster = builder
            .variable("PG_DSN", dsn)
            .variable("REDIS_URL", redis.url_through(redis_line.address()))
            .start_on(1, Some(postgres), Some(redis))
            .await;
        let first = cluster.replica();
        let console = first.console().await;
        assert_eq!(first.get(HOME, BANNED).await.status(), 200);
        console.ban(console.newest().await).await;
        assert_eq!(first.get(HOME, KEY).await.status(), 200);
        let id = console.newest().await;
        cluster.add_replica().await;
        let installation = Self {
            cluster,
            postgres_line,
            redis_line,
            id,
        };
        for replica in &installation.cluster.replicas {
            channels::are(replica, &[("postgresql", true), ("redis", true)]).await;
        }
        installation
    }

    fn replicas(&self) -> [&Replica; 2] {
        [&self.cluster.replicas[0], &self.cluster.replicas[1]]
    }

    async fn break_postgres(&self, how: How) {
        let postgres = self.cluster.postgres();
        match how {
            How::Stopped => postgres.stop().await,
            How::Killed => postgres.kill().await,
            How::Frozen => postgres.freeze().await,
            How::Silent | How::CutOff => cut_off(&self.postgres_line, how).await,
        }
    }

    async fn mend_postgres(&self, how: How) {
        let postgres = self.cluster.postgres();
        match how {
            How::Stopped | How::Killed => postgres.restart().await,
            How::Frozen => postgres.thaw(),
            How::Silent | How::CutOff => self.postgres_line.set(Fault::None).await,
        }
    }

    async fn break_redis(&self, how: How) {
        let redis = self.cluster.redis();
        match how {
            How::Stopped => redis.stop().await,
            How::Killed => redis.kill().await,
            How::Frozen => redis.freeze().await,
            How::Silent | How::CutOff => cut_off(&self.redis_line, how).await,
        }
    }

    async fn mend_redis(&self, how: How) {
        let redis = self.cluster.redis();
        match how {
            How::Stopped | How::Killed => redis.restart().await,
            How::Frozen => redis.thaw(),
            How::Silent | How::CutOff => self.redis_line.set(Fault::None).await,
        }
    }

    /// Both replicas work again by themselves: first uses bind, and bind everywhere.
    async fn is_well(&self) {
        for (number, replica) in self.replicas().into_iter().enumerate() {
            replica.until_ready().await;
            channels::are(replica, &[("postgresql", true), ("redis", true)]).await;
            enforces(replica).await;
            let fresh = format!("sk-afterafterafter{number}0123456789");
            binds(replica, &fresh).await;
            for replica in self.replicas() {
                assert_eq!(replica.verdict(ELSEWHERE, &fresh).await, mismatch());
            }
        }
    }
}

async fn cut_off(line: &FaultProxy, how: How) {
    if how == How::Silent {
        line.set(Fault::Blackhole).await;
    } else {
        line.set(Fault::Refuse).await;
        line.cut().await;
    }
}

fn mismatch() -> (u16, String) {
    (403, "key_ip_mismatch".to_owned())
}

/// The keys that were known before are judged as ever: the right address passes, the wrong one does not, a ban holds. Gives how long the
/// right one took.
async fn enforces(replica: &Replica) -> Duration {
    let begun = Instant::now();
    assert_eq!(replica.get(HOME, KEY).await.status(), 200);
    let took = begun.elapsed();
    assert_eq!(replica.verdict(ELSEWHERE, KEY).await, mismatch());
    let banned = (403, "key_banned".to_owned());
    assert_eq!(replica.verdict(HOME, BANNED).await, banned);
    took
}

/// An unknown key is refused for want of the store, with when to come again.
async fn refuses_unknown(replica: &Replica) {
    let answer = replica.get(HOME, "sk-unknownunknownunknown0123456789").await;
    assert_eq!(answer.status(), 503, "{}", answer.text());
    assert!(answer.text().contains("binding_store_unavailable"));
    let after: u32 = answer
        .header("retry-after")
        .and_then(|seconds| seconds.parse().ok())
        .expect("a number of seconds");
    assert!(after > 0);
}

/// This key's first use is served as soon as the store is back.
async fn binds(replica: &Replica, key: &str) {
    replica
        .until("a first use to be served", async || {
            replica.get(HOME, key).await.status() == 200
        })
        .await;
    assert_eq!(replica.verdict(ELSEWHERE, key).await, mismatch());
}

/// Says what was measured, and fails when more than one in a hundred took longer: few may be slow, those that notice the outage.
fn hardly_any_waited(what: &str, took: Vec<Duration>, wait_max: Duration) {
    let slow = took.iter().filter(|took| **took > wait_max).count();
    let slow_max = (took.len() / 100).max(3);
    measured(what, took);
    assert!(
        slow <= slow_max,
        "{what}: {slow} requests took longer than {wait_max:?}"
    );
}

/// Says what was measured.
#[expect(
    clippy::print_stderr,
    reason = "for whoever runs the test with its output shown"
)]
pub(crate) fn measured(what: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let part = |percent: usize| took[(took.len() - 1) * percent / 100];
    eprintln!(
        "{what}: {} times, p50 {:?}, p99 {:?}, longest {:?}",
        took.len(),
        part(50),
        part(99),
        part(100)
    );
}

//! An installation: an upstream, the stores, and as many replicas as a test wants, all on loopback.

use std::path::PathBuf;
use std::process::{Command, Output};

use sentinel_testkit::{Answer, PostgresServer, RedisServer, ScriptedUpstream};
use tempfile::TempDir;

use crate::replica::Replica;

/// The secret that all replicas share.
pub(crate) const HMAC_SECRET: &str = "system-tests-hmac-secret-0123456789";
/// The console's account everywhere.
pub(crate) const USERNAME: &str = "admin";
pub(crate) const PASSWORD: &str = "correct horse battery";

/// What is started, and with which settings.
#[derive(Default)]
pub(crate) struct ClusterBuilder {
    embedded: bool,
    without_redis: bool,
    variables: Vec<(String, String)>,
}

impl ClusterBuilder {
    /// On the embedded store, without PostgreSQL and Redis.
    pub(crate) fn embedded(mut self) -> Self {
        self.embedded = true;
        self
    }

    /// PostgreSQL alone.
    pub(crate) fn without_redis(mut self) -> Self {
        self.without_redis = true;
        self
    }

    /// Another setting of every replica; it goes before what the cluster sets itself. An empty one takes that away.
    pub(crate) fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// Starts all of it, and waits until every replica is ready.
    pub(crate) async fn start(self, replicas: usize) -> Cluster {
        let (mut postgres, mut redis) = (None, None);
        if !self.embedded {
            postgres = Some(PostgresServer::start().await);
            if !self.without_redis {
                redis = Some(RedisServer::start().await);
            }
        }
        self.start_on(replicas, postgres, redis).await
    }

    /// The same on stores that the test started.
    pub(crate) async fn start_on(
        self,
        replicas: usize,
        postgres: Option<PostgresServer>,
        redis: Option<RedisServer>,
    ) -> Cluster {
        let upstream = ScriptedUpstream::start(Answer::new(200, r#"{"object":"list"}"#)).await;
        let mut variables = vec![
            ("UPSTREAM_URL".to_owned(), upstream.url()),
            ("SENTINEL_HMAC_SECRET".to_owned(), HMAC_SECRET.to_owned()),
            ("ADMIN_USERNAME".to_owned(), USERNAME.to_owned()),
            ("ADMIN_PASSWORD".to_owned(), PASSWORD.to_owned()),
            ("SENTINEL_LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
            ("SENTINEL_ADMIN_LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
            ("SENTINEL_PROXY_CORES".to_owned(), "1".to_owned()),
            ("SENTINEL_PROXY_DRAIN_SECONDS".to_owned(), "2".to_owned()),
        ];
        let mut dsn = String::new();
        if let Some(postgres) = &postgres {
            dsn = postgres.create_database("sentinel").await;
            variables.push(("PG_DSN".to_owned(), dsn.clone()));
        }
        if let Some(redis) = &redis {
            variables.push(("REDIS_URL".to_owned(), redis.url()));
        }
        variables.extend(self.variables);
        let mut cluster = Cluster {
            replicas: Vec::new(),
            upstream,
            postgres,
            redis,
            dsn,
            variables,
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        for _ in 0..replicas {
            cluster.add_replica().await;
        }
        cluster
    }
}

/// What runs. Everything ends with this value.
pub(crate) struct Cluster {
    /// First, so that they end before what they depend on.
    pub(crate) replicas: Vec<Replica>,
    pub(crate) upstream: ScriptedUpstream,
    pub(crate) postgres: Option<PostgresServer>,
    pub(crate) redis: Option<RedisServer>,
    dsn: String,
    variables: Vec<(String, String)>,
    folder: TempDir,
}

impl Cluster {
    /// With PostgreSQL and Redis.
    pub(crate) async fn start(replicas: usize) -> Self {
        Self::builder().start(replicas).await
    }

    /// With something else.
    pub(crate) fn builder() -> ClusterBuilder {
        ClusterBuilder::default()
    }

    /// Starts one more replica and waits until it is ready.
    pub(crate) async fn add_replica(&mut self) -> &mut Replica {
        self.add_replica_with(&[]).await
    }

    /// The same with settings of its own, which go before those of all.
    pub(crate) async fn add_replica_with(&mut self, own: &[(&str, String)]) -> &mut Replica {
        let number = self.replicas.len();
        let mut environment = self.environment(number);
        for (name, value) in own {
            environment.push(((*name).to_owned(), value.clone()));
        }
        let replica = Replica::start(environment, self.log(number)).await;
        self.replicas.push(replica);
        self.replicas.last_mut().expect("there is one now")
    }

    /// A replica that is to fail at its start, with another setting: gives what it said.
    pub(crate) fn start_and_fail(&self, name: &str, value: &str) -> Output {
        let mut environment = self.environment(self.replicas.len());
        environment.push((name.to_owned(), value.to_owned()));
        run(&["serve"], environment)
    }

    /// The first replica.
    pub(crate) fn replica(&self) -> &Replica {
        &self.replicas[0]
    }

    /// Runs a command of the binary with the settings of the first replica, to its end.
    pub(crate) fn command(&self, arguments: &[&str]) -> Output {
        run(arguments, self.environment(0))
    }

    /// The same with other settings.
    pub(crate) fn command_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut environment = self.environment(0);
        for (name, value) in variables {
            environment.push(((*name).to_owned(), (*value).to_owned()));
        }
        run(arguments, environment)
    }

    /// What a command that has to succeed prints.
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        succeeded(self.command(arguments))
    }

    /// A path in the test's own folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A connection to Sentinel's own database.
    pub(crate) async fn database(&self) -> tokio_postgres::Client {
        let (client, connection) = tokio_postgres::connect(&self.dsn, tokio_postgres::NoTls)
            .await
            .expect("PostgreSQL takes connections");
        tokio::spawn(connection);
        client
    }

    /// PostgreSQL, which this cluster has.
    pub(crate) fn postgres(&self) -> &PostgresServer {
        self.postgres.as_ref().expect("it was started")
    }

    /// Redis, which this cluster has.
    pub(crate) fn redis(&self) -> &RedisServer {
        self.redis.as_ref().expect("it was started")
    }

    /// A number that Sentinel's own database gives.
    pub(crate) async fn number(&self, select: &str) -> i64 {
        let row = self.database().await.query_one(select, &[]).await;
        row.expect("a number").get(0)
    }

    fn environment(&self, number: usize) -> Vec<(String, String)> {
        let data = self.path(&format!("data-{number}"));
        let data = data.to_str().expect("UTF-8").to_owned();
        let mut environment = vec![("SENTINEL_DATA_DIR".to_owned(), data)];
        environment.extend(self.variables.iter().cloned());
        environment
    }

    fn log(&self, number: usize) -> PathBuf {
        self.path(&format!("replica-{number}.log"))
    }
}

/// What a command printed that had to succeed.
pub(crate) fn succeeded(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The binary with nothing but these variables; of two with one name the later counts.
pub(crate) fn binary(arguments: &[&str], environment: Vec<(String, String)>) -> Command {
    const SENTINEL: &str = env!("CARGO_BIN_EXE_sentinel");
    let mut command = if environment.iter().any(|(name, _)| name == SPOOL_DISK_KIB) {
        let mut command = Command::new("/usr/bin/unshare");
        command.args([
            "--user",
            "--map-root-user",
            "--mount",
            "/bin/sh",
            "-ec",
            ON_SMALL_DISK,
            SENTINEL,
        ]);
        command
    } else {
        Command::new(SENTINEL)
    };
    command.args(arguments).env_clear().envs(environment);
    command
}

/// With this variable the record spool has a disk of its own, of so many KiB.
pub(crate) const SPOOL_DISK_KIB: &str = "SYSTEM_TEST_SPOOL_DISK_KIB";
/// Mounts that disk where only this process sees it.
const ON_SMALL_DISK: &str = "PATH=/usr/sbin:/usr/bin:/sbin:/bin
    mkdir -p \"$SENTINEL_DATA_DIR/spool\"
    mount -t tmpfs -o size=\"${SYSTEM_TEST_SPOOL_DISK_KIB}k\" tmpfs \"$SENTINEL_DATA_DIR/spool\"
    exec \"$0\" \"$@\"";

fn run(arguments: &[&str], environment: Vec<(String, String)>) -> Output {
    binary(arguments, environment)
        .output()
        .expect("the binary can be started")
}

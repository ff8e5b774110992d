//! Makes connections: to one server, to the primary that Sentinels name, to a Cluster. Every step is bounded in time.

use std::num::NonZeroUsize;
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection, PubSub};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, Pipeline,
    RedisConnectionInfo, RedisFuture, RedisResult, TlsCertificates, Value,
};

use super::failure::Failure;
use super::url::{Credentials, Kind};
use super::{CONNECT_WAIT_MAX, RESPONSE_WAIT_MAX, RedisSettings};

/// How long one Sentinel has to say where the primary is; the next one is asked then.
pub(super) const SENTINEL_WAIT_MAX: Duration = Duration::from_millis(500);
/// The most calls that wait for one connection's turn to be sent.
pub(super) const CALLS_QUEUED_MAX: usize = 1_024;
/// How often a Cluster's call is sent again: after a redirection to the node that has the key now.
pub(super) const CLUSTER_RETRIES_MAX: u32 = 2;

/// A connection that many calls share. Cloning it is cheap.
#[derive(Clone)]
pub(super) enum Connection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::One(connection) => connection.req_packed_command(command),
            Self::Cluster(connection) => connection.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::One(connection) => connection.req_packed_commands(pipeline, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::One(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}

/// A host and its port.
pub(super) type Place = (String, u16);

/// Waits for one step of connecting.
pub(super) async fn in_time<T, E: Into<Failure>>(
    wait_max: Duration,
    step: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(wait_max, step).await {
        Ok(outcome) => outcome.map_err(Into::into),
        Err(_) => Err(Failure::of_the_server(format!(
            "no answer within {} ms",
            wait_max.as_millis()
        ))),
    }
}

impl RedisSettings {
    /// Connects; where to is told, when there is one such place.
    pub(super) async fn connect(&self) -> Result<(Connection, Option<Place>), Failure> {
        if matches!(self.url.kind, Kind::Cluster) {
            let connection = in_time(CONNECT_WAIT_MAX, self.connect_cluster()).await?;
            return Ok((Connection::Cluster(connection), None));
        }
        let place = self.place().await?;
        // Whoever calls bounds the wait for the answer.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_WAIT_MAX))
            .set_response_timeout(None)
            .set_pipeline_buffer_size(CALLS_QUEUED_MAX);
        let client = self.client(&place, &self.url.credentials, self.url.database)?;
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        let connection = in_time(CONNECT_WAIT_MAX, connecting).await?;
        Ok((Connection::One(connection), Some(place)))
    }

    /// A connection that hears a channel: at the primary, or at any node of a Cluster, which passes all messages on to all.
    pub(super) async fn connect_channel(&self) -> Result<(PubSub, Place), Failure> {
        let places = match self.url.kind {
            Kind::Cluster => self.url.hosts.clone(),
            _ => vec![self.place().await?],
        };
        let mut failure = Failure::of_the_server("no host");
        for place in places {
            let client = self.client(&place, &self.url.credentials, 0)?;
            match in_time(CONNECT_WAIT_MAX, client.get_async_pubsub()).await {
                Ok(channel) => return Ok((channel, place)),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Where the one server, or the primary, is.
    pub(super) async fn place(&self) -> Result<Place, Failure> {
        let Kind::Sentinel { primary, credentials } = &self.url.kind else {
            return Ok(self.url.hosts[0].clone());
        };
        let mut failure = Failure::of_the_server("no host");
        for sentinel in &self.url.hosts {
            match in_time(
                SENTINEL_WAIT_MAX,
                self.ask_sentinel(sentinel, primary, credentials),
            )
            .await
            {
                Ok(place) => return Ok(place),
                Err(error) => {
                    failure = Failure::of_the_server(format!(
                        "the Sentinel at {}:{}: {}",
                        sentinel.0, sentinel.1, error.words
                    ));
                }
            }
        }
        Err(failure)
    }

    async fn ask_sentinel(
        &self,
        sentinel: &Place,
        primary: &str,
        credentials: &Credentials,
    ) -> Result<Place, Failure> {
        let client = self.client(sentinel, credentials, 0)?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        let place: Option<Place> = redis::cmd("SENTINEL")
            .arg("GET-MASTER-ADDR-BY-NAME")
            .arg(primary)
            .query_async(&mut connection)
            .await?;
        place.ok_or_else(|| Failure::of_the_server(format!("it knows no primary named '{primary}'")))
    }

    async fn connect_cluster(&self) -> RedisResult<ClusterConnection> {
        let nodes = self.url.hosts.iter().map(|place| {
            let address = self.address(place);
            let info = address.into_connection_info()?;
            Ok(info.set_redis_settings(sign_in(&self.url.credentials, 0)))
        });
        let nodes = nodes.collect::<RedisResult<Vec<ConnectionInfo>>>()?;
        let mut builder = ClusterClientBuilder::new(nodes)
            .connection_timeout(CONNECT_WAIT_MAX)
            .response_timeout(RESPONSE_WAIT_MAX)
            .retries(CLUSTER_RETRIES_MAX)
            .min_retry_wait(5)
            .max_retry_wait(50)
            .max_connection_attempts(NonZeroUsize::MIN)
            .tcp_settings(tcp());
        if let Some(certificates) = self.certificates() {
            builder = builder.certs(certificates);
        }
        builder.build()?.get_async_connection().await
    }

    fn client(&self, place: &Place, credentials: &Credentials, database: i64) -> Result<Client, Failure> {
        let info = self
            .address(place)
            .into_connection_info()?
            .set_tcp_settings(tcp())
            .set_redis_settings(sign_in(credentials, database));
        Ok(match self.certificates() {
            Some(certificates) => Client::build_with_tls(info, certificates)?,
            None => Client::open(info)?,
        })
    }

    fn address(&self, (host, port): &Place) -> ConnectionAddr {
        let (host, port) = (host.clone(), *port);
        if self.url.is_tls {
            ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            }
        } else {
            ConnectionAddr::Tcp(host, port)
        }
    }

    fn certificates(&self) -> Option<TlsCertificates> {
        self.url.is_tls.then(|| TlsCertificates {
            client_tls: None,
            root_cert: self.authority_pem.clone(),
        })
    }
}

fn tcp() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

fn sign_in(credentials: &Credentials, database: i64) -> RedisConnectionInfo {
    let mut info = RedisConnectionInfo::default()
        .set_db(database)
        .set_skip_set_lib_name();
    if let Some(username) = &credentials.username {
        info = info.set_username(username);
    }
    if let Some(password) = &credentials.password {
        info = info.set_password(password);
    }
    info
}

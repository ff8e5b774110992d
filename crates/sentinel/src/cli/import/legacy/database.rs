//! The older installation's PostgreSQL: read in one snapshot, row by row, and never written to. Its columns are looked up first, because installations
//! of different ages have different ones. No TLS: it is read on its own machine or network, once.

use std::net::IpAddr;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use sentinel_core::binding::{BINDING_NETWORKS_MAX, BindingStatus};
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::network::{ClientIp, Network, NetworkError};
use sentinel_core::time::Timestamp;
use tokio_postgres::{Client, Config, NoTls, Row};

use super::LegacyError;
use crate::cli::CliError;

/// The longest wait for a connection.
pub(super) const CONNECT_WAIT_MAX: Duration = Duration::from_secs(10);
/// Nothing is changed, and both tables are read as of one moment. Bounds every wait.
const BEGIN: &str = "SET lock_timeout = '5s'; SET statement_timeout = '30min'; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
/// Where bindings are.
const BINDINGS: Table = Table {
    name: "token_bindings",
    needed: "id, token_hash, bound_ip",
};
/// Where refusals are.
const INTERCEPTS: Table = Table {
    name: "intercept_logs",
    needed: "id, token_hash, bound_ip, attempt_ip, intercepted_at",
};

/// A table and the columns without which it is another one.
struct Table {
    name: &'static str,
    needed: &'static str,
}

/// A row of bindings.
pub(super) struct LegacyBinding {
    pub(super) hash: KeyFingerprint,
    pub(super) networks: Vec<Network>,
    pub(super) status: BindingStatus,
    pub(super) bound_at: Timestamp,
    pub(super) last_used_at: Option<Timestamp>,
}

/// A row of refusals.
pub(super) struct LegacyIntercept {
    pub(super) id: String,
    pub(super) hash: Option<KeyFingerprint>,
    pub(super) networks: Vec<Network>,
    pub(super) client_ip: ClientIp,
    pub(super) at: Timestamp,
}

/// A session in one snapshot.
pub(super) struct LegacyDatabase(Client);

impl LegacyDatabase {
    /// Connects; the driver's name that Python's libraries have in a DSN is left out.
    pub(super) async fn open(dsn: &str) -> Result<Self, LegacyError> {
        let plain = match dsn.split_once("://") {
            Some((scheme, rest)) => format!("{}://{rest}", scheme.split('+').next().unwrap_or(scheme)),
            None => dsn.to_owned(),
        };
        let config: Config = plain.parse().map_err(|_| LegacyError::Dsn)?;
        let connecting = tokio::time::timeout(CONNECT_WAIT_MAX, config.connect(NoTls));
        let (client, connection) = connecting
            .await
            .map_err(|_| {
                LegacyError::Unreachable(format!("no answer within {} s", CONNECT_WAIT_MAX.as_secs()))
            })?
            .map_err(|error| LegacyError::Unreachable(said(&error)))?;
        // Ends with the client; what goes wrong on it is told to whoever asks.
        tokio::spawn(connection);
        client.batch_execute(BEGIN).await.map_err(broken)?;
        Ok(Self(client))
    }

    /// Each binding, in the order of ids.
    pub(super) async fn each_binding(
        &mut self,
        mut take: impl FnMut(LegacyBinding) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let columns = self.columns(&BINDINGS).await?;
        // One without any moment is bound now: an old one would be put away as unused.
        let bound_at = columns.milliseconds(&["first_used_at", "created_at", "bound_at"]);
        let last_used_at = columns.milliseconds(&["last_used_at"]);
        let select = format!(
            "SELECT id::text, {}, {}, {}, coalesce({bound_at}, {last_used_at}, floor(extract(epoch FROM now()) * 1000)::bigint), \
             {last_used_at} FROM token_bindings ORDER BY id",
            columns.hash(),
            columns.networks(),
            columns.text(&["status"]),
        );
        self.each(&select, |row| take(binding(row)?).map_err(Stop::End))
            .await
    }

    /// Each refusal, in the order of ids; none where the table is missing.
    pub(super) async fn each_intercept(
        &mut self,
        mut take: impl FnMut(&LegacyIntercept) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let columns = match self.columns(&INTERCEPTS).await {
            Ok(columns) => columns,
            Err(LegacyError::NoTable(..)) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let select = format!(
            "SELECT id::text, {}, {}, {}, {} FROM intercept_logs ORDER BY id",
            columns.hash(),
            columns.networks(),
            columns.text(&["attempt_ip"]),
            columns.milliseconds(&["intercepted_at"]),
        );
        self.each(&select, |row| take(&intercept(row)?).map_err(Stop::End))
            .await
    }

    /// Hands over each row; what is wrong with rows is told together.
    async fn each(
        &self,
        select: &str,
        mut take: impl FnMut(&Row) -> Result<(), Stop>,
    ) -> Result<(), CliError> {
        let none: [&str; 0] = [];
        let mut rows = Box::pin(self.0.query_raw(select, none).await.map_err(broken)?);
        let (mut count, mut first) = (0, None);
        while let Some(row) = rows.try_next().await.map_err(broken)? {
            match take(&row) {
                Ok(()) => {}
                Err(Stop::End(error)) => return Err(error),
                Err(Stop::Wrong(what)) => {
                    count += 1;
                    first.get_or_insert_with(|| format!("id {}: {what}", row.get::<_, &str>(0)));
                }
            }
        }
        match first {
            None => Ok(()),
            Some(first) => Err(LegacyError::Rows { count, first }.into()),
        }
    }

    async fn columns(&self, table: &Table) -> Result<Columns, LegacyError> {
        let select = "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute \
             WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped";
        let rows = self.0.query(select, &[&table.name]).await.map_err(broken)?;
        let columns = Columns(rows.iter().map(|row| (row.get(0), row.get(1))).collect());
        let is_there = |name: &str| columns.0.iter().any(|(there, _)| there == name);
        if !table.needed.split(", ").all(is_there) {
            return Err(LegacyError::NoTable(table.name, table.needed));
        }
        Ok(columns)
    }
}

/// Names and types of a table's columns.
struct Columns(Vec<(String, String)>);

impl Columns {
    /// The first of these that is there.
    fn first(&self, names: &[&'static str]) -> Option<(&'static str, &str)> {
        names.iter().find_map(|name| {
            let found = self.0.iter().find(|(there, _)| there == name);
            found.map(|(_, kind)| (*name, kind.as_str()))
        })
    }

    fn hash(&self) -> String {
        match self.first(&["token_hash"]) {
            Some((name, "bytea")) => format!("encode({name}, 'hex')"),
            _ => self.text(&["token_hash"]),
        }
    }

    fn networks(&self) -> String {
        match self.first(&["bound_ip"]) {
            Some((name, kind)) if kind.ends_with("[]") => format!("array_to_string({name}, ',')"),
            _ => self.text(&["bound_ip"]),
        }
    }

    fn text(&self, names: &[&'static str]) -> String {
        self.first(names)
            .map_or("NULL::text".to_owned(), |(name, _)| format!("{name}::text"))
    }

    /// A moment without a time zone is one of UTC.
    fn milliseconds(&self, names: &[&'static str]) -> String {
        self.first(names).map_or("NULL::bigint".to_owned(), |(name, _)| {
            format!("floor(extract(epoch FROM {name}) * 1000)::bigint")
        })
    }
}

/// Why a row was not taken.
enum Stop {
    /// It is wrong, in these words.
    Wrong(String),
    /// Nothing goes on.
    End(CliError),
}

impl From<String> for Stop {
    fn from(text: String) -> Self {
        Self::Wrong(text)
    }
}

fn binding(row: &Row) -> Result<LegacyBinding, String> {
    let networks = networks(row.get(2))?;
    if networks.is_empty() || networks.len() > BINDING_NETWORKS_MAX {
        return Err(format!(
            "bound_ip has {} networks; wanted 1 to {BINDING_NETWORKS_MAX}",
            networks.len()
        ));
    }
    Ok(LegacyBinding {
        hash: hash(row.get(1))?.ok_or("token_hash is empty")?,
        networks,
        status: status(row.get(3))?,
        bound_at: Timestamp::from_unix_ms(row.get(4)),
        last_used_at: row.get::<_, Option<i64>>(5).map(Timestamp::from_unix_ms),
    })
}

fn intercept(row: &Row) -> Result<LegacyIntercept, String> {
    let client: Option<Network> = networks(row.get(3))?.first().copied();
    let at: Option<i64> = row.get(4);
    Ok(LegacyIntercept {
        id: row.get(0),
        hash: hash(row.get(1))?,
        networks: networks(row.get(2))?,
        client_ip: client.map_or(ClientIp::UNSPECIFIED, |network| network.first()),
        at: Timestamp::from_unix_ms(at.ok_or("intercepted_at is empty")?),
    })
}

fn hash(text: Option<&str>) -> Result<Option<KeyFingerprint>, String> {
    let digits = text
        .map(|text| text.trim().to_ascii_lowercase())
        .filter(|text| !text.is_empty());
    digits
        .map(|digits| {
            sentinel_store::transfer::fingerprint(&digits)
                .ok_or_else(|| "token_hash is no SHA-256 in hexadecimal digits".to_owned())
        })
        .transpose()
}

/// A word that is not known may be a ban: it is no guess.
fn status(text: Option<&str>) -> Result<BindingStatus, String> {
    match text.map(str::to_ascii_lowercase).as_deref() {
        None | Some("1" | "active") => Ok(BindingStatus::Active),
        Some("2" | "banned") => Ok(BindingStatus::Banned),
        Some(_) => Err("status is none of 1, active, 2, banned".to_owned()),
    }
}

fn networks(text: Option<&str>) -> Result<Vec<Network>, String> {
    let mut networks = Vec::new();
    for part in text
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        let network = network(part).ok_or("an address is neither an address nor a network")?;
        if !networks.contains(&network) {
            networks.push(network);
        }
    }
    Ok(networks)
}

/// An address, or a network; an IPv4 address that is written as an IPv6 one is the IPv4 address.
fn network(text: &str) -> Option<Network> {
    match text.parse() {
        Ok(network) => Some(network),
        Err(NetworkError::MappedIpv4(text)) => {
            let address: IpAddr = text.strip_suffix("/128").unwrap_or(&text).parse().ok()?;
            Some(Network::widen(ClientIp::new(address), 32, 128))
        }
        Err(NetworkError::Malformed(_)) => None,
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands where errors are mapped")]
fn broken(error: tokio_postgres::Error) -> LegacyError {
    LegacyError::Database(said(&error))
}

/// What the server said, or what is wrong with the connection. The library's own text shows no password.
fn said(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(server), _) => server.message().to_owned(),
        (None, Some(cause)) => format!("{error}: {cause}"),
        (None, None) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nobody accepts: the wait ends all the same.
    #[tokio::test(start_paused = true)]
    async fn a_database_that_says_nothing_is_not_waited_for_for_long() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = silent.local_addr().expect("its address").port();
        let begun = tokio::time::Instant::now();
        let dsn = format!("postgresql+asyncpg://sentinel@127.0.0.1:{port}/sentinel");
        let error = LegacyDatabase::open(&dsn).await.err().expect("nobody answers");
        assert!(matches!(error, LegacyError::Unreachable(_)), "{error}");
        assert!(begun.elapsed() >= CONNECT_WAIT_MAX, "{:?}", begun.elapsed());
    }

    #[test]
    fn a_status_that_is_not_known_is_no_guess() {
        assert_eq!(status(None), Ok(BindingStatus::Active));
        assert_eq!(status(Some("Active")), Ok(BindingStatus::Active));
        assert_eq!(status(Some("2")), Ok(BindingStatus::Banned));
        assert!(status(Some("0")).is_err());
    }

    #[test]
    fn networks_are_read_in_every_form_that_a_column_gives() {
        let read =
            |text| networks(Some(text)).map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(read("192.0.2.7/32"), Ok(vec!["192.0.2.7/32".to_owned()]));
        assert_eq!(read("::ffff:192.0.2.7/128"), Ok(vec!["192.0.2.7/32".to_owned()]));
        assert_eq!(
            read("10.0.0.0/8, 2001:db8::/48,10.0.0.0/8"),
            Ok(vec!["10.0.0.0/8".to_owned(), "2001:db8::/48".to_owned()])
        );
        assert!(read("here").is_err());
        assert!(read("::ffff:10.0.0.0/104").is_err());
    }
}

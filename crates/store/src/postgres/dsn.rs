//! Where the database is and how it is reached: what `PG_DSN` says, in libpq's words. Must never show the password, nor any other part
//! of a text that it could not read.
//!
//! tokio-postgres reads most of it. It knows fewer TLS modes than libpq, and counts `tcp_user_timeout` in another unit: those options
//! are read and taken out here first.

mod options;

use std::fmt::{self, Write as _};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, SslNegotiation, TargetSessionAttrs};

use super::{CONNECT_WAIT_MAX, KEEPALIVE_IDLE_MAX, KEEPALIVE_INTERVAL, KEEPALIVE_PROBES, UNACKNOWLEDGED_MAX};
use options::{Form, Pair};

/// The most servers that one DSN names.
pub const HOSTS_MAX: usize = 8;

/// How far TLS goes, in libpq's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// None.
    Disable,
    /// If the server has it; its certificate is not looked at.
    Prefer,
    /// Always; its certificate is not looked at.
    Require,
    /// Always, and an authority that we believe has signed the certificate.
    VerifyCa,
    /// The same, and the certificate is for this host.
    VerifyFull,
}

/// Whose signatures on the server's certificate are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Roots {
    /// The authorities that browsers believe.
    Public,
    /// The ones in this PEM file, and no others.
    File(PathBuf),
}

/// What shows the server who we are inside TLS: PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClientCertificate {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

/// Where the database is: one server or several, of which one takes writes. Shows everything but the password.
#[derive(Clone)]
pub struct PostgresDsn {
    servers: Vec<Config>,
    place: String,
    pub(super) tls: TlsMode,
    pub(super) roots: Roots,
    pub(super) client_certificate: Option<ClientCertificate>,
}

/// Why a text is no DSN. Quotes nothing of the text: a password may be anywhere in one that is malformed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DsnError {
    /// It has neither form.
    #[error("is neither a URL (postgresql://user:password@host:5432/database) nor a list of key=value pairs")]
    Malformed,
    /// It names something that libpq does not have, or that is not supported here.
    #[error("has an option that is not known here; known are {}", options::KNOWN.join(", "))]
    UnknownOption,
    /// An option has a value that it cannot have.
    #[error("has a wrong value for {option}: {expected}")]
    Invalid {
        /// Which option.
        option: &'static str,
        /// What it may be.
        expected: &'static str,
    },
    /// There is no server in it.
    #[error("names no host")]
    NoHost,
    /// There are too many servers in it.
    #[error("names more than {HOSTS_MAX} hosts")]
    TooManyHosts,
    /// Hosts, addresses and ports do not match in number.
    #[error("names different numbers of hosts, host addresses and ports")]
    Mismatched,
}

impl PostgresDsn {
    /// One configuration per server, in order.
    pub(super) fn servers(&self) -> &[Config] {
        &self.servers
    }

    /// `user@host:port,…/database`: for messages.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// How far TLS goes.
    pub fn tls(&self) -> TlsMode {
        self.tls
    }
}

impl FromStr for PostgresDsn {
    type Err = DsnError;

    fn from_str(text: &str) -> Result<Self, DsnError> {
        let (before, pairs) = Form::of(text)?.into_parts();
        let mut ours = Ours::default();
        let mut rest = Vec::new();
        for pair in pairs {
            if !options::KNOWN.contains(&pair.key.as_str()) {
                return Err(DsnError::UnknownOption);
            }
            if !ours.take(&pair)? {
                rest.push(pair);
            }
        }
        let base: Config = Form::with(before.as_deref(), &rest)
            .parse()
            .map_err(|_| misread(&rest))?;
        let (tls, roots) = ours.trust();
        let servers = servers(&base, &ours, tls)?;
        Ok(Self {
            place: place(&base, &servers),
            servers,
            tls,
            roots,
            client_certificate: ours.client_certificate()?,
        })
    }
}

impl fmt::Display for PostgresDsn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.place)
    }
}

impl fmt::Debug for PostgresDsn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PostgresDsn({}, {:?})", self.place, self.tls)
    }
}

/// The options that are read here.
#[derive(Default)]
struct Ours {
    tls: Option<TlsMode>,
    roots: Option<Roots>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    unacknowledged: Option<Duration>,
    connect: Option<Duration>,
}

impl Ours {
    /// Whether the option was one of these.
    fn take(&mut self, pair: &Pair) -> Result<bool, DsnError> {
        let value = pair.value.as_str();
        match pair.key.as_str() {
            "sslmode" => self.tls = Some(tls_mode(value)?),
            "sslrootcert" if value == "system" => self.roots = Some(Roots::Public),
            "sslrootcert" => self.roots = Some(Roots::File(value.into())),
            "sslcert" => self.certificate = Some(value.into()),
            "sslkey" => self.key = Some(value.into()),
            "tcp_user_timeout" => {
                self.unacknowledged = Some(Duration::from_millis(number(value, "tcp_user_timeout")?));
            }
            "connect_timeout" => {
                self.connect = Some(Duration::from_secs(number(value, "connect_timeout")?));
            }
            // Only a server that takes writes can be the authority, whatever is asked for here.
            "target_session_attrs" => return written_to(value).map(|()| true),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// As in libpq: with an authority of one's own, `require` looks at the certificate after all.
    fn trust(&self) -> (TlsMode, Roots) {
        let own = matches!(self.roots, Some(Roots::File(_)));
        let tls = match self.tls.unwrap_or(TlsMode::Prefer) {
            TlsMode::Require if own => TlsMode::VerifyCa,
            tls => tls,
        };
        (tls, self.roots.clone().unwrap_or(Roots::Public))
    }

    fn client_certificate(self) -> Result<Option<ClientCertificate>, DsnError> {
        match (self.certificate, self.key) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => Ok(Some(ClientCertificate { certificate, key })),
            _ => Err(DsnError::Invalid {
                option: "sslcert",
                expected: "sslcert and sslkey go together",
            }),
        }
    }
}

fn tls_mode(value: &str) -> Result<TlsMode, DsnError> {
    match value {
        "disable" => Ok(TlsMode::Disable),
        "allow" | "prefer" => Ok(TlsMode::Prefer),
        "require" => Ok(TlsMode::Require),
        "verify-ca" => Ok(TlsMode::VerifyCa),
        "verify-full" => Ok(TlsMode::VerifyFull),
        _ => Err(DsnError::Invalid {
            option: "sslmode",
            expected: "disable, prefer, require, verify-ca or verify-full",
        }),
    }
}

fn written_to(value: &str) -> Result<(), DsnError> {
    match value {
        "any" | "read-write" | "primary" => Ok(()),
        _ => Err(DsnError::Invalid {
            option: "target_session_attrs",
            expected: "bindings are written, so only a primary serves: read-write",
        }),
    }
}

fn number(value: &str, option: &'static str) -> Result<u64, DsnError> {
    value.parse().map_err(|_| DsnError::Invalid {
        option,
        expected: "a number",
    })
}

/// tokio-postgres could not read it; says which of the options that have only some values may be the reason.
fn misread(rest: &[Pair]) -> DsnError {
    let is_not = |key: &str, known: &[&str]| {
        let mut of_key = rest.iter().filter(|pair| pair.key == key);
        of_key.any(|pair| !known.contains(&pair.value.as_str()))
    };
    if is_not("channel_binding", &["disable", "prefer", "require"]) {
        return DsnError::Invalid {
            option: "channel_binding",
            expected: "disable, prefer or require",
        };
    }
    DsnError::Malformed
}

/// Splits what names several servers, and gives each connection its bounds.
fn servers(base: &Config, ours: &Ours, tls: TlsMode) -> Result<Vec<Config>, DsnError> {
    let (hosts, addresses, ports) = (base.get_hosts(), base.get_hostaddrs(), base.get_ports());
    let count = hosts.len().max(addresses.len());
    let matches = |length: usize, alone: bool| length == count || length == 0 || (alone && length == 1);
    if count == 0 {
        return Err(DsnError::NoHost);
    }
    if count > HOSTS_MAX {
        return Err(DsnError::TooManyHosts);
    }
    if !(matches(hosts.len(), false) && matches(addresses.len(), false) && matches(ports.len(), true)) {
        return Err(DsnError::Mismatched);
    }
    let server = |index: usize| {
        let mut server = without_servers(base);
        let address = addresses.get(index);
        match (hosts.get(index), address) {
            (Some(Host::Unix(folder)), _) => {
                // As in libpq: there is no TLS on a socket of the file system.
                server.host_path(folder).ssl_mode(SslMode::Disable);
            }
            (Some(Host::Tcp(name)), _) => {
                server.host(name).ssl_mode(wire_mode(tls));
            }
            (None, address) => {
                let name = address.map(ToString::to_string).unwrap_or_default();
                server.host(name).ssl_mode(wire_mode(tls));
            }
        }
        if let Some(address) = address {
            server.hostaddr(*address);
        }
        server.port(*ports.get(index).or(ports.first()).unwrap_or(&5432));
        bounded(&mut server, ours);
        server
    };
    Ok((0..count).map(server).collect())
}

fn without_servers(base: &Config) -> Config {
    let mut config = Config::new();
    if let Some(user) = base.get_user() {
        config.user(user);
    }
    if let Some(password) = base.get_password() {
        config.password(password);
    }
    if let Some(database) = base.get_dbname() {
        config.dbname(database);
    }
    if let Some(options) = base.get_options() {
        config.options(options);
    }
    config
        .application_name(base.get_application_name().unwrap_or("key-ip-sentinel"))
        .ssl_negotiation(base.get_ssl_negotiation())
        .channel_binding(base.get_channel_binding())
        .load_balance_hosts(base.get_load_balance_hosts())
        // Looked at by the connector, which says what is wrong with a server that takes no writes.
        .target_session_attrs(TargetSessionAttrs::Any);
    config
}

/// A connection whose other end is gone is noticed, whether something is under way on it or not.
fn bounded(server: &mut Config, ours: &Ours) {
    let connect = ours.connect.filter(|wait| !wait.is_zero());
    let unacknowledged = ours.unacknowledged.filter(|wait| !wait.is_zero());
    server
        .connect_timeout(connect.unwrap_or(CONNECT_WAIT_MAX).min(CONNECT_WAIT_MAX))
        .tcp_user_timeout(unacknowledged.unwrap_or(UNACKNOWLEDGED_MAX))
        .keepalives(true)
        .keepalives_idle(KEEPALIVE_IDLE_MAX)
        .keepalives_interval(KEEPALIVE_INTERVAL)
        .keepalives_retries(KEEPALIVE_PROBES);
}

/// What tokio-postgres has to do about TLS; what is looked at in a certificate is the TLS connector's affair.
fn wire_mode(tls: TlsMode) -> SslMode {
    match tls {
        TlsMode::Disable => SslMode::Disable,
        TlsMode::Prefer => SslMode::Prefer,
        TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => SslMode::Require,
    }
}

/// Whether the server is spoken to in TLS from the first byte on.
pub(super) fn is_direct(server: &Config) -> bool {
    server.get_ssl_negotiation() == SslNegotiation::Direct
}

/// `host:port`, or the folder of a socket.
pub(super) fn server_name(server: &Config) -> String {
    let port = server.get_ports().first().copied().unwrap_or(5432);
    match server.get_hosts().first() {
        Some(Host::Tcp(name)) if name.contains(':') => format!("[{name}]:{port}"),
        Some(Host::Tcp(name)) => format!("{name}:{port}"),
        Some(Host::Unix(folder)) => format!("{}/.s.PGSQL.{port}", folder.display()),
        None => String::new(),
    }
}

fn place(base: &Config, servers: &[Config]) -> String {
    let mut place = String::new();
    if let Some(user) = base.get_user() {
        let _ = write!(place, "{user}@");
    }
    let names: Vec<String> = servers.iter().map(server_name).collect();
    place.push_str(&names.join(","));
    if let Some(database) = base.get_dbname() {
        let _ = write!(place, "/{database}");
    }
    place
}

#[cfg(test)]
mod tests;

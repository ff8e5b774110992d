//! Where Redis is, as one writes it:
//!
//! - `redis://[[user]:password@]host[:port][/database]`: one server
//! - `redis-sentinel://[[user]:password@]host[:port],host[:port]…[/database]?sentinelMasterId=name`: the primary that Redis
//!   Sentinels at these addresses name; `sentinelUsername` and `sentinelPassword` sign in at the Sentinels themselves
//! - `redis-cluster://[[user]:password@]host[:port],host[:port]…`: a Cluster, found by any of these nodes
//!
//! Each with TLS as `rediss://`, `rediss-sentinel://` and `rediss-cluster://`; `valkey://` and `valkeys://` are the same as `redis://`
//! and `rediss://`. What has a meaning in a URL is written in percent signs, in names and passwords too.
//!
//! A password never leaves this type but towards the server: neither it nor an error prints one.

use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

/// The most hosts of one URL.
pub(super) const HOSTS_MAX: usize = 32;
const REDIS_PORT: u16 = 6_379;
const SENTINEL_PORT: u16 = 26_379;

/// A user, and the password that does not print.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
}

/// What stands at the hosts.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Single,
    Sentinel {
        primary: String,
        credentials: Credentials,
    },
    Cluster,
}

/// Where Redis is.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl {
    pub(super) kind: Kind,
    pub(super) is_tls: bool,
    pub(super) credentials: Credentials,
    pub(super) hosts: Vec<(String, u16)>,
    pub(super) database: i64,
}

/// Why a text is no URL of a Redis. Says nothing of the text but what cannot be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedisUrlError {
    /// How it begins.
    #[error(
        "begin with redis://, redis-sentinel:// or redis-cluster://, or with rediss://, rediss-sentinel:// or rediss-cluster:// for TLS"
    )]
    Scheme,
    /// No host, an empty one, or what cannot be one.
    #[error("host number {0} is not of the form host, host:port, or [IPv6 address]:port")]
    Host(usize),
    /// More hosts than the form takes.
    #[error("this form takes at most {0} host(s)")]
    Hosts(usize),
    /// The part behind the hosts.
    #[error("behind the hosts only a slash and the number of a database may stand")]
    Database,
    /// A Cluster has one database.
    #[error("a Cluster has no numbered databases")]
    ClusterDatabase,
    /// Broken percent signs.
    #[error("the user or the password is not UTF-8 text written in percent signs")]
    Credentials,
    /// Which primary?
    #[error("say which primary to ask the Sentinels for: ?sentinelMasterId=name")]
    SentinelMasterId,
    /// An option that this form does not have.
    #[error("unknown option '{0}'")]
    Option(String),
}

fn scheme(name: &str) -> Option<(&'static str, bool)> {
    Some(match name {
        "redis" | "valkey" => ("single", false),
        "rediss" | "valkeys" => ("single", true),
        "redis-sentinel" => ("sentinel", false),
        "rediss-sentinel" => ("sentinel", true),
        "redis-cluster" => ("cluster", false),
        "rediss-cluster" => ("cluster", true),
        _ => return None,
    })
}

fn decoded(text: &str) -> Result<String, RedisUrlError> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| RedisUrlError::Credentials)
}

fn credentials(text: &str) -> Result<Credentials, RedisUrlError> {
    let (username, password) = text.split_once(':').unwrap_or((text, ""));
    let given = |text: &str| (!text.is_empty()).then(|| decoded(text)).transpose();
    Ok(Credentials {
        username: given(username)?,
        password: given(password)?,
    })
}

fn host(text: &str, port: u16) -> Option<(String, u16)> {
    let (name, rest) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').filter(|(name, _)| name.contains(':'))?,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = match rest.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|port| *port > 0)?,
        None if rest.is_empty() => port,
        None => return None,
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._:%".contains(c);
    (!name.is_empty() && name.chars().all(is_plain)).then(|| (name.to_owned(), port))
}

/// `name=value&…`, as texts in clear.
fn options(query: &str) -> Result<Vec<(String, String)>, RedisUrlError> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decoded(name)?, decoded(value)?))
        })
        .collect()
}

impl FromStr for RedisUrl {
    type Err = RedisUrlError;

    fn from_str(text: &str) -> Result<Self, RedisUrlError> {
        let (name, rest) = text.split_once("://").ok_or(RedisUrlError::Scheme)?;
        let (kind, is_tls) = scheme(name).ok_or(RedisUrlError::Scheme)?;
        // A password in which an @, a slash or a question mark was left as it is, is still one.
        let (user, rest) = rest.rsplit_once('@').unwrap_or(("", rest));
        let credentials = credentials(user)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (hosts, database) = rest.split_once('/').unwrap_or((rest, ""));
        let port = if kind == "sentinel" {
            SENTINEL_PORT
        } else {
            REDIS_PORT
        };
        let hosts = (1..)
            .zip(hosts.split(','))
            .map(|(number, text)| host(text.trim(), port).ok_or(RedisUrlError::Host(number)))
            .collect::<Result<Vec<_>, _>>()?;
        let hosts_max = if kind == "single" { 1 } else { HOSTS_MAX };
        if hosts.len() > hosts_max {
            return Err(RedisUrlError::Hosts(hosts_max));
        }
        let mut database = match database {
            "" => 0,
            number => number_of_database(number)?,
        };
        let mut primary = None;
        let mut own = Credentials::default();
        for (name, value) in options(query)? {
            match (kind, name.as_str()) {
                ("sentinel", "sentinelMasterId") => primary = Some(value).filter(|name| !name.is_empty()),
                ("sentinel", "sentinelUsername") => own.username = Some(value),
                ("sentinel", "sentinelPassword") => own.password = Some(value),
                (_, "database") => database = number_of_database(&value)?,
                _ => return Err(RedisUrlError::Option(name)),
            }
        }
        let kind = match kind {
            "single" => Kind::Single,
            "sentinel" => Kind::Sentinel {
                primary: primary.ok_or(RedisUrlError::SentinelMasterId)?,
                credentials: own,
            },
            _ if database != 0 => return Err(RedisUrlError::ClusterDatabase),
            _ => Kind::Cluster,
        };
        Ok(Self {
            kind,
            is_tls,
            credentials,
            hosts,
            database,
        })
    }
}

fn number_of_database(text: &str) -> Result<i64, RedisUrlError> {
    let number = text.parse::<u16>().map_err(|_| RedisUrlError::Database)?;
    Ok(number.into())
}

/// As it was written, without passwords and options.
impl fmt::Display for RedisUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = if self.is_tls { "s" } else { "" };
        let kind = match &self.kind {
            Kind::Single => "",
            Kind::Sentinel { .. } => "-sentinel",
            Kind::Cluster => "-cluster",
        };
        write!(formatter, "redis{tls}{kind}://")?;
        if let Some(username) = &self.credentials.username {
            write!(formatter, "{username}@")?;
        }
        for (number, (host, port)) in self.hosts.iter().enumerate() {
            let comma = if number > 0 { "," } else { "" };
            if host.contains(':') {
                write!(formatter, "{comma}[{host}]:{port}")?;
            } else {
                write!(formatter, "{comma}{host}:{port}")?;
            }
        }
        if self.database != 0 {
            write!(formatter, "/{}", self.database)?;
        }
        if let Kind::Sentinel { primary, .. } = &self.kind {
            write!(formatter, "?sentinelMasterId={primary}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests;

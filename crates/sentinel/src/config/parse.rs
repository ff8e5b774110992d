//! The forms of single values. Each function says what is wrong with a value and what is wanted instead.

use std::fs::File;
use std::io::Read as _;
use std::net::{Ipv6Addr, SocketAddr};

use http::HeaderName;
use sentinel_admin::{PasswordHash, is_password_hash};
use sentinel_core::event::printable;
use sentinel_core::fingerprint::SecretMark;
use sentinel_core::network::Network;
use sentinel_core::profile::Profile;
use sentinel_proxy::{HEALTH_PATH_BYTES_MAX, HealthPath, UpstreamTarget, UpstreamTrust};
use sentinel_store::PostgresDsn;
use sentinel_store::redis::{RedisSettings, RedisUrl};
use tracing_subscriber::EnvFilter;

use super::secret::Secret;
use super::types::AdminPassword;
use super::values::{list_entries, quoted};

/// What a gateway's URL looks like.
const WANTED_URL: &str = "wanted http://host:port or https://host";
/// The most bytes that a file with certificate authorities may have.
pub(crate) const CA_FILE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The widest network of IPv4 proxies that is believed: a wider one holds strangers.
const TRUSTED_IPV4_PREFIX_MIN: u8 = 8;
/// The widest network of IPv6 proxies that is believed.
const TRUSTED_IPV6_PREFIX_MIN: u8 = 16;
/// The most characters of the account's name.
const USERNAME_CHARACTERS_MAX: usize = 64;
/// The most characters of a replica's name.
pub(crate) const REPLICA_NAME_CHARACTERS_MAX: usize = 64;
/// The most bytes of a password; hashing longer ones would cost time for nothing.
const PASSWORD_BYTES_MAX: usize = 1024;
/// Headers that mean something else, so that no proxy may be told to write an address there.
const RESERVED_HEADERS: &[&str] = &[
    "accept",
    "api-key",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "expect",
    "host",
    "keep-alive",
    "mj-api-secret",
    "origin",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "referer",
    "sec-websocket-key",
    "sec-websocket-protocol",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-api-key",
    "x-goog-api-key",
];

/// An address and a port to listen on.
pub(crate) fn listen_address(text: &str) -> Result<SocketAddr, String> {
    // ":7000" is what other programs take for "every address".
    let text = if text.starts_with(':') {
        format!("0.0.0.0{text}")
    } else {
        text.to_owned()
    };
    text.parse().map_err(|_| {
        format!(
            "{} is no address to listen on; wanted an IP address and a port, like 0.0.0.0:7000 or [::]:7000",
            quoted(&text)
        )
    })
}

/// The gateway's URLs, separated by commas or line ends. What may hold a password is not repeated in the error.
pub(crate) fn upstream_urls(text: &str) -> Result<UpstreamTarget, String> {
    let urls: Vec<&str> = list_entries(text).collect();
    for url in &urls {
        upstream_url(url)?;
    }
    UpstreamTarget::parse(&urls.join(",")).map_err(|error| format!("{error}; {WANTED_URL}"))
}

/// One of them.
fn upstream_url(text: &str) -> Result<(), String> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(if text.contains('@') {
            format!("has no http:// in front; {WANTED_URL}")
        } else {
            format!("{} has no http:// in front; {WANTED_URL}", quoted(text))
        });
    };
    if !["http", "https"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known))
    {
        return Err(format!(
            "{} is no scheme that is spoken here; {WANTED_URL}",
            quoted(scheme)
        ));
    }
    if rest.contains('@') {
        return Err(format!(
            "has a user name or password in it, which the gateway would never see; {WANTED_URL}"
        ));
    }
    if rest.contains(['?', '#']) {
        return Err(format!(
            "{} has a query or a fragment; {WANTED_URL}",
            quoted(text)
        ));
    }
    if rest.strip_suffix('/').unwrap_or(rest).contains('/') {
        return Err(format!(
            "{} has a path; requests keep the path that the client asked for, so {WANTED_URL}",
            quoted(text)
        ));
    }
    let is_good = UpstreamTarget::parse(text).is_ok_and(|target| {
        let mut origins = target.origins().iter();
        origins.all(|origin| origin.port() != 0 && !is_broken_ipv6(rest, origin.host()))
    });
    if is_good {
        Ok(())
    } else {
        Err(format!("{} is no URL; {WANTED_URL}", quoted(text)))
    }
}

/// The certificate authorities in a file.
pub(crate) fn ca_file(path: &str) -> Result<UpstreamTrust, String> {
    let pem = pem_file(path)?;
    UpstreamTrust::only(&pem).map_err(|error| wanted_pem(path, &error))
}

fn wanted_pem(path: &str, wrong: &dyn std::fmt::Display) -> String {
    format!(
        "the file {} {wrong}; wanted a PEM file with certificates, like /etc/ssl/certs/ca-certificates.crt",
        quoted(path)
    )
}

/// A PEM file's bytes; whoever uses them says what is in them.
pub(crate) fn pem_file(path: &str) -> Result<Vec<u8>, String> {
    let wanted = |wrong: &dyn std::fmt::Display| wanted_pem(path, wrong);
    let mut pem = Vec::new();
    let limit = u64::try_from(CA_FILE_BYTES_MAX).unwrap_or(u64::MAX);
    File::open(path)
        .and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut pem))
        .map_err(|error| wanted(&format_args!("cannot be read: {error}")))?;
    if pem.len() > CA_FILE_BYTES_MAX {
        return Err(wanted(&format_args!("has more than {CA_FILE_BYTES_MAX} bytes")));
    }
    Ok(pem)
}

/// What is asked for to learn whether an address is healthy.
pub(crate) fn health_path(text: &str) -> Result<HealthPath, String> {
    HealthPath::parse(text).ok_or_else(|| {
        format!(
            "{} is no path; wanted one like /api/status of at most {HEALTH_PATH_BYTES_MAX} bytes",
            quoted(text)
        )
    })
}

/// Whether the host is in brackets, as only an IPv6 address may be, without being one.
fn is_broken_ipv6(authority: &str, host: &str) -> bool {
    authority.starts_with('[') && host.parse::<Ipv6Addr>().is_err()
}

/// The network of a reverse proxy: narrow enough that everybody in it can be believed.
pub(crate) fn trusted_network(text: &str) -> Result<Network, String> {
    let network: Network = text.parse().map_err(|error| format!("{error}"))?;
    let prefix_min = if network.first().addr().is_ipv6() {
        TRUSTED_IPV6_PREFIX_MIN
    } else {
        TRUSTED_IPV4_PREFIX_MIN
    };
    if network.prefix_length() < prefix_min {
        return Err(format!(
            "{} is too wide: whoever is in it can claim any address; name the proxies' own networks (/{prefix_min} or longer)",
            quoted(text)
        ));
    }
    Ok(network)
}

/// The header in which a proxy names the client.
pub(crate) fn client_ip_header(text: &str) -> Result<HeaderName, String> {
    if text.contains('_') {
        return Err(format!(
            "{} has an underscore, and servers take such a name for the one with a dash; wanted a name like x-real-ip",
            quoted(text)
        ));
    }
    let name: HeaderName = text
        .parse()
        .map_err(|_| format!("{} is no header's name; wanted one like x-real-ip", quoted(text)))?;
    if RESERVED_HEADERS.contains(&name.as_str()) {
        return Err(format!(
            "{} means something else; wanted a header like x-real-ip",
            quoted(text)
        ));
    }
    Ok(name)
}

/// One of the operator's own profiles, or a built-in one.
pub(crate) fn profile(text: &str, own: &[Profile]) -> Result<Profile, String> {
    let wanted = text.to_ascii_lowercase();
    let found = own.iter().find(|profile| profile.name == wanted);
    found
        .cloned()
        .or_else(|| Profile::built_in(&wanted))
        .ok_or_else(|| {
            let own = own.iter().map(|profile| &*profile.name);
            let known: Vec<&str> = Profile::BUILT_IN.into_iter().chain(own).collect();
            format!(
                "{} is no profile; wanted one of {}",
                quoted(text),
                known.join(", ")
            )
        })
}

/// The account's name.
pub(crate) fn username(text: &str) -> Result<String, String> {
    if text.is_empty() || printable(text.as_bytes(), USERNAME_CHARACTERS_MAX) != text {
        return Err(format!(
            "wanted a name of at most {USERNAME_CHARACTERS_MAX} printable characters"
        ));
    }
    Ok(text.to_owned())
}

/// A replica's name.
pub(crate) fn replica_name(text: &str) -> Result<String, String> {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    if text.is_empty() || text.len() > REPLICA_NAME_CHARACTERS_MAX || !text.chars().all(is_plain) {
        return Err(format!(
            "wanted a name of at most {REPLICA_NAME_CHARACTERS_MAX} letters, digits, dots, dashes and underscores"
        ));
    }
    Ok(text.to_owned())
}

/// A secret that is long enough to be one.
pub(crate) fn secret(text: &str, bytes_min: usize) -> Result<Secret, String> {
    if text.len() < bytes_min {
        return Err(format!(
            "has {} bytes; wanted at least {bytes_min}, for example what `openssl rand -hex 32` prints",
            text.len()
        ));
    }
    Ok(Secret::new(text))
}

/// The mark of a secret, as a server that does not have it writes it.
pub(crate) fn secret_mark(text: &str) -> Result<SecretMark, String> {
    SecretMark::from_text(text).ok_or_else(|| {
        format!(
            "is {}; wanted 16 hexadecimal digits, as a server prints them",
            quoted(text)
        )
    })
}

/// The account's password, or its hash.
pub(crate) fn admin_password(text: &str) -> Result<AdminPassword, String> {
    if is_password_hash(text) {
        return match PasswordHash::parse(text) {
            Ok(_) => Ok(AdminPassword::Hash(Secret::new(text))),
            // The cause is not repeated: it may quote a part of the hash.
            Err(_) => Err("begins like an argon2 hash but is no complete argon2id one of bearable cost; wanted what \
                 `sentinel hash-password` prints, in single quotes where a shell reads it (in a compose file each $ is \
                 written $$)"
                .to_owned()),
        };
    }
    if ["$2a$", "$2b$", "$2y$", "$1$", "$5$", "$6$"]
        .iter()
        .any(|prefix| text.starts_with(prefix))
    {
        return Err("is a hash of a kind that is not read; wanted a password, or what `sentinel hash-password` prints".to_owned());
    }
    if text.len() > PASSWORD_BYTES_MAX {
        return Err(format!(
            "has {} bytes; wanted at most {PASSWORD_BYTES_MAX}",
            text.len()
        ));
    }
    Ok(AdminPassword::Plain(Secret::new(text)))
}

/// Where PostgreSQL is. The text has a password in it and is not repeated in the error.
pub(crate) fn pg_dsn(text: &str) -> Result<PostgresDsn, String> {
    text.parse()
        .map_err(|error| format!("{error}; wanted postgresql://user:password@host:5432/database"))
}

/// Where Redis is. The text has a password in it and is not repeated in the error.
pub(crate) fn redis_url(text: &str) -> Result<RedisUrl, String> {
    text.parse()
        .map_err(|error| format!("{error}; wanted one like redis://user:password@host:6379"))
}

/// What the keys in Redis begin with.
pub(crate) fn redis_prefix(text: &str) -> Result<String, String> {
    let is_prefix = RedisSettings::new("redis://host".parse().expect("a URL"))
        .with_prefix(text)
        .map(|_| text.to_owned());
    is_prefix.map_err(|error| {
        format!(
            "{} cannot be it: {error}; wanted one like sentinel:",
            quoted(text)
        )
    })
}

/// A network inside the installation that receivers of alerts may be in.
pub(crate) fn receiver_network(text: &str) -> Result<Network, String> {
    text.parse()
        .map_err(|_| format!("cannot hold {}; wanted networks like 10.0.0.0/8", quoted(text)))
}

/// What is logged.
pub(crate) fn log_filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|_| {
        format!(
            "{} is no filter; wanted a level like info, or pairs like info,sentinel_proxy=debug",
            quoted(text)
        )
    })
}

#[cfg(test)]
mod tests;

//! What is configured about the provider. Values are judged here, when they are read; nothing of them is judged again later.

use std::fmt;

use sentinel_core::account::Role;
use sentinel_core::account::external::ISSUER_BYTES_MAX;
use serde_json::{Map, Value};
use url::{Host, Url};
use zeroize::Zeroizing;

/// The most values of a claim that stand for roles, and the most of a token's claim that are looked at.
pub const ROLE_VALUES_MAX: usize = 1000;
/// The most characters of a claim's name, of a value of it, and of the provider's name.
pub const CLAIM_CHARACTERS_MAX: usize = 128;
/// Where the provider sends the browser back to.
pub(crate) const CALLBACK_PATH: &str = "/admin/api/oidc/callback";

/// What is wrong with a provider's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssuerProblem {
    /// No URL, or one with more than scheme, host, port and path.
    #[error("is no address of a provider")]
    Malformed,
    /// Whoever is on the way could vouch for anybody.
    #[error("is not https, without which anybody on the way could vouch for anybody")]
    Plain,
    /// It is too long.
    #[error("has more than {ISSUER_BYTES_MAX} bytes")]
    TooLong,
}

/// The provider's address, letter by letter as it calls itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    text: String,
    is_local: bool,
}

impl Issuer {
    /// Reads an address: https, or http on this machine.
    pub fn parse(text: &str) -> Result<Self, IssuerProblem> {
        if text.len() > ISSUER_BYTES_MAX {
            return Err(IssuerProblem::TooLong);
        }
        let url = Url::parse(text).map_err(|_| IssuerProblem::Malformed)?;
        let has_more = url.query().is_some() || url.fragment().is_some();
        if has_more || !is_anonymous(&url) {
            return Err(IssuerProblem::Malformed);
        }
        let is_local = url.scheme() == "http" && is_loopback(&url);
        if url.scheme() != "https" && !is_local {
            return Err(IssuerProblem::Plain);
        }
        let text = text.to_owned();
        Ok(Self { text, is_local })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Where it describes itself (OpenID Connect Discovery, section 4).
    pub(crate) fn discovery(&self) -> String {
        let base = self.text.strip_suffix('/').unwrap_or(&self.text);
        format!("{base}/.well-known/openid-configuration")
    }

    /// One of the addresses that it names, if it may be called: over https, or on this machine when the issuer is there, too.
    pub(crate) fn endpoint(&self, text: &str) -> Option<Url> {
        let url = Url::parse(text).ok()?;
        let is_safe =
            url.scheme() == "https" || (self.is_local && url.scheme() == "http" && is_loopback(&url));
        (is_safe && is_anonymous(&url) && url.fragment().is_none()).then_some(url)
    }
}

fn is_anonymous(url: &Url) -> bool {
    url.has_host() && url.username().is_empty() && url.password().is_none()
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The console's address, as it is configured; no request has a say in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsoleUrl(String);

impl ConsoleUrl {
    /// Takes the address over, as `https://sentinel.example.com`.
    pub fn new(url: &str) -> Self {
        Self(url.trim_end_matches('/').to_owned())
    }

    /// The address of a path of the admin listener.
    pub(crate) fn of(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// Where the provider sends the browser back to.
    pub fn callback(&self) -> String {
        self.of(CALLBACK_PATH)
    }

    /// Whether browsers reach it over https only.
    pub fn is_secure(&self) -> bool {
        self.0.starts_with("https://")
    }
}

/// What proves to the provider that it is us who ask. Does not print; wiped when dropped.
#[derive(Clone)]
pub struct ClientSecret(Zeroizing<String>);

impl ClientSecret {
    /// Wraps the text.
    pub fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ClientSecret(redacted)")
    }
}

/// Which values of which claim stand for which role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleMapping {
    /// The claim's name; with dots, a way into objects, where no claim has this very name.
    pub claim: String,
    /// Values that make an owner.
    pub owners: Vec<String>,
    /// Values that make an operator.
    pub operators: Vec<String>,
    /// Values that make a viewer.
    pub viewers: Vec<String>,
}

impl RoleMapping {
    /// The highest role that the claims give; none when they give none. Values are compared letter by letter.
    pub(crate) fn role(&self, claims: &Map<String, Value>) -> Option<Role> {
        let values: Vec<&str> = match self.find(claims)? {
            Value::String(value) => vec![value],
            Value::Array(values) => values
                .iter()
                .take(ROLE_VALUES_MAX)
                .filter_map(Value::as_str)
                .collect(),
            _ => return None,
        };
        let has = |wanted: &[String]| wanted.iter().any(|wanted| values.contains(&wanted.as_str()));
        [
            (Role::Owner, &self.owners),
            (Role::Operator, &self.operators),
            (Role::Viewer, &self.viewers),
        ]
        .into_iter()
        .find_map(|(role, wanted)| has(wanted).then_some(role))
    }

    fn find<'v>(&self, claims: &'v Map<String, Value>) -> Option<&'v Value> {
        if let Some(value) = claims.get(&self.claim) {
            return Some(value);
        }
        let (first, rest) = self.claim.split_once('.')?;
        let mut parts = rest.split('.');
        parts.try_fold(claims.get(first)?, |value, part| value.as_object()?.get(part))
    }
}

/// Everything that is configured about the provider.
#[derive(Clone, Debug)]
pub struct OidcSettings {
    /// What the button says.
    pub name: String,
    /// The provider.
    pub issuer: Issuer,
    /// What it knows us as.
    pub client_id: String,
    /// What proves that it is us.
    pub client_secret: ClientSecret,
    /// What is asked for; `openid` is among them.
    pub scopes: Vec<String>,
    /// Who may do what.
    pub roles: RoleMapping,
    /// Where operators reach the console.
    pub console: ConsoleUrl,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_issuer_is_https_or_on_this_machine() {
        for text in [
            "https://id.example",
            "https://id.example:8443/realms/main/",
            "http://127.0.0.1:9",
            "http://localhost:9/x",
            "http://[::1]:9",
            "https://10.0.0.7/realms/main",
        ] {
            assert_eq!(Issuer::parse(text).map(|issuer| issuer.text), Ok(text.to_owned()));
        }
        let long = format!("https://id.example/{}", "a".repeat(ISSUER_BYTES_MAX));
        for (text, problem) in [
            ("id.example", IssuerProblem::Malformed),
            ("https://id.example?x", IssuerProblem::Malformed),
            ("https://id.example#x", IssuerProblem::Malformed),
            ("https://user:secret@id.example", IssuerProblem::Malformed),
            ("http://id.example", IssuerProblem::Plain),
            ("http://10.0.0.7", IssuerProblem::Plain),
            ("ftp://id.example", IssuerProblem::Plain),
            (&long, IssuerProblem::TooLong),
        ] {
            assert_eq!(Issuer::parse(text), Err(problem), "{text}");
        }
    }

    #[test]
    fn an_endpoint_is_as_safe_as_its_issuer() {
        let is_taken = |issuer, text| {
            let issuer = Issuer::parse(issuer).expect("an issuer");
            issuer.endpoint(text).is_some()
        };
        assert!(is_taken("https://id.example", "https://tokens.example/token"));
        for text in [
            "http://id.example/token",
            "http://127.0.0.1/token",
            "https://a:b@id.example/",
            "https://id.example/#x",
            "file:///etc/passwd",
            "token",
        ] {
            assert!(!is_taken("https://id.example", text), "{text}");
        }
        assert!(is_taken("http://127.0.0.1:9", "http://localhost:10/token"));
        assert!(!is_taken("http://127.0.0.1:9", "http://id.example/token"));
        let discovery = |text| Issuer::parse(text).expect("an issuer").discovery();
        assert_eq!(
            discovery("https://id.example/o/sentinel/"),
            "https://id.example/o/sentinel/.well-known/openid-configuration"
        );
    }

    #[test]
    fn the_highest_role_counts_and_nobody_has_one_by_default() {
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        let mapping = |claim: &str| RoleMapping {
            claim: claim.to_owned(),
            owners: texts(&["admins"]),
            operators: texts(&["ops", "on-call"]),
            viewers: texts(&["staff"]),
        };
        let role = |claim: &str, claims: Value| mapping(claim).role(claims.as_object().expect("an object"));
        for (value, expected) in [
            (json!(["staff", "admins"]), Some(Role::Owner)),
            (json!(["on-call", "staff"]), Some(Role::Operator)),
            (json!("staff"), Some(Role::Viewer)),
            (json!(["Admins", "admins "]), None),
            (json!([["admins"], 7, null]), None),
            (json!([]), None),
            (json!({"admins": true}), None),
            (Value::Null, None),
        ] {
            assert_eq!(role("groups", json!({"groups": value})), expected, "{value}");
        }
        assert_eq!(role("groups", json!({"roles": ["admins"]})), None);
        let nested = json!({"realm_access": {"roles": ["ops"]}, "a.b": "staff", "a": {"b": "admins"}});
        assert_eq!(role("realm_access.roles", nested.clone()), Some(Role::Operator));
        assert_eq!(
            role("a.b", nested.clone()),
            Some(Role::Viewer),
            "the very name first"
        );
        assert_eq!(role("realm_access.roles.x", nested), None);
        let many: Vec<String> = (0..ROLE_VALUES_MAX)
            .map(|number| number.to_string())
            .chain(["admins".to_owned()])
            .collect();
        assert_eq!(role("groups", json!({"groups": many})), None);
        assert_eq!(RoleMapping::default().role(&Map::new()), None);
    }

    #[test]
    fn the_console_s_address_is_the_configured_one_and_the_secret_does_not_print() {
        let console = ConsoleUrl::new("https://sentinel.example/");
        assert_eq!(
            console.callback(),
            "https://sentinel.example/admin/api/oidc/callback"
        );
        assert!(console.is_secure() && !ConsoleUrl::new("http://127.0.0.1:7001").is_secure());
        assert_eq!(format!("{:?}", ClientSecret::new("x")), "ClientSecret(redacted)");
    }
}

//! Sign-in by a provider in the configuration. Either all of it is there or none; nothing is asked of the provider while the configuration is
//! judged.

use sentinel_admin::{
    CLAIM_CHARACTERS_MAX, ClientSecret, ConsoleUrl, Issuer, OidcSettings, ROLE_VALUES_MAX, RoleMapping,
};
use sentinel_alerts::outbound::trust;
use sentinel_core::account::AdministratorName;
use sentinel_core::event::printable;

use super::alerts;
use super::parse;
use super::secret::Secret;
use super::setting::Setting;
use super::table;
use super::types::OidcConfig;
use super::values::{Values, quoted};

/// The most bytes of a client's id, of its secret, and of a scope.
pub(super) const CLIENT_BYTES_MAX: usize = 1024;
/// What every provider has to be asked for.
const OPENID: &str = "openid";

/// Who may do what.
const ROLE_LISTS: [&Setting; 3] = [
    &table::ADMIN_OIDC_OWNERS,
    &table::ADMIN_OIDC_OPERATORS,
    &table::ADMIN_OIDC_VIEWERS,
];

/// All settings but the issuer's own.
const OTHERS: [&Setting; 9] = [
    &table::ADMIN_OIDC_CLIENT_ID,
    &table::ADMIN_OIDC_CLIENT_SECRET,
    &table::ADMIN_OIDC_NAME,
    &table::ADMIN_OIDC_SCOPES,
    &table::ADMIN_OIDC_ROLE_CLAIM,
    &table::ADMIN_OIDC_OWNERS,
    &table::ADMIN_OIDC_OPERATORS,
    &table::ADMIN_OIDC_VIEWERS,
    &table::ADMIN_OIDC_CA_FILE,
];

/// The provider, if one is configured. Every value is judged, whether it has an effect or not.
pub(super) fn oidc(values: &mut Values<'_>) -> Option<OidcConfig> {
    let issuer = values.parsed(&table::ADMIN_OIDC_ISSUER, issuer);
    let client_id = values.parsed(&table::ADMIN_OIDC_CLIENT_ID, client_text);
    let client_secret = values.parsed(&table::ADMIN_OIDC_CLIENT_SECRET, client_secret);
    let name = values.parsed(&table::ADMIN_OIDC_NAME, shown);
    let scopes = scopes(values);
    let roles = roles(values);
    let authorities = values.parsed(&table::ADMIN_OIDC_CA_FILE, |path| {
        let pem = parse::pem_file(path)?;
        trust(&pem).map(|_| pem).map_err(|error| error.to_string())
    });
    if !values.is_given(&table::ADMIN_OIDC_ISSUER) {
        for setting in OTHERS {
            if values.is_given(setting) {
                let text = "has no effect while SENTINEL_ADMIN_OIDC_ISSUER is not set";
                values.warning(setting, text);
            }
        }
        return None;
    }
    for setting in [&table::ADMIN_OIDC_CLIENT_ID, &table::ADMIN_OIDC_CLIENT_SECRET] {
        if !values.is_given(setting) {
            let text = "is not set; wanted what the provider shows where this installation is registered as a client";
            values.error(setting, text);
        }
    }
    check_roles(values);
    check_account(values);
    let console = console(values);
    Some(OidcConfig {
        settings: OidcSettings {
            name: name?,
            issuer: issuer?,
            client_id: client_id?,
            client_secret: ClientSecret::new(client_secret?.expose()),
            scopes,
            roles,
            console: console?,
        },
        authorities: authorities.unwrap_or_default(),
    })
}

fn issuer(text: &str) -> Result<Issuer, String> {
    Issuer::parse(text).map_err(|problem| {
        let text = quoted(text);
        format!(
            "{text} {problem}; wanted one like https://id.example.com/realms/main, or http on this machine"
        )
    })
}

fn client_text(text: &str) -> Result<String, String> {
    let is_good = !text.is_empty() && text.len() <= CLIENT_BYTES_MAX && !text.chars().any(char::is_control);
    let wanted = || format!("wanted 1 to {CLIENT_BYTES_MAX} printable characters");
    is_good.then(|| text.to_owned()).ok_or_else(wanted)
}

fn client_secret(text: &str) -> Result<Secret, String> {
    client_text(text).map(Secret::new)
}

/// Browsers are sent back to a configured address; what a request says of itself does not count.
fn console(values: &mut Values<'_>) -> Option<ConsoleUrl> {
    if !values.is_given(&table::ADMIN_PUBLIC_URL) {
        let text = "is not set; wanted the console's address, to which SENTINEL_ADMIN_OIDC_ISSUER sends browsers back";
        values.error(&table::ADMIN_PUBLIC_URL, text);
    }
    // What is wrong with it has been told where it is read for alerts.
    let text = values.text(&table::ADMIN_PUBLIC_URL)?;
    let console = ConsoleUrl::new(&alerts::public_url(text).ok()?);
    if !console.is_secure() && !is_local(text) {
        let text = "is not https: whoever is on the way sees the sign-ins by SENTINEL_ADMIN_OIDC_ISSUER";
        values.warning(&table::ADMIN_PUBLIC_URL, text);
    }
    Some(console)
}

fn is_local(url: &str) -> bool {
    // Only this machine may be an issuer over http, and it is the same question here.
    Issuer::parse(url).is_ok()
}

fn shown(text: &str) -> Result<String, String> {
    let is_good = !text.trim().is_empty() && printable(text.as_bytes(), CLAIM_CHARACTERS_MAX) == text;
    let wanted = || format!("wanted 1 to {CLAIM_CHARACTERS_MAX} printable characters");
    is_good.then(|| text.to_owned()).ok_or_else(wanted)
}

/// What is asked for; `openid` is among it.
fn scopes(values: &mut Values<'_>) -> Vec<String> {
    let scopes = values.list(&table::ADMIN_OIDC_SCOPES, scope);
    if !scopes.iter().any(|scope| scope == OPENID) {
        let text = "wanted openid among them: without it no provider says who somebody is";
        values.error(&table::ADMIN_OIDC_SCOPES, text);
    }
    scopes
}

/// RFC 6749, section 3.3.
fn scope(text: &str) -> Result<String, String> {
    let is_allowed = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    if text.len() <= CLIENT_BYTES_MAX && text.bytes().all(is_allowed) {
        return Ok(text.to_owned());
    }
    Err(format!("{} is no scope; wanted words like groups", quoted(text)))
}

fn roles(values: &mut Values<'_>) -> RoleMapping {
    let claim = values.parsed(&table::ADMIN_OIDC_ROLE_CLAIM, shown);
    let roles = RoleMapping {
        claim: claim.unwrap_or_default(),
        owners: values.list(&table::ADMIN_OIDC_OWNERS, shown),
        operators: values.list(&table::ADMIN_OIDC_OPERATORS, shown),
        viewers: values.list(&table::ADMIN_OIDC_VIEWERS, shown),
    };
    let lists = [&roles.owners, &roles.operators, &roles.viewers];
    for (setting, list) in ROLE_LISTS.into_iter().zip(lists) {
        if list.len() > ROLE_VALUES_MAX {
            let text = format!("has {} entries; wanted at most {ROLE_VALUES_MAX}", list.len());
            values.error(setting, text);
        }
    }
    roles
}

/// Without any nobody could sign in.
fn check_roles(values: &mut Values<'_>) {
    if !ROLE_LISTS.into_iter().any(|setting| values.is_given(setting)) {
        let text = "is not set, and neither are the lists of operators and viewers: nobody could sign in; \
             wanted values of the claim, like the name of a group";
        values.error(&table::ADMIN_OIDC_OWNERS, text);
    }
}

/// Names that begin so are theirs for whom the provider vouches: the log of what administrators did has to tell them apart.
fn check_account(values: &mut Values<'_>) {
    let name = values.text(&table::ADMIN_USERNAME).unwrap_or_default();
    if AdministratorName::is_external(name) {
        let text = "begins like the names of those whom a provider vouches for; wanted another name";
        values.error(&table::ADMIN_USERNAME, text);
    }
}

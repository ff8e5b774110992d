//! Administrators whom a provider of identities vouches for (OpenID Connect). Who they are is the provider's address and what it calls them
//! there, for good; a name is only what they are shown as. Must never take one of them for an administrator who was added otherwise,
//! whatever the names say.

use super::{Administrator, AdministratorName, NAME_CHARACTERS_MAX, Role, administrator_event};
use crate::event::{Actor, AdminEvent};
use sha2::{Digest as _, Sha256};

/// The most bytes of an issuer's address.
pub const ISSUER_BYTES_MAX: usize = 512;
/// The most bytes of what an issuer calls somebody (OpenID Connect Core, section 2, allows 255 characters of ASCII).
pub const SUBJECT_BYTES_MAX: usize = 255;
/// How the names of those begin whom a provider vouches for; no name that is chosen here has a colon.
pub const EXTERNAL_NAME_PREFIX: &str = "oidc:";
/// Between a name and what tells two of one name apart.
const DISTINCTION: char = '#';
/// How many hexadecimal digits that is.
const DISTINCTION_DIGITS: usize = 8;

/// Who somebody is at a provider of identities.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExternalIdentity {
    issuer: String,
    subject: String,
}

impl ExternalIdentity {
    /// What the provider at `issuer` calls `subject`; none when either is empty, too long, or has control characters in it.
    pub fn new(issuer: &str, subject: &str) -> Option<Self> {
        let is_good = |text: &str, bytes_max: usize| {
            !text.is_empty() && text.len() <= bytes_max && !text.chars().any(char::is_control)
        };
        (is_good(issuer, ISSUER_BYTES_MAX) && is_good(subject, SUBJECT_BYTES_MAX)).then(|| Self {
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
        })
    }

    /// The provider's address.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// What it calls them; nobody else has it there.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The same for the same identity, and hardly ever for another.
    fn distinction(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.issuer.as_bytes());
        hash.update([0]);
        hash.update(self.subject.as_bytes());
        let [first, second, third, fourth, ..]: [u8; 32] = hash.finalize().into();
        format!(
            "{:0DISTINCTION_DIGITS$x}",
            u32::from_be_bytes([first, second, third, fourth])
        )
    }
}

/// Somebody whom a provider has vouched for just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalAdministrator {
    /// Who it is.
    pub identity: ExternalIdentity,
    /// What to show them as, the best first; what cannot be a name is passed over.
    pub shown_as: Vec<String>,
    /// What they may do from now on.
    pub role: Role,
}

impl ExternalAdministrator {
    /// The names that they may have, the best first: a store takes the first that is nobody's.
    pub fn names(&self) -> [AdministratorName; 2] {
        let room = NAME_CHARACTERS_MAX - EXTERNAL_NAME_PREFIX.len() - DISTINCTION_DIGITS - 1;
        let mut shown = self.shown_as.iter();
        let shown = shown
            .find(|text| text.len() <= room && AdministratorName::new(text).is_some())
            .map_or("user", String::as_str);
        let distinction = self.identity.distinction();
        [
            AdministratorName(format!("{EXTERNAL_NAME_PREFIX}{shown}")),
            AdministratorName(format!("{EXTERNAL_NAME_PREFIX}{shown}{DISTINCTION}{distinction}")),
        ]
    }

    /// The administrator as it is from this sign-in on; none when nothing about it changes, and of one who is disabled nothing does.
    pub fn renewed(&self, before: &Administrator) -> Option<Administrator> {
        let is_other = before.role != self.role && !before.is_disabled;
        is_other.then(|| Administrator {
            role: self.role,
            ..before.clone()
        })
    }

    /// The admin event of the sign-in that added or changed the administrator. It is their own doing, from where `from` says.
    pub fn event(from: &Actor, before: Option<&Administrator>, after: &Administrator) -> AdminEvent {
        let actor = Actor {
            name: after.name.as_str().to_owned(),
            ..from.clone()
        };
        let action = if before.is_some() {
            "change_administrator"
        } else {
            "add_administrator"
        };
        administrator_event(action, &actor, before, Some(after))
    }
}

impl AdministratorName {
    /// The name as it was stored: a chosen one, or one of those whom a provider vouches for.
    pub fn stored(text: &str) -> Option<Self> {
        let Some(shown) = text.strip_prefix(EXTERNAL_NAME_PREFIX) else {
            return Self::new(text);
        };
        let name = shown.split_once(DISTINCTION).map_or(shown, |(name, _)| name);
        (text.len() <= NAME_CHARACTERS_MAX && Self::new(name).is_some()).then(|| Self(text.to_owned()))
    }

    /// Whether it can only be the name of somebody whom a provider vouches for.
    pub fn is_external(text: &str) -> bool {
        let prefix = text.get(..EXTERNAL_NAME_PREFIX.len());
        prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case(EXTERNAL_NAME_PREFIX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn somebody(subject: &str, shown_as: &[&str]) -> ExternalAdministrator {
        ExternalAdministrator {
            identity: ExternalIdentity::new("https://id.example", subject).expect("a good identity"),
            shown_as: shown_as.iter().map(|&text| text.to_owned()).collect(),
            role: Role::Viewer,
        }
    }

    #[test]
    fn an_identity_is_bounded_and_printable() {
        for (issuer, subject) in [
            ("", "1"),
            ("https://id.example", ""),
            ("https://id.example", "a\nb"),
            (&*"i".repeat(ISSUER_BYTES_MAX + 1), "1"),
            ("https://id.example", &*"s".repeat(SUBJECT_BYTES_MAX + 1)),
        ] {
            assert_eq!(ExternalIdentity::new(issuer, subject), None);
        }
        let longest = (&"i".repeat(ISSUER_BYTES_MAX), &"s".repeat(SUBJECT_BYTES_MAX));
        assert!(ExternalIdentity::new(longest.0, longest.1).is_some());
    }

    #[test]
    fn a_name_is_nobodys_who_was_added_here_and_comes_back_from_the_store() {
        let [name, distinct] = somebody("1", &["管理员", "Two words", "admin"]).names();
        assert_eq!(name.as_str(), "oidc:admin");
        assert!(distinct.as_str().starts_with("oidc:admin#") && distinct.as_str().len() == 19);
        assert_ne!(somebody("2", &["admin"]).names()[1], distinct, "another subject");
        let longest = "a".repeat(NAME_CHARACTERS_MAX - 14);
        let [_, long] = somebody("1", &[&"a".repeat(NAME_CHARACTERS_MAX), &longest]).names();
        assert_eq!(long.as_str().len(), NAME_CHARACTERS_MAX);
        assert_eq!(somebody("1", &["", "system"]).names()[0].as_str(), "oidc:user");
        for name in [name, distinct, long] {
            assert_eq!(AdministratorName::new(name.as_str()), None, "{name:?}");
            assert_eq!(AdministratorName::stored(name.as_str()).as_ref(), Some(&name));
            assert!(AdministratorName::is_external(name.as_str()));
        }
        assert_eq!(
            AdministratorName::stored("ann"),
            AdministratorName::new("ann"),
            "chosen names stay"
        );
        for text in ["oidc:", "oidc:a b", "token:x", "oidc:system"] {
            assert_eq!(AdministratorName::stored(text), None, "{text}");
        }
        assert!(AdministratorName::is_external("OIDC:x") && !AdministratorName::is_external("oid"));
    }
}

//! Who may use the API: passwords, sessions, tokens, roles. Nothing in here prints or logs a secret.

pub(crate) mod caller;
pub(crate) mod password;
pub(crate) mod permission;
pub(crate) mod recent;
pub(crate) mod refresh;
pub(crate) mod second_factor;
pub(crate) mod sessions;
pub(crate) mod sign_in;
pub(crate) mod standing;
pub(crate) mod token;
pub(crate) mod verification;

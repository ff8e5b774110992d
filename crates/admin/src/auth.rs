//! Who may use the API: passwords and tokens. Nothing in here prints or logs a secret.

pub(crate) mod password;
pub(crate) mod sign_in;
pub(crate) mod token;

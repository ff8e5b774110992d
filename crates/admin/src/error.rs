//! What can be wrong with what the admin listener is built from. Errors towards callers are in `problem`.

use crate::auth::password::PASSWORD_BYTES_MAX;
use crate::auth::token::{JWT_SECRET_BYTES_MIN, TOKEN_LIFE_MAX, TOKEN_LIFE_MIN};
use crate::parts::USERNAME_CHARACTERS_MAX;

/// Why the admin listener cannot be built. No message repeats the value that it complains about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// A password that nobody can sign in with.
    #[error("the password is empty or longer than {PASSWORD_BYTES_MAX} bytes")]
    PasswordLength,
    /// Hashing failed, for want of memory or randomness.
    #[error("the password cannot be hashed: {0}")]
    Hashing(String),
    /// It begins like a hash but is none that can be verified.
    #[error("the password hash is not a complete argon2id hash ($argon2id$v=19$m=…,t=…,p=…$salt$hash): {0}")]
    PasswordHash(String),
    /// It would take more memory or time than a sign-in may.
    #[error("the password hash asks for more memory, passes or lanes than a sign-in may take")]
    PasswordHashCost,
    /// An account name that nobody can type, or that would not fit a log line.
    #[error(
        "the user name must have 1 to {USERNAME_CHARACTERS_MAX} characters, without controls or space around it"
    )]
    Username,
    /// The secret that signs tokens is too short to be one.
    #[error("the token secret has {0} bytes; at least {JWT_SECRET_BYTES_MIN} are needed")]
    JwtSecretTooShort(usize),
    /// The secret that seals second factors is too short to be one.
    #[error("the sealing secret has {0} bytes; at least {JWT_SECRET_BYTES_MIN} are needed")]
    SealingSecretTooShort(usize),
    /// Tokens would live too shortly to be used, or too long to be safe.
    #[error("a token must live {} to {} seconds", TOKEN_LIFE_MIN.as_secs(), TOKEN_LIFE_MAX.as_secs())]
    TokenLife,
}

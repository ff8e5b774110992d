//! What went wrong at Redis, in words for an operator. A password is in none of them: servers do not repeat one.

use redis::{ErrorKind, RedisError, ServerErrorKind};
use sentinel_core::ports::StoreError;

/// Why a call failed, and what follows for the calls after it.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) words: String,
    /// Every other call would fail, too, or wait as long: none is made until the server has proved itself.
    pub(super) is_everybodys: bool,
}

impl Failure {
    pub(super) fn of_the_server(words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            is_everybodys: true,
        }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        Self::Unavailable(format!("Redis: {}", failure.words))
    }
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        let text = error.to_string();
        // A script's own failure carries the server's word in its text, on servers before 7.0.
        let says = |word: &str| error.code() == Some(word) || text.contains(word);
        // The first is of a command, the second of a script's command, on servers from 7.0 on.
        if says("NOPERM") || says("The user executing the script") {
            return Self {
                words: format!("the user lacks a right ({text})"),
                is_everybodys: false,
            };
        }
        if says("WRONGTYPE") {
            return Self {
                words: format!("something else is kept under one of our keys ({text})"),
                is_everybodys: false,
            };
        }
        let words = match error.kind() {
            _ if error.is_timeout() => "no answer in time".to_owned(),
            _ if says("READONLY") => {
                "this server is a read replica: point Sentinel at the primary".to_owned()
            }
            _ if says("OOM") => {
                "no memory left (maxmemory): raise it, or set maxmemory-policy to allkeys-lru".to_owned()
            }
            _ if says("WRONGPASS") || says("NOAUTH") => format!("the user or the password is wrong ({text})"),
            ErrorKind::AuthenticationFailed => format!("the user or the password is wrong ({text})"),
            ErrorKind::Server(ServerErrorKind::BusyLoading) => {
                "the server is still loading its data".to_owned()
            }
            ErrorKind::Server(ServerErrorKind::ClusterDown) => {
                format!("the Cluster does not serve every key ({text})")
            }
            ErrorKind::Server(ServerErrorKind::MasterDown) => "a replica has lost its primary".to_owned(),
            ErrorKind::UnexpectedReturnType | ErrorKind::Parse => {
                format!("an answer that makes no sense ({text})")
            }
            _ => text,
        };
        Self::of_the_server(words)
    }
}

//! Lua scripts: sent by their hash, and in full when the server does not know them (any more).

use std::sync::LazyLock;

use redis::aio::ConnectionLike;
use redis::{Cmd, ErrorKind, FromRedisValue, RedisResult, Script, ServerErrorKind};

/// A script with its hash.
pub(super) struct LuaScript {
    source: &'static str,
    hash: String,
}

/// The script that these files make together, made at first use.
macro_rules! lua_script {
    ($($file:literal),+) => {
        std::sync::LazyLock::new(|| $crate::redis::script::LuaScript::new(concat!($(include_str!($file)),+)))
    };
}
pub(super) use lua_script;

/// A script that is made at first use.
pub(super) type LazyScript = LazyLock<LuaScript>;

impl LuaScript {
    pub(super) fn new(source: &'static str) -> Self {
        let hash = Script::new(source).get_hash().to_owned();
        Self { source, hash }
    }

    /// Runs it; `keys` are on one node, by their hash tag.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        connection: &mut impl ConnectionLike,
        keys: &[&str],
        arguments: impl Fn(&mut Cmd),
    ) -> RedisResult<T> {
        let command = |name: &str, script: &str| {
            let mut command = redis::cmd(name);
            command.arg(script).arg(keys.len()).arg(keys);
            arguments(&mut command);
            command
        };
        match command("EVALSHA", &self.hash).query_async(connection).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                command("EVAL", self.source).query_async(connection).await
            }
            outcome => outcome,
        }
    }
}

//! A server, and what is built on it.

use std::time::Duration;

use async_trait::async_trait;
use sentinel_testkit::RedisServer;

use crate::redis::{RedisCache, RedisLink, RedisSettings};
use crate::shared::SharedCache;
use crate::shared::conformance::SharedFixture;

/// Makes every entry older by letting it be kept for less: the server counts down from there.
pub(super) const GROW_OLD: &str = "for _, key in ipairs(redis.call('KEYS', '*binding*')) do \
    local left = redis.call('PTTL', key) - ARGV[1] \
    if left > 0 then redis.call('PEXPIRE', key, left) else redis.call('DEL', key) end end";

pub(super) fn settings(url: &str) -> RedisSettings {
    RedisSettings::new(url.parse().expect("a URL"))
}

/// A link that works already.
pub(super) async fn link(url: &str) -> RedisLink {
    let link = RedisLink::open(settings(url));
    link.up().await;
    link
}

/// One server and a cache on it.
pub(super) struct OnOneServer {
    pub(super) server: RedisServer,
    pub(super) link: RedisLink,
    pub(super) cache: RedisCache,
}

impl OnOneServer {
    pub(super) async fn start() -> Self {
        Self::on(RedisServer::start().await).await
    }

    pub(super) async fn on(server: RedisServer) -> Self {
        let link = link(&server.url()).await;
        Self {
            server,
            cache: RedisCache::new(link.clone()),
            link,
        }
    }
}

#[async_trait]
impl SharedFixture for OnOneServer {
    fn cache(&self) -> &dyn SharedCache {
        &self.cache
    }

    async fn age_by(&self, duration: Duration) {
        let by = duration.as_millis().to_string();
        let _: Option<i64> = self.server.command(&["EVAL", GROW_OLD, "0", &by]).await;
    }

    async fn clear(&self) {
        let () = self.server.command(&["FLUSHALL"]).await;
    }
}

//! The data plane's configuration, in the words of its own crate. Decides nothing: each setting goes to one place.

use sentinel_core::policy::LiveRules;
use sentinel_proxy::{Bounds, ProxyConfig};

use crate::config::Config;

/// What the configuration says of the data plane; the rules are read where they change.
pub(super) fn proxy_config(config: &Config, rules: LiveRules) -> ProxyConfig {
    let (proxy, upstream) = (&config.proxy, &config.upstream);
    let bounds = Bounds {
        connections_max: proxy.connections_max,
        connections_per_address_max: proxy
            .connections_per_address_max
            .map_or(0, std::num::NonZeroUsize::get),
        header_bytes_max: proxy.header_bytes_max,
        header_timeout: proxy.header_timeout,
        stream_idle: upstream.idle_timeout,
        tunnel_idle: upstream.tunnel_idle,
        connect_timeout: upstream.connect_timeout,
        upstream_idle: upstream.pool_idle,
        upstream_connections_max: upstream.connections_max,
        upstream_connects_max: upstream.connects_max,
        upstream_resolve_interval: upstream.resolve_interval,
        upstream_health_interval: upstream.health_interval,
        ..Bounds::default()
    };
    ProxyConfig {
        listen: proxy.listen,
        tls: proxy.tls.clone(),
        forward_auth: config.forward_auth.clone(),
        cores: cores(proxy.cores),
        upstream: upstream.upstream().expect("serving requires it"),
        host_header: upstream.host_header,
        profile: upstream.profile.clone(),
        client_ip: proxy.client_ip_rules(),
        rules,
        bounds,
    }
}

/// As many as were asked for; all that this process may use when none were.
fn cores(asked_for: usize) -> usize {
    match asked_for {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get),
        cores => cores,
    }
}

//! File descriptors. Each connection holds one, and most systems give a process fewer than the bounds allow for until it asks for more.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Bounds;

/// What a process needs beside its connections: listeners, the store, logs, the admin listener's own connections.
const RESERVE: u64 = 512;

/// Raises the limit of this process as far as the bounds need it and the system lets it; says so in the log when that is not far enough.
pub(crate) fn make_room(bounds: &Bounds) {
    let limit = getrlimit(Resource::Nofile);
    let wanted = wanted(bounds);
    if let Some(current) = raised(limit, wanted) {
        let new = Rlimit {
            current: Some(current),
            ..limit
        };
        if let Err(error) = setrlimit(Resource::Nofile, new) {
            tracing::warn!(%error, "the limit of open files cannot be raised");
        }
    }
    let has = getrlimit(Resource::Nofile).current;
    if let Some(has) = has.filter(|has| *has < wanted) {
        tracing::warn!(
            has,
            wanted,
            "open files run out before the bounds of connections are reached: raise the hard limit (ulimit -Hn, LimitNOFILE), or lower \
             SENTINEL_PROXY_CONNECTIONS_MAX and SENTINEL_UPSTREAM_CONNECTIONS_MAX"
        );
    }
}

/// As many as there can be connections on both sides, and some.
fn wanted(bounds: &Bounds) -> u64 {
    let connections = bounds
        .connections_max
        .saturating_add(bounds.upstream_connections_max);
    u64::try_from(connections)
        .unwrap_or(u64::MAX)
        .saturating_add(RESERVE)
}

/// The limit to ask for; none when the one that there is suffices, or no higher one can be had.
fn raised(limit: Rlimit, wanted: u64) -> Option<u64> {
    let current = limit.current?;
    let possible = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    (possible > current).then_some(possible)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_as_far_as_is_wanted_and_allowed() {
        let raised = |current, maximum, wanted| raised(Rlimit { current, maximum }, wanted);
        assert_eq!(raised(Some(1_024), Some(4_096), 2_000), Some(2_000));
        assert_eq!(raised(Some(1_024), Some(4_096), 50_000), Some(4_096));
        assert_eq!(raised(Some(1_024), None, 50_000), Some(50_000));
        assert_eq!(raised(Some(4_096), Some(4_096), 50_000), None);
        assert_eq!(raised(Some(4_096), Some(4_096), 2_000), None);
        assert_eq!(raised(None, None, 2_000), None);
    }

    #[test]
    fn both_sides_are_counted() {
        let bounds = Bounds {
            connections_max: 10,
            upstream_connections_max: 20,
            ..Bounds::default()
        };
        assert_eq!(wanted(&bounds), 30 + RESERVE);
    }
}

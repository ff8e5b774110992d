//! Hearing of changes that are made elsewhere, on every channel that the stores have. What is heard is acted on by others.

use std::sync::Arc;

use sentinel_core::ports::BindingWatcher;
use sentinel_core::time::Clock;
use sentinel_store::CachedLookup;
use sentinel_store::changes::ChangeFeed;
use sentinel_store::listener::{ChangeListener, ChannelObserver as _, ListenerParts};

use crate::metrics::ChannelMetrics;
use crate::settings::LiveSettings;
use crate::stores::Stores;

/// What listens on these channels, and tells the lookup, the requests under way and the settings.
pub(super) fn listening_on(
    feeds: &[Box<dyn ChangeFeed>],
    (lookup, watcher, channels): (Arc<CachedLookup>, Arc<dyn BindingWatcher>, ChannelMetrics),
    stores: &Stores,
    settings: &LiveSettings,
    clock: &Arc<dyn Clock>,
) -> Arc<ChangeListener> {
    for feed in feeds {
        // One that never worked is no less lost than one that did.
        channels.is_up(feed.channel(), false);
    }
    ChangeListener::new(ListenerParts {
        lookup,
        shared: stores.shared.as_ref().map(|shared| Arc::clone(&shared.store)),
        watcher,
        settings: settings.heard(),
        observer: Arc::new(channels),
        clock: Arc::clone(clock),
    })
}

//! What is promised of links that were used.

use futures_util::future::join_all;

use super::at;
use crate::alert::ports::UsedLinks;

/// Until it expires, however many open it at once.
pub async fn a_link_is_used_once(store: &impl UsedLinks) {
    let uses = join_all((0..16).map(|_| store.use_once("one", at(10), at(1)))).await;
    let firsts = uses.into_iter().filter(|first| *first == Ok(true));
    assert_eq!(firsts.count(), 1);
    assert_eq!(store.use_once("one", at(10), at(9)).await, Ok(false));
    assert_eq!(store.use_once("another", at(10), at(9)).await, Ok(true));
}

/// A link that has expired is refused by its own date; its use need not be remembered.
pub async fn an_expired_link_is_forgotten(store: &impl UsedLinks) {
    assert_eq!(store.use_once("one", at(10), at(1)).await, Ok(true));
    assert_eq!(store.use_once("one", at(20), at(10)).await, Ok(true));
}

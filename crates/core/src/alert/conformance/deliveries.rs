//! Promises about deliveries: who takes them, and how they end. Must never know what a store is made of.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;

use super::{advance, at, channel, draft, raised};
use crate::alert::ports::{
    AlertStore, DELIVERY_ERROR_CHARACTERS_MAX, Delivery, DeliveryFilter, DeliveryId, DeliveryState,
    Transition,
};
use crate::alert::{AlertState, ChannelId};

const LEASE: Duration = Duration::from_secs(30);

pub(super) fn all() -> DeliveryFilter {
    DeliveryFilter {
        limit: 100,
        ..DeliveryFilter::default()
    }
}

async fn take(store: &impl AlertStore, now: i64, limit: u32) -> Vec<Delivery> {
    store
        .take_due(&channel("ops"), at(now), LEASE, limit)
        .await
        .expect("the store answers")
}

async fn show(store: &impl AlertStore, id: DeliveryId) -> Delivery {
    let rows = store.deliveries(all()).await.expect("a page");
    rows.into_iter()
        .find(|delivery| delivery.id == id)
        .expect("it is there")
}

/// One that a worker has just taken.
async fn taken(store: &impl AlertStore, now: i64) -> Delivery {
    raised(store, 1, now, &[channel("ops")]).await;
    let mut taken = take(store, now, 10).await;
    assert_eq!(taken.len(), 1);
    taken.remove(0)
}

/// Each of the alert as it is at the transition; a channel that is named twice gets one.
pub async fn a_transition_makes_one_delivery_per_channel(store: &impl AlertStore) {
    let channels = ["ops", "mail", "ops"].map(channel);
    let first = raised(store, 1, 1_000, &channels).await;
    let calm = store.transition(advance(&first, AlertState::Calmed, 2_000), &channels[..1]);
    calm.await.expect("advanced");
    let made = store.deliveries(all()).await.expect("a page");
    let summary: Vec<(&str, &str, u32)> = made
        .iter()
        .map(|delivery| {
            (
                delivery.channel.as_str(),
                delivery.alert.state.as_str(),
                delivery.alert.sequence,
            )
        })
        .collect();
    assert_eq!(summary[0], ("ops", "calmed", 1));
    assert_eq!(summary.len(), 3);
    assert!(summary.contains(&("mail", "firing", 0)) && summary.contains(&("ops", "firing", 0)));
    let oldest = made.last().expect("three");
    assert_eq!(oldest.alert, first);
    assert_eq!((oldest.state, oldest.attempts), (DeliveryState::Pending, 0));
    assert_eq!((oldest.since, oldest.next_attempt_at), (at(1_000), at(1_000)));
    assert_eq!((oldest.ended_at, &oldest.last_error), (None, &None));
}

/// Only the winner's channels hear of it.
pub async fn a_lost_transition_delivers_nothing(store: &impl AlertStore) {
    let ops = [channel("ops")];
    let first = raised(store, 1, 1_000, &ops).await;
    let again = Transition::Raise(Box::new(draft(1, 2_000)));
    store.transition(again, &ops).await.expect("lost");
    let mut stale = first.clone();
    stale.sequence = 9;
    let advanced = store
        .transition(advance(&stale, AlertState::Calmed, 3_000), &ops)
        .await;
    advanced.expect("lost");
    assert_eq!(store.deliveries(all()).await.expect("a page").len(), 1);
}

/// However many replicas take at once.
pub async fn a_delivery_is_taken_by_one(store: &impl AlertStore) {
    for number in 0..20 {
        raised(store, number, 1_000, &[channel("ops")]).await;
    }
    let takes = join_all((0..8).map(|_| take(store, 2_000, 5))).await;
    let ids: Vec<DeliveryId> = takes.into_iter().flatten().map(|delivery| delivery.id).collect();
    let different: BTreeSet<DeliveryId> = ids.iter().copied().collect();
    assert_eq!(ids.len(), different.len(), "none was taken twice");
    let mut left = 20 - ids.len();
    while left > 0 {
        let more = take(store, 2_000, 5).await.len();
        assert!(more > 0, "none is lost");
        left -= more;
    }
    assert_eq!(take(store, 2_000, 5).await, []);
}

/// And no more than asked for.
pub async fn a_channel_takes_its_own_the_longest_due_first(store: &impl AlertStore) {
    raised(store, 1, 3_000, &[channel("ops")]).await;
    raised(store, 2, 1_000, &[channel("ops"), channel("mail")]).await;
    raised(store, 3, 2_000, &[channel("ops")]).await;
    assert_eq!(take(store, 999, 10).await, [], "none is due yet");
    let first = take(store, 5_000, 2).await;
    let subjects: Vec<_> = first
        .iter()
        .map(|delivery| delivery.alert.binding.expect("one").0)
        .collect();
    assert_eq!(subjects, [2, 3]);
    assert!(first.iter().all(|delivery| delivery.attempts == 1));
    assert!(
        first
            .iter()
            .all(|delivery| delivery.next_attempt_at == at(35_000))
    );
    assert_eq!(take(store, 5_000, 0).await, []);
    assert_eq!(take(store, 5_000, 10).await.len(), 1);
    let mail = store.take_due(&channel("mail"), at(5_000), LEASE, 10).await;
    assert_eq!(mail.expect("taken").len(), 1);
}

/// By somebody else, whose word counts from then on; that the receiver took it counts from anybody.
pub async fn a_lease_that_ran_out_is_taken_again(store: &impl AlertStore) {
    let first = taken(store, 1_000).await;
    assert_eq!(take(store, 30_999, 10).await, []);
    let second = take(store, 31_000, 10).await.remove(0);
    assert_eq!((second.id, second.attempts), (first.id, 2));
    assert_eq!(second.alert.notice_id(), first.alert.notice_id());
    assert_eq!(store.failed(first.id, 1, at(99_000), "late").await, Ok(false));
    assert_eq!(store.dead(first.id, 1, at(31_500), "late").await, Ok(false));
    assert_eq!(show(store, first.id).await.next_attempt_at, at(61_000));
    assert_eq!(store.delivered(first.id, at(32_000)).await, Ok(true));
    assert_eq!(store.failed(first.id, 2, at(99_000), "later").await, Ok(false));
    let ended = show(store, first.id).await;
    assert_eq!(
        (ended.state, ended.ended_at),
        (DeliveryState::Delivered, Some(at(32_000)))
    );
}

/// Until its next attempt.
pub async fn a_failed_delivery_waits(store: &impl AlertStore) {
    let first = taken(store, 1_000).await;
    assert_eq!(
        store.failed(first.id, 1, at(9_000), "refused\u{0}once").await,
        Ok(true)
    );
    let waiting = show(store, first.id).await;
    assert_eq!(
        (waiting.state, waiting.next_attempt_at),
        (DeliveryState::Pending, at(9_000))
    );
    let error = waiting.last_error.expect("an error");
    assert!(error.starts_with("refused") && error.ends_with("once"));
    assert_eq!(take(store, 8_999, 10).await, []);
    let second = take(store, 9_000, 10).await.remove(0);
    assert_eq!(second.attempts, 2);
    assert_eq!(store.failed(DeliveryId(-1), 1, at(1), "unknown").await, Ok(false));
}

/// With its attempts counted anew.
pub async fn a_dead_delivery_is_brought_back_by_hand_only(store: &impl AlertStore) {
    let first = taken(store, 1_000).await;
    assert_eq!(
        store.retry(first.id, at(1_500)).await,
        Ok(false),
        "it is not dead"
    );
    assert_eq!(store.dead(first.id, 1, at(2_000), "gone").await, Ok(true));
    let dead = show(store, first.id).await;
    assert_eq!(
        (dead.state, dead.ended_at),
        (DeliveryState::Dead, Some(at(2_000)))
    );
    assert_eq!(dead.last_error.as_deref(), Some("gone"));
    assert_eq!(take(store, 99_000, 10).await, []);
    assert_eq!(store.delivered(first.id, at(3_000)).await, Ok(false));
    assert_eq!(store.retry(first.id, at(100_000)).await, Ok(true));
    assert_eq!(store.retry(first.id, at(100_000)).await, Ok(false));
    let again = take(store, 100_000, 10).await.remove(0);
    assert_eq!((again.id, again.attempts, again.ended_at), (first.id, 1, None));
    assert_eq!(again.since, at(100_000));
    assert_eq!(store.retry(DeliveryId(-1), at(1)).await, Ok(false));
}

/// Nothing brings it back.
pub async fn what_is_delivered_stays_delivered(store: &impl AlertStore) {
    let first = taken(store, 1_000).await;
    assert_eq!(store.delivered(first.id, at(2_000)).await, Ok(true));
    assert_eq!(store.delivered(first.id, at(3_000)).await, Ok(false));
    assert_eq!(store.dead(first.id, 1, at(3_000), "late").await, Ok(false));
    assert_eq!(store.retry(first.id, at(3_000)).await, Ok(false));
    assert_eq!(take(store, 99_000, 10).await, []);
    assert_eq!(show(store, first.id).await.ended_at, Some(at(2_000)));
    assert_eq!(store.delivered(DeliveryId(-1), at(1)).await, Ok(false));
}

/// To [`DELIVERY_ERROR_CHARACTERS_MAX`] characters.
pub async fn an_error_is_cut(store: &impl AlertStore) {
    let first = taken(store, 1_000).await;
    let long = "长".repeat(DELIVERY_ERROR_CHARACTERS_MAX + 1);
    assert_eq!(store.failed(first.id, 1, at(2_000), &long).await, Ok(true));
    let kept = show(store, first.id).await.last_error.expect("an error");
    assert_eq!(kept, "长".repeat(DELIVERY_ERROR_CHARACTERS_MAX));
}

/// Only what is old enough, pending, and goes nowhere.
pub async fn strays_are_buried(store: &impl AlertStore) {
    raised(store, 1, 1_000, &["ops", "gone", "done"].map(channel)).await;
    raised(store, 2, 5_000, &[channel("gone")]).await;
    let done = store.take_due(&channel("done"), at(1_000), LEASE, 1).await;
    let done = done.expect("taken").remove(0);
    store.delivered(done.id, at(1_500)).await.expect("delivered");
    let keep: [ChannelId; 1] = [channel("ops")];
    let buried = store
        .bury_strays(&keep, at(5_000), at(6_000), "no such channel")
        .await;
    assert_eq!(buried, Ok(1));
    let dead = DeliveryFilter {
        state: Some(DeliveryState::Dead),
        ..all()
    };
    let dead = store.deliveries(dead).await.expect("a page");
    assert_eq!(dead.len(), 1);
    assert_eq!((dead[0].channel.as_str(), dead[0].since), ("gone", at(1_000)));
    assert_eq!(dead[0].ended_at, Some(at(6_000)));
    assert_eq!(dead[0].last_error.as_deref(), Some("no such channel"));
}

/// Newest first, by state, channel and alert.
pub async fn deliveries_come_page_by_page(store: &impl AlertStore) {
    let first = raised(store, 1, 1_000, &[channel("ops"), channel("mail")]).await;
    raised(store, 2, 2_000, &[channel("ops")]).await;
    let rows = store.deliveries(all()).await.expect("a page");
    let ids: Vec<DeliveryId> = rows.iter().map(|row| row.id).collect();
    assert!(ids.is_sorted_by(|one, next| one > next));
    let page = DeliveryFilter {
        before: Some(ids[0]),
        limit: 1,
        ..DeliveryFilter::default()
    };
    assert_eq!(store.deliveries(page).await, Ok(vec![rows[1].clone()]));
    let of_first = DeliveryFilter {
        alert: Some(first.id.clone()),
        ..all()
    };
    assert_eq!(store.deliveries(of_first).await, Ok(rows[1..].to_vec()));
    let to_mail = DeliveryFilter {
        channel: Some(channel("mail")),
        state: Some(DeliveryState::Pending),
        ..all()
    };
    let to_mail = store.deliveries(to_mail).await.expect("a page");
    assert_eq!(to_mail.len(), 1);
    assert_eq!((&to_mail[0].alert, to_mail[0].channel.as_str()), (&first, "mail"));
    let none = DeliveryFilter {
        limit: 0,
        ..DeliveryFilter::default()
    };
    assert_eq!(store.deliveries(none).await, Ok(Vec::new()));
}

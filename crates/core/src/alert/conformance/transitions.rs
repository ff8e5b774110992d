//! Promises about alerts and their transitions. Must never know what a store is made of.

use futures_util::future::join_all;

use super::{advance, at, channel, draft, raised};
use crate::alert::ports::{ALERT_PAGE_MAX, AlertFilter, AlertStore, DeliveryId, Transition, Transitioned};
use crate::alert::{Alert, AlertId, AlertState, RuleKind, Seen, Severity};

async fn won(store: &impl AlertStore, wanted: Transition) -> Alert {
    match store.transition(wanted, &[]).await {
        Ok(Transitioned::Won(alert)) => *alert,
        other => panic!("the transition was to be won: {other:?}"),
    }
}

fn page(before: Option<i64>, limit: u32) -> AlertFilter {
    AlertFilter {
        before,
        limit,
        ..AlertFilter::default()
    }
}

/// A second raise is lost, and is told which alert is open.
pub async fn a_raise_opens_one_alert_per_rule_and_subject(store: &impl AlertStore) {
    let first = raised(store, 1, 1_000, &[]).await;
    let again = store
        .transition(Transition::Raise(Box::new(draft(1, 2_000))), &[])
        .await;
    assert_eq!(again, Ok(Transitioned::Lost(Some(Box::new(first)))));
    raised(store, 2, 2_000, &[]).await;
    let other_rule = Alert {
        rule: RuleKind::BannedKeyTried,
        ..draft(1, 2_000)
    };
    won(store, Transition::Raise(Box::new(other_rule.clone()))).await;
    assert_eq!(store.open().await.expect("open").len(), 3);
}

/// However many replicas raise at once.
pub async fn of_many_concurrent_raises_one_wins(store: &impl AlertStore) {
    let raises = (0..16).map(|_| store.transition(Transition::Raise(Box::new(draft(1, 1_000))), &[]));
    let mut winners = Vec::new();
    let mut losers = Vec::new();
    for outcome in join_all(raises).await {
        match outcome.expect("the store answers") {
            Transitioned::Won(alert) => winners.push(*alert),
            Transitioned::Lost(open) => losers.push(*open.expect("the winner's is open")),
        }
    }
    assert_eq!(winners.len(), 1);
    assert!(losers.iter().all(|open| *open == winners[0]));
    assert_eq!(store.open().await.expect("open"), winners);
}

/// However many replicas advance at once.
pub async fn of_many_concurrent_advances_one_wins(store: &impl AlertStore) {
    let alert = raised(store, 1, 1_000, &[]).await;
    let advances = (0..16).map(|_| store.transition(advance(&alert, AlertState::Updated, 2_000), &[]));
    let outcomes = join_all(advances).await;
    let winners = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Ok(Transitioned::Won(_))));
    assert_eq!(winners.count(), 1);
    assert_eq!(store.history(&alert.id).await.expect("history").len(), 2);
}

/// Who read an older one is told what is stored.
pub async fn an_advance_needs_the_stored_sequence(store: &impl AlertStore) {
    let first = raised(store, 1, 1_000, &[]).await;
    let second = won(store, advance(&first, AlertState::Updated, 2_000)).await;
    assert_eq!((second.sequence, second.state), (1, AlertState::Updated));
    assert_eq!((second.at, second.replica.as_str()), (at(2_000), "b"));
    assert_eq!((&second.id, second.raised_at), (&first.id, at(1_000)));
    let late = store
        .transition(advance(&first, AlertState::Calmed, 3_000), &[])
        .await;
    assert_eq!(late, Ok(Transitioned::Lost(Some(Box::new(second)))));
    let unknown = draft(9, 1_000);
    let none = store
        .transition(advance(&unknown, AlertState::Calmed, 3_000), &[])
        .await;
    assert_eq!(none, Ok(Transitioned::Lost(None)));
}

/// The same subject can be raised anew afterwards, under another name.
pub async fn a_calmed_alert_advances_no_more_and_frees_its_subject(store: &impl AlertStore) {
    let first = raised(store, 1, 1_000, &[]).await;
    let calmed = won(store, advance(&first, AlertState::Calmed, 2_000)).await;
    let late = store
        .transition(advance(&calmed, AlertState::Updated, 3_000), &[])
        .await;
    assert_eq!(late, Ok(Transitioned::Lost(None)));
    assert_eq!(store.open().await, Ok(Vec::new()));
    let second = raised(store, 1, 4_000, &[]).await;
    assert_ne!(second.id, first.id);
    let states: Vec<_> = store
        .alerts(page(None, 10))
        .await
        .expect("a page")
        .into_iter()
        .map(|stored| stored.alert.state)
        .collect();
    assert_eq!(states, [AlertState::Firing, AlertState::Calmed]);
}

/// What replicas saw is in the alert from then on, and in what the next transition tells.
pub async fn what_is_seen_adds_up(store: &impl AlertStore) {
    let first = raised(store, 1, 1_000, &[]).await;
    let mut more = Seen {
        count: 5,
        peak: 12,
        ..Seen::nothing(at(5_000))
    };
    more.add_network("203.0.113.0/24".parse().expect("a network"));
    assert_eq!(store.observe(&first.id, &more).await, Ok(true));
    assert_eq!(store.observe(&first.id, &more).await, Ok(true));
    let mut expected = first.seen.clone();
    expected.merge(&more);
    expected.merge(&more);
    let open = store.open().await.expect("open");
    assert_eq!((open[0].seen.clone(), open[0].told), (expected.clone(), 10));
    assert_eq!(open[0].sequence, 0, "seeing is no transition");
    let told = won(store, advance(&first, AlertState::Updated, 6_000)).await;
    assert_eq!((told.seen, told.told), (expected, 20));
    let calmed = won(store, advance(&open_one(store).await, AlertState::Calmed, 7_000)).await;
    assert_eq!(store.observe(&calmed.id, &more).await, Ok(false));
    assert_eq!(store.observe(&AlertId::random(), &more).await, Ok(false));
    let history = store.history(&calmed.id).await.expect("history");
    assert_eq!(history.last(), Some(&calmed));
}

async fn open_one(store: &impl AlertStore) -> Alert {
    let mut open = store.open().await.expect("open");
    assert_eq!(open.len(), 1);
    open.remove(0)
}

/// Each as it was at its moment.
pub async fn every_transition_is_in_the_history(store: &impl AlertStore) {
    let first = raised(store, 1, 1_000, &[]).await;
    let more = Seen {
        count: 5,
        ..Seen::nothing(at(1_500))
    };
    store.observe(&first.id, &more).await.expect("observed");
    let second = won(store, advance(&first, AlertState::Updated, 2_000)).await;
    let third = won(store, advance(&second, AlertState::Calmed, 3_000)).await;
    assert_eq!(
        store.history(&first.id).await,
        Ok(vec![first.clone(), second, third])
    );
    assert_eq!(store.history(&AlertId::random()).await, Ok(Vec::new()));
}

/// By when they were raised.
pub async fn open_alerts_come_oldest_first(store: &impl AlertStore) {
    let first = raised(store, 1, 1_000, &[]).await;
    let second = raised(store, 2, 2_000, &[]).await;
    let third = raised(store, 3, 3_000, &[]).await;
    won(store, advance(&second, AlertState::Calmed, 4_000)).await;
    assert_eq!(store.open().await, Ok(vec![first, third]));
}

/// Newest first, without a gap or a repetition.
pub async fn alerts_come_page_by_page(store: &impl AlertStore) {
    let mut made = Vec::new();
    for number in 0..5 {
        made.push(raised(store, number, 1_000 + number, &[]).await);
    }
    made.reverse();
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let rows = store.alerts(page(before, 2)).await.expect("a page");
        let Some(last) = rows.last() else { break };
        assert!(rows.len() <= 2);
        before = Some(last.number);
        seen.extend(rows.into_iter().map(|row| row.alert));
    }
    assert_eq!(seen, made);
    assert_eq!(store.alerts(page(None, 0)).await, Ok(Vec::new()));
}

/// By state, rule and severity.
pub async fn alerts_are_filtered(store: &impl AlertStore) {
    let first = raised(store, 1, 1_000, &[]).await;
    let critical = Alert {
        rule: RuleKind::ManyNetworksForKey,
        severity: Severity::Critical,
        ..draft(2, 2_000)
    };
    won(store, Transition::Raise(Box::new(critical.clone()))).await;
    let calmed = won(store, advance(&first, AlertState::Calmed, 3_000)).await;
    let with = async |filter: AlertFilter| -> Vec<Alert> {
        let filter = AlertFilter { limit: 10, ..filter };
        let rows = store.alerts(filter).await.expect("a page");
        rows.into_iter().map(|row| row.alert).collect()
    };
    let open = AlertFilter {
        is_open: Some(true),
        ..AlertFilter::default()
    };
    assert_eq!(with(open).await, std::slice::from_ref(&critical));
    let over = AlertFilter {
        is_open: Some(false),
        ..AlertFilter::default()
    };
    assert_eq!(with(over).await, std::slice::from_ref(&calmed));
    let rule = AlertFilter {
        rule: Some(RuleKind::ManyNetworksForKey),
        ..AlertFilter::default()
    };
    assert_eq!(with(rule).await, std::slice::from_ref(&critical));
    let severity = AlertFilter {
        severity: Some(Severity::Warning),
        ..AlertFilter::default()
    };
    assert_eq!(with(severity).await, [calmed]);
}

/// [`ALERT_PAGE_MAX`] rows, whatever is asked for.
pub async fn a_page_of_alerts_has_a_maximum(store: &impl AlertStore) {
    for number in 0..=i64::from(ALERT_PAGE_MAX) {
        raised(store, number, number, &[channel("ops")]).await;
    }
    let page_max = ALERT_PAGE_MAX as usize;
    let alerts = store.alerts(page(None, u32::MAX)).await.expect("a page");
    assert_eq!(alerts.len(), page_max);
    assert_eq!(store.open().await.expect("open").len(), page_max);
    let lease = std::time::Duration::from_mins(1);
    let taken = store
        .take_due(&channel("ops"), at(10_000), lease, u32::MAX)
        .await
        .expect("taken");
    assert_eq!(taken.len(), page_max);
}

/// And not before, nor while they are open.
pub async fn calmed_alerts_are_forgotten_once_nothing_is_pending(store: &impl AlertStore) {
    let ops = [channel("ops")];
    let open = raised(store, 1, 1_000, &[]).await;
    let mut calmed = Vec::new();
    for number in 2..5 {
        let alert = raised(store, number, 1_000, if number == 2 { &ops } else { &[] }).await;
        calmed.push(won(store, advance(&alert, AlertState::Calmed, 1_000 + number)).await);
    }
    assert_eq!(
        store.forget(at(1_004), 10).await,
        Ok(1),
        "one is pending, one is too young"
    );
    assert_eq!(store.history(&calmed[1].id).await, Ok(Vec::new()));
    let pending = store.deliveries(super::deliveries::all()).await.expect("a page");
    let pending: Vec<DeliveryId> = pending.iter().map(|delivery| delivery.id).collect();
    assert_eq!(pending.len(), 1);
    assert_eq!(store.delivered(pending[0], at(2_000)).await, Ok(true));
    assert_eq!(store.forget(at(9_000), 1).await, Ok(1), "one at a time");
    assert_eq!(store.forget(at(9_000), 10).await, Ok(1));
    assert_eq!(store.forget(at(9_000), 10).await, Ok(0));
    assert_eq!(store.deliveries(super::deliveries::all()).await, Ok(Vec::new()));
    assert_eq!(store.open().await, Ok(vec![open]));
}

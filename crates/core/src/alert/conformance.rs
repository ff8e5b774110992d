//! One suite that every store of alerts has to pass: what [`AlertStore`] promises, however it is kept. For tests only.
//!
//! A store joins with `sentinel_core::alert_store_conformance!(fixture)`, where `fixture` is an async function that gives an
//! empty store and whatever has to live as long. Must never know what a store is made of.
#![expect(
    clippy::missing_panics_doc,
    reason = "a promise that is not kept fails the test that asks for it"
)]

pub mod deliveries;
pub mod links;
pub mod transitions;

use std::time::Duration;

use super::ports::{AlertStore, Transition, Transitioned};
use super::{Alert, AlertId, AlertState, ChannelId, RuleKind, Seen, Severity, Subject};
use crate::binding::BindingId;
use crate::fingerprint::KeyHint;
use crate::time::Timestamp;

/// Makes one test of each promise, on the store that the async function `$fixture` gives. The calling crate has tokio.
#[macro_export]
macro_rules! alert_store_conformance {
    ($fixture:path) => {
        $crate::alert_store_conformance! { @each $fixture;
            transitions::a_raise_opens_one_alert_per_rule_and_subject
            transitions::of_many_concurrent_raises_one_wins
            transitions::of_many_concurrent_advances_one_wins
            transitions::an_advance_needs_the_stored_sequence
            transitions::a_calmed_alert_advances_no_more_and_frees_its_subject
            transitions::what_is_seen_adds_up
            transitions::every_transition_is_in_the_history
            transitions::open_alerts_come_oldest_first
            transitions::alerts_come_page_by_page
            transitions::alerts_are_filtered
            transitions::a_page_of_alerts_has_a_maximum
            transitions::calmed_alerts_are_forgotten_once_nothing_is_pending
            deliveries::a_transition_makes_one_delivery_per_channel
            deliveries::a_lost_transition_delivers_nothing
            deliveries::a_delivery_is_taken_by_one
            deliveries::a_channel_takes_its_own_the_longest_due_first
            deliveries::a_lease_that_ran_out_is_taken_again
            deliveries::a_failed_delivery_waits
            deliveries::a_dead_delivery_is_brought_back_by_hand_only
            deliveries::what_is_delivered_stays_delivered
            deliveries::an_error_is_cut
            deliveries::strays_are_buried
            deliveries::deliveries_come_page_by_page
            links::a_link_is_used_once
            links::an_expired_link_is_forgotten
        }
    };
    (@each $fixture:path; $($part:ident::$promise:ident)+) => {
        $(
            #[tokio::test]
            async fn $promise() {
                let (store, _kept) = $fixture().await;
                $crate::alert::conformance::$part::$promise(&store).await;
            }
        )+
    };
}

fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_unix_ms(milliseconds)
}

fn channel(name: &str) -> ChannelId {
    ChannelId::new(name).expect("a name")
}

/// An alert that nobody has raised yet, on the binding with this number.
pub fn draft(number: i64, raised_at: i64) -> Alert {
    Alert {
        id: AlertId::random(),
        sequence: 0,
        state: AlertState::Firing,
        rule: RuleKind::RefusalsPerBinding,
        severity: Severity::Warning,
        subject: Subject::Binding(BindingId(number)),
        binding: Some(BindingId(number)),
        hint: Some(KeyHint::from_stored(format!("sk-{number}…end"))),
        seen: Seen {
            count: 10,
            peak: 10,
            networks: vec!["192.0.2.0/24".parse().expect("a network")],
            ..Seen::nothing(at(raised_at))
        },
        told: 10,
        threshold: 10,
        window: Duration::from_mins(1),
        raised_at: at(raised_at),
        at: at(raised_at),
        replica: "a".to_owned(),
    }
}

/// Raises an alert that nobody else raises.
async fn raised(store: &impl AlertStore, number: i64, when: i64, channels: &[ChannelId]) -> Alert {
    let wanted = Transition::Raise(Box::new(draft(number, when)));
    match store.transition(wanted, channels).await {
        Ok(Transitioned::Won(alert)) => *alert,
        other => panic!("the raise was to be won: {other:?}"),
    }
}

fn advance(alert: &Alert, to: AlertState, when: i64) -> Transition {
    Transition::Advance {
        id: alert.id.clone(),
        sequence: alert.sequence,
        to,
        at: at(when),
        replica: "b".to_owned(),
    }
}

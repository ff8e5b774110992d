//! One suite that every store has to pass: what the ports promise, however it is kept.
//!
//! A store joins with `conformance_suite!(fixture())`, or `conformance_suite!(fixture().await)`, where `fixture` makes an empty store and
//! whatever has to live as long.

pub(crate) mod admin;
pub(crate) mod answers;
pub(crate) mod archive;
pub(crate) mod audit;
pub(crate) mod bindings;
pub(crate) mod edits;
pub(crate) mod forgetting;
pub(crate) mod intercepts;
pub(crate) mod retention;
pub(crate) mod searches;
pub(crate) mod secrets;
pub(crate) mod settings;
pub(crate) mod traffic;
pub(crate) mod transfer;
pub(crate) mod uses;

use sentinel_core::binding::{Binding, BindingId, NewBinding};
use sentinel_core::event::Actor;
use sentinel_core::fingerprint::{KeyFingerprint, KeyHint};
use sentinel_core::network::{ClientIp, Network};
use sentinel_core::ports::{
    AdminEventStore, AnswerStore, ArchiveStore, AuditStore, BindingAdmin, BindingStore, Claim, Health,
    InterceptRetention, InterceptStore, SecretStore, SettingStore, TrafficStore, TransferStore, UseStore,
};
use sentinel_core::time::Timestamp;
use sha2::{Digest as _, Sha256};

/// All the ports on one store.
pub(crate) trait AnyStore:
    BindingStore
    + BindingAdmin
    + UseStore
    + ArchiveStore
    + SettingStore
    + SecretStore
    + InterceptStore
    + InterceptRetention
    + TransferStore
    + TrafficStore
    + AdminEventStore
    + AuditStore
    + AnswerStore
    + Health
    + Clone
    + 'static
{
}

impl<S> AnyStore for S where
    S: BindingStore
        + BindingAdmin
        + UseStore
        + ArchiveStore
        + SettingStore
        + SecretStore
        + InterceptRetention
        + TransferStore
        + TrafficStore
        + InterceptStore
        + AdminEventStore
        + AuditStore
        + AnswerStore
        + Health
        + Clone
        + 'static
{
}

/// Makes one test of each promise, on the store that `$fixture` makes; it may await.
macro_rules! conformance_suite {
    ($fixture:expr) => {
        crate::conformance::conformance_suite! { @each $fixture;
            bindings::an_unknown_key_has_no_binding
            bindings::a_claim_is_found_again
            bindings::one_of_many_concurrent_claims_wins
            bindings::a_claim_is_released_with_its_version_only
            bindings::an_id_is_never_used_again
            bindings::networks_are_learned_up_to_the_maximum
            bindings::no_more_networks_than_a_binding_may_hold
            bindings::what_is_known_is_not_learned_again
            bindings::a_banned_binding_learns_nothing
            bindings::every_change_takes_a_higher_version
            bindings::every_width_of_network_comes_back_as_written
            bindings::many_keys_are_found_together
            bindings::many_that_learn_at_once_learn_no_more_than_the_maximum
            bindings::a_hint_of_any_characters_is_taken
            admin::a_ban_and_its_end
            admin::networks_are_replaced_in_order_without_repetition
            admin::unbinding_frees_the_key
            admin::changes_of_nothing_leave_nothing
            admin::every_change_leaves_an_event_with_before_and_after
            admin::events_come_newest_first
            admin::bindings_come_page_by_page
            admin::a_page_of_bindings_has_a_maximum
            admin::bindings_are_filtered_by_status_and_counted
            admin::hints_are_searched_literally
            admin::bindings_around_an_address_are_found
            audit::an_empty_chain_is_whole
            audit::every_event_is_chained_whoever_writes_it
            audit::events_are_filtered_page_by_page
            edits::a_change_needs_the_version_that_is_stored
            edits::of_many_changes_of_one_version_one_is_made
            edits::a_ban_ends_with_its_expiry
            edits::remarks_are_written_and_decide_nothing
            edits::a_key_is_bound_before_its_first_use_and_once
            edits::what_a_binding_went_through_is_found
            edits::the_profile_of_a_claim_is_kept
            searches::bindings_that_share_addresses_with_a_network_are_found
            searches::bindings_are_found_by_what_was_written_on_them
            searches::bindings_are_found_by_their_last_use
            searches::bindings_come_in_every_order_page_by_page
            searches::bindings_are_counted_as_they_are_filtered
            secrets::only_the_current_secret_binds
            secrets::only_the_current_secret_finds_nothing
            secrets::a_binding_moves_with_all_that_belongs_to_it
            secrets::what_is_moved_once_is_not_moved_again
            secrets::an_outdated_secret_moves_nothing_and_is_given_what_is_there
            secrets::a_key_that_is_bound_under_its_previous_fingerprint_is_not_claimed
            secrets::what_was_put_away_goes_with_a_new_claim
            secrets::many_that_move_and_claim_at_once_end_with_one_binding
            secrets::a_key_is_bound_beforehand_only_where_it_has_no_binding_under_either
            secrets::bindings_are_counted_by_secret
            uses::uses_add_up
            uses::bindings_that_are_gone_are_passed_over
            uses::a_count_stops_at_its_largest
            archive::what_is_unused_is_marked_first_and_moved_later
            archive::nothing_moves_before_its_mark_is_old_enough
            archive::a_use_in_between_takes_the_mark_away
            archive::a_change_in_between_takes_the_mark_away
            archive::a_mark_goes_with_its_reason
            archive::what_was_bound_used_or_changed_since_is_not_unused
            archive::a_banned_binding_is_never_moved
            archive::a_batch_has_a_maximum
            archive::a_moved_key_is_free_and_its_absence_is_no_newer_than_its_next_binding
            archive::a_batch_that_moves_leaves_one_event
            retention::what_is_older_is_removed
            retention::removing_goes_on_past_one_step
            retention::what_comes_next_is_taken_in
            retention::the_newest_are_kept
            retention::today_is_cut_row_by_row
            transfer::everything_comes_over_page_by_page
            transfer::taking_the_same_again_changes_nothing
            transfer::a_binding_that_is_here_is_kept_or_replaced
            transfer::a_replaced_binding_is_newer_and_under_the_same_id
            transfer::a_rehearsal_changes_nothing
            transfer::an_intercept_names_the_binding_of_its_key
            transfer::a_page_of_moved_items_has_a_maximum
            settings::nothing_was_ever_changed
            settings::settings_are_set_and_taken_back_together
            settings::a_change_needs_the_stored_version
            settings::no_change_is_no_change
            settings::one_of_many_concurrent_changes_is_made
            settings::a_change_leaves_an_event_with_before_and_after
            settings::the_history_says_who_changed_what
            settings::the_history_comes_page_by_page
            settings::every_version_is_found_as_it_was
            settings::what_is_sentinels_own_stays_out_of_the_history
            settings::the_history_is_bounded
            intercepts::an_intercept_comes_back_whole
            intercepts::what_is_written_again_is_there_once
            intercepts::intercepts_come_page_by_page
            intercepts::a_page_of_intercepts_has_a_maximum
            intercepts::intercepts_are_filtered
            intercepts::intercepts_are_searched
            intercepts::intercepts_are_read_by_their_ids
            intercepts::intercepts_are_counted_per_stretch
            intercepts::stretches_have_a_maximum
            intercepts::the_store_is_healthy
            traffic::reports_add_up_by_minute_hour_and_day
            traffic::a_report_that_comes_again_counts_once
            traffic::replicas_that_report_at_once_sum_up
            traffic::counts_stop_at_their_largest
            traffic::stretches_of_time_have_a_maximum
            traffic::replicas_are_seen_as_they_reported_last
            traffic::replicas_have_a_maximum
            traffic::who_is_refused_most_is_known_by_hour_and_day
            traffic::a_batch_written_again_counts_its_refusals_once
            traffic::a_list_has_a_maximum_and_loses_no_count
            traffic::who_comes_late_and_often_gets_a_place
            traffic::what_is_old_is_forgotten
            answers::a_request_that_comes_again_gets_its_first_answer
            answers::a_name_stands_for_one_request_of_one_account
            answers::a_request_without_an_answer_may_be_made_anew
            answers::of_many_at_once_one_is_the_first
        }
    };
    (@each $fixture:expr; $($part:ident::$promise:ident)+) => {
        $(
            #[tokio::test]
            async fn $promise() {
                let (store, _kept) = $fixture;
                crate::conformance::$part::$promise(store).await;
            }
        )+
    };
}
pub(crate) use conformance_suite;

pub(crate) fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_unix_ms(milliseconds)
}

/// As random as the fingerprint of a real key, and always the same for a number.
pub(crate) fn fingerprint(number: u32) -> KeyFingerprint {
    KeyFingerprint::from_bytes(Sha256::digest(number.to_le_bytes()).into())
}

pub(crate) fn network(text: &str) -> Network {
    text.parse().expect("a network")
}

pub(crate) fn address(text: &str) -> ClientIp {
    ClientIp::new(text.parse().expect("an address"))
}

pub(crate) fn new_binding(number: u32, from: &str) -> NewBinding {
    NewBinding {
        fingerprint: fingerprint(number),
        previous: None,
        hint: KeyHint::from_stored(format!("sk-{number:03}…end")),
        network: network(from),
        bound_at: at(1_000 + i64::from(number)),
        profile: "".into(),
    }
}

pub(crate) fn actor(milliseconds: i64) -> Actor {
    Actor {
        name: "root".to_owned(),
        client_ip: Some(address("192.0.2.250")),
        at: at(milliseconds),
    }
}

/// Claims a key that nobody has claimed.
pub(crate) async fn claimed(store: &impl BindingStore, number: u32, from: &str) -> Binding {
    match store.claim(new_binding(number, from)).await {
        Ok(Claim::Won(binding)) => binding,
        other => panic!("the claim was to be won: {other:?}"),
    }
}

pub(crate) fn ids(records: &[sentinel_core::binding::BindingRecord]) -> Vec<BindingId> {
    records.iter().map(|record| record.binding.id).collect()
}

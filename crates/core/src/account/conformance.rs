//! One suite that every store of accounts has to pass: what [`AccountStore`] promises, however it is kept. For tests only.
//!
//! A store joins with `sentinel_core::account_store_conformance!(fixture)`, where `fixture` is an async function that gives an
//! empty store and whatever has to live as long. Must never know what a store is made of.
#![expect(
    clippy::missing_panics_doc,
    reason = "a promise that is not kept fails the test that asks for it"
)]

pub mod administrators;
pub mod external;
pub mod sessions;
pub mod tokens;

use super::session::{AdminSession, SessionId};
use super::{Administrator, AdministratorId, AdministratorName, NewAdministrator, Role, StoredPasswordHash};
use crate::event::Actor;
use crate::network::ClientIp;
use crate::ports::{AccountStore, AdminEventStore, AdministratorAdded};
use crate::time::Timestamp;

/// Makes one test of each promise, on the store that the async function `$fixture` gives. The calling crate has tokio.
#[macro_export]
macro_rules! account_store_conformance {
    ($fixture:path) => {
        $crate::account_store_conformance! { @each $fixture;
            administrators::an_administrator_is_found
            administrators::a_name_is_taken_whatever_its_case
            administrators::of_many_with_one_name_one_is_added
            administrators::there_is_a_most_of_administrators
            administrators::each_change_is_made_and_written_down
            administrators::one_that_is_removed_is_gone_with_its_sessions
            administrators::a_step_is_spent_once
            administrators::a_recovery_code_is_spent_once
            external::an_identity_is_added_once_and_found_by_itself_alone
            external::no_name_leads_to_an_account_of_another_origin
            external::a_role_is_taken_anew_and_a_disabled_one_stays_so
            external::there_is_a_most_of_those_too
            external::a_session_of_one_is_shorter
            sessions::a_session_is_in_force_until_it_expires
            sessions::a_sign_in_is_noted
            sessions::nobody_who_is_disabled_or_gone_has_one
            sessions::a_refresh_goes_on
            sessions::a_refresh_is_taken_once_more_from_where_it_came
            sessions::a_refresh_that_comes_twice_ends_the_session
            sessions::of_many_refreshes_from_elsewhere_none_is_left
            sessions::a_session_is_ended_by_those_who_may
            sessions::a_change_ends_those_that_it_should
            sessions::an_account_has_so_many
            sessions::a_list_has_a_maximum
            sessions::the_use_of_a_session_is_noted_once_a_minute
            tokens::a_token_is_found_by_its_digest
            tokens::a_token_that_was_removed_is_gone
            tokens::there_is_a_most_of_tokens
            tokens::the_use_of_a_token_is_noted_once_a_minute
        }
    };
    (@each $fixture:path; $($part:ident::$promise:ident)+) => {
        $(
            #[tokio::test]
            async fn $promise() {
                let (store, _kept) = $fixture().await;
                $crate::account::conformance::$part::$promise(&store).await;
            }
        )+
    };
}

/// All that a store of accounts is asked for in here.
pub trait AnyAccountStore: AccountStore + AdminEventStore {}

impl<S: AccountStore + AdminEventStore> AnyAccountStore for S {}

fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_unix_ms(milliseconds)
}

fn address(text: &str) -> ClientIp {
    ClientIp::new(text.parse().expect("an address"))
}

fn actor(milliseconds: i64) -> Actor {
    Actor {
        name: "root".to_owned(),
        client_ip: Some(address("192.0.2.250")),
        at: at(milliseconds),
    }
}

fn new_administrator(name: &str) -> NewAdministrator {
    NewAdministrator {
        name: AdministratorName::new(name).expect("a good name"),
        role: Role::Operator,
        password: StoredPasswordHash::new(format!("$argon2id$of {name}")),
    }
}

/// Adds an administrator whose name nobody has.
async fn added(store: &impl AnyAccountStore, name: &str) -> Administrator {
    match store.add_administrator(new_administrator(name), actor(1)).await {
        Ok(AdministratorAdded::Done(administrator)) => *administrator,
        other => panic!("it was to be added: {other:?}"),
    }
}

fn session_id(number: u128) -> SessionId {
    SessionId::from_bytes(number.to_be_bytes())
}

/// A session of an hour.
fn session(number: u128, administrator: Option<AdministratorId>, since: i64) -> AdminSession {
    AdminSession {
        id: session_id(number),
        administrator,
        account: "root".to_owned(),
        generation: 1,
        client_ip: address("192.0.2.7"),
        user_agent: "Mozilla/5.0".to_owned(),
        created_at: at(since),
        refreshed_at: at(since),
        last_seen_at: at(since),
        expires_at: at(since + 3_600_000),
    }
}

async fn actions(store: &impl AnyAccountStore) -> Vec<String> {
    let events = store.newest(50).await.expect("the store works");
    events.into_iter().map(|event| event.action).rev().collect()
}

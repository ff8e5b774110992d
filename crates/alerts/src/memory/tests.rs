use sentinel_core::alert::AlertState;
use sentinel_core::alert::conformance::draft;

use super::*;

async fn fixture() -> (MemoryAlertStore, ()) {
    (MemoryAlertStore::new(), ())
}

mod conformance {
    use super::fixture;

    sentinel_core::alert_store_conformance!(fixture);
}

// The suite fills more than a page.
const _: () = assert!(MEMORY_ALERTS_MAX > ALERT_PAGE_MAX as usize);

fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_unix_ms(milliseconds)
}

#[tokio::test]
async fn it_holds_so_many_alerts_and_the_oldest_that_is_over_makes_room() {
    let store = MemoryAlertStore::new();
    let max = i64::try_from(MEMORY_ALERTS_MAX).expect("small");
    let raise = async |number: i64| {
        let wanted = Transition::Raise(Box::new(draft(number, number)));
        store.transition(wanted, &[]).await
    };
    for number in 0..max {
        assert!(matches!(raise(number).await, Ok(Transitioned::Won(_))));
    }
    assert_eq!(raise(max).await, Err(StoreError::Busy));
    let oldest = store.open().await.expect("open").remove(0);
    let calm = Transition::Advance {
        id: oldest.id.clone(),
        sequence: 0,
        to: AlertState::Calmed,
        at: at(max),
        replica: "a".to_owned(),
    };
    store.transition(calm, &[]).await.expect("calmed");
    assert!(matches!(raise(max).await, Ok(Transitioned::Won(_))));
    assert_eq!(store.history(&oldest.id).await, Ok(Vec::new()));
}

#[tokio::test]
async fn a_link_is_used_once_until_it_expires_and_so_many_are_remembered() {
    let store = MemoryAlertStore::new();
    let at_ten = at(10);
    for number in 0..MEMORY_LINKS_MAX {
        let nonce = number.to_string();
        assert_eq!(store.use_once(&nonce, at_ten, at(1)).await, Ok(true));
        assert_eq!(store.use_once(&nonce, at_ten, at(9)).await, Ok(false));
    }
    assert_eq!(store.use_once("more", at_ten, at(9)).await, Err(StoreError::Busy));
    assert_eq!(store.use_once("more", at(20), at(10)).await, Ok(true));
}

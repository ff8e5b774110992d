//! Promises about the audit log, and about health.

use sentinel_core::binding::{BindingId, Networks};
use sentinel_core::decision::RefusalReason;
use sentinel_core::event::{Intercept, InterceptOutcome, Reference};
use sentinel_core::fingerprint::KeyHint;
use sentinel_core::ports::{Health, InterceptBucket, InterceptFilter, InterceptStore};

use super::{AnyStore, address, at, fingerprint, network};
use crate::bounds::{BUCKETS_MAX, PAGE_ROWS_MAX, RUNS_ASKED_MAX};

/// Number `number`, at `1000 * number` ms, as plain as one can be.
pub(crate) fn intercept(number: u32) -> Intercept {
    Intercept {
        reference: Reference::from_stored(format!("sr_{number}")),
        at: at(1_000 * i64::from(number)),
        last_at: at(1_000 * i64::from(number)),
        reason: RefusalReason::KeyMissing,
        outcome: InterceptOutcome::Refused,
        binding: None,
        networks: Networks::default(),
        fingerprint: None,
        hint: None,
        client_ip: address("192.0.2.1"),
        method: "GET".to_owned(),
        path: "/".to_owned(),
        user_agent: String::new(),
        count: 1,
        profile: "".into(),
        replica: "".into(),
    }
}

fn all() -> InterceptFilter {
    InterceptFilter {
        limit: 100,
        ..InterceptFilter::default()
    }
}

/// The numbers of the intercepts that a filter lets through.
async fn numbers(store: &impl AnyStore, filter: InterceptFilter) -> Vec<i64> {
    let page = InterceptStore::list(store, filter.clone()).await.unwrap();
    let mut held = InterceptStore::list(store, all()).await.unwrap();
    if held.len() < all().limit as usize {
        // Whoever holds all the rows comes to the same ones.
        held.retain(|row| filter.lets_through(row) && filter.before.is_none_or(|before| row.id < before));
        held.truncate(filter.limit as usize);
        assert_eq!(page, held, "{filter:?}");
    }
    page.iter()
        .map(|stored| stored.intercept.at.unix_ms() / 1_000)
        .collect()
}

pub(crate) async fn an_intercept_comes_back_whole(store: impl AnyStore) {
    let full = Intercept {
        reference: Reference::random(),
        at: at(1_700_000_000_123),
        last_at: at(1_700_000_001_456),
        reason: RefusalReason::KeyIpMismatch,
        outcome: InterceptOutcome::Observed,
        binding: Some(BindingId(12)),
        networks: [network("192.0.2.0/24"), network("2001:db8::/64")]
            .into_iter()
            .collect(),
        fingerprint: Some(fingerprint(3)),
        hint: Some(KeyHint::from_stored("sk-ab…wxyz".to_owned())),
        client_ip: address("2001:db8::7"),
        method: "POST".to_owned(),
        path: "/v1/chat/completions".to_owned(),
        user_agent: "curl/8 \\u{1b} 'quoted' …".to_owned(),
        count: u32::MAX,
        profile: "litellm".into(),
        replica: "sentinel-0".into(),
    };
    let batch = vec![full.clone(), intercept(2)];
    InterceptStore::append(&store, batch).await.unwrap();
    let stored = InterceptStore::list(&store, all()).await.unwrap();
    assert_eq!(stored.len(), 2);
    assert_eq!(stored[0].intercept, intercept(2));
    assert_eq!(stored[1].intercept, full);
    assert!(stored[0].id > stored[1].id);
}

pub(crate) async fn what_is_written_again_is_there_once(store: impl AnyStore) {
    let mut later = intercept(1);
    later.at = at(1_001);
    let mut fuller = intercept(1);
    fuller.count = 7;
    for batch in [
        vec![intercept(1), intercept(2)],
        vec![intercept(2), intercept(3), intercept(3), fuller, later],
    ] {
        InterceptStore::append(&store, batch).await.unwrap();
    }
    let stored = InterceptStore::list(&store, all()).await.unwrap();
    let rows: Vec<_> = stored
        .iter()
        .map(|stored| (stored.intercept.at.unix_ms(), stored.intercept.count))
        .collect();
    assert_eq!(rows, [(1_001, 1), (3_000, 1), (2_000, 1), (1_000, 1)]);
}

pub(crate) async fn intercepts_come_page_by_page(store: impl AnyStore) {
    InterceptStore::append(&store, Vec::new()).await.unwrap();
    InterceptStore::append(&store, (1..=5).map(intercept).collect())
        .await
        .unwrap();
    let mut before = None;
    let mut seen = Vec::new();
    loop {
        let filter = InterceptFilter {
            before,
            limit: 2,
            ..InterceptFilter::default()
        };
        let page = InterceptStore::list(&store, filter).await.unwrap();
        let Some(last) = page.last() else {
            break;
        };
        before = Some(last.id);
        seen.push(page.len());
    }
    assert_eq!(seen, [2, 2, 1]);
    assert_eq!(numbers(&store, all()).await, [5, 4, 3, 2, 1]);
}

pub(crate) async fn a_page_of_intercepts_has_a_maximum(store: impl AnyStore) {
    InterceptStore::append(&store, (0..=PAGE_ROWS_MAX).map(intercept).collect())
        .await
        .unwrap();
    let filter = InterceptFilter {
        limit: u32::MAX,
        ..InterceptFilter::default()
    };
    assert_eq!(numbers(&store, filter).await.len(), PAGE_ROWS_MAX as usize);
}

pub(crate) async fn intercepts_are_filtered(store: impl AnyStore) {
    let mut batch: Vec<Intercept> = (1..=6).map(intercept).collect();
    batch[0].reason = RefusalReason::KeyBanned;
    batch[1].binding = Some(BindingId(9));
    batch[2].client_ip = address("192.0.2.99");
    InterceptStore::append(&store, batch).await.unwrap();

    let banned = InterceptFilter {
        reason: Some(RefusalReason::KeyBanned),
        ..all()
    };
    assert_eq!(numbers(&store, banned).await, [1]);
    let referred = InterceptFilter {
        reference: Some("sr_4".to_owned()),
        ..all()
    };
    assert_eq!(numbers(&store, referred).await, [4]);
    let of_binding = InterceptFilter {
        binding: Some(BindingId(9)),
        ..all()
    };
    assert_eq!(numbers(&store, of_binding).await, [2]);
    let from_address = InterceptFilter {
        client_ip: Some(address("::ffff:192.0.2.99")),
        ..all()
    };
    assert_eq!(numbers(&store, from_address).await, [3]);
    let in_time = InterceptFilter {
        since: Some(at(2_000)),
        until: Some(at(5_000)),
        ..all()
    };
    assert_eq!(numbers(&store, in_time).await, [4, 3, 2]);
    let together = InterceptFilter {
        reason: Some(RefusalReason::KeyMissing),
        client_ip: Some(address("192.0.2.1")),
        since: Some(at(4_000)),
        ..all()
    };
    assert_eq!(numbers(&store, together).await, [6, 5, 4]);
}

pub(crate) async fn intercepts_are_read_by_their_ids(store: impl AnyStore) {
    InterceptStore::append(&store, (1..=9).map(intercept).collect())
        .await
        .unwrap();
    let newest_first = InterceptStore::list(&store, all()).await.unwrap();
    let id = |number: usize| newest_first[9 - number].id;
    for (runs, limit, expected) in [
        (
            vec![id(3)..=id(4), id(6)..=id(6), id(8)..=i64::MAX],
            100,
            &[3, 4, 6, 8, 9][..],
        ),
        (vec![id(3)..=id(4), id(8)..=i64::MAX], 3, &[3, 4, 8]),
        (vec![id(9) + 1..=i64::MAX], 100, &[]),
        (vec![], 100, &[]),
    ] {
        let rows = store.by_ids(runs, limit).await.unwrap();
        let numbers = rows.iter().map(|row| row.intercept.at.unix_ms() / 1_000);
        assert_eq!(numbers.collect::<Vec<_>>(), expected);
    }
    let many: Vec<Intercept> = (10..=PAGE_ROWS_MAX + 10).map(intercept).collect();
    InterceptStore::append(&store, many).await.unwrap();
    let rows = store.by_ids(vec![0..=i64::MAX], u32::MAX).await.unwrap();
    assert_eq!(rows.len(), PAGE_ROWS_MAX as usize);
    // More runs than one statement asks for: each other row.
    let ids: Vec<i64> = rows.iter().map(|row| row.id).step_by(2).collect();
    assert!(ids.len() > RUNS_ASKED_MAX);
    for limit in [u32::MAX, 400, 1] {
        let runs = ids.iter().map(|id| *id..=*id).collect();
        let found = store.by_ids(runs, limit).await.unwrap();
        let wanted = ids.iter().take(limit as usize);
        assert!(found.iter().map(|row| &row.id).eq(wanted), "{limit}");
    }
}

pub(crate) async fn intercepts_are_searched(store: impl AnyStore) {
    let mut batch: Vec<Intercept> = (1..=5).map(intercept).collect();
    batch[0].path = "/v1/Chat/completions".to_owned();
    batch[1].user_agent = "OpenAI/Python 50%_\\ chat".to_owned();
    batch[2].hint = Some(KeyHint::from_stored("sk-Ab…wxyz".to_owned()));
    batch[2].client_ip = address("198.51.100.77");
    batch[3].outcome = InterceptOutcome::Observed;
    batch[3].client_ip = address("2001:db8:1::7");
    batch[4].client_ip = address("198.51.101.1");
    InterceptStore::append(&store, batch).await.unwrap();
    let text = |text: &str| Some(text.to_owned());
    let found = async |filter: InterceptFilter| numbers(&store, filter).await;
    assert_eq!(
        found(InterceptFilter {
            path: text("chat"),
            ..all()
        })
        .await,
        [1]
    );
    assert_eq!(
        found(InterceptFilter {
            user_agent: text("50%_\\"),
            ..all()
        })
        .await,
        [2]
    );
    assert_eq!(
        found(InterceptFilter {
            user_agent: text("50%_x"),
            ..all()
        })
        .await,
        [0; 0]
    );
    assert_eq!(
        found(InterceptFilter {
            hint: text("AB…"),
            ..all()
        })
        .await,
        [3]
    );
    assert_eq!(
        found(InterceptFilter {
            text: text("CHAT"),
            ..all()
        })
        .await,
        [2, 1]
    );
    let outcome = Some(InterceptOutcome::Observed);
    assert_eq!(found(InterceptFilter { outcome, ..all() }).await, [4]);
    for (inside, wanted) in [
        ("198.51.100.0/24", &[3][..]),
        ("198.51.100.0/23", &[5, 3]),
        ("2001:db8::/32", &[4]),
        ("0.0.0.0/0", &[5, 3, 2, 1]),
        ("203.0.113.0/24", &[]),
    ] {
        let network = Some(network(inside));
        assert_eq!(
            found(InterceptFilter { network, ..all() }).await,
            wanted,
            "{inside}"
        );
        let last = InterceptFilter {
            network,
            limit: 1,
            ..all()
        };
        assert_eq!(
            found(last).await,
            wanted.iter().copied().take(1).collect::<Vec<_>>()
        );
    }
    let together = InterceptFilter {
        network: Some(network("192.0.2.0/24")),
        text: text("chat"),
        until: Some(at(2_000)),
        ..all()
    };
    assert_eq!(found(together).await, [1]);
}

pub(crate) async fn intercepts_are_counted_per_stretch(store: impl AnyStore) {
    let mut batch: Vec<Intercept> = [1, 10, 11, 19, 35].map(intercept).to_vec();
    batch[2].outcome = InterceptOutcome::Observed;
    batch[3].count = 7;
    InterceptStore::append(&store, batch).await.unwrap();
    let bucket = |from, refused, observed| InterceptBucket {
        from: at(from),
        refused,
        observed,
    };
    let counted = store.buckets(at(5_000), 10_000).await;
    assert_eq!(
        counted,
        Ok(vec![
            bucket(5_000, 1, 1),
            bucket(15_000, 7, 0),
            bucket(35_000, 1, 0)
        ])
    );
    assert_eq!(store.buckets(at(99_000), 10_000).await, Ok(Vec::new()));
    // A stretch of no length is taken as the shortest one.
    assert_eq!(store.buckets(at(35_000), 0).await, Ok(vec![bucket(35_000, 1, 0)]));
}

pub(crate) async fn stretches_have_a_maximum(store: impl AnyStore) {
    InterceptStore::append(&store, (0..=BUCKETS_MAX).map(intercept).collect())
        .await
        .unwrap();
    let counted = store.buckets(at(0), 1_000).await.unwrap();
    assert_eq!(counted.len(), BUCKETS_MAX as usize);
    assert_eq!(counted[0].from, at(1_000));
}

pub(crate) async fn the_store_is_healthy(store: impl AnyStore) {
    assert_eq!(Health::check(&store).await, Ok(()));
}

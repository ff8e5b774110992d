//! What all counters promise, whatever keeps them.
//!
//! They join with `counters_suite!(fixture)`, where `fixture` makes empty ones.

use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::counting::{COUNT_BATCH_MAX, COUNT_NAME_BYTES_MAX, Count, SLICES, WindowCounters};

/// Long enough that no slice ends while a test runs unless it has to be so; a test allows for one that does.
pub(crate) const WINDOW: Duration = Duration::from_mins(100);

/// Counters whose time a test moves on.
#[async_trait]
pub(crate) trait CountersFixture: Send + Sync {
    fn counters(&self) -> &dyn WindowCounters;

    /// Lets all that was counted be older by so many slices of [`WINDOW`].
    async fn age_by_slices(&self, slices: u32);
}

/// Makes one test of each promise, on the counters that `$fixture` gives.
macro_rules! counters_suite {
    ($fixture:path) => {
        crate::counting::conformance::counters_suite! { @each $fixture;
            counts_add_up_by_name
            a_window_moves_along
            another_window_counts_apart
            asking_adds_nothing
            what_is_too_large_is_refused_whole
        }
    };
    (@each $fixture:path; $($promise:ident)+) => {
        $(
            #[tokio::test]
            async fn $promise() {
                crate::counting::conformance::$promise(&$fixture().await).await;
            }
        )+
    };
}
pub(crate) use counters_suite;

pub(crate) fn count(name: &str, times: u64) -> Count {
    Count {
        name: name.to_owned(),
        times,
    }
}

pub(crate) async fn add(counters: &dyn WindowCounters, name: &str, times: u64) -> u64 {
    let counts = counters.add(WINDOW, vec![count(name, times)]).await;
    counts.expect("counters that work")[0]
}

pub(crate) async fn counts_add_up_by_name(fixture: &dyn CountersFixture) {
    let counters = fixture.counters();
    let batch = vec![count("a", 2), count("b", 5)];
    assert_eq!(counters.add(WINDOW, batch.clone()).await, Ok(vec![2, 5]));
    assert_eq!(counters.add(WINDOW, batch).await, Ok(vec![4, 10]));
    let batch = vec![count("b", 1), count("new", 1), count("a", 0)];
    assert_eq!(counters.add(WINDOW, batch).await, Ok(vec![11, 1, 4]));
    assert_eq!(counters.add(WINDOW, Vec::new()).await, Ok(Vec::new()));
}

pub(crate) async fn a_window_moves_along(fixture: &dyn CountersFixture) {
    let counters = fixture.counters();
    add(counters, "a", 1).await;
    fixture.age_by_slices(SLICES / 2).await;
    assert_eq!(add(counters, "a", 10).await, 11);
    fixture.age_by_slices(SLICES / 2 - 2).await;
    assert_eq!(add(counters, "a", 0).await, 11, "younger than the window");
    fixture.age_by_slices(2).await;
    assert_eq!(add(counters, "a", 100).await, 110, "the first is older");
    fixture.age_by_slices(SLICES).await;
    assert_eq!(add(counters, "a", 0).await, 0);
}

pub(crate) async fn another_window_counts_apart(fixture: &dyn CountersFixture) {
    let counters = fixture.counters();
    add(counters, "a", 7).await;
    let other = counters.add(WINDOW * 2, vec![count("a", 1)]).await;
    assert_eq!(other, Ok(vec![1]));
}

pub(crate) async fn asking_adds_nothing(fixture: &dyn CountersFixture) {
    let counters = fixture.counters();
    for _ in 0..3 {
        assert_eq!(add(counters, "a", 0).await, 0);
    }
    assert_eq!(add(counters, "a", 1).await, 1);
}

pub(crate) async fn what_is_too_large_is_refused_whole(fixture: &dyn CountersFixture) {
    let counters = fixture.counters();
    let names = |names: usize| (0..names).map(|name| count(&name.to_string(), 1)).collect();
    let counts = counters.add(WINDOW, names(COUNT_BATCH_MAX)).await;
    assert_eq!(counts, Ok(vec![1; COUNT_BATCH_MAX]));
    let counts = counters.add(WINDOW, names(COUNT_BATCH_MAX + 1)).await;
    assert!(counts.is_err());
    let longest = "x".repeat(COUNT_NAME_BYTES_MAX);
    assert_eq!(add(counters, &longest, 1).await, 1);
    let longer = format!("{longest}x");
    for name in [&longer, ""] {
        let counts = counters.add(WINDOW, vec![count("0", 1), count(name, 1)]).await;
        assert!(counts.is_err());
    }
    assert_eq!(add(counters, "0", 0).await, 1, "refused whole");
}

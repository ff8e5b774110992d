use super::conformance::{CountersFixture, WINDOW, add, count, counters_suite};
use super::*;
use sentinel_core::counting::{COUNT_BATCH_MAX, COUNT_NAME_BYTES_MAX};

#[async_trait]
impl CountersFixture for MemoryCounters {
    fn counters(&self) -> &dyn WindowCounters {
        self
    }

    async fn age_by_slices(&self, slices: u32) {
        tokio::time::advance(WINDOW / SLICES * slices).await;
    }
}

async fn fixture() -> MemoryCounters {
    tokio::time::pause();
    MemoryCounters::new()
}

counters_suite!(fixture);

#[tokio::test(start_paused = true)]
async fn names_are_bounded_and_the_quietest_goes_first() {
    let counters = MemoryCounters::new();
    assert_eq!(add(&counters, "quiet", 3).await, 3);
    tokio::time::advance(WINDOW / SLICES).await;
    for name in 1..COUNTED_NAMES_MAX {
        add(&counters, &name.to_string(), 1).await;
    }
    assert_eq!(add(&counters, "quiet", 0).await, 3);
    assert_eq!(add(&counters, "one more", 1).await, 1);
    assert_eq!(add(&counters, "quiet", 0).await, 0);
    let names = || {
        counters
            .0
            .lock()
            .unwrap()
            .as_ref()
            .expect("the window")
            .names
            .len()
    };
    assert_eq!(names(), COUNTED_NAMES_MAX - FORGOTTEN_AT_ONCE + 1);
    tokio::time::advance(WINDOW).await;
    for name in 0..=FORGOTTEN_AT_ONCE {
        add(&counters, &format!("later {name}"), 1).await;
    }
    assert_eq!(names(), FORGOTTEN_AT_ONCE + 1, "what is past goes first");
}

#[test]
fn a_batch_is_refused_by_its_bounds() {
    let name = |length: usize| count(&"x".repeat(length), 1);
    assert!(check(&vec![name(COUNT_NAME_BYTES_MAX); COUNT_BATCH_MAX]).is_ok());
    assert!(check(&vec![name(1); COUNT_BATCH_MAX + 1]).is_err());
    assert!(check(&[name(COUNT_NAME_BYTES_MAX + 1)]).is_err());
    assert!(check(&[name(0)]).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_window_is_never_shorter_than_its_least() {
    let counters = MemoryCounters::new();
    for window in [Duration::ZERO, COUNT_WINDOW_MIN] {
        let counts = counters.add(window, vec![count("a", 1)]).await;
        assert!(counts.is_ok());
    }
    let counts = counters.add(COUNT_WINDOW_MIN, vec![count("a", 0)]).await;
    assert_eq!(counts, Ok(vec![2]));
}

#[tokio::test(start_paused = true)]
async fn the_last_slice_of_a_window_leaves_whole() {
    let counters = MemoryCounters::new();
    add(&counters, "a", 1).await;
    tokio::time::advance(WINDOW.saturating_sub(Duration::from_millis(1))).await;
    assert_eq!(add(&counters, "a", 0).await, 1);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(add(&counters, "a", 0).await, 0);
}

//! The bounds that every store keeps, so that one question can never bring a whole table into memory.

/// The most rows that one page holds; a larger `limit` is cut to it.
pub const PAGE_ROWS_MAX: u32 = 1_000;

/// The most stretches of time that one count of intercepts gives; the newest are kept.
pub const BUCKETS_MAX: u32 = 10_000;

/// How many rows a page with this `limit` holds at most.
pub(crate) fn page_rows(limit: u32) -> u32 {
    limit.min(PAGE_ROWS_MAX)
}

/// How many rows are left of a page with this `limit` when some were found.
pub(crate) fn remaining(limit: u32, found: usize) -> u32 {
    page_rows(limit).saturating_sub(u32::try_from(found).unwrap_or(u32::MAX))
}

/// The most runs of ids that one statement asks for: more are asked for in several, as each is a part of its condition.
pub(crate) const RUNS_ASKED_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use sentinel_core::ports::InterceptStore;

    use super::*;
    use crate::conformance::{at, intercepts::intercept};
    use crate::memory::MemoryStore;

    /// That more runs than these are found is a matter of the conformance suite.
    #[test]
    fn runs_asked_max_runs_make_a_condition_that_sqlite_takes() {
        // SQLITE_MAX_EXPR_DEPTH, <https://www.sqlite.org/limits.html>: a chain of ORs is as deep as it is long.
        const { assert!(RUNS_ASKED_MAX < 1_000) };
    }

    #[test]
    fn what_is_left_of_a_page_is_never_more_than_the_page() {
        assert_eq!(remaining(10, 3), 7);
        assert_eq!(remaining(10, 11), 0);
        assert_eq!(remaining(u32::MAX, 1), PAGE_ROWS_MAX - 1);
        assert_eq!(remaining(5, usize::MAX), 0);
    }

    #[tokio::test]
    async fn as_many_stretches_as_the_bound_are_all_given() {
        let store = MemoryStore::new();
        InterceptStore::append(&store, (1..=BUCKETS_MAX).map(intercept).collect())
            .await
            .unwrap();
        let counted = store.buckets(at(0), 1_000).await.unwrap();
        assert_eq!(counted.len(), BUCKETS_MAX as usize);
        assert_eq!(counted[0].from, at(1_000));
    }

    #[test]
    fn a_page_is_cut_to_its_bound() {
        assert_eq!(page_rows(PAGE_ROWS_MAX), PAGE_ROWS_MAX);
        assert_eq!(page_rows(PAGE_ROWS_MAX + 1), PAGE_ROWS_MAX);
        assert_eq!(page_rows(0), 0);
    }
}

//! The bounds that every store keeps, so that one question can never bring a whole table into memory.

/// The most rows that one page holds; a larger `limit` is cut to it.
pub const PAGE_ROWS_MAX: u32 = 1_000;

/// The most stretches of time that one count of intercepts gives; the newest are kept.
pub const BUCKETS_MAX: u32 = 10_000;

/// How many rows a page with this `limit` holds at most.
pub(crate) fn page_rows(limit: u32) -> u32 {
    limit.min(PAGE_ROWS_MAX)
}

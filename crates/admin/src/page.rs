//! Pages of lists, by keyset: the next page begins before the last row of this one, so that new rows shift nothing.

use serde::Serialize;

use crate::problem::Problem;

/// The most rows of one page.
pub(crate) const PAGE_ROWS_MAX: u32 = 200;
/// The rows of a page unless the caller asks for more or fewer.
pub(crate) const PAGE_ROWS_DEFAULT: u32 = 50;

/// One page of a list.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Page<T> {
    /// Newest first.
    pub(crate) items: Vec<T>,
    /// The `before` of the next page; none on the last one.
    pub(crate) next_before: Option<i64>,
}

/// How many rows a page has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageLimit(u32);

/// The limit in the query, or the default.
pub(crate) fn limit(text: Option<&str>) -> Result<PageLimit, Problem> {
    let Some(text) = text else {
        return Ok(PageLimit(PAGE_ROWS_DEFAULT));
    };
    match text.parse() {
        Ok(rows @ 1..=PAGE_ROWS_MAX) => Ok(PageLimit(rows)),
        _ => Err(Problem::field(
            "limit",
            format!("It must be a number from 1 to {PAGE_ROWS_MAX}."),
        )),
    }
}

impl PageLimit {
    /// What to ask the store for: one row more than the page holds tells whether there is another page.
    pub(crate) fn with_one_more(self) -> u32 {
        self.0 + 1
    }

    /// The rows of the page, and whether there is another one.
    pub(crate) fn cut<R>(self, mut rows: Vec<R>) -> (Vec<R>, bool) {
        let rows_max = usize::try_from(self.0).unwrap_or(usize::MAX);
        let has_more = rows.len() > rows_max;
        rows.truncate(rows_max);
        (rows, has_more)
    }

    /// The page from the rows that the store gave.
    pub(crate) fn page<R, T>(self, rows: Vec<R>, id: impl Fn(&R) -> i64, view: impl Fn(R) -> T) -> Page<T> {
        let (rows, has_more) = self.cut(rows);
        let next_before = rows.last().filter(|_| has_more).map(id);
        Page {
            items: rows.into_iter().map(view).collect(),
            next_before,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_bounded() {
        assert_eq!(limit(None).ok(), Some(PageLimit(PAGE_ROWS_DEFAULT)));
        assert_eq!(limit(Some("1")).ok(), Some(PageLimit(1)));
        assert_eq!(limit(Some("200")).ok(), Some(PageLimit(PAGE_ROWS_MAX)));
        for text in ["0", "201", "-1", "x", "", "99999999999"] {
            assert!(limit(Some(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn the_cursor_is_the_last_row_and_only_when_more_follow() {
        let page = |rows: Vec<i64>| PageLimit(2).page(rows, |row| *row, |row| row);
        assert_eq!(page(vec![9, 8]).next_before, None);
        let first = page(vec![9, 8, 7]);
        assert_eq!((first.items, first.next_before), (vec![9, 8], Some(8)));
        assert_eq!(page(vec![]).next_before, None);
    }
}

//! Builds the conditions of a page from the parts of a filter that are set, so that PostgreSQL plans for those only.
//!
//! Values are always bound, never written into the statement.

use tokio_postgres::types::ToSql;

/// Conditions that all have to hold.
#[derive(Default)]
pub(super) struct Conditions {
    clauses: Vec<String>,
    values: Vec<Box<dyn ToSql + Sync + Send>>,
}

impl Conditions {
    /// Adds a condition with one `?`, when there is something to compare with.
    pub(super) fn add(&mut self, clause: &str, value: Option<impl ToSql + Sync + Send + 'static>) {
        if let Some(value) = value {
            self.values.push(Box::new(value));
            self.clauses
                .push(clause.replacen('?', &format!("${}", self.values.len()), 1));
        }
    }

    /// Adds a condition without a value.
    pub(super) fn say(&mut self, clause: String) {
        self.clauses.push(clause);
    }

    /// The statement for one page, newest first.
    pub(super) fn page(&self, select: &str, limit: u32) -> String {
        self.page_ordered(select, "id DESC", limit.into())
    }

    /// The statement for one page in this order.
    pub(super) fn page_ordered(&self, select: &str, order: &str, limit: u64) -> String {
        format!("{}{} ORDER BY {order} LIMIT {limit}", select, self.conditions())
    }

    /// The statement for so many rows, whichever they are.
    pub(super) fn limited(&self, select: &str, limit: u64) -> String {
        format!("{}{} LIMIT {limit}", select, self.conditions())
    }

    fn conditions(&self) -> String {
        if self.clauses.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", self.clauses.join(" AND "))
        }
    }

    /// What its places stand for.
    pub(super) fn values(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.values
            .iter()
            .map(|value| -> &(dyn ToSql + Sync) { &**value })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_set_becomes_a_condition() {
        let mut conditions = Conditions::default();
        conditions.add("a = ?", Some(1_i64));
        conditions.add("b = ?", None::<i64>);
        conditions.add("c LIKE ?", Some("x"));
        assert_eq!(
            conditions.page("SELECT x FROM t", 7),
            "SELECT x FROM t WHERE a = $1 AND c LIKE $2 ORDER BY id DESC LIMIT 7"
        );
        assert_eq!(conditions.values().len(), 2);
        assert_eq!(
            Conditions::default().page("SELECT x FROM t", 0),
            "SELECT x FROM t ORDER BY id DESC LIMIT 0"
        );
    }
}

//! Builds the conditions of a page from the parts of a filter that are set, so that SQLite sees only those and uses its indexes.
//!
//! Values are always bound, never written into the statement.

use rusqlite::types::Value;

/// Conditions that all have to hold.
#[derive(Default)]
pub(super) struct Conditions {
    clauses: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    /// Adds a condition with one `?`, when there is something to compare with.
    pub(super) fn add(&mut self, clause: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.clauses.push(clause.to_owned());
            self.values.push(value.into());
        }
    }

    /// Adds a condition with as many `?` as there are values.
    pub(super) fn add_all(&mut self, clause: String, values: impl IntoIterator<Item = Value>) {
        self.clauses.push(clause);
        self.values.extend(values);
    }

    /// The statement for one page, newest first, and its values.
    pub(super) fn page(self, select: &str, limit: u32) -> (String, Vec<Value>) {
        self.page_ordered(select, "id DESC", limit)
    }

    /// The statement for one page in this order, and its values.
    pub(super) fn page_ordered(self, select: &str, order: &str, limit: u32) -> (String, Vec<Value>) {
        self.finish(select, &format!(" ORDER BY {order} LIMIT ?"), i64::from(limit))
    }

    /// The statement for so many rows, whichever they are, and its values.
    pub(super) fn limited(self, select: &str, limit: i64) -> (String, Vec<Value>) {
        self.finish(select, " LIMIT ?", limit)
    }

    fn finish(mut self, select: &str, end: &str, limit: i64) -> (String, Vec<Value>) {
        let mut statement = select.to_owned();
        if !self.clauses.is_empty() {
            statement.push_str(" WHERE ");
            statement.push_str(&self.clauses.join(" AND "));
        }
        statement.push_str(end);
        self.values.push(Value::Integer(limit));
        (statement, self.values)
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
        conditions.add_all("c IN (?, ?)".to_owned(), [Value::Integer(2), Value::Integer(3)]);
        let (statement, values) = conditions.page("SELECT x FROM t", 7);
        assert_eq!(
            statement,
            "SELECT x FROM t WHERE a = ? AND c IN (?, ?) ORDER BY id DESC LIMIT ?"
        );
        assert_eq!(values, [1, 2, 3, 7].map(Value::Integer));
    }
}

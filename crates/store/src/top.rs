//! Who was refused most: what a batch of the audit log adds to the lists of its hours and days.
//!
//! The lists are bounded as in the space-saving algorithm: when there are too many subjects, the least go, and what they had is counted
//! together. The most that any of them had is remembered, and added to whoever comes later when it is judged again who is least: so who is
//! often refused gets in, however many others came first.

use std::collections::BTreeMap;

use sentinel_core::binding::BindingId;
use sentinel_core::event::{Intercept, InterceptOutcome, SEVERAL_CLIENTS};
use sentinel_core::fingerprint::KeyHint;
use sentinel_core::ports::TrafficSpan;
use sentinel_core::time::Timestamp;

use crate::change::hexadecimal;

/// The subject that stands for all that have no row of their own.
pub(crate) const OTHERS: &str = "";

/// The lists that are kept.
const SPANS: [TrafficSpan; 2] = [TrafficSpan::Hour, TrafficSpan::Day];

/// Of what a list is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TopKind {
    /// Of addresses.
    Address,
    /// Of keys.
    Key,
}

impl TopKind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Key => "key",
        }
    }
}

/// One list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TopList {
    pub(crate) span: TrafficSpan,
    pub(crate) from: Timestamp,
    pub(crate) kind: TopKind,
}

/// What is added to one subject of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Added {
    pub(crate) binding: Option<BindingId>,
    pub(crate) hint: Option<KeyHint>,
    pub(crate) count: u64,
}

/// By list and subject, in the order in which every replica locks rows.
pub(crate) type Additions = BTreeMap<(TopList, String), Added>;

/// What these rows add. Only refusals count: who is observed is not refused.
pub(crate) fn additions<'i>(written: impl IntoIterator<Item = &'i Intercept>) -> Additions {
    let mut additions = Additions::new();
    for intercept in written {
        if intercept.outcome != InterceptOutcome::Refused {
            continue;
        }
        for span in SPANS {
            let from = span.start_of(intercept.at);
            let mut add = |kind, subject: String, binding, hint| {
                let list = TopList { span, from, kind };
                let added = additions.entry((list, subject)).or_default();
                added.count = added.count.saturating_add(u64::from(intercept.count));
                added.binding = binding;
                added.hint = hint;
            };
            if let Some(subject) = key(intercept) {
                add(TopKind::Key, subject, intercept.binding, intercept.hint.clone());
            }
            add(TopKind::Address, address(intercept), None, None);
        }
    }
    additions
}

/// The lists that anything is added to.
pub(crate) fn lists(additions: &Additions) -> Vec<TopList> {
    let mut lists: Vec<TopList> = additions.keys().map(|(list, _)| *list).collect();
    lists.dedup();
    lists
}

/// A count as a column holds it.
pub(crate) fn column_count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A key with a binding is known by it, any other by its fingerprint; without either there is no key to speak of.
fn key(intercept: &Intercept) -> Option<String> {
    match (intercept.binding, intercept.fingerprint) {
        (Some(binding), _) => Some(format!("binding {}", binding.0)),
        (None, Some(fingerprint)) => Some(hexadecimal(&fingerprint)),
        (None, None) => None,
    }
}

fn address(intercept: &Intercept) -> String {
    if intercept.client_ip == SEVERAL_CLIENTS {
        return OTHERS.to_owned();
    }
    intercept.client_ip.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{address, at, fingerprint, intercepts::intercept};

    #[test]
    fn rows_add_up_by_hour_and_day_and_observed_ones_do_not_count() {
        let mut of_binding = intercept(1);
        of_binding.binding = Some(BindingId(7));
        of_binding.fingerprint = Some(fingerprint(1));
        of_binding.count = 5;
        let mut next_hour = of_binding.clone();
        next_hour.at = at(3_600_000);
        let mut unknown = intercept(2);
        unknown.fingerprint = Some(fingerprint(2));
        unknown.client_ip = SEVERAL_CLIENTS;
        let mut observed = of_binding.clone();
        observed.outcome = InterceptOutcome::Observed;
        let additions = additions(&[of_binding, next_hour, unknown, observed, intercept(3)]);
        let count = |span, from, kind, subject: &str| {
            let list = TopList {
                span,
                from: at(from),
                kind,
            };
            additions
                .get(&(list, subject.to_owned()))
                .map(|added| added.count)
        };
        let (hour, day) = (TrafficSpan::Hour, TrafficSpan::Day);
        assert_eq!(count(hour, 0, TopKind::Key, "binding 7"), Some(5));
        assert_eq!(count(hour, 3_600_000, TopKind::Key, "binding 7"), Some(5));
        assert_eq!(count(day, 0, TopKind::Key, "binding 7"), Some(10));
        let hexadecimal = hexadecimal(&fingerprint(2));
        assert_eq!(count(day, 0, TopKind::Key, &hexadecimal), Some(1));
        let here = address("192.0.2.1").to_string();
        assert_eq!(count(hour, 0, TopKind::Address, &here), Some(6));
        assert_eq!(count(day, 0, TopKind::Address, OTHERS), Some(1));
        assert_eq!(lists(&additions).len(), 6);
    }
}

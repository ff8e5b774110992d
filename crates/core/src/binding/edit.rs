//! What operators change about a binding, and how such a change ends.

use super::{BindingRecord, LABELS_MAX};
use crate::network::Network;
use crate::time::Timestamp;

/// One change of one binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindingEdit {
    /// Moves it to the archive; the key's next use binds it again.
    Unbind,
    /// Refuses the key from everywhere.
    Ban {
        /// Why, for operators.
        reason: String,
        /// When the ban ends by itself.
        expires_at: Option<Timestamp>,
    },
    /// Lets the key be used from its networks again.
    Unban,
    /// Replaces the networks: 1 to [`super::BINDING_NETWORKS_MAX`], which the caller has checked.
    Networks(Vec<Network>),
    /// Writes on it; what is none stays. The caller has checked the bounds.
    Remarks {
        /// The new note.
        note: Option<String>,
        /// The new labels.
        labels: Option<Vec<String>>,
    },
    /// Adds a label, while there are fewer than [`LABELS_MAX`].
    AddLabel(String),
    /// Takes a label away.
    RemoveLabel(String),
}

/// How a change ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edited {
    /// It was made; the binding as it is afterwards, or as it was when it is gone.
    Done(Box<BindingRecord>),
    /// The binding is another than the caller knew; nothing was changed.
    Outdated(Box<BindingRecord>),
    /// There is no such binding.
    Missing,
}

impl Edited {
    /// The record of a change that was made.
    pub fn done(self) -> Option<BindingRecord> {
        match self {
            Self::Done(record) => Some(*record),
            Self::Outdated(_) | Self::Missing => None,
        }
    }
}

impl BindingEdit {
    /// The labels that the binding has afterwards, where the change is about them.
    pub fn labels_after(&self, before: &[String]) -> Option<Vec<String>> {
        match self {
            Self::Remarks { labels, .. } => labels.clone(),
            Self::AddLabel(label) => {
                let mut labels = before.to_vec();
                if !labels.contains(label) && labels.len() < LABELS_MAX {
                    labels.push(label.clone());
                }
                Some(labels)
            }
            Self::RemoveLabel(label) => {
                let others = before.iter().filter(|other| *other != label);
                Some(others.cloned().collect())
            }
            Self::Unbind | Self::Ban { .. } | Self::Unban | Self::Networks(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_added_up_to_labels_max_and_never_twice() {
        let label = |number: usize| format!("label-{number}");
        let full: Vec<String> = (0..LABELS_MAX).map(label).collect();
        let add = |before: &[String], number| BindingEdit::AddLabel(label(number)).labels_after(before);
        assert_eq!(add(&full[1..], 0).map(|labels| labels.len()), Some(LABELS_MAX));
        assert_eq!(add(&full, LABELS_MAX), Some(full.clone()));
        assert_eq!(add(&full, 3), Some(full.clone()));
        let removed = BindingEdit::RemoveLabel(label(0)).labels_after(&full);
        assert_eq!(removed.as_deref(), Some(&full[1..]));
        assert_eq!(BindingEdit::Unban.labels_after(&full), None);
    }
}

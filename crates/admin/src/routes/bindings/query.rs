//! Which bindings are asked for, and in which order.

use sentinel_core::binding::{BindingId, BindingRecord, BindingStatus, LABEL_CHARACTERS_MAX};
use sentinel_core::ports::{BindingCursor, BindingFilter, BindingOrder, BindingPage};
use serde::Deserialize;

use crate::extract::{check_length, parse_address, parse_moment, parse_network, parse_number};
use crate::problem::Problem;

/// The longest text that is looked for in hints and notes, in characters.
pub(super) const PART_CHARACTERS_MAX: usize = 64;
/// The longest cursor, in bytes.
const CURSOR_BYTES_MAX: usize = 64;

#[derive(Default, Deserialize, utoipa::IntoParams, utoipa::ToSchema)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct BindingQuery {
    status: Option<String>,
    /// A part of the hint.
    hint: Option<String>,
    /// An address that one of its networks contains.
    address: Option<String>,
    /// A network that shares addresses with one of its networks.
    network: Option<String>,
    /// A network that one of its networks lies in.
    within: Option<String>,
    profile: Option<String>,
    label: Option<String>,
    /// A part of the note.
    note: Option<String>,
    /// Last used at or after this moment.
    #[param(format = DateTime)]
    used_after: Option<String>,
    /// Last used before this moment.
    #[param(format = DateTime)]
    used_before: Option<String>,
    /// One of newest, oldest, last_used, most_used.
    sort: Option<String>,
    /// The `next_after` of the page before, in the same order.
    after: Option<String>,
    /// The `next_before` of the page before, with the newest first.
    #[param(value_type = Option<i64>)]
    before: Option<String>,
    #[param(value_type = Option<i64>)]
    pub(super) limit: Option<String>,
}

impl BindingQuery {
    /// The filter, where neither an order nor a place makes sense. One that lets everything through is taken for a mistake.
    pub(super) fn filter_alone(self, limit: u32) -> Result<BindingFilter, Problem> {
        for (name, text) in [
            ("filter.sort", &self.sort),
            ("filter.after", &self.after),
            ("filter.before", &self.before),
            ("filter.limit", &self.limit),
        ] {
            if text.is_some() {
                return Err(Problem::field(name, "There is no such field."));
            }
        }
        let (filter, _) = self.page(limit)?;
        let everything = BindingFilter {
            limit,
            ..BindingFilter::default()
        };
        if filter == everything {
            return Err(Problem::field(
                "filter",
                "It must say something: it lets every binding through.",
            ));
        }
        Ok(filter)
    }

    /// What to ask the store for.
    pub(super) fn page(self, limit: u32) -> Result<(BindingFilter, BindingPage), Problem> {
        let moment = |name, text: Option<String>| text.map(|text| parse_moment(name, &text)).transpose();
        let network = |name, text: Option<String>| text.map(|text| parse_network(name, &text)).transpose();
        for (name, text, characters_max) in [
            ("hint", &self.hint, PART_CHARACTERS_MAX),
            ("note", &self.note, PART_CHARACTERS_MAX),
            ("profile", &self.profile, PART_CHARACTERS_MAX),
            ("label", &self.label, LABEL_CHARACTERS_MAX),
        ] {
            check_length(name, text.as_deref().unwrap_or_default(), characters_max)?;
        }
        let order = self
            .sort
            .as_deref()
            .map_or(Ok(BindingOrder::Newest), parse_order)?;
        if self.before.is_some() && (order != BindingOrder::Newest || self.after.is_some()) {
            return Err(Problem::field(
                "before",
                "It goes with the newest first only; give 'after' in its place.",
            ));
        }
        let after = self.after.as_deref().map(|text| parse_cursor(order, text));
        let filter = BindingFilter {
            ids: None,
            status: self.status.as_deref().map(parse_status).transpose()?,
            hint: self.hint,
            address: self
                .address
                .map(|text| parse_address("address", &text))
                .transpose()?,
            network: network("network", self.network)?,
            within: network("within", self.within)?,
            profile: self.profile,
            label: self.label,
            note: self.note,
            used_after: moment("used_after", self.used_after)?,
            used_before: moment("used_before", self.used_before)?,
            ban_expires_until: None,
            before: self
                .before
                .map(|text| parse_number("before", &text))
                .transpose()?
                .map(BindingId),
            limit,
        };
        let after = after.transpose()?;
        Ok((filter, BindingPage { order, after }))
    }
}

/// A row's place, as the next page's `after`. Callers give it back as it is.
pub(super) fn cursor_text(order: BindingOrder, row: &BindingRecord) -> String {
    let BindingCursor { value, id } = order.place(row);
    format!("{}.{value}.{id}", order.as_str())
}

fn parse_cursor(order: BindingOrder, text: &str) -> Result<BindingCursor, Problem> {
    let read = |text: &str| {
        let mut parts = text.split('.');
        let (of, value, id) = (parts.next()?, parts.next()?, parts.next()?);
        let is_whole = parts.next().is_none() && of == order.as_str();
        let (value, id) = (value.parse().ok()?, BindingId(id.parse().ok()?));
        is_whole.then_some(BindingCursor { value, id })
    };
    Some(text)
        .filter(|text| text.len() <= CURSOR_BYTES_MAX)
        .and_then(read)
        .ok_or_else(|| {
            Problem::field(
                "after",
                "It must be the 'next_after' of a page in the same order.",
            )
        })
}

fn parse_order(text: &str) -> Result<BindingOrder, Problem> {
    BindingOrder::from_word(text).ok_or_else(|| {
        let words = BindingOrder::ALL.map(BindingOrder::as_str).join(", ");
        Problem::field("sort", format!("It must be one of {words}."))
    })
}

fn parse_status(text: &str) -> Result<BindingStatus, Problem> {
    BindingStatus::from_word(text).ok_or_else(|| Problem::field("status", "It must be 'active' or 'banned'."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_in_its_own_order_and_up_to_cursor_bytes_max() {
        let longest = format!("most_used.{}.{}", i64::MAX, i64::MAX);
        assert!(longest.len() <= CURSOR_BYTES_MAX);
        assert!(parse_cursor(BindingOrder::MostUsed, &longest).is_ok());
        for text in [
            "",
            "most_used.1",
            "most_used.1.2.3",
            "most_used.x.2",
            "newest.1.2",
        ] {
            assert!(parse_cursor(BindingOrder::MostUsed, text).is_err(), "{text}");
        }
        let padded = format!("most_used.{}.1", "0".repeat(CURSOR_BYTES_MAX));
        assert!(parse_cursor(BindingOrder::MostUsed, &padded).is_err());
    }
}

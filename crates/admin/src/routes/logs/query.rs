//! Which rows of the audit log are asked for.

use sentinel_core::binding::BindingId;
use sentinel_core::decision::RefusalReason;
use sentinel_core::event::InterceptOutcome;
use sentinel_core::ports::InterceptFilter;
use serde::Deserialize;

use crate::extract::{check_length, parse_address, parse_moment, parse_network, parse_number};
use crate::problem::Problem;

/// The longest reference that is looked for, in characters.
pub(super) const REFERENCE_CHARACTERS_MAX: usize = 64;
/// The longest part of a path, a user agent or a hint that is looked for, in characters.
pub(super) const PART_CHARACTERS_MAX: usize = 128;

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct LogQuery {
    reason: Option<String>,
    reference: Option<String>,
    #[param(value_type = Option<i64>)]
    binding: Option<String>,
    client_ip: Option<String>,
    /// A network that the client's address lies in.
    network: Option<String>,
    /// A part of the path.
    path: Option<String>,
    /// A part of the user agent.
    user_agent: Option<String>,
    /// A part of the hint.
    hint: Option<String>,
    /// `refused` or `observed`.
    outcome: Option<String>,
    /// A part of the path or of the user agent.
    q: Option<String>,
    since: Option<String>,
    until: Option<String>,
    #[param(value_type = Option<i64>)]
    before: Option<String>,
    #[param(value_type = Option<i64>)]
    pub(super) limit: Option<String>,
    /// Of an export only: `csv` or `jsonl`.
    pub(super) format: Option<String>,
    /// Of an export as CSV only: `1` begins it with a byte order mark, which spreadsheets want.
    pub(super) bom: Option<String>,
}

impl LogQuery {
    /// Refuses what only an export takes.
    pub(super) fn is_no_export(&self) -> Result<(), Problem> {
        let given = [("format", &self.format), ("bom", &self.bom)];
        match given.into_iter().find(|(_, text)| text.is_some()) {
            Some((name, _)) => Err(Problem::field(name, "There is no such field.")),
            None => Ok(()),
        }
    }

    /// Refuses what only a list takes.
    pub(super) fn is_no_page(&self) -> Result<(), Problem> {
        let given = [("before", &self.before), ("limit", &self.limit)];
        match given.into_iter().find(|(_, text)| text.is_some()) {
            Some((name, _)) => Err(Problem::field(name, "There is no such field.")),
            None => Ok(()),
        }
    }

    pub(super) fn filter(self, limit: u32) -> Result<InterceptFilter, Problem> {
        let moment = |name, text: Option<String>| text.map(|text| parse_moment(name, &text)).transpose();
        let number = |name, text: Option<String>| text.map(|text| parse_number(name, &text)).transpose();
        for (name, text, characters_max) in [
            ("reference", &self.reference, REFERENCE_CHARACTERS_MAX),
            ("path", &self.path, PART_CHARACTERS_MAX),
            ("user_agent", &self.user_agent, PART_CHARACTERS_MAX),
            ("hint", &self.hint, PART_CHARACTERS_MAX),
            ("q", &self.q, PART_CHARACTERS_MAX),
        ] {
            check_length(name, text.as_deref().unwrap_or_default(), characters_max)?;
        }
        Ok(InterceptFilter {
            reason: self.reason.as_deref().map(parse_reason).transpose()?,
            reference: self.reference,
            binding: number("binding", self.binding)?.map(BindingId),
            client_ip: self
                .client_ip
                .map(|text| parse_address("client_ip", &text))
                .transpose()?,
            network: self
                .network
                .map(|text| parse_network("network", &text))
                .transpose()?,
            outcome: self.outcome.as_deref().map(parse_outcome).transpose()?,
            path: self.path,
            user_agent: self.user_agent,
            hint: self.hint,
            text: self.q,
            since: moment("since", self.since)?,
            until: moment("until", self.until)?,
            before: number("before", self.before)?,
            limit,
        })
    }
}

fn parse_reason(text: &str) -> Result<RefusalReason, Problem> {
    RefusalReason::from_code(text).ok_or_else(|| {
        let codes = RefusalReason::ALL.map(RefusalReason::code).join(", ");
        Problem::field("reason", format!("It must be one of {codes}."))
    })
}

fn parse_outcome(text: &str) -> Result<InterceptOutcome, Problem> {
    InterceptOutcome::from_word(text)
        .ok_or_else(|| Problem::field("outcome", "It must be 'refused' or 'observed'."))
}

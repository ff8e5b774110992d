//! Settings and their changes as the console sees them. No secret leaves here: of one that was changed, only that it was.

use std::collections::BTreeSet;

use sentinel_admin::{
    PastChange, Setting, SettingDifference, SettingSchema, SettingSource, StoredDifference,
};
use sentinel_core::ports::SettingChange;
use serde_json::Value;

use crate::config::{self, Kind, SettingView, Source};

/// One setting.
pub(super) fn shown(setting: &SettingView) -> Setting {
    Setting {
        name: setting.name.to_owned(),
        value: setting.value.clone().into(),
        source: source(setting.source),
        live: setting.live,
        default: setting.default.map(str::to_owned),
        is_secret: setting.secret,
        schema: schema(setting.kind),
        wanted: setting.wanted.clone(),
        help: setting.help.to_owned(),
    }
}

fn schema(kind: Kind) -> SettingSchema {
    let (words, range) = match kind {
        Kind::Text | Kind::Secret | Kind::List => (None, None),
        Kind::Choice(words) => (Some(words.to_vec()), None),
        Kind::Number { min, max, .. } => (None, Some((min, max))),
    };
    SettingSchema {
        r#type: if range.is_some() { "integer" } else { "string" },
        r#enum: words,
        minimum: range.map(|(min, _)| min),
        maximum: range.map(|(_, max)| max),
    }
}

fn source(source: Source) -> SettingSource {
    match source {
        Source::Default => SettingSource::Default,
        Source::File => SettingSource::File,
        Source::Database => SettingSource::Database,
        Source::Environment => SettingSource::Environment,
    }
}

/// What is different between two views of the same settings: the value, or where it comes from.
pub(super) fn differences(before: &[SettingView], after: &[SettingView]) -> Vec<SettingDifference> {
    let pairs = before.iter().zip(after);
    let different =
        pairs.filter(|(before, after)| (&before.value, before.source) != (&after.value, after.source));
    different
        .map(|(before, after)| SettingDifference {
            name: after.name.to_owned(),
            before: before.value.clone().into(),
            after: after.value.clone().into(),
            before_source: source(before.source),
            after_source: source(after.source),
        })
        .collect()
}

/// One change in the history.
pub(super) fn past(change: SettingChange) -> PastChange {
    let names: BTreeSet<&String> = change.before.keys().chain(change.after.keys()).collect();
    let changes = names.into_iter().map(|name| {
        let is_hidden = !config::may_be_shown(name);
        let shown = |stored: Option<&Option<String>>| {
            let json = stored?.as_ref().filter(|_| !is_hidden)?;
            Some(text_of(json))
        };
        StoredDifference {
            before: shown(change.before.get(name)),
            after: shown(change.after.get(name)),
            name: name.clone(),
            is_hidden,
        }
    });
    PastChange {
        changes: changes.collect(),
        version: change.version,
        at: change.at,
        actor: change.actor,
        client_ip: change.client_ip,
    }
}

/// A stored value as the list of settings spells it.
fn text_of(json: &str) -> String {
    match serde_json::from_str(json) {
        Ok(Value::String(text)) => text,
        _ => json.to_owned(),
    }
}

use std::ffi::OsString;

use sentinel_core::policy::Mode;
use serde_json::json;

use super::super::{Requirements, Source, Sources, load};
use super::*;

/// What these variables and this file say.
fn written(variables: &[(&str, &str)], file: &str) -> Written {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("sentinel.toml");
    std::fs::write(&path, file).expect("it can be written");
    let variable = |(name, value): &(&str, &str)| (OsString::from(name), OsString::from(value));
    let sources = Sources {
        environment: variables.iter().map(variable).collect(),
        file: Some(path),
    };
    let loaded = load(&sources, Requirements { upstream: false });
    loaded.expect("the test's settings are right").written
}

fn stored(values: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    values.iter().map(owned).collect()
}

fn changes(values: &[(&str, Value)]) -> BTreeMap<String, Option<Value>> {
    let owned = |(name, value): &(&str, Value)| {
        let value = Some(value.clone()).filter(|value| !value.is_null());
        ((*name).to_owned(), value)
    };
    values.iter().map(owned).collect()
}

fn shown(effective: &Effective, name: &str) -> (String, Source) {
    let setting = effective.view.iter().find(|setting| setting.name == name);
    let setting = setting.expect("every setting is there");
    (setting.value.clone(), setting.source)
}

#[test]
fn what_is_stored_goes_before_the_file_and_after_the_environment() {
    let written = written(
        &[("SENTINEL_MODE", "enforce")],
        "[policy]\nslots = 2\nmode = 'observe'",
    );
    let nothing = written.with(&BTreeMap::new()).expect("nothing is wrong");
    assert_eq!(nothing.config.rules.slots, 2);
    let values = stored(&[
        ("policy.slots", "3"),
        ("policy.mode", "\"observe\""),
        ("store.archive_days", "30"),
    ]);
    let effective = written.with(&values).expect("nothing is wrong");
    assert_eq!(effective.config.rules.slots, 3);
    assert_eq!(effective.config.rules.mode, Mode::Enforce);
    assert_eq!(effective.config.archived_after.as_secs(), 30 * 86_400);
    assert_eq!(
        shown(&effective, "policy.slots"),
        ("3".to_owned(), Source::Database)
    );
    assert_eq!(
        shown(&effective, "policy.mode"),
        ("enforce".to_owned(), Source::Environment)
    );
}

#[test]
fn every_live_setting_can_be_stored() {
    let written = written(&[], "");
    for setting in table::LIVE {
        let value = match setting.kind {
            Kind::Number { max, .. } => json!(max),
            Kind::Choice(words) => json!(words[words.len() - 1]),
            _ => panic!("{}: which value?", setting.name),
        };
        let prepared = written.prepare(changes(&[(setting.name, value)]));
        let prepared = prepared.expect("it may change");
        let values = prepared
            .into_iter()
            .map(|(name, value)| (name, value.expect("it is set")));
        let effective = written.with(&values.collect()).expect("a good value");
        assert_eq!(shown(&effective, setting.name).1, Source::Database);
    }
}

#[test]
fn values_are_stored_in_one_spelling() {
    let prepared = written(&[], "").prepare(changes(&[
        ("policy.slots", json!(" 3 ")),
        ("policy.ipv6_prefix", json!(56)),
        ("policy.mode", json!("observe")),
        ("policy.keyless", Value::Null),
    ]));
    let expected = [
        ("policy.ipv6_prefix", Some("56")),
        ("policy.keyless", None),
        ("policy.mode", Some("\"observe\"")),
        ("policy.slots", Some("3")),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.map(str::to_owned)));
    assert_eq!(prepared, Ok(expected.into_iter().collect()));
}

#[test]
fn what_may_not_change_says_why() {
    let written = written(&[("SENTINEL_MODE", "enforce")], "");
    let wrong = written
        .prepare(changes(&[
            ("policy.mode", json!("observe")),
            ("proxy.listen", json!("0.0.0.0:1")),
            ("policy.slot", json!(1)),
            ("policy.slots", json!([1])),
            ("policy.ipv4_prefix", json!("")),
            ("internal.anything", json!("x")),
        ]))
        .expect_err("none of these");
    let details: BTreeMap<&str, &str> = wrong
        .iter()
        .map(|wrong| (wrong.name.as_str(), wrong.detail.as_str()))
        .collect();
    assert_eq!(
        details["policy.mode"],
        "is fixed by the environment: unset SENTINEL_MODE there to change it here"
    );
    assert!(details["proxy.listen"].starts_with("takes effect at a start only"));
    assert_eq!(
        details["policy.slot"],
        "is no setting; did you mean policy.slots?"
    );
    assert_eq!(
        details["policy.slots"],
        "wanted a whole number of networks from 1 to 64"
    );
    assert!(details["policy.ipv4_prefix"].starts_with("wanted a whole number"));
    assert!(details["internal.anything"].starts_with("is no setting"));
}

#[test]
fn what_is_stored_is_judged_as_a_file_would_be() {
    let written = written(&[], "");
    let wrong = written.with(&stored(&[
        ("policy.slots", "65"),
        ("policy.mode", "\"watch\""),
        ("policy.keyless", "no JSON"),
    ]));
    let mut wrong = wrong.expect_err("none of these");
    wrong.sort_by(|one, other| one.name.cmp(&other.name));
    let names: Vec<_> = wrong.iter().map(|wrong| wrong.name.as_str()).collect();
    assert_eq!(names, ["policy.keyless", "policy.mode", "policy.slots"]);
    assert_eq!(
        wrong[2].detail,
        "cannot be '65'; wanted a whole number of networks from 1 to 64"
    );
}

#[test]
fn what_another_version_stored_is_passed_over() {
    let values = stored(&[
        ("policy.colour", "\"blue\""),
        ("internal.x", "\"y\""),
        ("proxy.cores", "1"),
    ]);
    let effective = written(&[], "").with(&values).expect("nothing is wrong");
    assert_eq!(
        shown(&effective, "proxy.cores"),
        ("0".to_owned(), Source::Default)
    );
}

/// The history keeps what was stored before; a secret must not be among it.
#[test]
fn no_secret_changes_while_the_server_runs() {
    assert!(table::LIVE.iter().all(|setting| !setting.is_secret()));
}

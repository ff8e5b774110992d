use sentinel_core::alert::Example;
use sentinel_core::event::{Reference, USER_AGENT_CHARACTERS_MAX};
use sentinel_core::network::ClientIp;

use super::*;
use crate::testing::{alert, console, long_alert};

const LANGUAGES: [Language; 2] = [Language::Chinese, Language::English];

#[test]
fn a_message_says_what_how_often_and_from_where() {
    let message = Message::compose(&alert(), Language::English, Some(&console()));
    assert_eq!(
        message.title,
        "[Warning · raised] A key is refused again and again: sk-ab…wxyz"
    );
    let lines: Vec<(&str, &str)> = message
        .lines
        .iter()
        .map(|line| (line.label, line.value.as_str()))
        .collect();
    assert_eq!(
        lines,
        [
            ("Rule", "10 refusals within 60 s"),
            ("Key", "sk-ab…wxyz (binding 42)"),
            ("From", "198.51.100.7"),
            ("Count", "12"),
            ("Time", "2026-01-01T00:00:00Z to 2026-01-01T00:00:00Z"),
            ("Request", "POST /v1/<b>&[x](https://evil)"),
            ("Client", "<at id=all></at> <!channel> @all \"'`*"),
            ("Reference", "sr_abcdefghijklmnop (outside the key's networks)"),
            ("Replica", "replica-a"),
        ]
    );
    assert_eq!(message.links.len(), 4);
    assert_eq!(message.links[0].kind, LinkKind::Console);
    let without = Message::compose(&alert(), Language::English, None);
    assert_eq!(without.links, []);
    let chinese = Message::compose(&alert(), Language::Chinese, None);
    assert_eq!(chinese.title, "[警告 · 触发] 密钥被频繁拒绝: sk-ab…wxyz");
}

#[test]
fn every_rule_state_and_reason_has_words_in_every_language() {
    for language in LANGUAGES {
        for kind in RuleKind::ALL {
            for state in AlertState::ALL {
                let mut alert = alert();
                alert.rule = kind;
                alert.state = state;
                let message = Message::compose(&alert, language, None);
                assert!(message.title.chars().count() > 10, "{message:?}");
                assert!(
                    message
                        .lines
                        .iter()
                        .all(|line| !line.label.is_empty() && !line.value.is_empty())
                );
                assert!(message.lines.len() <= LINES_MAX);
            }
        }
        for reason in RefusalReason::ALL {
            assert!(!language.words().reason(reason).is_empty());
        }
    }
    assert_eq!(Language::from_word("zh"), Some(Language::Chinese));
    assert_eq!(Language::from_word("en"), Some(Language::English));
    assert_eq!(Language::from_word("de"), None);
}

#[test]
fn every_subject_has_a_name() {
    for language in LANGUAGES {
        let titles: Vec<String> = [
            Subject::Part(Part::Store),
            Subject::Part(Part::Cache),
            Subject::Part(Part::Records),
            Subject::Many,
            Subject::Address("203.0.113.0/24".parse().expect("a network")),
        ]
        .into_iter()
        .map(|subject| {
            let mut alert = alert();
            alert.subject = subject;
            Message::compose(&alert, language, None).title
        })
        .collect();
        let mut different = titles.clone();
        different.sort_unstable();
        different.dedup();
        assert_eq!(different.len(), titles.len(), "{titles:?}");
        assert!(titles[4].ends_with("203.0.113.0/24"));
    }
}

#[test]
fn texts_are_cut_and_stay_on_one_line() {
    for language in LANGUAGES {
        let mut alert = long_alert();
        alert.hint = Some(sentinel_core::fingerprint::KeyHint::from_stored(
            "x".repeat(1_000),
        ));
        alert.seen.example = Some(Example {
            reference: Reference::random(),
            reason: RefusalReason::KeyIpMismatch,
            client_ip: ClientIp::new("192.0.2.1".parse().expect("an address")),
            method: "GET".to_owned(),
            path: "a\r\nb\u{1b}".repeat(200),
            user_agent: "u".repeat(USER_AGENT_CHARACTERS_MAX),
        });
        let message = Message::compose(&alert, language, None);
        assert_eq!(message.title.chars().count(), TITLE_CHARACTERS_MAX);
        let values = message.lines.iter().map(|line| line.value.as_str());
        for value in values.chain([message.title.as_str()]) {
            assert!(value.chars().count() <= VALUE_CHARACTERS_MAX);
            assert!(!value.contains(char::is_control), "{value:?}");
        }
    }
    assert_eq!(cut("abc", 3), "abc");
    assert_eq!(cut("abcd", 3), "ab…");
}

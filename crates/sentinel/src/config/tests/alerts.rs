//! Channels and rules of alerts: what is written becomes channels, and what is wrong is told under its name without a secret.

use std::time::Duration;

use sentinel_core::alert::{ChannelId, RuleKind, Severity};

use super::super::alerts::ChannelKind;
use super::super::reference;
use super::*;

/// A channel of each kind.
const ALL_KINDS: &str = r#"
[alert]
language = "zh"
allowed_networks = ["10.0.0.0/8"]
[alert.channels.a]
kind = "webhook"
url = "https://10.1.2.3/hunter2"
secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
[alert.channels.b]
kind = "feishu"
url = "https://open.feishu.example/hook/hunter2"
secret = "hunter2"
severity = "critical"
[alert.channels.c]
kind = "dingtalk"
url = "https://oapi.dingtalk.example/robot/send?access_token=hunter2"
language = "en"
[alert.channels.d]
kind = "wecom"
url = "https://qyapi.weixin.example/webhook/send?key=hunter2"
rules = ["store_outage", "cache_outage"]
[alert.channels.e]
kind = "slack"
url = "https://hooks.slack.example/services/hunter2"
[alert.channels.f]
kind = "slack-bot"
token = "xoxb-hunter2"
conversation = "C123"
[alert.channels.g]
kind = "telegram"
token = "1:hunter2"
chat = "-100123"
thread = 7
[alert.channels.h]
kind = "email"
server = "smtp.example.com"
security = "starttls"
user = "sentinel"
password = "hunter2"
from = "sentinel@example.com"
to = ["ops@example.com", "sec@example.com"]
[alert.rules.store_outage]
severity = "info"
window_seconds = 60
[alert.rules.records_lost]
enabled = false
"#;

#[test]
fn every_kind_of_channel_is_read_and_prints_no_secret() {
    let loaded = Fixture::new().file(ALL_KINDS).loaded();
    let alerts = &loaded.config.alerts;
    let kinds: Vec<&str> = alerts
        .channels
        .iter()
        .map(|channel| channel.kind.place().0)
        .collect();
    assert_eq!(
        kinds,
        [
            "webhook",
            "feishu",
            "dingtalk",
            "wecom",
            "slack",
            "slack-bot",
            "telegram",
            "email"
        ]
    );
    let ChannelKind::Webhook { secrets, .. } = &alerts.channels[0].kind else {
        panic!("the first is a webhook");
    };
    assert_eq!(secrets.len(), 2);
    assert!(!format!("{loaded:?}").contains("hunter2"));
    let channels = crate::alerts::open_channels(alerts, None).expect("all can be made");
    assert_eq!(channels.len(), alerts.channels.len());
}

#[test]
fn rules_go_to_the_channels_that_take_them() {
    let loaded = Fixture::new().file(ALL_KINDS).loaded();
    let rules = loaded.config.alerts.rules_with(7, Duration::from_mins(2));
    let channels = |kind| -> String {
        let channels = rules.get(kind).channels.iter();
        channels.map(ChannelId::as_str).collect()
    };
    assert_eq!(channels(RuleKind::ManyNetworksForKey), "abcefgh");
    assert_eq!(channels(RuleKind::StoreOutage), "acdefgh");
    assert_eq!(rules.get(RuleKind::StoreOutage).severity, Severity::Info);
    assert_eq!(rules.get(RuleKind::StoreOutage).window, Duration::from_mins(1));
    assert_eq!(rules.enabled(RuleKind::RecordsLost), None);
    let live = rules.get(RuleKind::RefusalsPerBinding);
    assert_eq!((live.threshold, live.window), (7, Duration::from_mins(2)));
}

#[test]
fn a_rule_that_no_channel_takes_is_warned_of_and_raises_nothing() {
    let file =
        "[alert.channels.a]\nkind = 'slack'\nurl = 'https://hooks.example/x'\nrules = ['store_outage']\n";
    let loaded = Fixture::new().file(file).loaded();
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert!(
        warnings
            .iter()
            .any(|warning| warning.contains("no channel takes refusals_per_binding")),
        "{warnings:?}"
    );
    let rules = loaded.config.alerts.rules_with(5, Duration::from_mins(5));
    assert_eq!(rules.enabled(RuleKind::RefusalsPerBinding), None);
    // Without any channel they are raised for the console.
    let rules = Fixture::new()
        .loaded()
        .config
        .alerts
        .rules_with(5, Duration::from_mins(5));
    assert!(rules.enabled(RuleKind::RefusalsPerBinding).is_some());
}

/// A table, its fields, and the name and the words of its error.
const WRONG: &[(&str, &str, &str, &str)] = &[
    (
        "channels.a",
        "url = 'https://a.example'",
        "channels.a.kind",
        "is missing",
    ),
    (
        "channels.a",
        "kind = 'pager'",
        "channels.a.kind",
        "cannot be 'pager'",
    ),
    ("channels.a", "kind = 'slack'", "channels.a.url", "is missing"),
    (
        "channels.a",
        "kind = 'slack'\nurl = 'hunter2'",
        "channels.a.url",
        "not a URL",
    ),
    (
        "channels.a",
        "kind = 'slack'\nurl = 'http://h.example/hunter2'",
        "channels.a.url",
        "only https",
    ),
    (
        "channels.a",
        "kind = 'slack'\nurl = 'https://127.0.0.1/hunter2'",
        "channels.a.url",
        "no public address",
    ),
    (
        "channels.a",
        "kind = 'slack'\nurl_file = '/nonexistent'",
        "channels.a.url_file",
        "cannot be used",
    ),
    (
        "channels.a",
        "kind = 'slack'\nurl = 'https://h.example'\ntoken = 'hunter2'",
        "channels.a.token",
        "is no field",
    ),
    (
        "channels.a",
        "kind = 'slack'\nurl = 'https://h.example'\nlanguage = 'fr'",
        "channels.a.language",
        "en, zh",
    ),
    (
        "channels.a",
        "kind = 'slack'\nurl = 'https://h.example'\nseverity = 'bad'",
        "channels.a.severity",
        "critical",
    ),
    (
        "channels.a",
        "kind = 'slack'\nurl = 'https://h.example'\nrules = ['x']",
        "channels.a.rules",
        "store_outage",
    ),
    (
        "channels.'a b'",
        "kind = 'slack'\nurl = 'https://h.example'",
        "channels.a b",
        "is no name",
    ),
    (
        "channels.a",
        "kind = 'webhook'\nurl = 'https://h.example/x'\nsecret = 'hunter2'",
        "channels.a.secret",
        "whsec_",
    ),
    (
        "channels.a",
        "kind = 'slack-bot'\ntoken = \"hunter2\\n\"\nconversation = 'C1'",
        "channels.a.token",
        "header",
    ),
    (
        "channels.a",
        "kind = 'email'\nserver = 'smtp.example.com'\nfrom = 'x'\nto = ['y']",
        "channels.a.to",
        "no e-mail address",
    ),
    (
        "channels.a",
        "kind = 'email'\nserver = 's.example'\nfrom = 'a@b.example'\nto = 'c@d.example'\nuser = 'x'",
        "channels.a.password",
        "is missing",
    ),
    ("rules.nothing", "enabled = true", "rules.nothing", "is no rule"),
    (
        "rules.store_outage",
        "threshold = 0",
        "rules.store_outage",
        "threshold",
    ),
    (
        "rules.refusals_per_binding",
        "threshold = 3",
        "rules.refusals_per_binding.threshold",
        "is no field",
    ),
];

#[test]
fn what_is_wrong_is_told_with_its_name_and_never_a_secret() {
    for (table, fields, name, text) in WRONG {
        let error = Fixture::new()
            .file(&format!("[alert.{table}]\n{fields}\n"))
            .error();
        assert!(
            error.contains(&format!("alert.{name}: ")) && error.contains(text),
            "{table} {fields}: {error}"
        );
        assert!(error.contains("wanted") && !error.contains("hunter2"), "{error}");
    }
}

#[test]
fn the_default_channel_has_its_own_name() {
    let file = "[alert.channels.webhook]\nkind = 'slack'\nurl = 'https://hooks.example/x'\n";
    let fixture = Fixture::new().variable("ALERT_WEBHOOK_URL", "https://hooks.example/y");
    let error = fixture.file(file).error();
    assert!(error.contains("alert.channels.webhook: is the name"), "{error}");
}

#[test]
fn so_many_channels_and_no_more() {
    use sentinel_alerts::delivery::CHANNELS_MAX;
    let file = |count: usize| {
        (0..count).fold(String::new(), |text, number| {
            text + &format!("[alert.channels.c{number}]\nkind = 'slack'\nurl = 'https://hooks.example/x'\n")
        })
    };
    let loaded = Fixture::new().file(&file(CHANNELS_MAX)).loaded();
    assert_eq!(loaded.config.alerts.channels.len(), CHANNELS_MAX);
    let error = Fixture::new().file(&file(CHANNELS_MAX + 1)).error();
    assert!(error.contains("wanted at most"), "{error}");
    let error = Fixture::new()
        .file(&file(super::super::alerts::ENTRIES_MAX + 1))
        .errors()
        .join("\n");
    assert!(error.contains("65 entries"), "{error}");
}

#[test]
fn the_example_s_channels_are_channels() {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("it can be written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let file = reference::alert_tables()
        .replace(
            "/run/secrets/feishu_url",
            &secret("url", "https://open.feishu.example/x"),
        )
        .replace("/run/secrets/feishu_secret", &secret("secret", "s"))
        .replace("/run/secrets/smtp_password", &secret("password", "p"));
    let loaded = Fixture::new().file(&file).loaded();
    assert_eq!(loaded.config.alerts.channels.len(), 2);
}

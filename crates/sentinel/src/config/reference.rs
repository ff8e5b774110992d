//! The example files, made from the table of settings; the committed ones must be what is made here.

use std::fmt::Write as _;
use std::path::Path;

use super::setting::{Kind, Setting};
use super::table;

/// Where the example is, from this crate's folder.
const EXAMPLE: &str = "../../sentinel.example.toml";
/// Where the environment of the deployment is explained, from this crate's folder.
const DEPLOYMENT_EXAMPLE: &str = "../../deploy/.env.example";
/// What that file begins with: what Compose itself reads, and the one setting that everybody has to make.
const DEPLOYMENT_HEAD: &str = "\
# What the deployment in this folder can be told. Copy it to .env (make deploy-secrets does) and take the # off what is to differ.
# Made from the table in crates/sentinel/src/config/table.rs: UPDATE_GENERATED=1 cargo test -p sentinel the_example

# The gateway that is protected. One on this machine is reached as host.docker.internal.
UPSTREAM_URL=http://host.docker.internal:3000

# ---- What Compose reads ----
# Which image, and on which ports Nginx listens.
#IMAGE_TAG=latest
#HTTP_PORT=80
#HTTPS_PORT=443
# How much memory each container may take, and how many files Sentinel may have open.
#MEMORY_SENTINEL=1g
#MEMORY_POSTGRES=1g
#MEMORY_REDIS=512m
#OPEN_FILES=65536

# ---- What Sentinel reads; each with its default ----
# Set in compose.yaml already: the two listeners, the trusted proxy and its header, the data folder, and all secrets, which are in files
# of the folder secrets.
";
/// What compose.yaml sets itself.
const SET_BY_COMPOSE: [&str; 11] = [
    "UPSTREAM_URL",
    "SENTINEL_LISTEN",
    "SENTINEL_ADMIN_LISTEN",
    "SENTINEL_TRUSTED_PROXIES",
    "SENTINEL_CLIENT_IP_HEADER",
    "SENTINEL_DATA_DIR",
    "PG_DSN",
    "REDIS_URL",
    "SENTINEL_HMAC_SECRET",
    "ADMIN_JWT_SECRET",
    "ADMIN_PASSWORD",
];
/// Set when the file is to be written anew instead of compared.
const UPDATE_VARIABLE: &str = "UPDATE_GENERATED";
/// How wide the comments are.
const WIDTH: usize = 100;

/// What the file says of profiles of the operator's own; without the `# ` in front it is one.
const OWN_PROFILE: &str = r#"
# A gateway that none of the built-in profiles fits gets one of its own, here, with SENTINEL_PROFILE = its name.
# A base fills in what is left out; without one, carriers and claim_paths must be there. Rules about paths are
# "/exact", "/prefix*", "*contained*" or "*".
#
# [profiles.my-gateway]
# base = "openai"
# # Where it looks for a key, in its own order: the first place that holds one wins. A header's value is a key behind
# # one of the schemes, or as it is (bare); paths says where the place counts, which is everywhere when left out.
# carriers = [
#   { header = "x-my-key", schemes = ["Bearer "], bare = true, paths = ["/v1/*"] },
#   { header = "authorization", schemes = ["Bearer ", "bearer "] },
#   { websocket_protocol = true },
#   { query = "key", paths = ["/v1beta/*"] },
# ]
# # Which spellings are one key: each its own (exact), or without sk- in front and up to the next dash, in any case.
# normalisation = "exact"
# # Where an unknown key is bound to the network that it comes from.
# claim_paths = ["/v1/*", "/chat", "*:generate*"]
# # How refusals are worded: the first that fits; plain where none does.
# dialects = [
#   { paths = ["/v1/messages*"], dialect = "anthropic" },
#   { paths = ["*:generate*"], dialect = "gemini" },
#   { paths = ["*"], dialect = "openai" },
# ]
# # Further headers in which it takes keys, and which therefore never go on unchecked.
# credential_headers = ["x-other-key"]
"#;

/// What the file says of channels and rules of alerts; without the `# ` in front they are some.
const ALERT_TABLES: &str = r#"
# Further channels for alerts, each with a name. kind is webhook, feishu, dingtalk, wecom, slack, slack-bot, telegram or
# email; docs/alerts.md says how each is set up. url, secret, token and password are also taken from files: url_file, ….
#
# [alert.channels.team]
# kind = "feishu"
# url_file = "/run/secrets/feishu_url"
# secret_file = "/run/secrets/feishu_secret"
# # zh or en, when it is another one than the setting above.
# language = "zh"
# # The mildest alerts that go there (info, warning, critical), and of which rules; all when left out.
# severity = "warning"
# rules = ["refusals_per_binding", "many_networks_for_key", "store_outage"]
#
# [alert.channels.mail]
# kind = "email"
# server = "smtp.example.com"
# security = "starttls"
# user = "sentinel"
# password_file = "/run/secrets/smtp_password"
# from = "sentinel@example.com"
# to = ["ops@example.com", "security@example.com"]
#
# # A rule with other numbers. Those of refusals_per_binding are the settings above.
# [alert.rules.many_keys_from_address]
# enabled = true
# severity = "critical"
# threshold = 5
# window_seconds = 600
# quiet_seconds = 1800
"#;

/// Every setting with its help, its name in the environment and its default, all commented out.
fn example() -> String {
    let mut text = String::from(
        "# Every setting of Sentinel with its default. Made from the table in crates/sentinel/src/config/table.rs;\n\
         # to make it anew: UPDATE_GENERATED=1 cargo test -p sentinel the_example_file\n\
         #\n\
         # Environment variables (in brackets) go before this file. Each secret is also taken from a file of its own:\n\
         # <VARIABLE>_FILE in the environment, <name>_file here. Keep a file with secrets in it to yourself: chmod 600.\n",
    );
    let mut section = "";
    for setting in table::ALL {
        let (of, key) = setting.name.split_once('.').expect("section.name");
        if of != section {
            section = of;
            let _ = write!(text, "\n[{section}]\n");
        }
        let wanted = match setting.kind {
            Kind::Text => String::new(),
            _ => format!("{} ", sentence(&setting.wanted())),
        };
        let about = format!("{} {wanted}[{}]", setting.help, setting.environment.join(", "));
        text.extend(wrapped(&about).iter().map(|line| format!("# {line}\n")));
        let _ = writeln!(text, "#{key} = {}", written(setting));
    }
    text + ALERT_TABLES + OWN_PROFILE
}

/// The environment of the deployment: every setting that it leaves to the operator, commented out.
fn deployment_example() -> String {
    let left = table::ALL
        .iter()
        .filter(|setting| !SET_BY_COMPOSE.contains(&setting.environment[0]));
    left.fold(String::from(DEPLOYMENT_HEAD), |mut text, setting| {
        text.push('\n');
        text.extend(wrapped(setting.help).iter().map(|line| format!("# {line}\n")));
        let _ = writeln!(
            text,
            "#{}={}",
            setting.environment[0],
            setting.default.unwrap_or_default()
        );
        text
    })
}

/// The profile of the example, as somebody would write it.
pub(super) fn own_profile() -> String {
    uncommented(OWN_PROFILE)
}

/// The channels and the rule of the example.
pub(super) fn alert_tables() -> String {
    uncommented(ALERT_TABLES)
}

fn uncommented(text: &str) -> String {
    let uncommented = text.lines().skip_while(|line| !line.starts_with("# ["));
    uncommented.fold(String::new(), |text, line| {
        text + line.strip_prefix("# ").unwrap_or(line) + "\n"
    })
}

fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first: String = characters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .collect();
    format!("{first}{}.", characters.as_str())
}

fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is a first line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.len() + 1 + word.len() <= WIDTH {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// The default as it is written in the file.
fn written(setting: &Setting) -> String {
    match (setting.kind, setting.default) {
        (Kind::Number { .. }, Some(number)) => number.to_owned(),
        (Kind::List, None) => "[]".to_owned(),
        (_, default) => toml::Value::from(default.unwrap_or_default()).to_string(),
    }
}

/// Compares the committed file with what is made here, or writes it.
fn compare(file: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os(UPDATE_VARIABLE).is_some() {
        std::fs::write(&path, made).expect("the repository can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == made,
        "{file} is stale: run {UPDATE_VARIABLE}=1 cargo test -p sentinel the_example"
    );
}

#[test]
fn the_example_of_the_deployment_is_what_the_table_says() {
    for name in SET_BY_COMPOSE {
        let is_known = table::ALL.iter().any(|setting| setting.environment[0] == name);
        assert!(is_known, "{name} is no setting");
    }
    compare(DEPLOYMENT_EXAMPLE, &deployment_example());
}

#[test]
fn the_example_file_is_what_the_table_says() {
    let made = example();
    compare(EXAMPLE, &made);
    // With every comment that is a setting taken as one, it is a file of defaults.
    let uncommented = made
        .replace("\n#", "\n")
        .lines()
        .filter(|line| !line.starts_with(' '))
        .fold(String::new(), |text, line| text + line + "\n");
    let table: toml::Table = uncommented.parse().expect("it is TOML");
    let count: usize = table
        .values()
        .filter_map(|section| section.as_table())
        .map(toml::Table::len)
        .sum();
    assert_eq!(count, table::ALL.len());
}

//! `sentinel explain …`: what would become of a request with this key from that address, as stored bindings and rules have it. A key is read from
//! standard input, becomes a fingerprint, and goes nowhere else. Nothing is changed.

use std::io::{self, BufRead, Write};

use clap::Args;
use sentinel_core::binding::{Binding, BindingId};
use sentinel_core::client_ip::parse_address;
use sentinel_core::explanation::{Explanation, Question, Step, explain};
use sentinel_core::fingerprint::{ApiKey, FingerprintHasher};
use sentinel_core::network::ClientIp;
use sentinel_core::path::RequestPath;
use sentinel_core::policy::Rules;
use sentinel_core::ports::{BindingAdmin, BindingFilter, BindingStore};
use sentinel_core::time::Clock;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::CliError;
use super::output::{Output, print_json};
use super::table::{self, Cell};
use crate::config::Config;
use crate::keys::{identify, identify_previous};

/// The most bytes of a key.
const KEY_BYTES_MAX: usize = 8 * 1024;

/// What to explain.
#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    #[command(flatten)]
    key: KeyArguments,
    /// Where the request would come from
    #[arg(long, value_name = "IP", value_parser = address)]
    address: ClientIp,
    /// Its path, which decides whether an unknown key is bound [default: one on which it is]
    #[arg(long, value_name = "PATH", value_parser = path)]
    path: Option<String>,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Whose request.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct KeyArguments {
    /// Read the key from standard input
    #[arg(long)]
    key_stdin: bool,
    /// The bound key whose hint contains this text
    #[arg(long, value_name = "TEXT")]
    hint: Option<String>,
    /// The key of this binding
    #[arg(long, value_name = "ID")]
    binding: Option<i64>,
}

impl ExplainArguments {
    /// The key, if it is to be read.
    pub(super) fn key(&self) -> Result<Option<Zeroizing<String>>, CliError> {
        self.key
            .key_stdin
            .then(|| read_key(io::stdin().lock()))
            .transpose()
    }
}

fn address(text: &str) -> Result<ClientIp, String> {
    parse_address(text).ok_or_else(|| "wanted an IP address".to_owned())
}

fn path(text: &str) -> Result<String, String> {
    if text.starts_with('/') {
        Ok(text.to_owned())
    } else {
        Err("wanted a path like /v1/chat/completions".to_owned())
    }
}

/// The first line.
fn read_key(input: impl BufRead) -> Result<Zeroizing<String>, CliError> {
    let limit = u64::try_from(KEY_BYTES_MAX).unwrap_or(u64::MAX);
    let mut line = Zeroizing::new(String::with_capacity(KEY_BYTES_MAX + 2));
    input.take(limit.saturating_add(2)).read_line(&mut line)?;
    let length = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(length);
    match length {
        0 => Err(CliError::Key("no key was given on standard input")),
        length if length > KEY_BYTES_MAX => Err(CliError::Key("the key is too long: at most 8192 bytes")),
        _ => Ok(line),
    }
}

/// What this installation is asked about.
pub(super) struct Installation<'i> {
    pub(super) config: &'i Config,
    pub(super) rules: Rules,
    pub(super) stored: &'i dyn BindingStore,
    pub(super) bindings: &'i dyn BindingAdmin,
    /// None while there is no secret: then no key is bound.
    pub(super) hasher: Option<FingerprintHasher>,
}

impl Installation<'_> {
    async fn binding(&self, key: Option<&str>, by: &KeyArguments) -> Result<Option<Binding>, CliError> {
        if let Some(key) = key {
            let Some(hasher) = &self.hasher else {
                return Ok(None);
            };
            let known = identify(&self.config.upstream.profile, hasher, &ApiKey::new(key));
            let (fingerprint, _) = known.ok_or(CliError::Key("it is no key that the profile takes"))?;
            let found = self.stored.find(&fingerprint).await?;
            let previous = identify_previous(&self.config.upstream.profile, hasher, &ApiKey::new(key));
            let found = match (found, previous) {
                (None, Some(previous)) => self.stored.find(&previous).await?,
                (found, _) => found,
            };
            return Ok(found.map(|found| found.binding));
        }
        if let Some(id) = by.binding {
            let record = self.bindings.show(BindingId(id)).await?;
            let record = record.ok_or_else(|| CliError::NoSuchBinding(id.to_string()))?;
            return Ok(Some(record.binding));
        }
        let filter = BindingFilter {
            hint: by.hint.clone(),
            limit: 2,
            ..BindingFilter::default()
        };
        let mut found = self.bindings.list(filter).await?;
        match (found.pop(), found.is_empty()) {
            (Some(record), true) => Ok(Some(record.binding)),
            (Some(_), false) => Err(CliError::Key(
                "several bound keys have this hint: give more of it, or --binding",
            )),
            (None, _) => Err(CliError::Key("no bound key has this hint")),
        }
    }
}

/// Explains, and prints it. The outcome is in what is printed; the command is done whatever it is.
pub(super) async fn run(
    arguments: &ExplainArguments,
    key: Option<Zeroizing<String>>,
    installation: &Installation<'_>,
    clock: &dyn Clock,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let config = installation.config;
    let key = key.as_deref().map(String::as_str);
    let binding = installation.binding(key, &arguments.key).await?;
    let is_claim_path = arguments.path.as_deref().is_none_or(|path| {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        config.upstream.profile.is_claim_path(&RequestPath::new(path))
    });
    let explanation = explain(&Question {
        binding: binding.as_ref(),
        address: arguments.address,
        is_claim_path,
        rules: &installation.rules,
        client_ip: &config.proxy.client_ip_rules(),
        now: clock.now(),
    });
    print(&explanation, arguments.output, out)
}

fn print(explanation: &Explanation, output: Output, out: &mut dyn Write) -> Result<(), CliError> {
    let code = explanation
        .reason
        .map(sentinel_core::decision::RefusalReason::code);
    if output == Output::Json {
        let step = |step: &Step| json!({"name": step.name, "text": step.text, "ok": step.ok});
        let steps: Vec<Value> = explanation.steps.iter().map(step).collect();
        return print_json(
            &json!({"outcome": explanation.outcome.as_str(), "code": code, "steps": steps}),
            out,
        );
    }
    let rows: Vec<[Cell; 3]> = explanation
        .steps
        .iter()
        .map(|step| {
            [
                if step.ok { "ok" } else { "no" }.into(),
                step.name.into(),
                step.text.as_str().into(),
            ]
        })
        .collect();
    table::print_rows(&rows, out)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use sentinel_core::binding::NewBinding;
    use sentinel_store::MemoryStore;
    use sentinel_testkit::SettableClock;

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::config;

    const KEY: &str = "sk-0123456789abcdefghijklmnopqrstuvwxyz";

    fn hasher() -> FingerprintHasher {
        FingerprintHasher::new(b"a secret for tests of 32 letters").expect("long enough")
    }

    async fn said(store: &MemoryStore, line: &str, key: Option<&str>) -> Result<String, CliError> {
        let line = format!("sentinel explain {line}");
        let cli = Cli::try_parse_from(line.split_whitespace()).expect("a good line");
        let Command::Explain(arguments) = cli.command else {
            panic!("{line} explains");
        };
        let config = config::of_variables(&[]);
        let installation = Installation {
            config: &config,
            rules: config.live.rules,
            stored: store,
            bindings: store,
            hasher: Some(hasher()),
        };
        let key = key.map(|key| Zeroizing::new(key.to_owned()));
        let mut out = anstream::StripStream::new(Vec::new());
        run(
            &arguments,
            key,
            &installation,
            &SettableClock::default(),
            &mut out,
        )
        .await?;
        let text = String::from_utf8(out.into_inner()).expect("UTF-8");
        assert!(!text.contains(&KEY[4..30]), "{text}");
        Ok(text)
    }

    #[tokio::test]
    async fn a_key_is_explained_by_itself_its_hint_and_its_binding() {
        let store = MemoryStore::new();
        let config = config::of_variables(&[]);
        let (fingerprint, hint) =
            identify(&config.upstream.profile, &hasher(), &ApiKey::new(KEY)).expect("a key");
        let new = NewBinding {
            fingerprint,
            previous: None,
            hint,
            network: "192.0.2.1".parse().expect("a network"),
            bound_at: SettableClock::default().now(),
            profile: "new-api".into(),
        };
        store.claim(new).await.expect("a fresh store");
        for (by, key) in [
            ("--key-stdin", Some(KEY)),
            ("--hint sk-", None),
            ("--binding 1", None),
        ] {
            let home = said(&store, &format!("{by} --address 192.0.2.1"), key)
                .await
                .expect("explained");
            assert!(home.ends_with("the request goes on\n"), "{home}");
            let elsewhere = format!("{by} --address 203.0.113.9 --output json");
            let elsewhere = said(&store, &elsewhere, key).await.expect("explained");
            let elsewhere: Value = serde_json::from_str(&elsewhere).expect("JSON");
            assert_eq!(
                (&elsewhere["outcome"], &elsewhere["code"]),
                (&json!("refuse"), &json!("key_ip_mismatch"))
            );
        }
        let unknown = said(
            &store,
            "--key-stdin --address 203.0.113.9",
            Some("sk-another-0123456789abcdef"),
        )
        .await;
        assert!(unknown.expect("explained").contains("binds it to 203.0.113.9/32"));
        for (line, exit_code) in [
            ("--binding 9 --address ::1", 1),
            ("--hint nobody --address ::1", 2),
        ] {
            assert_eq!(
                said(&store, line, None).await.expect_err(line).exit_code(),
                exit_code
            );
        }
    }

    #[test]
    fn a_key_is_one_line_and_bounded() {
        let read = |text: &str| read_key(text.as_bytes()).map(|key| key.to_string());
        assert_eq!(read("sk-1\r\nmore").expect("a key"), "sk-1");
        assert_eq!(
            read(&"x".repeat(KEY_BYTES_MAX)).expect("a key").len(),
            KEY_BYTES_MAX
        );
        assert!(read("").is_err() && read("\n").is_err() && read(&"x".repeat(KEY_BYTES_MAX + 1)).is_err());
        for line in [
            "sentinel explain --address ::1",
            "sentinel explain --key-stdin --hint x --address ::1",
            "sentinel explain --key-stdin",
            "sentinel explain --hint x --address here",
            "sentinel explain --hint x --address ::1 --path v1",
        ] {
            assert!(Cli::try_parse_from(line.split_whitespace()).is_err(), "{line}");
        }
    }
}

//! `sentinel doctor`: all that `check` looks at, and beyond it what is commonly wrong in an installation that works. It changes nothing.

use std::io::Write;
use std::sync::Arc;

use clap::Args;
use sentinel_admin::Diagnostics as _;
use sentinel_core::policy::LiveRules;
use sentinel_core::time::SystemClock;
use serde_json::{Value, json};

use super::CliError;
use super::check::{self, Finding};
use super::output::{Output, print_json};
use crate::config::{ConfigErrors, Loaded, Sources};
use crate::diagnostics::InstallationDiagnostics;
use crate::secrets;
use crate::settings::LiveSettings;
use crate::stores::Authority;

/// How to look.
#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    /// How to print it
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Looks at everything, and prints what was found.
pub(super) async fn run(
    arguments: &DoctorArguments,
    sources: &Sources,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let (findings, is_configured) = match super::load(sources, true) {
        Ok(loaded) => (of_installation(sources, &loaded).await, true),
        Err(ConfigErrors(errors)) => (check::of_errors(&errors), false),
    };
    if arguments.output == Output::Json {
        let items: Vec<Value> = findings.iter().map(shown).collect();
        print_json(&json!({"items": items}), out)?;
    } else {
        check::print(&findings, out)?;
    }
    match (is_configured, findings.iter().any(Finding::is_bad)) {
        (false, _) => Err(CliError::CheckedConfig),
        (true, true) => Err(CliError::CheckFailed),
        (true, false) => Ok(()),
    }
}

async fn of_installation(sources: &Sources, loaded: &Loaded) -> Vec<Finding> {
    let mut findings = check::all(sources, loaded).await;
    match Authority::open_as_it_is(&loaded.config).await {
        Ok(Some(authority)) => {
            findings.extend(of_store(loaded, &authority).await);
            authority.close().await;
        }
        // There is none yet, or what is wrong with it was said.
        Ok(None) => {}
        Err(error) => findings.push(Finding::bad("store", error.to_string(), "")),
    }
    findings
}

async fn of_store(loaded: &Loaded, authority: &Authority) -> Vec<Finding> {
    let settings = LiveSettings::of(loaded, Arc::clone(&authority.settings));
    let rules = match settings.refresh().await {
        Ok(()) => settings.rules(),
        Err(error) => {
            let text = format!("cannot be read: {error}");
            return vec![Finding::bad("settings", text, "look at the store")];
        }
    };
    let looked = diagnostics(loaded, authority, rules).checks().await;
    let mut findings: Vec<Finding> = looked.into_iter().map(Finding::from).collect();
    findings.push(of_secrets(loaded, authority).await);
    findings
}

/// How far a change of the HMAC secret is.
async fn of_secrets(loaded: &Loaded, authority: &Authority) -> Finding {
    const PART: &str = "hmac_secret";
    match secrets::left_behind(&loaded.config, authority).await {
        Ok(left) if left.total() == 0 => Finding::good(PART, "every binding lies under the current one"),
        Ok(left) if loaded.config.hmac_secret_previous.is_some() => Finding::good(
            PART,
            format!(
                "{} bindings and {} bans lie under the one before; keep SENTINEL_HMAC_SECRET_PREVIOUS until there are none",
                left.active, left.banned
            ),
        ),
        Ok(left) => Finding::bad(
            PART,
            format!(
                "{} bindings and {} bans lie under another one",
                left.active, left.banned
            ),
            "set SENTINEL_HMAC_SECRET_PREVIOUS to that one: their keys are unknown without it",
        ),
        Err(error) => Finding::bad(PART, error.to_string(), ""),
    }
}

fn diagnostics(loaded: &Loaded, authority: &Authority, rules: LiveRules) -> InstallationDiagnostics {
    let asked = (Arc::clone(&authority.admin), Arc::clone(&authority.events));
    InstallationDiagnostics::new(&loaded.config, asked, Vec::new(), rules, Arc::new(SystemClock))
}

fn shown(finding: &Finding) -> Value {
    json!({
        "name": finding.part,
        "ok": finding.is_good(),
        "severity": finding.severity(),
        "text": finding.text,
        "what_to_do": finding.advice,
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::net::TcpListener;

    use sentinel_store::SqliteStore;
    use tempfile::TempDir;

    use super::*;

    async fn said(
        folder: &TempDir,
        output: Output,
        variables: &[(&str, &str)],
    ) -> (String, Result<(), CliError>) {
        let gateway = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let upstream = format!("http://{}", gateway.local_addr().expect("bound"));
        let data = folder.path().join("data");
        let mut all = vec![
            ("UPSTREAM_URL", upstream.as_str()),
            ("SENTINEL_DATA_DIR", data.to_str().expect("UTF-8")),
            ("SENTINEL_LISTEN", "127.0.0.1:0"),
            ("SENTINEL_ADMIN_LISTEN", "127.0.0.1:0"),
        ];
        all.extend(variables);
        let owned = |(name, value): (&str, &str)| (OsString::from(name), OsString::from(value));
        let sources = Sources {
            environment: all.into_iter().map(owned).collect(),
            file: None,
        };
        let mut out = anstream::StripStream::new(Vec::new());
        let outcome = run(&DoctorArguments { output }, &sources, &mut out).await;
        (String::from_utf8(out.into_inner()).expect("UTF-8"), outcome)
    }

    #[tokio::test]
    async fn where_there_is_no_store_none_is_made() {
        let folder = tempfile::tempdir().expect("a folder");
        let (text, outcome) = said(&folder, Output::Table, &[]).await;
        assert!(outcome.is_ok(), "{text}");
        assert!(!folder.path().join("data").exists());
    }

    #[tokio::test]
    async fn what_is_commonly_wrong_is_found_beside_what_check_finds() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        std::fs::create_dir(&data).expect("made");
        SqliteStore::open(&data.join("sentinel.db"))
            .expect("made")
            .close()
            .expect("closed");
        let (text, outcome) = said(&folder, Output::Json, &[("SENTINEL_MODE", "observe")]).await;
        assert!(outcome.is_ok(), "{text}");
        let found: Value = serde_json::from_str(&text).expect("JSON");
        let item = |name: &str| {
            let items = found["items"].as_array().expect("a list");
            items
                .iter()
                .find(|item| item["name"] == name)
                .cloned()
                .unwrap_or(Value::Null)
        };
        assert_eq!(
            (&item("store")["ok"], &item("upstream")["ok"]),
            (&json!(true), &json!(true))
        );
        assert_eq!(
            (&item("rules")["ok"], &item("rules")["severity"]),
            (&json!(false), &json!("warning"))
        );
        // Check finds that there is nothing wrong with no channel; here it is said that there is none.
        let items = found["items"].as_array().expect("a list");
        assert!(
            items
                .iter()
                .any(|item| item["name"] == "alerts" && item["ok"] == false),
            "{text}"
        );

        let (text, outcome) = said(
            &folder,
            Output::Table,
            &[("ADMIN_JWT_SECRET", "change-me-change-me-change-me-change-me")],
        )
        .await;
        let error = outcome.expect_err("it can be guessed");
        assert_eq!(error.exit_code(), 1);
        assert!(
            text.contains("ADMIN_JWT_SECRET") && !text.contains("change-me"),
            "{text}"
        );
        let (text, outcome) = said(&folder, Output::Table, &[("SENTINEL_MODE", "watch")]).await;
        assert_eq!(outcome.expect_err("no mode").exit_code(), 2, "{text}");
    }
}

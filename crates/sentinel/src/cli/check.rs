//! `sentinel check`: judges the configuration and everything that serving depends on, part by part, and says what to do.
//!
//! It changes nothing: what is made at first start is not made here.

mod alerts;
mod certificate;
mod network;
mod storage;

use std::io::Write;
use std::path::Path;

use anstyle::AnsiColor;
use sentinel_admin::Severity;
use sentinel_core::profile::Profile;
use sentinel_core::time::{Clock as _, SystemClock};

use super::CliError;
use crate::config::{Config, ConfigErrors, Loaded, Problem, SettingView, Source, Sources};

/// How one part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Good,
    Warning,
    Bad,
}

/// What was found about one part.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) part: &'static str,
    verdict: Verdict,
    pub(super) text: String,
    /// What to do about it; empty when nothing is to be done.
    pub(super) advice: String,
}

impl Finding {
    pub(super) fn good(part: &'static str, text: impl Into<String>) -> Self {
        Self {
            part,
            verdict: Verdict::Good,
            text: text.into(),
            advice: String::new(),
        }
    }

    fn warning(part: &'static str, text: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Warning,
            ..Self::good(part, text)
        }
    }

    pub(super) fn bad(part: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            part,
            verdict: Verdict::Bad,
            text: text.into(),
            advice: advice.into(),
        }
    }

    pub(super) fn is_good(&self) -> bool {
        self.verdict == Verdict::Good
    }

    pub(super) fn is_bad(&self) -> bool {
        self.verdict == Verdict::Bad
    }

    /// How bad it is, in the admin API's words.
    pub(super) fn severity(&self) -> Severity {
        match self.verdict {
            Verdict::Good => Severity::Info,
            Verdict::Warning => Severity::Warning,
            Verdict::Bad => Severity::Problem,
        }
    }

    fn print(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let (word, colour) = match self.verdict {
            Verdict::Good => ("ok", AnsiColor::Green),
            Verdict::Warning => ("warning", AnsiColor::Yellow),
            Verdict::Bad => ("problem", AnsiColor::Red),
        };
        let style = colour.on_default().bold();
        writeln!(out, "{style}{word:<8}{style:#} {:<14} {}", self.part, self.text)?;
        if !self.advice.is_empty() {
            writeln!(out, "{:24}→ {}", "", self.advice)?;
        }
        Ok(())
    }
}

impl From<sentinel_admin::Finding> for Finding {
    fn from(finding: sentinel_admin::Finding) -> Self {
        Self {
            part: finding.name,
            verdict: match finding.severity {
                Severity::Info => Verdict::Good,
                Severity::Warning => Verdict::Warning,
                Severity::Problem => Verdict::Bad,
            },
            text: finding.text,
            advice: finding.what_to_do,
        }
    }
}

/// Checks every part and prints what it found. With a wrong configuration the other parts cannot be checked.
pub(super) async fn run(sources: &Sources, out: &mut dyn Write) -> Result<(), CliError> {
    let loaded = match super::load(sources, true) {
        Ok(loaded) => loaded,
        Err(ConfigErrors(errors)) => {
            print(&of_errors(&errors), out)?;
            writeln!(
                out,
                "\nThe other parts are checked when the configuration is right."
            )?;
            return Err(CliError::CheckedConfig);
        }
    };
    let findings = all(sources, &loaded).await;
    print(&findings, out)?;
    if findings.iter().any(Finding::is_bad) {
        Err(CliError::CheckFailed)
    } else {
        Ok(())
    }
}

/// What is found about a configuration that can be used, and about everything that it depends on.
pub(super) async fn all(sources: &Sources, loaded: &Loaded) -> Vec<Finding> {
    let mut findings = configuration(sources.file(), loaded);
    findings.extend(parts(&loaded.config).await);
    findings
}

/// What is wrong with a configuration that cannot.
pub(super) fn of_errors(errors: &[Problem]) -> Vec<Finding> {
    let finding = |error: &Problem| Finding::bad("configuration", error.to_string(), "");
    errors.iter().map(finding).collect()
}

pub(super) fn print(findings: &[Finding], out: &mut dyn Write) -> std::io::Result<()> {
    for finding in findings {
        finding.print(out)?;
    }
    out.flush()
}

/// The parts besides the configuration itself.
async fn parts(config: &Config) -> Vec<Finding> {
    let folder = storage::data_folder(&config.store.data_dir);
    let is_folder_good = folder.verdict == Verdict::Good;
    let mut findings = vec![folder];
    if is_folder_good {
        findings.push(storage::spool(&config.store.spool()));
        findings.extend(storage::store_and_secrets(config).await);
    }
    findings.extend(storage::redis(config).await);
    findings.extend(certificate::certificate(config, SystemClock.now()));
    findings.extend(network::upstream(config).await);
    findings.extend(alerts::alerts(config).await);
    findings.extend(network::ports(config).await);
    findings
}

fn configuration(file: Option<&Path>, loaded: &Loaded) -> Vec<Finding> {
    let file = file.map_or_else(|| "no file".to_owned(), |path| path.display().to_string());
    let set: Vec<&SettingView> = loaded
        .settings
        .iter()
        .filter(|setting| setting.source != Source::Default)
        .collect();
    let mut findings = vec![Finding::good(
        "configuration",
        format!(
            "{file}; {} of {} settings are set",
            set.len(),
            loaded.settings.len()
        ),
    )];
    findings.extend(set.into_iter().map(|setting| {
        let source = match setting.source {
            Source::Default => "default",
            Source::File => "file",
            Source::Database => "database",
            Source::Environment => "environment",
        };
        Finding::good("", format!("{} = {} ({source})", setting.name, setting.value))
    }));
    findings.push(profile(&loaded.config));
    findings.extend(
        loaded
            .warnings
            .iter()
            .map(|warning| Finding::warning("configuration", warning.to_string())),
    );
    findings
}

/// Which profile is in use, and where it looks for keys, in the order of precedence.
fn profile(config: &Config) -> Finding {
    let profile = &config.upstream.profile;
    let kind = if Profile::BUILT_IN.contains(&&*profile.name) {
        "built in"
    } else {
        "of the configuration file"
    };
    let mut places: Vec<String> = Vec::new();
    for carrier in profile.carriers.iter() {
        let place = carrier.place.to_string();
        if !places.contains(&place) {
            places.push(place);
        }
    }
    let text = format!("{} ({kind}); keys in {}", profile.name, places.join(", "));
    Finding::good("profile", text)
}

#[cfg(test)]
mod tests;

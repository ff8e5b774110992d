use clap::CommandFactory as _;

use std::io;
use std::process::ExitCode;

use super::outcome::{EXIT_CODES, FAILED, MISUSED};
use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
    let help = Cli::command().render_long_help().to_string();
    for word in [
        "serve",
        "demo",
        "check",
        "healthcheck",
        "migrate",
        "export",
        "import",
        "bindings",
        "openapi",
        "admin",
        "hash-password",
        "man",
        "completions",
        "Exit codes",
    ] {
        assert!(help.contains(word), "{help}");
    }
}

#[test]
fn good_lines_are_taken() {
    for line in [
        "sentinel serve",
        "sentinel demo",
        "sentinel --config a.toml check",
        "sentinel check --config a.toml",
        "sentinel healthcheck --timeout-seconds 60",
        "sentinel migrate",
        "sentinel export --with-logs --output a.jsonl",
        "sentinel import --existing replace --dry-run a.jsonl",
        "sentinel import --keys -",
        "sentinel import legacy --env .env",
        "sentinel import legacy --env .env --dsn-file dsn --gateway-keys - --existing replace --apply",
        "sentinel bindings list",
        "sentinel bindings list --status banned --hint sk-ab --address ::1 --before 9 --limit 1000 --output json",
        "sentinel bindings --output json show 7",
        "sentinel bindings unbind 1 2 3",
        "sentinel bindings ban 1 --reason leaked",
        "sentinel bindings unban 1",
        "sentinel bindings set-ip 1 203.0.113.7 2001:db8::/48",
        "sentinel settings get policy.mode --output json",
        "sentinel settings set policy.mode=observe policy.slots=2 --dry-run",
        "sentinel settings set --unset policy.mode --version 7",
        "sentinel settings --output json diff --from 1 --to 2",
        "sentinel settings rollback 1 --dry-run",
        "sentinel explain --key-stdin --address 192.0.2.1",
        "sentinel explain --hint sk-ab --address ::1 --path /v1/models --output json",
        "sentinel doctor --output json",
        "sentinel logs tail --reason key_banned --outcome observed --output json",
        "sentinel logs export --since 2026-01-31T12:00:00Z --format csv --client-ip ::1 --binding 7",
        "sentinel forget 2001:db8::/64",
        "sentinel forget sk-ab...wxyz --yes",
        "sentinel openapi",
        "sentinel admin list --output json",
        "sentinel admin add ann --role operator",
        "sentinel admin reset-password ann",
        "sentinel admin reset-second-factor ann",
        "sentinel hash-password",
        "sentinel man",
        "sentinel man target/man",
        "sentinel completions zsh",
    ] {
        assert!(parse(line).is_ok(), "{line}: {:?}", parse(line).err());
    }
}

#[test]
fn a_health_check_waits_so_long_at_most() {
    let line = |seconds| format!("sentinel healthcheck --timeout-seconds {seconds}");
    assert!(parse(&line(HEALTHCHECK_SECONDS_MAX)).is_ok());
    assert!(parse(&line(HEALTHCHECK_SECONDS_MAX + 1)).is_err());
}

#[test]
fn bad_lines_are_usage_errors() {
    for line in [
        "sentinel",
        "sentinel sing",
        "sentinel healthcheck --timeout-seconds 0",
        "sentinel healthcheck --timeout-seconds 61",
        "sentinel bindings list --limit 0",
        "sentinel bindings list --limit 1001",
        "sentinel bindings list --status gone",
        "sentinel bindings list --address here",
        "sentinel bindings show 0",
        "sentinel bindings show -1",
        "sentinel bindings unbind",
        "sentinel bindings set-ip 1",
        "sentinel bindings set-ip 1 ::ffff:192.0.2.1",
        "sentinel logs",
        "sentinel logs export --since yesterday",
        "sentinel logs tail --reason boredom",
        "sentinel forget",
        "sentinel forget everything",
        "sentinel hash-password hunter2",
        "sentinel admin add ann",
        "sentinel admin add ann --role root",
        "sentinel admin add a/b --role viewer",
        "sentinel admin add ann hunter2 --role viewer",
        "sentinel import",
        "sentinel import --existing merge -",
        "sentinel import --keys legacy --env .env",
        "sentinel import legacy",
        "sentinel import legacy --env .env lines",
        "sentinel completions",
        "sentinel completions sh",
    ] {
        let error = parse(line).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
    }
    let reason = "x".repeat(501);
    let ban = |reason: &str| Cli::try_parse_from(["sentinel", "bindings", "ban", "1", "--reason", reason]);
    assert!(ban(&reason[1..]).is_ok());
    assert!(ban(&reason).is_err());
}

#[test]
fn errors_have_their_exit_codes() {
    assert_eq!(CliError::Config(ConfigErrors(Vec::new())).exit_code(), 2);
    assert_eq!(CliError::CheckFailed.exit_code(), 1);
    let codes = EXIT_CODES.map(|(code, _)| code);
    assert_eq!(codes, [0, FAILED, MISUSED, 101]);
    for code in [FAILED, MISUSED] {
        assert!(AFTER_HELP.contains(&format!(" {code} ")), "{AFTER_HELP}");
    }
    assert_eq!(exit(Ok(())), ExitCode::SUCCESS);
    let broken_pipe = CliError::Io(io::ErrorKind::BrokenPipe.into());
    assert_eq!(exit(Err(broken_pipe)), ExitCode::SUCCESS);
}

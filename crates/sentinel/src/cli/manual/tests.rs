use std::collections::BTreeSet;

use clap::ValueEnum as _;

use super::*;

/// The names of this command and all below it, as `sentinel-bindings-list`.
fn names(command: &Command) -> Vec<String> {
    let own = command
        .get_display_name()
        .unwrap_or(command.get_name())
        .to_owned();
    let below = command.get_subcommands().flat_map(names);
    std::iter::once(own).chain(below).collect()
}

fn without_escapes(page: &str) -> String {
    page.replace("\\-", "-").replace("\\fB", "").replace("\\fR", "")
}

#[test]
fn every_command_has_its_page_with_every_exit_code() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let inside = folder.path().join("man1");
    let arguments = ManArguments {
        folder: Some(inside.clone()),
    };
    man(&arguments, &mut Vec::new()).expect("it can be written");
    let names = names(&whole());
    assert!(
        names.contains(&"sentinel-bindings-set-ip".to_owned()),
        "{names:?}"
    );
    let written = fs::read_dir(&inside).expect("it is there");
    let written: BTreeSet<String> = written
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    let wanted = names.iter().map(|name| format!("{name}.1"));
    assert_eq!(written, wanted.collect());
    for file in written {
        let page = fs::read_to_string(inside.join(&file)).expect("UTF-8");
        assert!(
            page.starts_with(".ie") && page.contains(".TH sentinel"),
            "{file}: {page}"
        );
        for (code, meaning) in EXIT_CODES {
            let entry = format!("{code}\n{meaning}");
            assert!(without_escapes(&page).contains(&entry), "{file}: {page}");
        }
    }
}

#[test]
fn the_page_of_sentinel_names_every_command() {
    let mut out = Vec::new();
    man(&ManArguments { folder: None }, &mut out).expect("memory");
    let page = without_escapes(&String::from_utf8(out).expect("UTF-8"));
    for command in whole().get_subcommands() {
        let name = format!("sentinel-{}(1)", command.get_name());
        assert!(page.contains(&name), "{name}: {page}");
    }
    for section in ["ENVIRONMENT", "FILES", "SEE ALSO", "--config"] {
        assert!(page.contains(section), "{section}: {page}");
    }
}

#[test]
fn every_shell_completes_every_command() {
    for shell in clap_complete::Shell::value_variants() {
        let mut out = Vec::new();
        completions(&CompletionsArguments { shell: *shell }, &mut out).expect("memory");
        let script = String::from_utf8(out).expect("UTF-8");
        for command in whole().get_subcommands() {
            assert!(
                script.contains(command.get_name()),
                "{shell}: {}",
                command.get_name()
            );
        }
    }
}

#[test]
fn the_book_names_every_command_and_exit_code() {
    let book = include_str!("../../../../../docs/command-line.md");
    for command in whole().get_subcommands() {
        let name = format!("`{}`", command.get_name());
        assert!(book.contains(&name), "{name}");
    }
    for (code, meaning) in EXIT_CODES {
        let row = format!("| {code} | {meaning} |");
        assert!(book.contains(&row), "{row}");
    }
}

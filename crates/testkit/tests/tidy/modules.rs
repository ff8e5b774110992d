//! What every source file owes its reader: a header, a bounded length, a name that says something, lints that
//! give their reason. Must never judge what the code does.

use crate::tree::{Fault, TextFile, Tree, report};

const FILE_LINES_MAX: usize = 400;
/// Files that may be longer, each with its reason: (path, reason). Empty is the aim.
const LONG_FILES: &[(&str, &str)] = &[(
    "console/src/api/schema.d.ts",
    "generated from crates/admin/openapi.json, and compared with it by `scripts/console check`",
)];
const SOURCE_EXTENSIONS: &[&str] = &["rs", "py", "lua", "sh", "ts", "js", "vue", "sql", "c"];

/// Names that say nothing about what a module is for.
const EMPTY_NAMES: &[&str] = &[
    "util", "utils", "manager", "managers", "helper", "helpers", "misc",
];

#[test]
fn every_module_opens_with_what_it_is_for() {
    let tree = Tree::read();
    let advice = "open with `//!`: what the module is for and what it must never do";
    // The tests of a module lie beside it and need no introduction of their own.
    let needs_none = |file: &&TextFile| file.path.ends_with("/tests.rs");
    let headless = tree
        .rust()
        .filter(|file| !needs_none(file) && !file.text.starts_with("//!"));
    report(&headless.map(|file| file.fault(1, advice)).collect::<Vec<_>>());
}

#[test]
fn files_stay_short_enough_to_read() {
    let tree = Tree::read();
    let excused = |file: &TextFile| LONG_FILES.iter().any(|(path, _)| *path == file.path);
    let sources = tree.files.iter().filter(|file| is_source(file) && !excused(file));
    report(&sources.filter_map(judge_length).collect::<Vec<_>>());
    for (path, reason) in LONG_FILES {
        assert!(!reason.is_empty(), "{path}: an exception needs its reason");
        let long = tree.get(path).and_then(judge_length).is_some();
        assert!(long, "{path} is short enough or gone: take it out of LONG_FILES");
    }
}

fn is_source(file: &TextFile) -> bool {
    SOURCE_EXTENSIONS.contains(&file.extension()) || file.text.starts_with("#!")
}

fn judge_length(file: &TextFile) -> Option<Fault> {
    let lines = file.text.lines().count();
    let advice = format!("{lines} lines, at most {FILE_LINES_MAX}: split it by reason to change");
    (lines > FILE_LINES_MAX).then(|| file.fault(FILE_LINES_MAX + 1, advice))
}

#[test]
fn modules_have_names_that_say_something() {
    let tree = Tree::read();
    let mut faults = Vec::new();
    for file in tree.rust() {
        let declared = file
            .lines()
            .filter_map(|(line, text)| Some((line, declared_module(text)?)));
        for (line, name) in std::iter::once((1, file.path.as_str())).chain(declared) {
            if let Some(word) = empty_word(name) {
                faults.push(file.fault(
                    line,
                    format!("`{word}` says nothing: name the module after its job"),
                ));
            }
        }
    }
    report(&faults);
}

fn empty_word(name: &str) -> Option<&str> {
    name.split(['/', '_', '.', '-'])
        .find(|word| EMPTY_NAMES.contains(word))
}

/// The module that a line such as `pub(crate) mod name;` declares.
pub(crate) fn declared_module(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let rest = if line.starts_with("pub") {
        &line[line.find(" mod ")? + 1..]
    } else {
        line
    };
    let name = rest.strip_prefix("mod ")?.trim_end_matches([' ', ';', '{']);
    name.chars()
        .all(|c| c.is_alphanumeric() || c == '_')
        .then_some(name)
}

#[test]
fn lints_are_expected_with_a_reason_and_never_allowed() {
    // Put together here, so that this file does not find itself.
    let banned = [concat!("#[al", "low("), concat!("#![al", "low(")];
    let advice = "use `#[expect(…, reason = \"…\")]`: it fails when it is no longer needed";
    let tree = Tree::read();
    let mut faults = Vec::new();
    for file in tree.rust() {
        let lines = file
            .lines()
            .filter(|(_, text)| banned.iter().any(|banned| text.contains(banned)));
        faults.extend(lines.map(|(line, _)| file.fault(line, advice)));
    }
    report(&faults);
}

#[test]
fn a_file_at_the_length_bound_passes_and_one_line_more_fails() {
    let file = |lines: usize| TextFile {
        path: "a.rs".to_owned(),
        text: "x\n".repeat(lines),
    };
    assert!(judge_length(&file(FILE_LINES_MAX)).is_none());
    assert_eq!(
        judge_length(&file(FILE_LINES_MAX + 1)).map(|fault| fault.line),
        Some(FILE_LINES_MAX + 1)
    );
}

#[test]
fn declared_modules_and_empty_names_are_recognised() {
    assert_eq!(
        declared_module("    pub(crate) mod header_utils;"),
        Some("header_utils")
    );
    assert_eq!(declared_module("mod tests {"), Some("tests"));
    assert_eq!(declared_module("pub fn modulo() {}"), None);
    assert_eq!(empty_word("crates/core/src/header_utils.rs"), Some("utils"));
    assert_eq!(empty_word("crates/core/src/utility.rs"), None);
}

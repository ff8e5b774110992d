//! Every bound (a constant that ends in `_MAX`) is mentioned in a test. Must never be satisfied by the line that
//! declares the bound.

use std::collections::BTreeSet;

use crate::modules::declared_module;
use crate::tree::{TextFile, Tree, report};

/// Bounds that no test can reach, each with its reason: (file, bound, reason). Empty is the aim.
const UNTESTED_BOUNDS: &[(&str, &str, &str)] = &[(
    "crates/proxy/src/forward.rs",
    "STALE_CONNECTIONS_MAX",
    "reached only when the upstream closes a connection between our look at it and our use of it, several times in a row",
)];

#[test]
fn every_bound_is_mentioned_in_a_test() {
    let tree = Tree::read();
    // This file's own list of exceptions is no test.
    let tests = tree.rust().filter(|file| !file.path.ends_with("tidy/bounds.rs"));
    let mentioned: BTreeSet<&str> = tests.flat_map(|file| words(test_part(file))).collect();
    let mut faults = Vec::new();
    for file in tree.rust() {
        // A bound that a test declares for itself is the test's own affair.
        let untested = file.text.len() - test_part(file).len();
        for (line, text) in file.lines() {
            let offset = text.as_ptr() as usize - file.text.as_ptr() as usize;
            let Some(name) = declared_bound(text) else {
                continue;
            };
            let excused = UNTESTED_BOUNDS
                .iter()
                .any(|(path, bound, _)| *path == file.path && *bound == name);
            if offset < untested && !mentioned.contains(name) && !excused {
                faults.push(file.fault(
                    line,
                    format!("no test mentions {name}: test what happens at the bound"),
                ));
            }
        }
    }
    report(&faults);
    for (path, bound, reason) in UNTESTED_BOUNDS {
        assert!(
            !reason.is_empty(),
            "{path}, {bound}: an exception needs its reason"
        );
        let declared = tree
            .get(path)
            .is_some_and(|file| file.lines().any(|(_, l)| declared_bound(l) == Some(bound)));
        assert!(
            declared && !mentioned.contains(bound),
            "{bound} is tested or gone: take it out of UNTESTED_BOUNDS"
        );
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
}

/// The name of the bound that a line such as `pub const HEADERS_MAX: usize = 100;` declares.
pub(crate) fn declared_bound(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let rest = if line.starts_with("pub") {
        &line[line.find("const ")?..]
    } else {
        line
    };
    let (name, _) = rest.strip_prefix("const ")?.split_once(':')?;
    name.ends_with("_MAX").then_some(name)
}

/// The part of a file that is compiled for tests only: all of it, or from its inline test module on. The test kit
/// as a whole is such a file.
pub(crate) fn test_part(file: &TextFile) -> &str {
    let path = file.path.as_str();
    if path.contains("/tests/") || path.ends_with("/tests.rs") || path.starts_with("crates/testkit/") {
        return &file.text;
    }
    let opens_a_module = |after: &str| {
        let line = after.trim_start().lines().next().unwrap_or("");
        declared_module(line).is_some() && line.ends_with('{')
    };
    let mut markers = file.text.match_indices("#[cfg(test)]");
    let inline = markers.find(|(start, marker)| opens_a_module(&file.text[start + marker.len()..]));
    &file.text[inline.map_or(file.text.len(), |(start, _)| start)..]
}

#[test]
fn bounds_and_test_modules_are_recognised() {
    assert_eq!(
        declared_bound("    pub(crate) const HOPS_MAX: usize = 32;"),
        Some("HOPS_MAX")
    );
    assert_eq!(declared_bound("const HOPS: usize = 32;"), None);
    assert_eq!(declared_bound("pub const fn hops() -> usize {"), None);
    let file = |text: &str| TextFile {
        path: "crates/a/src/b.rs".to_owned(),
        text: text.to_owned(),
    };
    let inline = file("const A_MAX: u8 = 1;\n#[cfg(test)]\nmod tests {\n    // A_MAX\n}\n");
    assert!(words(test_part(&inline)).any(|word| word == "A_MAX"));
    assert_eq!(
        test_part(&file("#[cfg(test)]\nmod tests;\nconst A_MAX: u8 = 1;\n")),
        ""
    );
}

//! The reference of all bounds, `docs/bounds.md`, made from the lines that declare them: the committed one must be what is made here.

use std::fmt::Write as _;

use crate::bounds::{declared_bound, test_part};
use crate::tree::{TextFile, Tree};

const REFERENCE: &str = "docs/bounds.md";
/// Set when the file is to be written anew instead of compared.
const UPDATE_VARIABLE: &str = "UPDATE_GENERATED";

const OPENING: &str = "# Bounds\n\n\
    Everything in Sentinel has a bound: what it reads, keeps, waits for and tries again. Bounds that an operator would change are settings, and\n\
    stand in `sentinel.example.toml`; the others are constants, and stand here. Each has a test of what happens at it.\n\n\
    Made from the source. To make it anew: `UPDATE_GENERATED=1 cargo test -p sentinel-testkit --test tidy reference`\n";

/// One bound as its line, and the comment above it, tell it.
struct Bound<'t> {
    name: &'t str,
    value: String,
    comment: String,
}

/// The bounds that a file declares for the product.
fn bounds_of(file: &TextFile) -> Vec<Bound<'_>> {
    let product = &file.text[..file.text.len() - test_part(file).len()];
    let lines: Vec<&str> = product.lines().collect();
    let mut bounds = Vec::new();
    for (place, line) in lines.iter().enumerate() {
        let Some(name) = declared_bound(line) else {
            continue;
        };
        let above = lines[..place]
            .iter()
            .rev()
            .take_while(|line| line.trim_start().starts_with("///"));
        let mut comment: Vec<&str> = above
            .map(|line| line.trim_start().trim_start_matches("///").trim())
            .collect();
        comment.reverse();
        let declaration: String = lines[place..]
            .iter()
            .scan(false, |ended, line| {
                let goes_on = !*ended;
                *ended = line.trim_end().ends_with(';');
                goes_on.then_some(line.trim())
            })
            .collect::<Vec<_>>()
            .join(" ");
        let value = declaration.split_once('=').map_or("", |(_, value)| value);
        bounds.push(Bound {
            name,
            value: value.trim().trim_end_matches(';').to_owned(),
            comment: comment.join(" "),
        });
    }
    bounds
}

fn reference(tree: &Tree) -> String {
    let mut text = OPENING.to_owned();
    let mut part = "";
    for file in tree.rust() {
        let bounds = bounds_of(file);
        let Some((name, _)) = file
            .path
            .strip_prefix("crates/")
            .and_then(|path| path.split_once("/src/"))
            .filter(|(name, _)| !bounds.is_empty() && *name != "testkit")
        else {
            continue;
        };
        if name != part {
            part = name;
            let _ = write!(
                text,
                "\n## {name}\n\n| bound | value | for what | where |\n|---|---|---|---|\n"
            );
        }
        for Bound { name, value, comment } in bounds {
            let comment = comment.replace('|', "\\|");
            let _ = writeln!(text, "| `{name}` | `{value}` | {comment} | `{}` |", file.path);
        }
    }
    text
}

#[test]
fn the_reference_of_bounds_is_what_the_source_says() {
    let tree = Tree::read();
    let made = reference(&tree);
    let path = tree.root.join(REFERENCE);
    if std::env::var_os(UPDATE_VARIABLE).is_some() {
        std::fs::write(&path, &made).expect("the reference can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == made,
        "{REFERENCE} is stale: run {UPDATE_VARIABLE}=1 cargo test -p sentinel-testkit --test tidy reference"
    );
}

#[test]
fn every_bound_in_the_reference_says_what_it_is_for() {
    let tree = Tree::read();
    let silent: Vec<String> = tree
        .rust()
        .filter(|file| file.path.contains("/src/") && !file.path.starts_with("crates/testkit/"))
        .flat_map(|file| {
            let silent = bounds_of(file)
                .into_iter()
                .filter(|bound| bound.comment.is_empty());
            silent
                .map(|bound| format!("{}: {}", file.path, bound.name))
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(silent.is_empty(), "without a comment:\n{}", silent.join("\n"));
}

//! What the documents promise: paths that exist, and nothing of one machine in any text. Must never check
//! wording.

use crate::tree::{
    Fault, GENERATED_FOLDERS, GENERATED_ROOT_FOLDERS, TextFile, Tree, extension_of, numbered, report,
};

const DOCUMENTS: &[&str] = &["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"];
/// Files that documents name but that lie on an operator's machine, not here.
const OPERATOR_FILES: &[&str] = &["sentinel.toml", "config.toml", "config.yaml"];
const NAMED_EXTENSIONS: &[&str] = &[
    "rs", "toml", "md", "lua", "py", "yaml", "yml", "sh", "ts", "vue", "sql", "json", "lock",
];

#[test]
fn documents_name_only_paths_that_exist() {
    let tree = Tree::read();
    let mut faults = Vec::new();
    for name in DOCUMENTS {
        if let Some(document) = tree.get(name) {
            faults.extend(judge_paths(&tree, document));
        } else {
            let text = "is missing: write it, or take it out of DOCUMENTS".to_owned();
            faults.push(Fault {
                file: (*name).to_owned(),
                line: 1,
                text,
            });
        }
    }
    report(&faults);
}

fn judge_paths(tree: &Tree, document: &TextFile) -> Vec<Fault> {
    let spans = code_spans(&document.text).into_iter();
    let lost = spans.filter(|(_, span)| looks_like_a_path(tree, span) && !exists(tree, span));
    let lost = lost.map(|(line, path)| document.fault(line, format!("`{path}` does not exist: correct it")));
    let links = link_targets(&document.text)
        .into_iter()
        .filter(|(_, target)| !tree.root.join(target).exists());
    let links =
        links.map(|(line, target)| document.fault(line, format!("the link to {target} leads nowhere")));
    lost.chain(links).collect()
}

/// Inline code (`like this`) outside of fenced blocks, with the line it is on.
fn code_spans(text: &str) -> Vec<(usize, &str)> {
    let prose = outside_fences(text);
    prose
        .flat_map(|(number, line)| line.split('`').skip(1).step_by(2).map(move |span| (number, span)))
        .collect()
}

/// The relative targets of Markdown links, without their anchors.
fn link_targets(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (number, line) in outside_fences(text) {
        let targets = line
            .split("](")
            .skip(1)
            .map(|part| part.split([')', '#']).next().unwrap_or(""));
        found.extend(
            targets
                .filter(|target| !target.is_empty() && !target.contains(':'))
                .map(|t| (number, t)),
        );
    }
    found
}

fn outside_fences(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    numbered(text).filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fence && !fenced
    })
}

fn looks_like_a_path(tree: &Tree, span: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if span.starts_with('/') || !span.chars().all(plain) || OPERATOR_FILES.contains(&span) {
        return false;
    }
    let first = span.split('/').next().unwrap_or(span);
    let generated = GENERATED_FOLDERS.contains(&first) || GENERATED_ROOT_FOLDERS.contains(&first);
    let in_our_folder = span.contains('/') && tree.root.join(first).is_dir();
    !generated && (in_our_folder || NAMED_EXTENSIONS.contains(&extension_of(span)))
}

/// Whether the path exists from the root on, or (like `src/lifecycle.rs`) ends the path of some file.
fn exists(tree: &Tree, path: &str) -> bool {
    let suffix = format!("/{path}");
    tree.root.join(path).exists() || tree.files.iter().any(|file| file.path.ends_with(&suffix))
}

#[test]
fn texts_name_no_place_of_one_machine() {
    // Put together here, so that this file does not find itself.
    let folders = [
        concat!("/ho", "me/"),
        concat!("/ro", "ot/"),
        concat!("/Us", "ers/"),
        concat!("/wo", "rk/"),
    ];
    let registries = [
        concat!("--index", "-url"),
        concat!("--extra-index", "-url"),
        concat!("--find", "-links"),
        concat!("PIP_INDEX", "_URL"),
        concat!("replace", "-with"),
        concat!("npm_config", "_registry"),
    ];
    let tree = Tree::read();
    let mut faults = Vec::new();
    for file in &tree.files {
        for (line, text) in file.lines() {
            if let Some(folder) = folders.iter().find(|folder| starts_a_path(text, folder)) {
                let advice =
                    "is a folder of one machine: use a path from the repository's root, or a setting";
                faults.push(file.fault(line, format!("{folder} {advice}")));
            }
            if let Some(option) = registries.iter().find(|option| text.contains(*option)) {
                let advice = "picks a package registry: leave that to whoever builds";
                faults.push(file.fault(line, format!("{option} {advice}")));
            }
        }
    }
    report(&faults);
}

/// Whether `folder` occurs as the start of an absolute path, not in the middle of a longer one.
fn starts_a_path(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(index, _)| {
        let before = line[..index].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && !"/._-*})".contains(c))
    })
}

#[test]
fn a_lost_path_is_found_and_a_url_is_not_taken_for_one() {
    let text = "`crates/gone.rs` `/admin/api` `GET /x` `src/tree.rs` `target/release/x`\n```\n`crates/no`\n```\n\
                [a](gone.md#b) [c](https://example.org) `tidy/tree.rs` `sentinel.toml`\n";
    let document = TextFile {
        path: "README.md".to_owned(),
        text: text.to_owned(),
    };
    let faults = judge_paths(&Tree::read(), &document);
    let found: Vec<(usize, bool)> = faults.iter().map(|f| (f.line, f.text.contains("gone"))).collect();
    assert_eq!(
        found,
        [(1, true), (1, false), (5, true)],
        "crates/gone.rs, src/tree.rs and gone.md are lost"
    );
}

#[test]
fn a_place_of_one_machine_is_an_absolute_path() {
    let folder = concat!("/ro", "ot/");
    assert!(starts_a_path(&format!("see `{folder}x`"), folder) && starts_a_path(folder, folder));
    assert!(!starts_a_path(&format!("target{folder}x"), folder));
}

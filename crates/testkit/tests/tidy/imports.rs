//! Which crate may import which. Must never look into source files: what Cargo.toml does not list cannot be
//! imported.

use std::collections::BTreeSet;

use crate::tree::{Fault, TextFile, Tree, numbered, report};

const TESTKIT: &str = "sentinel-testkit";

/// Which of our crates each crate may import. `sentinel-testkit` is allowed to all of them, for tests only.
const IMPORTS_ALLOWED: &[(&str, &[&str])] = &[
    ("sentinel-core", &[]),
    ("sentinel-store", &["sentinel-core"]),
    ("sentinel-proxy", &["sentinel-core"]),
    ("sentinel-admin", &["sentinel-core"]),
    ("sentinel-alerts", &["sentinel-core"]),
    (
        "sentinel",
        &[
            "sentinel-proxy",
            "sentinel-admin",
            "sentinel-alerts",
            "sentinel-store",
            "sentinel-core",
        ],
    ),
    (TESTKIT, &["sentinel-core"]),
];

/// The domain is pure: it imports nothing that opens a socket, a file or a database.
const CORE_IMPORTS_BANNED: &[&str] = &[
    "axum",
    "hyper",
    "hyper-util",
    "redis",
    "refinery",
    "rusqlite",
    "tokio",
    "tokio-postgres",
    "tower",
];

#[test]
fn crates_import_only_what_the_architecture_allows() {
    let tree = Tree::read();
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for manifest in tree.files.iter().filter(|file| is_crate_manifest(&file.path)) {
        let table: toml::Table = manifest.text.parse().expect("cargo has parsed it before");
        let name = table["package"]["name"]
            .as_str()
            .expect("a package has a name")
            .to_owned();
        if let Some((_, allowed)) = IMPORTS_ALLOWED.iter().find(|(crate_name, _)| *crate_name == name) {
            faults.extend(
                imports(&table)
                    .iter()
                    .filter_map(|import| judge(manifest, &name, allowed, import)),
            );
        } else {
            let advice = "say in IMPORTS_ALLOWED and in ARCHITECTURE.md what it may import";
            faults.push(manifest.fault(1, format!("crate {name} is unknown here: {advice}")));
        }
        seen.insert(name);
    }
    for (name, _) in IMPORTS_ALLOWED {
        assert!(
            seen.contains(*name),
            "crate {name} is gone: remove it from IMPORTS_ALLOWED"
        );
    }
    report(&faults);
}

fn is_crate_manifest(path: &str) -> bool {
    path.starts_with("crates/") && path.ends_with("/Cargo.toml") && path.split('/').count() == 3
}

/// One line of a manifest that imports a package.
struct Import {
    package: String,
    for_tests: bool,
}

fn judge(manifest: &TextFile, name: &str, allowed: &[&str], import: &Import) -> Option<Fault> {
    let package = import.package.as_str();
    let ours = package == "sentinel" || package.starts_with("sentinel-");
    let text = if package == TESTKIT {
        if import.for_tests {
            return None;
        }
        format!("{TESTKIT} is for tests: move it to [dev-dependencies]")
    } else if ours && !allowed.contains(&package) {
        format!("{name} must not import {package}: add a port to sentinel-core and let the binary hand it in")
    } else if name == "sentinel-core" && !import.for_tests && CORE_IMPORTS_BANNED.contains(&package) {
        format!("{name} must not import {package}: the domain does no input or output, use a port")
    } else {
        return None;
    };
    let line = numbered(&manifest.text).skip_while(|(_, line)| !line.contains("dependencies]"));
    let line = line
        .into_iter()
        .find(|(_, line)| line.contains(package))
        .map_or(1, |(number, _)| number);
    Some(manifest.fault(line, text))
}

/// Every import of a manifest, target-specific and renamed ones included.
fn imports(manifest: &toml::Table) -> Vec<Import> {
    let mut tables = vec![manifest];
    if let Some(targets) = manifest.get("target").and_then(toml::Value::as_table) {
        tables.extend(targets.values().filter_map(toml::Value::as_table));
    }
    let mut found = Vec::new();
    for table in tables {
        for section in ["dependencies", "build-dependencies", "dev-dependencies"] {
            let Some(entries) = table.get(section).and_then(toml::Value::as_table) else {
                continue;
            };
            for (key, value) in entries {
                let package = value
                    .get("package")
                    .and_then(toml::Value::as_str)
                    .unwrap_or(key)
                    .to_owned();
                found.push(Import {
                    package,
                    for_tests: section == "dev-dependencies",
                });
            }
        }
    }
    found
}

#[test]
fn a_forbidden_import_is_found_wherever_it_hides() {
    let text = "[package]\n[dependencies]\nx = { package = \"sentinel-store\" }\nsentinel-testkit = {}\nserde = \"1\"\n\
                [target.'cfg(unix)'.dev-dependencies]\nsentinel-admin = {}\nsentinel-testkit = {}\n";
    let manifest = TextFile {
        path: "crates/proxy/Cargo.toml".to_owned(),
        text: text.to_owned(),
    };
    let table: toml::Table = text.parse().expect("the text above is TOML");
    let faults = imports(&table)
        .into_iter()
        .filter_map(|i| judge(&manifest, "sentinel-proxy", &[], &i));
    let lines: BTreeSet<usize> = faults.map(|fault| fault.line).collect();
    assert_eq!(lines, BTreeSet::from([3, 4, 7]));
}

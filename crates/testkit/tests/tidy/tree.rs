//! The checkout as a list of text files, and the faults found in it. Knows which folders programs make; must
//! never know a rule.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Folders whose content is made by programs, wherever they lie.
pub(crate) const GENERATED_FOLDERS: &[&str] = &["target", "node_modules", "__pycache__", "dist", "coverage"];
/// The same, but only directly under the root.
pub(crate) const GENERATED_ROOT_FOLDERS: &[&str] = &["data"];
/// Of the folders with a leading dot, the ones that are ours. The others belong to git, editors and caches.
const HIDDEN_FOLDERS: &[&str] = &[".ci", ".cargo", ".config", ".github"];
/// Files that hold one machine's state or secrets and are never committed.
const LOCAL_FILES: &[&str] = &[".git", ".env"];
const LOCAL_EXTENSIONS: &[&str] = &["tmp", "log", "swp", "orig", "rej"];
/// Fewer files than this mean that the walk started in the wrong place.
const FILES_EXPECTED_MIN: usize = 20;

/// One text file, its path relative to the root with `/` between the parts.
pub(crate) struct TextFile {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl TextFile {
    /// What follows the last dot of the name, or nothing.
    pub(crate) fn extension(&self) -> &str {
        extension_of(&self.path)
    }

    /// A fault in this file at `line`, counted from 1.
    pub(crate) fn fault(&self, line: usize, text: impl Into<String>) -> Fault {
        Fault {
            file: self.path.clone(),
            line,
            text: text.into(),
        }
    }

    /// The lines, numbered from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        numbered(&self.text)
    }
}

/// Every text file of the checkout that people write.
pub(crate) struct Tree {
    pub(crate) root: PathBuf,
    pub(crate) files: Vec<TextFile>,
}

impl Tree {
    pub(crate) fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let root = root
            .canonicalize()
            .expect("the crate lies two folders below the root");
        let mut files = Vec::new();
        collect(&root, &root, &mut files);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        assert!(
            files.len() > FILES_EXPECTED_MIN,
            "only {} files under {}",
            files.len(),
            root.display()
        );
        Self { root, files }
    }

    pub(crate) fn rust(&self) -> impl Iterator<Item = &TextFile> {
        self.files.iter().filter(|file| file.extension() == "rs")
    }

    pub(crate) fn get(&self, path: &str) -> Option<&TextFile> {
        self.files.iter().find(|file| file.path == path)
    }
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<TextFile>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the checkout can be read") {
        let entry = entry.expect("a folder of the checkout can be read");
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type().expect("a file type can be read");
        if kind.is_dir() && is_ours(&name, folder == root) {
            collect(root, &entry.path(), files);
        } else if kind.is_file() && !is_local(&name) {
            let path = entry.path();
            let relative = path.strip_prefix(root).expect("the walk starts at the root");
            let relative = relative.to_string_lossy().replace('\\', "/");
            // What is not UTF-8 (pictures, archives) has no lines to check.
            if let Ok(text) = std::fs::read_to_string(&path) {
                files.push(TextFile { path: relative, text });
            }
        }
    }
}

fn is_ours(folder: &str, at_root: bool) -> bool {
    let generated =
        GENERATED_FOLDERS.contains(&folder) || (at_root && GENERATED_ROOT_FOLDERS.contains(&folder));
    !generated && (!folder.starts_with('.') || HIDDEN_FOLDERS.contains(&folder))
}

fn is_local(file: &str) -> bool {
    LOCAL_FILES.contains(&file) || LOCAL_EXTENSIONS.contains(&extension_of(file))
}

pub(crate) fn extension_of(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map_or("", |(_, extension)| extension)
}

pub(crate) fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

/// One broken rule: where it is, and what to do about it.
pub(crate) struct Fault {
    pub(crate) file: String,
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// Fails the test with all the faults at once, one a line.
pub(crate) fn report(faults: &[Fault]) {
    let mut text = String::new();
    for fault in faults {
        let _ = writeln!(text, "  {}:{}: {}", fault.file, fault.line, fault.text);
    }
    assert!(faults.is_empty(), "{} fault(s):\n{text}", faults.len());
}

#[test]
fn the_walk_skips_what_programs_make() {
    assert!(is_ours("crates", true) && is_ours(".ci", true) && is_ours("data", false));
    assert!(!is_ours("target", true) && !is_ours("data", true) && !is_ours(".venv", false));
    assert!(is_local(".git") && is_local("round.tmp") && !is_local("run"));
}

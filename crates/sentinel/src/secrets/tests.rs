use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;
use crate::config;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// A hash that nobody logs in against: making one takes time.
const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$bGRzc2Rmc2Rmc2Rmc2Rmc2Rmc2Rmc2Rmc2Rmc2Rmc2Q";

/// A data folder that is not there yet, and configurations on it.
struct Fixture(TempDir);

impl Fixture {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn data_folder(&self) -> PathBuf {
        self.0.path().join("deep/data")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.data_folder().join("secrets").join(name)
    }

    /// The files in the secrets folder and what they hold.
    fn files(&self) -> BTreeMap<String, String> {
        let entries = fs::read_dir(self.file("")).expect("it is a folder");
        let read = |path: PathBuf| {
            let text = fs::read_to_string(&path).expect("text");
            (
                path.file_name().expect("a name").to_string_lossy().into_owned(),
                text,
            )
        };
        entries
            .map(|entry| read(entry.expect("an entry").path()))
            .collect()
    }

    fn config(&self, variables: &[(&str, &str)]) -> Config {
        let folder = self.data_folder();
        let mut all = vec![("SENTINEL_DATA_DIR", folder.to_str().expect("UTF-8"))];
        all.extend(variables);
        config::of_variables(&all)
    }

    /// A configuration without a password to hash.
    fn hashed(&self, variables: &[(&str, &str)]) -> Config {
        let mut all = vec![("ADMIN_PASSWORD", HASH)];
        all.extend(variables);
        self.config(&all)
    }
}

fn in_folder(has_bindings: bool) -> CheckedBy {
    CheckedBy::Folder { has_bindings }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
}

#[test]
fn the_first_start_makes_secrets_and_the_second_keeps_them() {
    let fixture = Fixture::new();
    let config = fixture.config(&[]);
    let first = prepare(&config, &in_folder(false)).expect("a fresh folder");
    let made = fixture.files();
    let second = prepare(&config, &in_folder(true)).expect("the same folder");
    assert_eq!(fixture.files(), made);
    assert_ne!(made[HMAC_FILE], made[JWT_FILE]);
    assert_eq!(made[JWT_FILE].trim_end().len(), 2 * SECRET_BYTES);

    assert_eq!(check_value(&first.hasher), check_value(&second.hasher));
    assert!(first.warnings.is_empty() && second.warnings.is_empty());

    let password = first.first_password.as_ref().expect("it was made just now");
    assert!(second.first_password.is_none());
    assert_eq!(password.expose().len(), PASSWORD_CHARACTERS + 3);
    for folder in [fixture.data_folder(), fixture.file("")] {
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
    }
    for (name, text) in &made {
        assert_eq!(mode(&fixture.file(name)), 0o600, "{name}");
        assert!(!text.contains(password.expose()), "{name}");
    }
    let shown = format!("{first:?}");
    assert!(
        [HMAC_FILE, JWT_FILE]
            .iter()
            .all(|name| !shown.contains(made[*name].trim_end())),
        "{shown}"
    );
    assert!(!shown.contains(password.expose()), "{shown}");
}

#[test]
fn what_is_configured_is_used_and_nothing_is_made() {
    let fixture = Fixture::new();
    let config = fixture.hashed(&[("SENTINEL_HMAC_SECRET", SECRET), ("ADMIN_JWT_SECRET", SECRET)]);
    let secrets = prepare(&config, &in_folder(false)).expect("a fresh folder");
    let under_it = FingerprintHasher::new(SECRET.as_bytes()).expect("it is long enough");
    assert_eq!(check_value(&secrets.hasher), check_value(&under_it));
    assert!(secrets.first_password.is_none());
    for name in [HMAC_FILE, JWT_FILE, PASSWORD_HASH_FILE] {
        assert!(!fixture.file(name).exists(), "{name}");
    }
    let check = fs::read_to_string(fixture.file(HMAC_CHECK_FILE)).expect("it is there");
    assert!(!check.contains(SECRET));
}

#[test]
fn another_hmac_secret_is_refused_while_there_are_bindings() {
    let fixture = Fixture::new();
    let one = fixture.hashed(&[("SENTINEL_HMAC_SECRET", SECRET)]);
    let other = fixture.hashed(&[("SENTINEL_HMAC_SECRET", "another secret, long enough")]);
    prepare(&one, &in_folder(false)).expect("a fresh folder");

    assert!(matches!(
        prepare(&other, &in_folder(true)),
        Err(SecretsError::OtherHmacSecret(_))
    ));
    assert!(matches!(
        verify(&other, &in_folder(true)),
        Err(SecretsError::OtherHmacSecret(_))
    ));
    prepare(&one, &in_folder(true)).expect("the old secret still fits");

    prepare(&other, &in_folder(false)).expect("nothing is bound");
    prepare(&other, &in_folder(true)).expect("it is the installation's secret now");
    assert!(matches!(
        verify(&one, &in_folder(true)),
        Err(SecretsError::OtherHmacSecret(_))
    ));
}

#[test]
fn a_lost_hmac_secret_is_not_made_again_while_there_are_bindings() {
    let fixture = Fixture::new();
    let config = fixture.hashed(&[]);
    let before = prepare(&config, &in_folder(false)).expect("a fresh folder");
    fs::remove_file(fixture.file(HMAC_FILE)).expect("it was there");
    let error = prepare(&config, &in_folder(true)).expect_err("the secret is lost");
    assert!(error.to_string().contains("SENTINEL_HMAC_SECRET"), "{error}");
    assert!(!fixture.file(HMAC_FILE).exists());
    fs::remove_dir_all(fixture.file("")).expect("it was there");
    assert!(matches!(
        prepare(&config, &in_folder(true)),
        Err(SecretsError::LostHmacSecret(_))
    ));

    let after = prepare(&config, &in_folder(false)).expect("nothing is bound");
    assert_ne!(check_value(&before.hasher), check_value(&after.hasher));
}

#[test]
fn checking_changes_nothing() {
    let fixture = Fixture::new();
    verify(&fixture.hashed(&[]), &in_folder(false)).expect("will be made at first start");
    assert!(!fixture.data_folder().exists());
}

#[test]
fn files_that_others_may_use_are_warned_of() {
    let fixture = Fixture::new();
    let config = fixture.hashed(&[]);
    prepare(&config, &in_folder(false)).expect("a fresh folder");
    set_mode(&fixture.file(HMAC_FILE), 0o640);
    set_mode(&fixture.file(""), 0o755);
    let warnings = prepare(&config, &in_folder(false))
        .expect("it still works")
        .warnings;
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(
        warnings[0].ends_with("/secrets") && warnings[1].ends_with("/secrets/hmac"),
        "{warnings:?}"
    );
    assert_eq!(
        mode(&fixture.file(HMAC_FILE)),
        0o640,
        "an operator's choice is not changed"
    );
}

#[test]
fn damaged_files_are_told_and_left_alone() {
    for (name, content) in [
        (HMAC_FILE, "\n"),
        (HMAC_FILE, "short\n"),
        (JWT_FILE, ""),
        (PASSWORD_HASH_FILE, "plain password\n"),
    ] {
        let fixture = Fixture::new();
        fs::create_dir_all(fixture.file("")).expect("a fresh folder");
        fs::write(fixture.file(name), content).expect("it can be written");
        let error = prepare(&fixture.config(&[]), &in_folder(false)).expect_err("damaged");
        assert!(
            matches!(&error, SecretsError::Damaged(path) if *path == fixture.file(name)),
            "{error}"
        );
        assert_eq!(
            fs::read_to_string(fixture.file(name)).expect("it is there"),
            content
        );
    }
}

#[test]
fn a_folder_that_cannot_be_made_is_one_clear_line() {
    let fixture = Fixture::new();
    fs::write(fixture.0.path().join("deep"), "a file").expect("it can be written");
    let error = prepare(&fixture.config(&[]), &in_folder(false))
        .expect_err("a file is in the way")
        .to_string();
    assert!(
        error.contains("deep/data: the folder cannot be made: "),
        "{error}"
    );
    assert_eq!(error.lines().count(), 1);
}

#[test]
fn one_process_at_a_time_makes_secrets_and_none_writes_over_one() {
    let fixture = Fixture::new();
    let folder = SecretsFolder::open(&fixture.data_folder()).expect("a fresh folder");
    assert!(matches!(
        SecretsFolder::open(&fixture.data_folder()),
        Err(SecretsError::Busy(_))
    ));
    // What an interrupted start left behind is in nobody's way.
    fs::write(fixture.file("unfinished"), "half").expect("it can be written");
    folder.create("a", &Secret::new("first")).expect("it is new");
    let error = folder
        .create("a", &Secret::new("second"))
        .expect_err("it is there");
    assert!(error.to_string().contains("is not written over"), "{error}");
    assert_eq!(
        fs::read_to_string(fixture.file("a")).expect("it is there"),
        "first\n"
    );
    assert!(!fixture.file("unfinished").exists());
    drop(folder);
    SecretsFolder::open(&fixture.data_folder()).expect("the lock is gone with its holder");
}

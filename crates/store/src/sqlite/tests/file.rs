//! The file: made, kept, judged, and left alone when it is not ours.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::ports::{
    AdminEventStore, ArchiveRun, ArchiveStore as _, Archived, BindingAdmin, BindingFilter, BindingStore,
    InterceptFilter, InterceptStore, SettingStore as _,
};

use super::super::{Migrated, SqliteStore, schema};
use super::{new_path, outside};
use crate::conformance::{actor, at, claimed, fingerprint, network};
use crate::error::OpenError;

/// The names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// That neither opening nor checking nor migrating changes anything of a file that is refused as `expected`.
fn assert_refused_untouched(path: &Path, expected: fn(&OpenError) -> bool) {
    let before = fs::read(path).unwrap();
    for refused in [
        SqliteStore::check(path).map(|_| ()),
        SqliteStore::open(path).map(|_| ()),
        SqliteStore::migrate(path).map(|_| ()),
    ] {
        let error = refused.expect_err("a file that is refused");
        assert!(expected(&error), "{error:?}");
        let line = error.to_string();
        assert!(
            line.contains(path.to_str().unwrap()) && !line.contains('\n'),
            "{line}"
        );
    }
    assert!(fs::read(path).unwrap() == before, "the file was changed");
}

#[tokio::test]
async fn reopening_keeps_everything() {
    let (path, folder) = new_path();
    let store = SqliteStore::open(&path).unwrap();
    let binding = claimed(&store, 1, "192.0.2.1").await;
    store
        .learn(binding.id, network("2001:db8::/64"), 2, actor(1).at)
        .await
        .unwrap();
    let banned = store
        .ban(binding.id, "leaked".to_owned(), actor(2))
        .await
        .unwrap();
    let events = store.newest(10).await.unwrap();
    store.close().unwrap();
    assert_eq!(names(folder.path()), ["sentinel.db"]);

    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(store.show(binding.id).await.unwrap(), banned);
    assert_eq!(store.newest(10).await.unwrap(), events);
    let next = claimed(&store, 2, "192.0.2.1").await;
    assert!(next.version > banned.expect("a record").binding.version);
}

#[tokio::test]
async fn only_the_owner_may_read_the_files() {
    let (path, folder) = new_path();
    let store = SqliteStore::open(&path).unwrap();
    claimed(&store, 1, "192.0.2.1").await;
    let names = names(folder.path());
    assert!(names.len() > 1, "the log is a file too: {names:?}");
    for name in names {
        let mode = fs::metadata(folder.path().join(&name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn what_was_committed_survives_a_kill() {
    let (path, folder) = new_path();
    let store = SqliteStore::open(&path).unwrap();
    for number in 0..100 {
        claimed(&store, number, "192.0.2.1").await;
    }
    // What a kill at this moment would leave: the files as they are, the store neither closed nor dropped.
    let killed = tempfile::tempdir().unwrap();
    for name in names(folder.path()).iter().filter(|name| !name.ends_with("-shm")) {
        fs::copy(folder.path().join(name), killed.path().join(name)).unwrap();
    }
    let store_after = SqliteStore::open(&killed.path().join("sentinel.db")).unwrap();
    for number in 0..100 {
        assert!(store_after.find(&fingerprint(number)).await.unwrap().is_some());
    }
    // And dropping it without closing loses nothing either.
    drop(store);
    let reopened = SqliteStore::open(&path).unwrap();
    assert_eq!(reopened.counts().await.unwrap().active, 100);
}

#[test]
fn a_file_that_is_no_database_is_refused_untouched() {
    for content in ["x", "not a database\n", &"garbage ".repeat(2_000)] {
        let (path, folder) = new_path();
        fs::write(&path, content).unwrap();
        assert_refused_untouched(&path, |error| matches!(error, OpenError::NotADatabase { .. }));
        assert_eq!(names(folder.path()), ["sentinel.db"]);
    }
}

#[test]
fn another_programs_database_is_refused_untouched() {
    let (path, folder) = new_path();
    outside(&path)
        .execute_batch("CREATE TABLE guests (name TEXT)")
        .unwrap();
    assert_refused_untouched(&path, |error| matches!(error, OpenError::ForeignDatabase { .. }));
    assert_eq!(names(folder.path()), ["sentinel.db"]);
}

#[test]
fn a_newer_schema_is_refused_untouched() {
    let (path, folder) = new_path();
    SqliteStore::migrate(&path).unwrap();
    outside(&path)
        .execute_batch(
            "INSERT INTO refinery_schema_history VALUES (999, 'future', '2030-01-01T00:00:00Z', '1')",
        )
        .unwrap();
    assert_refused_untouched(
        &path,
        |error| matches!(error, OpenError::SchemaNewer { found: 999, needed, .. } if *needed == schema::needed()),
    );
    assert_eq!(names(folder.path()), ["sentinel.db"]);
}

#[tokio::test]
async fn a_damaged_store_is_refused_untouched() {
    let (path, _folder) = new_path();
    let store = SqliteStore::open(&path).unwrap();
    for number in 0..200 {
        claimed(&store, number, "192.0.2.1").await;
    }
    store.close().unwrap();
    let mut content = fs::read(&path).unwrap();
    let half = content.len() / 2;
    content[half..].fill(0x5A);
    fs::write(&path, content).unwrap();
    assert_refused_untouched(&path, |error| matches!(error, OpenError::Damaged { .. }));
    let content = fs::read(&path).unwrap();
    fs::write(&path, &content[..half - 100]).unwrap();
    assert_refused_untouched(&path, |error| matches!(error, OpenError::Damaged { .. }));
}

#[tokio::test]
async fn what_waits_beside_a_refused_file_is_left_alone_too() {
    let (path, folder) = new_path();
    let store = SqliteStore::open(&path).unwrap();
    claimed(&store, 1, "192.0.2.1").await;
    outside(&path)
        .execute_batch(
            "INSERT INTO refinery_schema_history VALUES (999, 'future', '2030-01-01T00:00:00Z', '1')",
        )
        .unwrap();
    let killed = tempfile::tempdir().unwrap();
    for name in ["sentinel.db", "sentinel.db-wal"] {
        fs::copy(folder.path().join(name), killed.path().join(name)).unwrap();
    }
    let log = fs::read(killed.path().join("sentinel.db-wal")).unwrap();
    assert_refused_untouched(&killed.path().join("sentinel.db"), |error| {
        matches!(error, OpenError::SchemaNewer { found: 999, .. })
    });
    assert!(fs::read(killed.path().join("sentinel.db-wal")).unwrap() == log);
}

#[test]
fn checking_makes_no_file() {
    let (path, folder) = new_path();
    assert!(matches!(
        SqliteStore::check(&path),
        Err(OpenError::Missing { .. })
    ));
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn an_older_schema_is_said_by_a_check_and_migrated_by_opening() {
    let (path, folder) = new_path();
    fs::write(&path, "").unwrap();
    let needed = schema::needed();
    assert!(matches!(
        SqliteStore::check(&path),
        Err(OpenError::SchemaOlder { found: 0, needed: said, .. }) if said == needed
    ));
    assert_eq!(fs::read(&path).unwrap(), b"");
    let migrated = SqliteStore::migrate(&path).unwrap();
    assert_eq!(migrated, Migrated { from: 0, to: needed });
    let again = SqliteStore::migrate(&path).unwrap();
    assert_eq!(
        again,
        Migrated {
            from: needed,
            to: needed
        }
    );
    assert_eq!(SqliteStore::check(&path).unwrap(), needed);
    assert_eq!(names(folder.path()), ["sentinel.db"]);
}

#[test]
fn a_running_store_can_be_checked() {
    let (path, _folder) = new_path();
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(SqliteStore::check(&path).unwrap(), schema::needed());
    let writer = outside(&path);
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(SqliteStore::check(&path).unwrap(), schema::needed());
    drop(writer);
    store.close().unwrap();
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let (path, folder) = new_path();
    let in_no_folder = folder.path().join("missing/sentinel.db");
    // Not even root may make a file there, and the tests may run as root.
    let in_proc = Path::new("/proc/sentinel.db");
    // A folder in the place of the file.
    fs::create_dir(&path).unwrap();
    for place in [&in_no_folder, in_proc, &path] {
        let error = SqliteStore::open(place).expect_err("no store can be here");
        assert!(matches!(error, OpenError::NotWritable { .. }), "{error:?}");
        assert!(error.to_string().contains(place.to_str().unwrap()), "{error}");
    }
}

#[test]
fn a_folder_without_write_permission_is_left_alone() {
    let (path, folder) = new_path();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let probe = folder.path().join("probe");
    // Permissions do not hold root back; then there is nothing to see here.
    if fs::write(&probe, "").is_ok() {
        fs::remove_file(&probe).unwrap();
        return;
    }
    let error = SqliteStore::open(&path).expect_err("a read-only folder");
    assert!(matches!(error, OpenError::NotWritable { .. }), "{error:?}");
    assert_eq!(names(folder.path()), [""; 0]);
}

#[tokio::test]
async fn many_may_open_a_new_store_at_once() {
    for _ in 0..5 {
        let (path, _folder) = new_path();
        let opened: Vec<SqliteStore> = std::thread::scope(|scope| {
            let openers: Vec<_> = (0..8).map(|_| scope.spawn(|| SqliteStore::open(&path))).collect();
            let opened = openers.into_iter().map(|opener| opener.join().unwrap().unwrap());
            opened.collect()
        });
        claimed(&opened[0], 1, "192.0.2.1").await;
        for store in &opened {
            assert!(store.find(&fingerprint(1)).await.unwrap().is_some());
        }
    }
}

#[tokio::test]
async fn an_unbound_binding_is_archived_whole() {
    let (path, _folder) = new_path();
    let store = SqliteStore::open(&path).unwrap();
    let binding = claimed(&store, 1, "192.0.2.1").await;
    store
        .learn(binding.id, network("2001:db8::/64"), 2, actor(1).at)
        .await
        .unwrap();
    store.unbind(binding.id, actor(7_000)).await.unwrap();
    let (record, reason, archived_at): (String, String, i64) = outside(&path)
        .query_row(
            "SELECT record, reason, archived_at FROM archived_bindings WHERE binding_id = ? AND fingerprint = ?",
            rusqlite::params![binding.id.0, fingerprint(1).as_bytes()],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .unwrap();
    assert_eq!((reason.as_str(), archived_at), ("unbind", 7_000));
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert_eq!(
        record["networks"],
        serde_json::json!(["192.0.2.1/32", "2001:db8::/64"])
    );
    assert_eq!(record["fingerprint"].as_str().unwrap().len(), 64);
    let left: i64 = outside(&path)
        .query_row("SELECT count(*) FROM binding_networks", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn an_address_is_looked_up_in_the_index() {
    let (path, _folder) = new_path();
    let store = SqliteStore::open(&path).unwrap();
    claimed(&store, 1, "192.0.2.1").await;
    let filter = BindingFilter {
        limit: 1,
        ..BindingFilter::default()
    };
    assert_eq!(BindingAdmin::list(&store, filter).await.unwrap().len(), 1);
    let plan: Vec<String> = outside(&path)
        .prepare(
            "EXPLAIN QUERY PLAN SELECT id FROM bindings WHERE id IN (SELECT binding_id FROM binding_networks \
             WHERE family = 4 AND first_address IN (x'00', x'01') AND last_address >= x'01') ORDER BY id DESC LIMIT 9",
        )
        .unwrap()
        .query_map([], |row| row.get(3))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert!(
        plan.iter()
            .any(|step| step.contains("binding_networks_by_address (family=? AND first_address=?")),
        "{plan:?}"
    );
}

#[tokio::test]
async fn a_file_of_the_first_schema_is_migrated_with_all_that_is_in_it() {
    let (path, _folder) = new_path();
    let (today, _other_folder) = new_path();
    SqliteStore::open(&today).unwrap().close().unwrap();
    let file = outside(&path);
    file.execute_batch(include_str!("../../../migrations/sqlite/V1__initial.sql"))
        .unwrap();
    file.execute("ATTACH ? AS today", [today.to_str().unwrap()])
        .unwrap();
    file.execute_batch(
        "CREATE TABLE refinery_schema_history AS SELECT * FROM today.refinery_schema_history WHERE version = 1;
         INSERT INTO bindings (id, fingerprint, hint, status, policy, version, bound_at, updated_at)
         VALUES (7, zeroblob(32), 'sk-ab…wxyz', 'active', '{}', 1, 1000, 1000);
         INSERT INTO settings VALUES ('policy.slots', '3', 1000, 'root'), ('internal.check', '7', 2000, 'system');
         INSERT INTO binding_networks VALUES
         (7, 0, '192.0.2.1/32', 4, x'00000000000000000000ffffc0000201', x'00000000000000000000ffffc0000201');
         INSERT INTO intercept_logs (reference, at, reason, outcome, client_ip, method, path, user_agent, count)
         SELECT 'sr_' || value, 1000, 'key_missing', 'refused', '192.0.2.1', 'GET', '/', '', 1
         FROM json_each('[1, 2, 2]');",
    )
    .unwrap();
    drop(file);
    assert!(matches!(
        SqliteStore::check(&path),
        Err(OpenError::SchemaOlder { found: 1, .. })
    ));
    let store = SqliteStore::open(&path).unwrap();
    let found = store.find(&KeyFingerprint::from_bytes([0; 32])).await.unwrap();
    let binding = found.unwrap().binding;
    assert_eq!(
        (binding.id.0, binding.networks[0].to_string()),
        (7, "192.0.2.1/32".to_owned())
    );
    // Where the history of settings begins, there is a way back to.
    assert_eq!(store.settings().await.unwrap().version, 1);
    let began = store.settings_at(1).await.unwrap().unwrap();
    assert_eq!(
        began.values.into_iter().collect::<Vec<_>>(),
        [("policy.slots".to_owned(), "3".to_owned())]
    );
    let history = store.setting_changes(None, 10).await.unwrap();
    assert_eq!(
        (history.len(), history[0].at, history[0].actor.as_str()),
        (1, at(2_000), "system")
    );
    // What stood there twice was the same.
    let filter = InterceptFilter {
        limit: 10,
        ..InterceptFilter::default()
    };
    let rows = InterceptStore::list(&store, filter).await.unwrap();
    let moments = rows.iter().map(|row| (row.intercept.at, row.intercept.last_at));
    assert_eq!(moments.collect::<Vec<_>>(), [(at(1_000), at(1_000)); 2]);
    let run = ArchiveRun {
        unused_since: actor(100_000).at,
        marked_until: actor(0).at,
        now: actor(200_000).at,
        batch_max: 10,
    };
    let marked = store.archive_unused(run).await.unwrap();
    assert!(matches!(marked, Archived::Here { marked: 1, .. }), "{marked:?}");
    assert_eq!(SqliteStore::check(&path).unwrap(), schema::needed());
}

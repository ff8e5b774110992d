use std::os::unix::fs::PermissionsExt as _;

use rustls::sign::CertifiedKey;
use sentinel_core::time::SystemClock;

use super::super::certificate::tests::{Folder, made_for};
use super::*;

fn shown(reload: &Reload) -> Arc<CertifiedKey> {
    reload.shown.now()
}

#[test]
fn a_replaced_certificate_is_shown_once_both_files_are_in_order() {
    let folder = Folder::new();
    let mut reload = Reload::new(folder.config.clone(), Arc::new(SystemClock)).expect("in order");
    let first = shown(&reload);
    reload.look();
    assert!(Arc::ptr_eq(&shown(&reload), &first), "nothing changed");
    let (certificate, key) = made_for(2041);
    folder.write("cert.pem", certificate);
    reload.look();
    assert!(Arc::ptr_eq(&shown(&reload), &first), "its key is not there yet");
    folder.write("key.pem", key);
    reload.look();
    let second = shown(&reload);
    assert!(!Arc::ptr_eq(&second, &first), "both are there");
    folder.write("cert.pem", "nonsense");
    reload.look();
    assert!(Arc::ptr_eq(&shown(&reload), &second), "the old one stays");
}

#[test]
fn each_state_of_the_files_is_tried_once() {
    let folder = Folder::new();
    let mut reload = Reload::new(folder.config.clone(), Arc::new(SystemClock)).expect("in order");
    fs::remove_file(&folder.config.key).expect("it is there");
    reload.look();
    assert_eq!(
        reload.seen,
        Files::now(&folder.config),
        "remembered, and not tried again"
    );
    assert!(reload.seen.key.is_none());
    let before = Files::now(&folder.config);
    fs::set_permissions(&folder.config.certificate, fs::Permissions::from_mode(0o600))
        .expect("it can be set");
    assert_ne!(
        Files::now(&folder.config),
        before,
        "other rights are another state"
    );
}

#[test]
fn without_a_certificate_there_is_no_watch() {
    let config = TlsConfig::new("/nowhere/cert.pem".into(), "/nowhere/key.pem".into());
    let error = CertificateWatch::start(config, Arc::new(SystemClock)).expect_err("nothing to show");
    assert!(matches!(error, TlsError::Read { .. }), "{error}");
}

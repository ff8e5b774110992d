//! Two processes on one file, of which one does not know the current secret.

use super::{SqliteStore, new_path};
use crate::conformance::secrets::no_key_is_let_in_twice_while_the_secret_changes;

#[tokio::test]
async fn no_key_is_let_in_twice_by_two_processes_while_the_secret_changes() {
    let (path, _folder) = new_path();
    let [old, new] = [(); 2].map(|()| SqliteStore::open(&path).unwrap());
    no_key_is_let_in_twice_while_the_secret_changes(old, new).await;
}

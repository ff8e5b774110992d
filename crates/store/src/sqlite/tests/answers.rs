//! First answers take so much room and no more.

use sentinel_core::ports::{ANSWER_KEPT, ANSWERS_OF_ACCOUNT_MAX, AnswerStore as _, Repeated};

use super::{new_path, outside};
use crate::SqliteStore;
use crate::answers::ANSWERS_REMOVED_MAX;
use crate::conformance::answers::{NOW, request};

#[tokio::test]
async fn an_account_has_answers_of_account_max_and_what_is_old_goes_in_steps() {
    let (path, _folder) = new_path();
    let store = SqliteStore::open(&path).unwrap();
    let outside = outside(&path);
    let insert = format!(
        "WITH RECURSIVE numbers (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < {ANSWERS_OF_ACCOUNT_MAX})
         INSERT INTO idempotency_keys (account, key, digest, begun_at)
         SELECT 'root', number, zeroblob(32), {} + number FROM numbers",
        NOW.unix_ms()
    );
    outside.execute_batch(&insert).unwrap();
    let rows = |key: &str| -> u32 {
        let select = "SELECT count(*) FROM idempotency_keys WHERE account = 'root' AND key LIKE ?";
        outside.query_row(select, [key], |row| row.get(0)).unwrap()
    };
    let now = NOW.plus(ANSWER_KEPT / 2);
    assert_eq!(
        store.begin(request("one more", 1, now)).await,
        Ok(Repeated::First)
    );
    assert_eq!(
        (rows("%"), rows("1")),
        (ANSWERS_OF_ACCOUNT_MAX, 0),
        "the oldest went"
    );
    // Asking again adds nothing, so nothing goes.
    assert_eq!(
        store.begin(request("one more", 1, now)).await,
        Ok(Repeated::UnderWay)
    );
    assert_eq!((rows("%"), rows("2")), (ANSWERS_OF_ACCOUNT_MAX, 1));
    let later = NOW.plus(ANSWER_KEPT + ANSWER_KEPT / 4);
    assert_eq!(store.begin(request("later", 1, later)).await, Ok(Repeated::First));
    assert_eq!(rows("%"), ANSWERS_OF_ACCOUNT_MAX + 1 - ANSWERS_REMOVED_MAX);
    assert_eq!(rows("one more"), 1, "it is not old yet");
}

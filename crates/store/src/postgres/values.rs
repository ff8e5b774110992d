//! Between the domain's values and PostgreSQL's: moments to the millisecond, text without the one character that it refuses.

use std::borrow::Cow;
use std::error::Error;

use bytes::BytesMut;
use sentinel_core::time::Timestamp;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

/// PostgreSQL counts microseconds from 2000-01-01T00:00:00Z.
const POSTGRES_EPOCH_UNIX_MS: i64 = 946_684_800_000;
/// The years 0 to 9999: all of them are moments to PostgreSQL, and all have a date.
const EARLIEST_UNIX_MS: i64 = -62_167_219_200_000;
const LATEST_UNIX_MS: i64 = 253_402_300_799_999;

/// A moment as `timestamptz`, exact to the millisecond. One beyond the years 0 to 9999 is stored as the nearest within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment(pub(super) Timestamp);

impl Moment {
    /// The nearest moment that can be stored.
    pub(super) fn stored(at: Timestamp) -> Timestamp {
        Timestamp::from_unix_ms(at.unix_ms().clamp(EARLIEST_UNIX_MS, LATEST_UNIX_MS))
    }
}

impl ToSql for Moment {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let microseconds = (Self::stored(self.0).unix_ms() - POSTGRES_EPOCH_UNIX_MS) * 1_000;
        microseconds.to_sql(&Type::INT8, out)
    }

    accepts!(TIMESTAMPTZ);
    to_sql_checked!();
}

impl<'r> FromSql<'r> for Moment {
    fn from_sql(_: &Type, raw: &'r [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let microseconds = i64::from_sql(&Type::INT8, raw)?;
        let unix_ms = microseconds
            .div_euclid(1_000)
            .saturating_add(POSTGRES_EPOCH_UNIX_MS);
        Ok(Self(Timestamp::from_unix_ms(unix_ms)))
    }

    accepts!(TIMESTAMPTZ);
}

/// The text as PostgreSQL takes it: its texts hold every character but U+0000, for which U+FFFD stands. Otherwise one such character,
/// which a client may well send, would take a whole batch down.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Many texts, each as [`text`] makes it.
pub(super) fn texts(texts: &[String]) -> Vec<Cow<'_, str>> {
    texts.iter().map(|one| text(one)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(unix_ms: i64) -> i64 {
        let mut written = BytesMut::new();
        Moment(Timestamp::from_unix_ms(unix_ms))
            .to_sql(&Type::TIMESTAMPTZ, &mut written)
            .expect("a moment can be written");
        let Moment(read) = Moment::from_sql(&Type::TIMESTAMPTZ, &written).expect("and read");
        read.unix_ms()
    }

    #[test]
    fn every_millisecond_comes_back() {
        for unix_ms in [0, -1, 1, 999, 1_700_000_000_123, EARLIEST_UNIX_MS, LATEST_UNIX_MS] {
            assert_eq!(round_trip(unix_ms), unix_ms);
        }
        assert_eq!(round_trip(i64::MIN), EARLIEST_UNIX_MS);
        assert_eq!(round_trip(i64::MAX), LATEST_UNIX_MS);
    }

    #[test]
    fn the_epoch_is_postgresql_s() {
        let mut written = BytesMut::new();
        Moment(Timestamp::from_unix_ms(POSTGRES_EPOCH_UNIX_MS + 1))
            .to_sql(&Type::TIMESTAMPTZ, &mut written)
            .expect("a moment can be written");
        assert_eq!(written[..], 1_000_i64.to_be_bytes());
        // What somebody else wrote between two milliseconds belongs to the first, before the epoch too.
        let read = |microseconds: i64| {
            let Moment(at) = Moment::from_sql(&Type::TIMESTAMPTZ, &microseconds.to_be_bytes()).expect("read");
            at.unix_ms() - POSTGRES_EPOCH_UNIX_MS
        };
        assert_eq!((read(1_999), read(-1), read(-1_000)), (1, -1, -1));
    }

    #[test]
    fn text_loses_only_what_cannot_be_stored() {
        assert_eq!(text("a\0b…"), "a\u{fffd}b…");
        assert!(matches!(text("ab"), Cow::Borrowed("ab")));
    }
}

//! How the domain's types stand in a stored alert: each as the text or the number that it is known by elsewhere. Must
//! never read a spelling that it would not write.

use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

use super::Subject;
use crate::binding::BindingId;
use crate::decision::RefusalReason;
use crate::event::Reference;
use crate::fingerprint::KeyHint;
use crate::network::{ClientIp, Network};
use crate::time::Timestamp;

macro_rules! written {
    ($name:ident, $kind:ty, $form:ty, $write:expr, $read:expr) => {
        pub(super) mod $name {
            use super::*;

            pub(in super::super) fn serialize<S: Serializer>(
                value: &$kind,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                let write: fn(&$kind) -> $form = $write;
                write(value).serialize(serializer)
            }

            pub(in super::super) fn deserialize<'d, D: Deserializer<'d>>(
                deserializer: D,
            ) -> Result<$kind, D::Error> {
                let read: fn($form) -> Option<$kind> = $read;
                read(<$form>::deserialize(deserializer)?)
                    .ok_or_else(|| D::Error::custom(concat!("not a ", stringify!($name))))
            }
        }
    };
}

written!(text, Subject, String, |subject| subject.to_string(), |text| {
    text.parse().ok()
});
written!(
    binding,
    Option<BindingId>,
    Option<i64>,
    |binding| binding.map(|id| id.0),
    |number| { Some(number.map(BindingId)) }
);
written!(
    hint,
    Option<KeyHint>,
    Option<String>,
    |hint| hint.as_ref().map(|hint| hint.as_str().to_owned()),
    |text| Some(text.map(KeyHint::from_stored))
);
written!(
    milliseconds,
    Duration,
    u64,
    |duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
    |number| Some(Duration::from_millis(number))
);
written!(moment, Timestamp, i64, |moment| moment.unix_ms(), |number| Some(
    Timestamp::from_unix_ms(number)
));
written!(
    networks,
    Vec<Network>,
    Vec<String>,
    |networks| networks.iter().map(ToString::to_string).collect(),
    |texts| texts.iter().map(|text| text.parse().ok()).collect()
);
written!(
    reference,
    Reference,
    String,
    |reference| reference.as_str().to_owned(),
    |text| { Some(Reference::from_stored(text)) }
);
written!(
    reason,
    RefusalReason,
    String,
    |reason| reason.code().to_owned(),
    |text| { RefusalReason::from_code(&text) }
);
written!(address, ClientIp, String, |address| address.to_string(), |text| {
    text.parse().ok().map(ClientIp::new)
});

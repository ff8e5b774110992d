//! The show in front of a stand-in for Sentinel: the steps must pass against one that keeps the rules, and each must fail
//! against one that does not.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use axum::extract::{ConnectInfo, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use http::HeaderMap;
use sentinel_core::binding::{Binding, BindingCounts, BindingEdit, BindingStatus, Edited, Version};
use sentinel_core::event::{Intercept, InterceptOutcome, Reference};
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::network::Network;
use sentinel_core::policy::OwnPolicy;
use sentinel_core::ports::{ArchivedBinding, BindingPage, CountedBindings, InterceptBucket, MovedBinding};
use sentinel_core::time::{SystemClock, Timestamp};
use serde_json::json;

use super::*;
use crate::demo::DemoKeys;
use crate::demo::upstream::DemoUpstream;

/// Which rule the stand-in breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    BindsNothing,
    LetsEverybodyIn,
    NamesThePermittedAddress,
    RecordsNothing,
    KeepsUnknownKeys,
    IgnoresUnbind,
}

struct StandIn {
    fault: Fault,
    upstream: SocketAddr,
    ids: AtomicI64,
    bound: Mutex<HashMap<String, BindingRecord>>,
    records: Mutex<Vec<StoredIntercept>>,
}

impl StandIn {
    fn bind(&self, key: &str, from: IpAddr) -> BindingRecord {
        let at = Timestamp::from_unix_ms(1);
        let fresh = BindingRecord {
            binding: Binding {
                id: BindingId(self.ids.fetch_add(1, Ordering::Relaxed)),
                fingerprint: KeyFingerprint::from_bytes([0; 32]),
                status: BindingStatus::Active,
                networks: Network::widen(ClientIp::new(from), 32, 64).into(),
                policy: OwnPolicy::default(),
                version: Version(1),
                bound_at: at,
            },
            hint: ApiKey::new(key).hint(),
            updated_at: at,
            last_used_at: None,
            use_count: 0,
            ban_reason: String::new(),
            ban_expires_at: None,
            remarks: sentinel_core::binding::Remarks::default(),
            profile: String::new(),
        };
        if self.fault == Fault::BindsNothing {
            return fresh;
        }
        let mut bound = self.bound.lock().expect("not poisoned");
        bound.entry(key.to_owned()).or_insert(fresh).clone()
    }

    fn refuse(&self, binding: BindingId, from: IpAddr, permitted: &BindingRecord) -> Response {
        let reference = Reference::random();
        if self.fault != Fault::RecordsNothing {
            self.records.lock().expect("not poisoned").push(StoredIntercept {
                id: 1,
                intercept: Intercept {
                    reference: reference.clone(),
                    at: Timestamp::from_unix_ms(1),
                    last_at: Timestamp::from_unix_ms(1),
                    reason: RefusalReason::KeyIpMismatch,
                    outcome: InterceptOutcome::Refused,
                    binding: Some(binding),
                    networks: permitted.binding.networks.clone(),
                    fingerprint: None,
                    hint: None,
                    client_ip: ClientIp::new(from),
                    method: "POST".to_owned(),
                    path: "/v1/chat/completions".to_owned(),
                    user_agent: String::new(),
                    count: 1,
                    profile: "".into(),
                    replica: "".into(),
                },
            });
        }
        let mut message = format!("this key may not be used from {from}");
        if self.fault == Fault::NamesThePermittedAddress {
            message.extend([", only from ".to_owned(), networks(permitted)]);
        }
        (
            http::StatusCode::FORBIDDEN,
            [(REFERENCE_HEADER, reference.to_string())],
            Json(json!({"error": {"message": message, "code": "key_ip_mismatch"}})),
        )
            .into_response()
    }
}

async fn pass(
    State(stand_in): State<Arc<StandIn>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let authorization = headers["authorization"].to_str().expect("text").to_owned();
    let key = authorization
        .strip_prefix("Bearer ")
        .expect("a Bearer")
        .to_owned();
    let record = stand_in.bind(&key, peer.ip());
    let covered = record.binding.covers(ClientIp::new(peer.ip()));
    if !covered && stand_in.fault != Fault::LetsEverybodyIn {
        return stand_in.refuse(record.binding.id, peer.ip(), &record);
    }
    let request = Request {
        from: HOME,
        path: "/v1/chat/completions",
        headers: &[("authorization", &authorization)],
        body: Some(&body),
    };
    let reply = send(stand_in.upstream, &request)
        .await
        .expect("the demo upstream answers");
    if reply.status == 401 && stand_in.fault != Fault::KeepsUnknownKeys {
        stand_in.bound.lock().expect("not poisoned").remove(&key);
    }
    let pieces: Vec<Result<_, std::convert::Infallible>> = reply
        .body
        .split_inclusive("\n\n")
        .map(|piece| Ok(piece.to_owned()))
        .collect();
    let status = http::StatusCode::from_u16(reply.status).expect("a status");
    (
        status,
        axum::body::Body::from_stream(futures_util::stream::iter(pieces)),
    )
        .into_response()
}

#[async_trait]
impl BindingAdmin for StandIn {
    async fn list_ordered(&self, _: BindingFilter, _: BindingPage) -> Result<Vec<BindingRecord>, StoreError> {
        Ok(self
            .bound
            .lock()
            .expect("not poisoned")
            .values()
            .cloned()
            .collect())
    }

    async fn show(&self, _: BindingId) -> Result<Option<BindingRecord>, StoreError> {
        Ok(None)
    }

    async fn counts(&self) -> Result<BindingCounts, StoreError> {
        Ok(BindingCounts::default())
    }

    async fn count_some(&self, _: BindingFilter) -> Result<CountedBindings, StoreError> {
        unreachable!("the show counts nothing")
    }

    async fn create(&self, _: MovedBinding, _: Actor) -> Result<Option<BindingRecord>, StoreError> {
        unreachable!("the show binds by use only")
    }

    async fn earlier(&self, _: KeyFingerprint, _: u32) -> Result<Vec<ArchivedBinding>, StoreError> {
        unreachable!("the show looks at no archive")
    }

    async fn edit(
        &self,
        id: BindingId,
        edit: BindingEdit,
        _: Option<Version>,
        _: Actor,
    ) -> Result<Edited, StoreError> {
        if edit != BindingEdit::Unbind {
            return Ok(Edited::Missing);
        }
        let mut bound = self.bound.lock().expect("not poisoned");
        let found = bound.values().find(|record| record.binding.id == id).cloned();
        if self.fault != Fault::IgnoresUnbind {
            bound.retain(|_, record| record.binding.id != id);
        }
        Ok(found.map_or(Edited::Missing, |record| Edited::Done(Box::new(record))))
    }
}

#[async_trait]
impl InterceptStore for StandIn {
    async fn append(&self, _: Vec<Intercept>) -> Result<(), StoreError> {
        Ok(())
    }

    async fn list(&self, filter: InterceptFilter) -> Result<Vec<StoredIntercept>, StoreError> {
        let records = self.records.lock().expect("not poisoned");
        let wanted = filter.reference.unwrap_or_default();
        let found = records
            .iter()
            .filter(|record| record.intercept.reference.as_str() == wanted);
        Ok(found.cloned().collect())
    }

    async fn by_ids(&self, _: Vec<RangeInclusive<i64>>, _: u32) -> Result<Vec<StoredIntercept>, StoreError> {
        Ok(Vec::new())
    }

    async fn buckets(&self, _: Timestamp, _: i64) -> Result<Vec<InterceptBucket>, StoreError> {
        Ok(Vec::new())
    }
}

/// Runs the show in front of a stand-in with this fault; gives whether it passed and what it wrote.
async fn shown(fault: Fault, settle_max: Duration) -> (bool, String) {
    let listen = SocketAddr::new(HOME, 0);
    let upstream = DemoUpstream::start(listen, DemoKeys::public(), Arc::new(SystemClock))
        .await
        .expect("a free port");
    let stand_in = Arc::new(StandIn {
        fault,
        upstream: upstream.address(),
        ids: AtomicI64::new(1),
        bound: Mutex::default(),
        records: Mutex::default(),
    });
    let listener = tokio::net::TcpListener::bind(listen).await.expect("a free port");
    let stage = Stage {
        proxy: listener.local_addr().expect("bound"),
        bindings: stand_in.clone(),
        intercepts: stand_in.clone(),
        clock: Arc::new(SystemClock),
    };
    let router = Router::new().fallback(pass).with_state(stand_in);
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(axum::serve(listener, service).into_future());
    let mut output = Vec::new();
    let passed = show_within(&stage, &mut output, settle_max)
        .await
        .expect("a vector takes everything");
    (passed, String::from_utf8(output).expect("text"))
}

#[tokio::test]
async fn every_step_passes_where_the_rules_are_kept() {
    let (passed, text) = shown(Fault::None, SETTLE_MAX).await;
    assert!(passed, "{text}");
    assert!(text.contains("7. "), "{text}");
    assert!(
        text.contains("curl -iN --interface 127.0.0.2 http://127.0.0.1:"),
        "{text}"
    );
    assert!(text.contains("X-Sentinel-Reference: sr_"), "{text}");
    assert!(text.ends_with("Every step did what it says.\n"), "{text}");
}

#[tokio::test]
async fn a_broken_rule_fails_at_its_step_and_says_what_was_expected() {
    for (fault, step, expected) in [
        (
            Fault::BindsNothing,
            "1. ",
            "one binding, sk-Se…0001 to 127.0.0.1/32",
        ),
        (Fault::LetsEverybodyIn, "3. ", "status 403"),
        (
            Fault::NamesThePermittedAddress,
            "3. ",
            "names 127.0.0.2 and not 127.0.0.1",
        ),
        (Fault::RecordsNothing, "4. ", "an audit record sr_"),
        (Fault::IgnoresUnbind, "5. ", "no binding left"),
        (
            Fault::KeepsUnknownKeys,
            "7. ",
            "one binding, sk-Se…0001 to 127.0.0.2/32",
        ),
    ] {
        let (passed, text) = shown(fault, LOOK_PAUSE).await;
        assert!(!passed, "{fault:?}: {text}");
        let last = text
            .rfind(step)
            .unwrap_or_else(|| panic!("{fault:?} never came to {step}: {text}"));
        let next = step.trim().trim_end_matches('.').parse::<u8>().expect("a number") + 1;
        assert!(!text.contains(&format!("{next}. ")), "{fault:?} went on: {text}");
        assert!(text[last..].contains(expected), "{fault:?}: {text}");
    }
}

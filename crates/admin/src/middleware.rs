//! What every request passes on its way in and out: its id and log line, time-out, security headers, panics, where it comes from, the token
//! check.
//! Nothing in here knows a resource.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use sentinel_core::account::Role;
use sentinel_core::event::{PATH_CHARACTERS_MAX, printable};
use sentinel_core::header::OwnedHeaderLines;
use sentinel_core::network::PeerAddr;
use tracing::Instrument as _;
use zeroize::Zeroizing;

use crate::auth::caller::recognise;
use crate::auth::permission::Permission;
use crate::extract::CallerIp;
use crate::masking;
use crate::parts::Admin;
use crate::problem::{Code, Problem};

/// The longest that one request may take, the reading of its body included.
pub(crate) const REQUEST_TIME_MAX: Duration = Duration::from_secs(15);

/// When to try again after that.
const TIMEOUT_RETRY_AFTER: Duration = Duration::from_secs(2);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Set on every answer that does not set them itself, as the console's pages do for what they load.
const SECURITY_HEADERS: [(HeaderName, &str); 7] = [
    (header::CACHE_CONTROL, "no-store"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
];

/// Names the request by an id of ours, towards the caller and in every log line beneath. The query is not logged.
pub(crate) async fn identify(request: Request, next: Next) -> Response {
    let id = request_id();
    let span = tracing::info_span!(
        "admin_request",
        request_id = %id,
        method = %request.method(),
        path = %printable(request.uri().path().as_bytes(), PATH_CHARACTERS_MAX),
    );
    async move {
        let mut response = next.run(request).await;
        tracing::debug!(status = response.status().as_u16(), "answered");
        let id = HeaderValue::from_str(&id).expect("hexadecimal digits are a header value");
        response.headers_mut().insert(REQUEST_ID, id);
        response
    }
    .instrument(span)
    .await
}

fn request_id() -> String {
    let mut bytes = [0_u8; 16];
    // Without randomness the id names nothing in particular; the request is served all the same.
    let _ = getrandom::fill(&mut bytes);
    format!("{:032x}", u128::from_be_bytes(bytes))
}

/// Adds the headers that keep browsers from storing, framing, sniffing or leaking what they get.
pub(crate) async fn secure(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in SECURITY_HEADERS {
        response
            .headers_mut()
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Gives up on a request that takes too long.
pub(crate) async fn limit_time(request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(REQUEST_TIME_MAX, next.run(request)).await;
    answer.unwrap_or_else(|_| {
        tracing::warn!(limit_s = REQUEST_TIME_MAX.as_secs(), "a request took too long");
        Problem::new(
            Code::RequestTimeout,
            "Try again in a moment; /readyz says which part fails.",
        )
        .retry_after(TIMEOUT_RETRY_AFTER)
        .into_response()
    })
}

/// The answer after a handler panicked. The panic's own text is with the panic hook, not with the caller.
pub(crate) fn after_panic(_panic: Box<dyn Any + Send>) -> Response {
    tracing::error!("a handler panicked");
    Problem::internal().into_response()
}

/// Finds out where the request comes from: the socket's peer, or whom a trusted proxy names. A proxy that names nobody clearly stands for
/// itself: nothing is gained by that, and whoever asks for health has no name to give.
pub(crate) async fn locate(State(admin): State<Arc<Admin>>, mut request: Request, next: Next) -> Response {
    if let Some(peer) = request.extensions().get::<PeerAddr>().copied() {
        let lines: OwnedHeaderLines = request.headers().iter().collect();
        let resolved = admin.client_ip.resolve(peer, lines.lines());
        let client_ip = resolved.unwrap_or_else(|error| {
            tracing::debug!(%error, "a caller stands for itself");
            peer.ip()
        });
        request.extensions_mut().insert(CallerIp(client_ip));
    }
    next.run(request).await
}

/// What a route's check of callers needs.
#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) admin: Arc<Admin>,
    pub(crate) permission: Permission,
}

/// Lets a request on only with a good token of a caller who has the permission, and tells the handler who that is. Whatever it answers to a
/// viewer is masked here, where the installation wants that.
pub(crate) async fn require(
    State(guard): State<Guard>,
    CallerIp(client_ip): CallerIp,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let token = bearer_token(request.headers()).ok_or_else(Problem::sign_in_required)?;
    let caller = recognise(&guard.admin, token, client_ip).await?;
    if !guard.permission.is_given_to(caller.role) {
        return Err(Problem::permission_denied(guard.permission));
    }
    let is_masked = guard.admin.masks_addresses_for_viewers && caller.role == Role::Viewer;
    if is_masked {
        masking::check_question(request.uri())?;
    }
    request.extensions_mut().insert(caller);
    let response = next.run(request).await;
    Ok(if is_masked {
        masking::mask(response)
    } else {
        response
    })
}

/// The caller's token, for what outlives the check of it and has to make that anew. Does not print.
pub(crate) struct BearerToken(pub(crate) Zeroizing<String>);

impl<S: Sync> FromRequestParts<S> for BearerToken {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let token = bearer_token(&parts.headers).ok_or_else(Problem::sign_in_required)?;
        Ok(Self(Zeroizing::new(token.to_owned())))
    }
}

/// The token of the one `Authorization` header; of two nobody could say which one counts.
fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

//! `/admin/api/oidc`: signing in by a provider, for whoever comes with a browser. It always ends at a page of the console: with a session, or with
//! one word that says why there is none. Every verdict leaves an admin event; attempts during a lockout leave none, so that nobody can fill the
//! table.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sentinel_core::account::Administrator;
use sentinel_core::account::external::{ExternalAdministrator, ExternalIdentity};
use sentinel_core::account::session::AdminSession;
use sentinel_core::attempts::AttemptOutcome;
use sentinel_core::event::{Actor, AdminEvent, printable};
use sentinel_core::network::ClientIp;
use sentinel_core::ports::{AdministratorAdded, StoreError};
use sentinel_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::session::new_session_id;
use super::{Access, Route};
use crate::auth::sign_in::Holder;
use crate::extract::{CallerIp, QueryString};
use crate::oidc::{Flow, Oidc, ProviderError, SignInFailure};
use crate::parts::Admin;
use crate::problem::{Code, Problem};

const PATH: &str = "/admin/api/oidc";
const START_PATH: &str = "/admin/api/oidc/start";
/// The console's page that says how it ended.
const PAGE_PATH: &str = "/admin/ui/sign-in";
/// What the page is told when all went well.
const DONE: &str = "done";
/// The longest that the end of a sign-in takes, the provider and the store together; below what any request may take.
const SIGN_IN_WAIT_MAX: Duration = Duration::from_secs(13);
/// The most bytes of a code or a state that are looked at.
const PARAMETER_BYTES_MAX: usize = 4096;
/// The most characters of a provider's error that are logged.
const ERROR_CHARACTERS_MAX: usize = 64;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get(PATH, Access::Public, show),
        Route::get(START_PATH, Access::Public, start),
        Route::get("/admin/api/oidc/callback", Access::Public, callback),
    ]
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(show, start, callback))]
pub(super) struct Documented;

/// Whether administrators may sign in by a provider.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ProviderSignIn)]
struct ProviderView {
    is_on: bool,
    /// What to call the provider.
    name: Option<String>,
    /// Where a browser begins: at the console's configured address, to which it comes back.
    start_url: Option<String>,
}

/// What the provider sends the browser back with.
#[derive(Deserialize)]
struct Answer {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// `GET /admin/api/oidc`.
#[utoipa::path(
    get,
    path = "/admin/api/oidc",
    summary = "Says whether administrators may sign in by a provider of identities.",
    responses((status = 200, description = "Whether, and by which one.", body = ProviderView))
)]
async fn show(State(admin): State<Arc<Admin>>) -> Json<ProviderView> {
    let settings = admin.oidc.as_ref().map(|oidc| &oidc.settings);
    Json(ProviderView {
        is_on: settings.is_some(),
        name: settings.map(|settings| settings.name.clone()),
        start_url: settings.map(|settings| settings.console.of(START_PATH)),
    })
}

/// `GET /admin/api/oidc/start`: sends the browser to the provider.
#[utoipa::path(
    get,
    path = "/admin/api/oidc/start",
    summary = "Sends a browser to the provider; for navigation, not for scripts.",
    responses((status = 302, description = "To the provider; to the console's sign-in page, with a word in `oidc`, when that is away.")),
    extensions(("x-problems" = json!(["not_found"])))
)]
async fn start(State(admin): State<Arc<Admin>>, headers: HeaderMap) -> Result<Response, Problem> {
    let oidc = provider_of(&admin)?;
    let now = admin.clock.now();
    let Some((flow, cookie)) = oidc.flows.begin(&headers, now) else {
        tracing::error!("no random numbers");
        return Err(Problem::internal());
    };
    match oidc.provider.authorization_url(&flow, now).await {
        Ok(url) => redirect(&url, [Some(cookie)]),
        Err(error) => {
            tracing::warn!(%error, "nobody can sign in by the provider");
            to_page(oidc, SignInFailure::ProviderUnavailable.as_str(), [])
        }
    }
}

/// `GET /admin/api/oidc/callback`: the provider sends the browser here.
#[utoipa::path(
    get,
    path = "/admin/api/oidc/callback",
    summary = "Ends a sign-in by the provider, which sends the browser here.",
    params(
        ("code" = Option<String>, Query, description = "What stands for the identity, once."),
        ("state" = Option<String>, Query, description = "What ties it to the browser that began."),
        ("iss" = Option<String>, Query, description = "The provider's address."),
        ("error" = Option<String>, Query, description = "Why the provider does not vouch for anybody."),
    ),
    responses((status = 302, description = "To the console's sign-in page, with the refresh cookie, or with a word in `oidc` that says why there is none.")),
    extensions(("x-problems" = json!(["invalid_field", "not_found"])))
)]
async fn callback(
    State(admin): State<Arc<Admin>>,
    CallerIp(client_ip): CallerIp,
    headers: HeaderMap,
    QueryString(answer): QueryString<Answer>,
) -> Result<Response, Problem> {
    let oidc = provider_of(&admin)?;
    let now = admin.clock.now();
    let attempt = match admin.sign_in.begin_external(client_ip, now).await {
        Ok(attempt) => attempt,
        Err(wait) => return to_page(oidc, SignInFailure::LockedOut(wait).as_str(), []),
    };
    let state = answer.state.as_deref().filter(|state| is_short(state));
    let taken = state.and_then(|state| oidc.flows.take(&headers, state, now));
    let (flow, left) = taken.unzip();
    let mut attempted = Attempted {
        admin: &admin,
        oidc,
        client_ip,
        now,
        identity: None,
    };
    let signing_in = async {
        let flow = flow.ok_or(SignInFailure::FlowUnknown)?;
        let administrator = attempted.vouched_for(&answer, &flow).await?;
        attempted.begin_session(administrator, &headers).await
    };
    let outcome = tokio::time::timeout(SIGN_IN_WAIT_MAX, signing_in).await;
    let outcome = outcome.unwrap_or(Err(SignInFailure::ProviderUnavailable));
    let settled = match &outcome {
        Ok(_) => AttemptOutcome::Succeeded,
        Err(failure) if failure.is_callers() => AttemptOutcome::Failed,
        Err(_) => AttemptOutcome::NotChecked,
    };
    admin.sign_in.settle(attempt, settled).await;
    attempted.leave_event(outcome.as_ref()).await;
    match outcome {
        Ok((session, _)) => {
            let refresh = admin
                .cookies
                .set(&session, now, oidc.settings.console.is_secure());
            to_page(oidc, DONE, [left, Some(refresh)])
        }
        Err(failure) => to_page(oidc, failure.as_str(), [left, None]),
    }
}

/// One attempt, and what is known of it so far.
struct Attempted<'a> {
    admin: &'a Admin,
    oidc: &'a Oidc,
    client_ip: ClientIp,
    now: Timestamp,
    /// Who it is, once the provider has vouched for them.
    identity: Option<ExternalIdentity>,
}

impl Attempted<'_> {
    /// The administrator that the provider's answer makes.
    async fn vouched_for(
        &mut self,
        answer: &Answer,
        flow: &Flow,
    ) -> Result<ExternalAdministrator, SignInFailure> {
        let provider = &self.oidc.provider;
        let is_its = provider.is_issuer(answer.iss.as_deref(), self.now).await;
        if !is_its.map_err(|error| failed(&error))? {
            let cause = "the answer names another provider, or none although this one always does";
            return Err(failed(&ProviderError::Refused(cause.to_owned())));
        }
        if let Some(error) = &answer.error {
            let error = printable(error.as_bytes(), ERROR_CHARACTERS_MAX);
            tracing::info!(%error, "the provider vouches for nobody");
            return Err(SignInFailure::Denied);
        }
        let code = answer.code.as_deref().filter(|code| is_short(code));
        let code =
            code.ok_or_else(|| failed(&ProviderError::Refused("the answer has no code".to_owned())))?;
        let redeemed = provider
            .redeem(code, flow, self.now)
            .await
            .map_err(|error| failed(&error))?;
        self.identity = Some(redeemed.identity);
        redeemed.administrator.ok_or(SignInFailure::RoleMissing)
    }

    async fn begin_session(
        &self,
        external: ExternalAdministrator,
        headers: &HeaderMap,
    ) -> Result<(AdminSession, Administrator), SignInFailure> {
        let from = Actor {
            name: String::new(),
            client_ip: Some(self.client_ip),
            at: self.now,
        };
        let admitted = self.admin.accounts.admit_external(external, from).await;
        let administrator = match admitted.map_err(store_failed)? {
            AdministratorAdded::Done(administrator) => *administrator,
            AdministratorAdded::NameTaken | AdministratorAdded::Full => {
                return Err(SignInFailure::AccountsFull);
            }
        };
        // Another role holds for the sessions that run, too.
        self.admin.sessions.forget();
        if administrator.is_disabled {
            return Err(SignInFailure::AccountDisabled);
        }
        let id = new_session_id().map_err(|_| SignInFailure::Internal)?;
        let user_agent = headers
            .get(header::USER_AGENT)
            .map_or(&b""[..], HeaderValue::as_bytes);
        let holder = Holder::Administrator(Box::new(administrator.clone()));
        let named = (administrator.name.as_str(), &holder);
        let begun = self
            .admin
            .sessions
            .begin(id, named, (self.client_ip, user_agent), self.now);
        let session = begun.await.map_err(store_failed)?;
        let session = session.ok_or(SignInFailure::AccountDisabled)?;
        Ok((session, administrator))
    }

    /// Writes down who came in, or that somebody did not. What the provider did not vouch for is not repeated.
    async fn leave_event(&self, outcome: Result<&(AdminSession, Administrator), &SignInFailure>) {
        let (action, actor, word) = match outcome {
            Ok((_, administrator)) => ("login", administrator.name.as_str(), administrator.role.as_str()),
            Err(failure) if failure.is_callers() => ("login_failed", "unknown", failure.as_str()),
            Err(_) => return,
        };
        let identity = self.identity.as_ref();
        let detail = json!({
            "method": "oidc",
            "issuer": identity.map(ExternalIdentity::issuer),
            "subject": identity.map(ExternalIdentity::subject),
            (if outcome.is_ok() { "role" } else { "reason" }): word,
        });
        let event = AdminEvent {
            at: self.now,
            actor: actor.to_owned(),
            client_ip: Some(self.client_ip),
            action: action.to_owned(),
            detail: detail.to_string(),
        };
        tracing::info!(action, actor, client_ip = %self.client_ip, word, "sign-in by the provider");
        if let Err(error) = self.admin.events.append(event).await {
            tracing::warn!(action, %error, "a sign-in could not be written down");
        }
    }
}

fn provider_of(admin: &Admin) -> Result<&Oidc, Problem> {
    admin.oidc.as_ref().ok_or_else(|| {
        let detail = "No provider is configured: SENTINEL_ADMIN_OIDC_ISSUER is not set.";
        Problem::new(Code::NotFound, detail)
    })
}

fn is_short(text: &str) -> bool {
    text.len() <= PARAMETER_BYTES_MAX
}

/// The cause goes to the log; the page gets a word.
fn failed(error: &ProviderError) -> SignInFailure {
    tracing::warn!(%error, "a sign-in by the provider failed");
    match error {
        ProviderError::Unavailable(_) => SignInFailure::ProviderUnavailable,
        ProviderError::Refused(_) => SignInFailure::NotVouchedFor,
    }
}

fn store_failed(error: StoreError) -> SignInFailure {
    tracing::warn!(%error, "the store failed a sign-in by the provider");
    SignInFailure::Store(error)
}

/// To the console's page, with a word for it.
fn to_page<const N: usize>(
    oidc: &Oidc,
    word: &str,
    cookies: [Option<HeaderValue>; N],
) -> Result<Response, Problem> {
    let page = oidc.settings.console.of(PAGE_PATH);
    redirect(&format!("{page}?oidc={word}"), cookies)
}

fn redirect<const N: usize>(url: &str, cookies: [Option<HeaderValue>; N]) -> Result<Response, Problem> {
    let location = HeaderValue::from_str(url).map_err(|_| {
        tracing::error!("an address to send a browser to is no header's value");
        Problem::internal()
    })?;
    let mut response = (StatusCode::FOUND, [(header::LOCATION, location)]).into_response();
    for cookie in cookies.into_iter().flatten() {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

#[cfg(test)]
mod tests;

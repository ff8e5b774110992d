//! `/admin/api/alerts`: the alerts, newest first, and what became of their deliveries; giving one that was given up another try; trying a
//! channel. Nothing in an answer holds a URL or a secret of a channel.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use sentinel_core::alert::ports::{
    AlertFilter, Delivery, DeliveryFilter, DeliveryId, DeliveryState, StoredAlert,
};
use sentinel_core::alert::{Alert, AlertId, ChannelId, RuleKind, Severity};
use sentinel_core::fingerprint::KeyHint;
use sentinel_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Access, Route};
use crate::alerts::ChannelTestFailed;
use crate::auth::permission::Permission;
use crate::extract::{JsonBody, QueryString, SignedIn, check_length, parse_number};
use crate::page::{self, Page};
use crate::parts::Admin;
use crate::problem::{Code, Problem};

/// The longest name of an alert or a channel that is looked for, in characters.
const NAME_CHARACTERS_MAX: usize = 64;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/admin/api/alerts", Access::Needs(Permission::AlertsRead), list),
        Route::get(
            "/admin/api/alerts/channels",
            Access::Needs(Permission::AlertsRead),
            channels,
        ),
        Route::get(
            "/admin/api/alerts/deliveries",
            Access::Needs(Permission::AlertsRead),
            deliveries,
        ),
        Route::post(
            "/admin/api/alerts/deliveries/retry",
            Access::Needs(Permission::AlertsChange),
            retry,
        ),
        Route::post(
            "/admin/api/alerts/test",
            Access::Needs(Permission::AlertsChange),
            test,
        ),
    ]
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(list, channels, deliveries, retry, test))]
pub(super) struct Documented;

/// One alert as it is now.
#[derive(Serialize, utoipa::ToSchema)]
struct AlertView {
    id: String,
    sequence: u32,
    state: &'static str,
    rule: &'static str,
    severity: &'static str,
    binding_id: Option<i64>,
    hint: Option<String>,
    networks: Vec<String>,
    has_more_networks: bool,
    count: u64,
    peak: u64,
    threshold: u64,
    window_seconds: u64,
    #[schema(format = DateTime)]
    raised_at: String,
    #[schema(format = DateTime)]
    at: String,
    #[schema(format = DateTime)]
    first_at: String,
    #[schema(format = DateTime)]
    last_at: String,
    replica: String,
    reference: Option<String>,
}

impl From<Alert> for AlertView {
    fn from(alert: Alert) -> Self {
        let seen = alert.seen;
        Self {
            id: alert.id.to_string(),
            sequence: alert.sequence,
            state: alert.state.as_str(),
            rule: alert.rule.as_str(),
            severity: alert.severity.as_str(),
            binding_id: alert.binding.map(|id| id.0),
            hint: alert.hint.as_ref().map(KeyHint::as_str).map(str::to_owned),
            networks: seen.networks.iter().map(ToString::to_string).collect(),
            has_more_networks: seen.has_more_networks,
            count: seen.count,
            peak: seen.peak,
            threshold: alert.threshold,
            window_seconds: alert.window.as_secs(),
            raised_at: alert.raised_at.rfc3339(),
            at: alert.at.rfc3339(),
            first_at: seen.first_at.rfc3339(),
            last_at: seen.last_at.rfc3339(),
            replica: alert.replica,
            reference: seen.example.map(|example| example.reference.as_str().to_owned()),
        }
    }
}

/// One delivery.
#[derive(Serialize, utoipa::ToSchema)]
struct DeliveryView {
    id: i64,
    alert: String,
    sequence: u32,
    alert_state: &'static str,
    rule: &'static str,
    channel: String,
    state: &'static str,
    attempts: u32,
    #[schema(format = DateTime)]
    since: String,
    #[schema(format = DateTime)]
    next_attempt_at: String,
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    last_error: Option<String>,
}

impl From<Delivery> for DeliveryView {
    fn from(delivery: Delivery) -> Self {
        Self {
            id: delivery.id.0,
            alert: delivery.alert.id.to_string(),
            sequence: delivery.alert.sequence,
            alert_state: delivery.alert.state.as_str(),
            rule: delivery.alert.rule.as_str(),
            channel: delivery.channel.to_string(),
            state: delivery.state.as_str(),
            attempts: delivery.attempts,
            since: delivery.since.rfc3339(),
            next_attempt_at: delivery.next_attempt_at.rfc3339(),
            ended_at: delivery.ended_at.map(Timestamp::rfc3339),
            last_error: delivery.last_error,
        }
    }
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct AlertQuery {
    state: Option<String>,
    rule: Option<String>,
    severity: Option<String>,
    #[param(value_type = Option<i64>)]
    before: Option<String>,
    #[param(value_type = Option<i64>)]
    limit: Option<String>,
}

/// What `word` stands for, or which words there are.
fn word<T>(
    field: &str,
    text: Option<String>,
    words: &[&str],
    from_word: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Problem> {
    let wrong = || Problem::field(field, format!("It must be one of {}.", words.join(", ")));
    text.map(|text| from_word(&text).ok_or_else(wrong)).transpose()
}

fn before(text: Option<String>) -> Result<Option<i64>, Problem> {
    text.map(|text| parse_number("before", &text)).transpose()
}

/// `GET /admin/api/alerts?state=open|calmed&rule=&severity=&before=&limit=`.
#[utoipa::path(
    get,
    path = "/admin/api/alerts",
    summary = "Lists alerts as they are now, newest first.",
    params(AlertQuery),
    responses((status = 200, description = "One page.", body = Page<AlertView>))
)]
async fn list(
    State(admin): State<Arc<Admin>>,
    QueryString(query): QueryString<AlertQuery>,
) -> Result<Json<Page<AlertView>>, Problem> {
    let limit = page::limit(query.limit.as_deref())?;
    let is_open = word("state", query.state, &["open", "calmed"], |word| match word {
        "open" => Some(true),
        "calmed" => Some(false),
        _ => None,
    });
    let filter = AlertFilter {
        is_open: is_open?,
        rule: word(
            "rule",
            query.rule,
            &RuleKind::ALL.map(RuleKind::as_str),
            RuleKind::from_word,
        )?,
        severity: word(
            "severity",
            query.severity,
            &Severity::ALL.map(Severity::as_str),
            Severity::from_word,
        )?,
        before: before(query.before)?,
        limit: limit.with_one_more(),
    };
    let rows = admin.alerts.list(filter).await?;
    let view = |row: StoredAlert| AlertView::from(row.alert);
    Ok(Json(limit.page(rows, |row| row.number, view)))
}

/// The names of the channels.
#[derive(Serialize, utoipa::ToSchema)]
struct ChannelList {
    channels: Vec<String>,
}

/// `GET /admin/api/alerts/channels`.
#[utoipa::path(
    get,
    path = "/admin/api/alerts/channels",
    summary = "Names the channels that alerts go out on.",
    responses((status = 200, description = "Their names.", body = ChannelList))
)]
async fn channels(State(admin): State<Arc<Admin>>) -> Json<ChannelList> {
    let channels = admin.alerts.channels();
    Json(ChannelList {
        channels: channels.iter().map(ToString::to_string).collect(),
    })
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct DeliveryQuery {
    state: Option<String>,
    channel: Option<String>,
    alert: Option<String>,
    #[param(value_type = Option<i64>)]
    before: Option<String>,
    #[param(value_type = Option<i64>)]
    limit: Option<String>,
}

/// `GET /admin/api/alerts/deliveries?state=pending|delivered|dead&channel=&alert=&before=&limit=`.
#[utoipa::path(
    get,
    path = "/admin/api/alerts/deliveries",
    summary = "Lists what became of the deliveries, newest first.",
    params(DeliveryQuery),
    responses((status = 200, description = "One page.", body = Page<DeliveryView>))
)]
async fn deliveries(
    State(admin): State<Arc<Admin>>,
    QueryString(query): QueryString<DeliveryQuery>,
) -> Result<Json<Page<DeliveryView>>, Problem> {
    let limit = page::limit(query.limit.as_deref())?;
    let channel = query.channel.map(|name| {
        ChannelId::new(name)
            .map_err(|error| Problem::field("channel", format!("It must be a name: {error}.")))
    });
    if let Some(alert) = &query.alert {
        check_length("alert", alert, NAME_CHARACTERS_MAX)?;
    }
    let filter = DeliveryFilter {
        state: word(
            "state",
            query.state,
            &DeliveryState::ALL.map(DeliveryState::as_str),
            DeliveryState::from_word,
        )?,
        channel: channel.transpose()?,
        alert: query.alert.map(AlertId::from_stored),
        before: before(query.before)?.map(DeliveryId),
        limit: limit.with_one_more(),
    };
    let rows = admin.alerts.deliveries(filter).await?;
    Ok(Json(limit.page(rows, |row| row.id.0, DeliveryView::from)))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct DeliveryReference {
    id: i64,
}

/// What was done.
#[derive(Serialize, utoipa::ToSchema)]
struct Done {
    done: bool,
}

/// `POST /admin/api/alerts/deliveries/retry`: brings a delivery that was given up back, due now.
#[utoipa::path(
    post,
    path = "/admin/api/alerts/deliveries/retry",
    summary = "Brings a delivery that was given up back, due now.",
    request_body = DeliveryReference,
    responses((status = 200, description = "It will be tried again.", body = Done)),
    extensions(("x-problems" = json!(["delivery_not_dead"])))
)]
async fn retry(
    State(admin): State<Arc<Admin>>,
    caller: SignedIn,
    JsonBody(body): JsonBody<DeliveryReference>,
) -> Result<Json<Done>, Problem> {
    if !admin.alerts.retry(DeliveryId(body.id)).await? {
        let detail = "Only a delivery that was given up can be brought back; this one is none.";
        return Err(Problem::new(Code::DeliveryNotDead, detail));
    }
    admin
        .note(caller, "alert_delivery_retried", format!("delivery {}", body.id))
        .await;
    Ok(Json(Done { done: true }))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct ChannelReference {
    channel: String,
}

/// `POST /admin/api/alerts/test`: sends one message that says it is a test.
#[utoipa::path(
    post,
    path = "/admin/api/alerts/test",
    summary = "Sends one message that says it is a test, and waits for how it ends.",
    request_body = ChannelReference,
    responses((status = 200, description = "The channel took it.", body = Done)),
    extensions(("x-problems" = json!(["channel_not_found", "channel_failed"])))
)]
async fn test(
    State(admin): State<Arc<Admin>>,
    caller: SignedIn,
    JsonBody(body): JsonBody<ChannelReference>,
) -> Result<Json<Done>, Problem> {
    check_length("channel", &body.channel, NAME_CHARACTERS_MAX)?;
    let outcome = admin.alerts.test(&body.channel).await;
    if outcome != Err(ChannelTestFailed::Unknown) {
        let detail = format!("channel {}", body.channel);
        admin.note(caller, "alert_channel_tested", detail).await;
    }
    match outcome {
        Ok(()) => Ok(Json(Done { done: true })),
        Err(ChannelTestFailed::Unknown) => Err(Problem::new(
            Code::ChannelNotFound,
            "GET /admin/api/alerts/channels lists the channels.",
        )),
        Err(ChannelTestFailed::Failed(text)) => Err(Problem::new(
            Code::ChannelFailed,
            format!("The attempt failed: {text}."),
        )),
    }
}

#[cfg(test)]
mod tests;

//! Changes of one binding. Each may name the version that its caller knows, in `If-Match`; the store looks at it in the transaction of the
//! change.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use http::header;
use http::request::Parts;
use sentinel_core::binding::{
    BINDING_NETWORKS_MAX, BindingEdit, BindingId, Edited, LABEL_CHARACTERS_MAX, LABELS_MAX,
    NOTE_CHARACTERS_MAX, Version,
};
use sentinel_core::event::printable;
use sentinel_core::network::Network;
use sentinel_core::time::Timestamp;
use serde::Deserialize;

use super::view::BindingView;
use crate::extract::{BindingIdInPath, JsonBody, SignedIn, check_length, parse_moment, parse_network};
use crate::parts::Admin;
use crate::problem::{Code, Problem};

/// The longest reason for a ban, in characters.
pub(super) const BAN_REASON_CHARACTERS_MAX: usize = 500;

/// The version that the caller knows; none when he did not say.
pub(super) struct IfMatch(Option<Version>);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get(header::IF_MATCH) else {
            return Ok(Self(None));
        };
        let version = value
            .to_str()
            .ok()
            .and_then(|text| text.strip_prefix('"')?.strip_suffix('"')?.parse().ok());
        version
            .map(|version| Self(Some(Version(version))))
            .ok_or_else(|| Problem::field("If-Match", "It must be one version in quotes, like \"12\"."))
    }
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BindingReference {
    id: i64,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Ban {
    id: i64,
    #[serde(default)]
    reason: Option<String>,
    /// When the ban ends by itself; left out, it lasts.
    #[serde(default)]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// What is left out stays.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RemarksChange {
    #[serde(default)]
    #[schema(max_length = 2000)]
    note: Option<String>,
    #[serde(default)]
    #[schema(max_items = 16)]
    labels: Option<Vec<String>>,
}

/// The new networks, one as `bound_ip` or several as `bound_ips`.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NetworkChange {
    id: i64,
    #[serde(default)]
    bound_ip: Option<String>,
    #[serde(default)]
    bound_ips: Option<Vec<String>>,
}

impl NetworkChange {
    fn networks(&self) -> Result<Vec<Network>, Problem> {
        match (&self.bound_ip, &self.bound_ips) {
            (Some(text), None) => Ok(vec![parse_network("bound_ip", text)?]),
            (None, Some(texts)) => parse_networks("bound_ips", texts),
            (None, None) => Err(Problem::field(
                "bound_ip",
                "It is required, or 'bound_ips' in its place.",
            )),
            (Some(_), Some(_)) => Err(Problem::field("bound_ips", "Give it or 'bound_ip', not both.")),
        }
    }
}

/// The networks of a binding, each once, in the order given.
pub(super) fn parse_networks(field: &str, texts: &[String]) -> Result<Vec<Network>, Problem> {
    if texts.is_empty() || texts.len() > BINDING_NETWORKS_MAX {
        let detail = format!("It must hold 1 to {BINDING_NETWORKS_MAX} networks.");
        return Err(Problem::field(field, detail));
    }
    let mut networks = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let network = parse_network(&format!("{field}[{index}]"), text)?;
        if !networks.contains(&network) {
            networks.push(network);
        }
    }
    Ok(networks)
}

/// The reason as it is kept.
pub(super) fn ban_reason(reason: Option<&str>) -> Result<String, Problem> {
    let reason = reason.unwrap_or_default().trim();
    check_length("reason", reason, BAN_REASON_CHARACTERS_MAX)?;
    Ok(printable(reason.as_bytes(), BAN_REASON_CHARACTERS_MAX))
}

/// A moment that is still to come.
pub(super) fn expiry(text: Option<&str>, now: Timestamp) -> Result<Option<Timestamp>, Problem> {
    let expires_at = text.map(|text| parse_moment("expires_at", text)).transpose()?;
    if expires_at.is_some_and(|at| at <= now) {
        return Err(Problem::field(
            "expires_at",
            "It must be a moment that is still to come.",
        ));
    }
    Ok(expires_at)
}

/// A label as it is kept: one line that looks as it was typed.
pub(super) fn label(field: &str, text: &str) -> Result<String, Problem> {
    let label = text.trim();
    if label.is_empty() || printable(label.as_bytes(), LABEL_CHARACTERS_MAX) != label {
        let detail = format!("It must be 1 to {LABEL_CHARACTERS_MAX} characters that can be seen.");
        return Err(Problem::field(field, detail));
    }
    Ok(label.to_owned())
}

impl RemarksChange {
    fn edit(self) -> Result<BindingEdit, Problem> {
        if let Some(note) = &self.note {
            check_length("note", note, NOTE_CHARACTERS_MAX)?;
        }
        let labels = self.labels.map(|texts| labels(&texts)).transpose()?;
        if self.note.is_none() && labels.is_none() {
            return Err(Problem::field("note", "It is required, or 'labels'."));
        }
        Ok(BindingEdit::Remarks {
            note: self.note,
            labels,
        })
    }
}

/// The labels, each once, in the order given.
pub(super) fn labels(texts: &[String]) -> Result<Vec<String>, Problem> {
    if texts.len() > LABELS_MAX {
        return Err(Problem::field(
            "labels",
            format!("There may be {LABELS_MAX} at most."),
        ));
    }
    let mut labels = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let label = label(&format!("labels[{index}]"), text)?;
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    Ok(labels)
}

/// `PATCH /admin/api/bindings/{id}`.
#[utoipa::path(
    patch,
    path = "/admin/api/bindings/{id}",
    summary = "Writes a note or labels on a binding.",
    request_body = RemarksChange,
    params(("id" = i64, Path), ("If-Match" = Option<String>, Header, description = "The version that the caller knows, in quotes.")),
    responses((status = 200, description = "The binding as it is now.", body = BindingView)),
    extensions(("x-problems" = json!(["binding_not_found", "binding_changed"])))
)]
pub(super) async fn set_remarks(
    State(admin): State<Arc<Admin>>,
    caller: SignedIn,
    BindingIdInPath(id): BindingIdInPath,
    known: IfMatch,
    JsonBody(body): JsonBody<RemarksChange>,
) -> Result<Json<BindingView>, Problem> {
    change(&admin, caller, id, known, body.edit()?).await
}

/// `POST /admin/api/bindings/unbind`: the key's next use binds it again. Answers with the binding as it was.
#[utoipa::path(
    post,
    path = "/admin/api/bindings/unbind",
    summary = "Removes a binding: the key's next use binds it again.",
    request_body = BindingReference,
    params(("If-Match" = Option<String>, Header, description = "The version that the caller knows, in quotes.")),
    responses((status = 200, description = "The binding as it was.", body = BindingView)),
    extensions(("x-problems" = json!(["binding_not_found", "binding_changed"])))
)]
pub(super) async fn unbind(
    State(admin): State<Arc<Admin>>,
    caller: SignedIn,
    known: IfMatch,
    JsonBody(body): JsonBody<BindingReference>,
) -> Result<Json<BindingView>, Problem> {
    change(&admin, caller, BindingId(body.id), known, BindingEdit::Unbind).await
}

/// `POST /admin/api/bindings/ban`.
#[utoipa::path(
    post,
    path = "/admin/api/bindings/ban",
    summary = "Bans a key, and ends its live streams.",
    request_body = Ban,
    params(("If-Match" = Option<String>, Header, description = "The version that the caller knows, in quotes.")),
    responses((status = 200, description = "The binding as it is now.", body = BindingView)),
    extensions(("x-problems" = json!(["binding_not_found", "binding_changed"])))
)]
pub(super) async fn ban(
    State(admin): State<Arc<Admin>>,
    caller: SignedIn,
    known: IfMatch,
    JsonBody(body): JsonBody<Ban>,
) -> Result<Json<BindingView>, Problem> {
    let edit = BindingEdit::Ban {
        reason: ban_reason(body.reason.as_deref())?,
        expires_at: expiry(body.expires_at.as_deref(), admin.clock.now())?,
    };
    change(&admin, caller, BindingId(body.id), known, edit).await
}

/// `POST /admin/api/bindings/unban`.
#[utoipa::path(
    post,
    path = "/admin/api/bindings/unban",
    summary = "Takes a ban back.",
    request_body = BindingReference,
    params(("If-Match" = Option<String>, Header, description = "The version that the caller knows, in quotes.")),
    responses((status = 200, description = "The binding as it is now.", body = BindingView)),
    extensions(("x-problems" = json!(["binding_not_found", "binding_changed"])))
)]
pub(super) async fn unban(
    State(admin): State<Arc<Admin>>,
    caller: SignedIn,
    known: IfMatch,
    JsonBody(body): JsonBody<BindingReference>,
) -> Result<Json<BindingView>, Problem> {
    change(&admin, caller, BindingId(body.id), known, BindingEdit::Unban).await
}

/// `PUT /admin/api/bindings/ip`: replaces the networks.
#[utoipa::path(
    put,
    path = "/admin/api/bindings/ip",
    summary = "Replaces the networks of a binding.",
    request_body = NetworkChange,
    params(("If-Match" = Option<String>, Header, description = "The version that the caller knows, in quotes.")),
    responses((status = 200, description = "The binding as it is now.", body = BindingView)),
    extensions(("x-problems" = json!(["binding_not_found", "binding_changed"])))
)]
pub(super) async fn set_networks(
    State(admin): State<Arc<Admin>>,
    caller: SignedIn,
    known: IfMatch,
    JsonBody(body): JsonBody<NetworkChange>,
) -> Result<Json<BindingView>, Problem> {
    let edit = BindingEdit::Networks(body.networks()?);
    change(&admin, caller, BindingId(body.id), known, edit).await
}

async fn change(
    admin: &Admin,
    caller: SignedIn,
    id: BindingId,
    IfMatch(known): IfMatch,
    edit: BindingEdit,
) -> Result<Json<BindingView>, Problem> {
    let actor = caller.actor(admin.clock.now());
    match admin.bindings.edit(id, edit, known, actor).await? {
        Edited::Done(record) => Ok(Json((*record).into())),
        Edited::Missing => Err(Problem::binding_not_found()),
        Edited::Outdated(record) => Err(Problem::new(
            Code::BindingChanged,
            format!(
                "It has version {} by now. Look at it, and decide anew.",
                record.binding.version.0
            ),
        )),
    }
}

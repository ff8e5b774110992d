//! What became of one request, told from the reference that its client was given.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use sentinel_core::decision::RefusalReason;
use sentinel_core::event::{InterceptOutcome, SEVERAL_CLIENTS};
use sentinel_core::ports::{InterceptFilter, StoredIntercept};
use serde::Serialize;

use super::query::REFERENCE_CHARACTERS_MAX;
use super::view::InterceptView;
use crate::extract::check_length;
use crate::parts::Admin;
use crate::problem::{Code, Problem};
use crate::routes::bindings::BindingView;

/// One request, and why it ended as it did.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ExplainedIntercept {
    item: InterceptView,
    explanation: Explanation,
    /// The binding as it is now; none when it is gone, or there was none.
    binding: Option<BindingView>,
}

/// For people who were asked why.
#[derive(Serialize, utoipa::ToSchema)]
struct Explanation {
    /// The networks that the key was bound to at that moment.
    bound_to: Vec<String>,
    /// Where the request came from; none when the row stands for requests of many clients.
    came_from: Option<String>,
    /// Whether the rule was enforced.
    policy: &'static str,
    /// What happened, in a sentence.
    reason: &'static str,
}

impl From<&StoredIntercept> for Explanation {
    fn from(stored: &StoredIntercept) -> Self {
        let intercept = &stored.intercept;
        Self {
            bound_to: intercept.networks.iter().map(ToString::to_string).collect(),
            came_from: (intercept.client_ip != SEVERAL_CLIENTS).then(|| intercept.client_ip.to_string()),
            policy: match intercept.outcome {
                InterceptOutcome::Refused => "The rule is enforced: the request was refused.",
                InterceptOutcome::Observed => "The rule is only observed: the request went on.",
            },
            reason: sentence(intercept.reason),
        }
    }
}

const fn sentence(reason: RefusalReason) -> &'static str {
    match reason {
        RefusalReason::KeyIpMismatch => "The key was used from an address that lies in none of its networks.",
        RefusalReason::KeyBanned => "The key is banned.",
        RefusalReason::ClientIpUnresolvable => "Nobody could tell which address the request came from.",
        RefusalReason::CredentialAmbiguous => {
            "The request carried credentials that gateways could read in different ways."
        }
        RefusalReason::KeyMissing => "The request carried no key.",
        RefusalReason::ClaimRateLimited => "Too many unknown keys came from the same place.",
        RefusalReason::BindingStoreUnavailable => {
            "The store did not answer, so nobody could tell whether the key was bound."
        }
        RefusalReason::UpstreamUnreachable => {
            "The request was permitted, but the upstream did not answer at all."
        }
        RefusalReason::UpstreamTimeout => {
            "The request was permitted, but the upstream did not answer in time."
        }
    }
}

/// `GET /admin/api/logs/by-reference/{reference}`.
#[utoipa::path(
    get,
    path = "/admin/api/logs/by-reference/{reference}",
    summary = "Explains one request by the reference that its client was given.",
    params(("reference" = String, Path)),
    responses((status = 200, description = "The request, and why it ended so.", body = ExplainedIntercept)),
    extensions(("x-problems" = json!(["not_found"])))
)]
pub(super) async fn by_reference(
    State(admin): State<Arc<Admin>>,
    Path(reference): Path<String>,
) -> Result<Json<ExplainedIntercept>, Problem> {
    check_length("reference", &reference, REFERENCE_CHARACTERS_MAX)?;
    let filter = InterceptFilter {
        reference: Some(reference),
        limit: 1,
        ..InterceptFilter::default()
    };
    let Some(stored) = admin.intercepts.list(filter).await?.pop() else {
        return Err(Problem::new(
            Code::NotFound,
            "No row has this reference. It may be on its way still, or was removed with its age.",
        ));
    };
    let binding = match stored.intercept.binding {
        Some(id) => admin.bindings.show(id).await?,
        None => None,
    };
    Ok(Json(ExplainedIntercept {
        explanation: Explanation::from(&stored),
        item: stored.into(),
        binding: binding.map(BindingView::from),
    }))
}

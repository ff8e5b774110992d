//! What would become of a request with this key from that address. Asked with a key in clear, it becomes a fingerprint here, and is in no log, no
//! store and no answer.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use sentinel_core::binding::{Binding, BindingId};
use sentinel_core::event::PATH_CHARACTERS_MAX;
use sentinel_core::explanation::{self, Explanation, Question};
use sentinel_core::path::RequestPath;
use sentinel_core::ports::BindingFilter;
use serde::{Deserialize, Serialize};

use crate::extract::{JsonBody, SignedIn, check_length, parse_address};
use crate::keys::KeyInClear;
use crate::parts::Admin;
use crate::problem::Problem;

/// The longest hint, and the longest method, in characters.
const WORD_CHARACTERS_MAX: usize = 64;

/// A request that is asked about: its key by one of the first three.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AskedRequest {
    /// The key in clear.
    #[serde(default)]
    #[schema(value_type = Option<String>, write_only)]
    key: Option<KeyInClear>,
    /// A part of the hint of a bound key, which only one of them has.
    #[serde(default)]
    #[schema(max_length = 64)]
    hint: Option<String>,
    #[serde(default)]
    binding_id: Option<i64>,
    /// Where it would come from.
    address: String,
    /// Decides whether an unknown key would be bound; without it, a path on which it would.
    #[serde(default)]
    #[schema(max_length = 256)]
    path: Option<String>,
    /// Taken for completeness: no rule looks at it.
    #[serde(default)]
    #[schema(max_length = 64)]
    method: Option<String>,
}

/// One step on the way to the outcome.
#[derive(Serialize, utoipa::ToSchema)]
struct StepView {
    name: &'static str,
    text: String,
    /// Whether it speaks for the request.
    ok: bool,
}

/// What would become of the request.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ExplanationView {
    /// `permit`, `refuse`, `observe` or `claim`.
    outcome: &'static str,
    /// The code of the refusal, or of what is only observed.
    code: Option<&'static str>,
    steps: Vec<StepView>,
}

impl From<Explanation> for ExplanationView {
    fn from(explanation: Explanation) -> Self {
        let step = |step: explanation::Step| StepView {
            name: step.name,
            text: step.text,
            ok: step.ok,
        };
        Self {
            outcome: explanation.outcome.as_str(),
            code: explanation
                .reason
                .map(sentinel_core::decision::RefusalReason::code),
            steps: explanation.steps.into_iter().map(step).collect(),
        }
    }
}

/// `POST /admin/api/diagnostics/explain`.
#[utoipa::path(
    post,
    path = "/admin/api/diagnostics/explain",
    summary = "Says what would become of a request with this key from that address, step by step.",
    description = "Who asks with a key in clear is in the log of what administrators did, with the binding that was found.",
    request_body = AskedRequest,
    responses((status = 200, description = "The outcome, and how it comes about.", body = ExplanationView)),
    extensions(("x-problems" = json!(["binding_not_found"])))
)]
pub(super) async fn explain(
    State(admin): State<Arc<Admin>>,
    caller: SignedIn,
    JsonBody(asked): JsonBody<AskedRequest>,
) -> Result<Json<ExplanationView>, Problem> {
    let address = parse_address("address", &asked.address)?;
    check_length(
        "method",
        asked.method.as_deref().unwrap_or_default(),
        WORD_CHARACTERS_MAX,
    )?;
    let is_claim_path = match &asked.path {
        Some(path) => is_claim_path(&admin, path)?,
        None => true,
    };
    let binding = stored(&admin, &asked).await?;
    if asked.key.is_some() {
        // Whoever has a list of keys could learn which of them are bound, and to what.
        let found = binding.as_ref().map_or_else(
            || "an unknown key".to_owned(),
            |binding| format!("the key of binding {}", binding.id.0),
        );
        admin.note(caller, "key_explained", found).await;
    }
    let explanation = explanation::explain(&Question {
        binding: binding.as_ref(),
        address,
        is_claim_path,
        rules: &admin.rules.now(),
        client_ip: &admin.client_ip,
        now: admin.clock.now(),
    });
    Ok(Json(explanation.into()))
}

fn is_claim_path(admin: &Admin, path: &str) -> Result<bool, Problem> {
    check_length("path", path, PATH_CHARACTERS_MAX)?;
    if !path.starts_with('/') {
        return Err(Problem::field("path", "It must begin with '/'."));
    }
    let path = path.split(['?', '#']).next().unwrap_or_default();
    Ok(admin.keys.is_claim_path(&RequestPath::new(path)))
}

/// What is stored for the key; none for an unknown one.
async fn stored(admin: &Admin, asked: &AskedRequest) -> Result<Option<Binding>, Problem> {
    match (&asked.key, &asked.hint, asked.binding_id) {
        (Some(key), None, None) => {
            let known = admin.keys.identify(&key.key());
            let (fingerprint, _) = known
                .ok_or_else(|| Problem::field("key", "It is no key that the configured profile takes."))?;
            Ok(admin.stored.find(&fingerprint).await?.map(|found| found.binding))
        }
        (None, Some(hint), None) => by_hint(admin, hint).await.map(Some),
        (None, None, Some(id)) => {
            let record = admin.bindings.show(BindingId(id)).await?;
            record
                .map(|record| Some(record.binding))
                .ok_or_else(Problem::binding_not_found)
        }
        (None, None, None) => Err(Problem::field(
            "key",
            "It is required, or 'hint' or 'binding_id' in its place.",
        )),
        _ => Err(Problem::field("key", "Give one of it, 'hint' and 'binding_id'.")),
    }
}

async fn by_hint(admin: &Admin, hint: &str) -> Result<Binding, Problem> {
    check_length("hint", hint, WORD_CHARACTERS_MAX)?;
    if hint.is_empty() {
        return Err(Problem::field("hint", "It must not be empty."));
    }
    let filter = BindingFilter {
        hint: Some(hint.to_owned()),
        limit: 2,
        ..BindingFilter::default()
    };
    let mut found = admin.bindings.list(filter).await?;
    match (found.pop(), found.is_empty()) {
        (Some(record), true) => Ok(record.binding),
        (Some(_), false) => Err(Problem::field(
            "hint",
            "Several keys have it: give more of it, or 'binding_id'.",
        )),
        (None, _) => Err(Problem::field("hint", "No bound key has it.")),
    }
}

#[cfg(test)]
mod tests;

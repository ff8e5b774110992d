//! `/admin/api/tokens`: tokens of programs. Each is shown once, when it is made; only its digest is kept. It goes on when its maker is gone:
//! an owner who removes an administrator looks at the tokens, too.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use sentinel_core::account::{ApiToken, ApiTokenId, NewApiToken, TOKEN_NAME_CHARACTERS_MAX};
use sentinel_core::event::printable;
use sentinel_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::administrators::parse_role;
use super::{Access, Route};
use crate::auth::caller::NewToken;
use crate::auth::permission::Permission;
use crate::extract::{JsonBody, NumberInPath, SignedIn, check_length, parse_moment};
use crate::page::Page;
use crate::parts::Admin;
use crate::problem::{Code, Problem};

pub(super) fn routes() -> Vec<Route> {
    let manage = Access::Needs(Permission::TokensManage);
    vec![
        Route::get("/admin/api/tokens", manage, list),
        Route::post("/admin/api/tokens", manage, add),
        Route::delete("/admin/api/tokens/{id}", manage, remove),
    ]
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(list, add, remove))]
pub(super) struct Documented;

/// One token, without what it is secret for.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ApiToken)]
struct TokenView {
    id: i64,
    name: String,
    role: &'static str,
    hint: String,
    created_by: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
}

impl From<ApiToken> for TokenView {
    fn from(token: ApiToken) -> Self {
        Self {
            id: token.id.0,
            name: token.name,
            role: token.role.as_str(),
            hint: token.hint,
            created_by: token.created_by,
            created_at: token.created_at.rfc3339(),
            expires_at: token.expires_at.map(Timestamp::rfc3339),
            last_used_at: token.last_used_at.map(Timestamp::rfc3339),
        }
    }
}

/// One token that was just made.
#[derive(Serialize, utoipa::ToSchema)]
struct MadeToken {
    #[serde(flatten)]
    view: TokenView,
    /// The token itself; never shown again.
    token: String,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TokenAddition)]
struct Addition {
    name: String,
    role: String,
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// `GET /admin/api/tokens`.
#[utoipa::path(
    get,
    path = "/admin/api/tokens",
    summary = "Lists the tokens of programs, without what is secret of them.",
    responses((status = 200, description = "All of them.", body = Page<TokenView>))
)]
async fn list(State(admin): State<Arc<Admin>>) -> Result<Json<Page<TokenView>>, Problem> {
    let tokens = admin.accounts.tokens().await?;
    Ok(Json(Page {
        items: tokens.into_iter().map(TokenView::from).collect(),
        next_before: None,
    }))
}

/// `POST /admin/api/tokens`.
#[utoipa::path(
    post,
    path = "/admin/api/tokens",
    summary = "Makes a token for a program; the answer shows it this once.",
    request_body = Addition,
    responses((status = 201, description = "Made.", body = MadeToken)),
    extensions(("x-problems" = json!(["limit_reached"])))
)]
async fn add(
    State(admin): State<Arc<Admin>>,
    caller: SignedIn,
    JsonBody(body): JsonBody<Addition>,
) -> Result<(StatusCode, Json<MadeToken>), Problem> {
    let now = admin.clock.now();
    let name = body.name.trim();
    check_length("name", name, TOKEN_NAME_CHARACTERS_MAX)?;
    if name.is_empty() {
        return Err(Problem::field("name", "Say what the token is for."));
    }
    let expires_at = body
        .expires_at
        .map(|text| parse_moment("expires_at", &text))
        .transpose()?;
    if expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Err(Problem::field("expires_at", "It must lie in the future."));
    }
    let token = NewToken::random().ok_or_else(|| {
        tracing::error!("no random numbers");
        Problem::internal()
    })?;
    let new = NewApiToken {
        name: printable(name.as_bytes(), TOKEN_NAME_CHARACTERS_MAX),
        role: parse_role(&body.role)?,
        hint: token.hint(),
        digest: token.digest(),
        expires_at,
    };
    let added = admin.accounts.add_token(new, caller.actor(now)).await?;
    let added = added
        .ok_or_else(|| Problem::new(Code::LimitReached, "Take one back that is not needed any more."))?;
    let made = MadeToken {
        view: added.into(),
        token: token.expose().to_owned(),
    };
    Ok((StatusCode::CREATED, Json(made)))
}

/// `DELETE /admin/api/tokens/{id}`.
#[utoipa::path(
    delete,
    path = "/admin/api/tokens/{id}",
    summary = "Takes a token back.",
    params(("id" = i64, Path, description = "Its number.")),
    responses((status = 204, description = "Taken back.")),
    extensions(("x-problems" = json!(["token_not_found"])))
)]
async fn remove(
    State(admin): State<Arc<Admin>>,
    caller: SignedIn,
    NumberInPath(id): NumberInPath,
) -> Result<StatusCode, Problem> {
    let actor = caller.actor(admin.clock.now());
    let removed = admin.accounts.remove_token(ApiTokenId(id), actor).await?;
    admin.sessions.forget();
    removed.map(|_| StatusCode::NO_CONTENT).ok_or_else(|| {
        Problem::new(
            Code::TokenNotFound,
            "No token has this id; it may have been taken back.",
        )
    })
}

#[cfg(test)]
mod tests;

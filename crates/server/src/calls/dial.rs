//! `POST /v1/calls/emic/dial`: where a number leads.
//!
//! The phonebar's `call` returns the kind of line at once, and may be given a number that is encrypted
//! with a key that stays here: it asks while its caller waits.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use crosspoint_calls::command::AdminCommand;
use crosspoint_calls::dialect::emic;
use crosspoint_calls::door::AdminData;
use crosspoint_calls::error::ErrorCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::verbs::problem;
use super::who;
use crate::app::App;
use crate::auth::extract::Authenticated;
use crate::http::path::Body;
use crate::http::problem::{Problem, ProblemDto};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(dial))
}

#[derive(Deserialize, ToSchema)]
struct DialDto {
    /// As the application encrypted it.
    number: String,
}

#[derive(Serialize, ToSchema)]
struct LineDto {
    /// 2: external, 3: an extension of the tenant; a text: what came out in place of digits.
    line: Value,
}

/// Tells where an encrypted number of the caller's tenant leads.
#[utoipa::path(post, path = "/v1/calls/emic/dial", tag = "calls", request_body = DialDto,
    responses((status = OK, body = LineDto), (status = "4XX", body = ProblemDto)))]
async fn dial(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Body(DialDto { number }): Body<DialDto>,
) -> Result<Json<LineDto>, Problem> {
    let named = who::caller(&caller.grant);
    let (tenant, _) = named.ok_or_else(|| problem(ErrorCode::TokenInvalid))?;
    let service = &app.calls.service;
    let settings = service.admin(tenant.clone(), AdminCommand::Tenant).await;
    let AdminData::Tenant(settings) = settings.map_err(problem)? else {
        return Err(problem(ErrorCode::ServerInternal));
    };
    let line = match emic::plain_number(&settings.number_cipher, &number) {
        Err(other) => json!(other),
        Ok(number) => {
            let lookup = AdminCommand::Lookup {
                number: number.clone(),
            };
            let internal = match service.admin(tenant, lookup).await {
                Ok(AdminData::Users(users)) => {
                    users.iter().any(|user| user.person.extension == number)
                }
                _ => false,
            };
            json!(if internal {
                emic::LINE_INTERNAL
            } else {
                emic::LINE_EXTERNAL
            })
        }
    };
    Ok(Json(LineDto { line }))
}

//! The native verbs by HTTP: `POST /v1/calls`, `POST /v1/calls/{call}/{verb}`, `GET /v1/calls/{call}`.
//!
//! A user's token says who acts; `?device=` as which of the user's devices (default: one of its own that
//! has no socket, whose events nobody reads). Answers are those of the native dialect: `{"data": ...}`.
//!
//! | verb | body | does |
//! |---|---|---|
//! | `invites` | `{callees}` | rings more people |
//! | `accept`, `reject`, `cancel`, `hangup` | | |
//! | `transfer` | `{action: "ask" or "cancel" or "accept" or "reject" or "blind", target}` | hands over |
//! | `third` | `{action: "ask" or "cancel" or "accept" or "reject" or "remove" or "quit", target}` | a third party |
//! | `hold` | `{on}` | |
//! | `dtmf` | `{digit}` | |
//! | `supervise` | `{action: "listen" or "stop" or "whisper" or "barge" or "exit" or "end" or "force"}` | |
//! | `messages` | `{to, contentType, content}` | |

#![expect(
    unused_qualifications,
    reason = "written by utoipa's macro for handlers with parameters"
)]

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use crosspoint_calls::command::CallRef;
use crosspoint_calls::command::{AdminCommand, Command, Login, NewCall, QueryScope};
use crosspoint_calls::door::AdminData;
use crosspoint_calls::error::ErrorCode;
use crosspoint_calls::ids::{CallId, DeviceName, DeviceRef, RequestId, TenantId};
use crosspoint_calls::model::Terminal;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::who;
use crate::app::App;
use crate::auth::Denied;
use crate::auth::extract::Authenticated;
use crate::http::path::{Body, Path, Query};
use crate::http::problem::{Problem, ProblemDto};

/// The device that acts where none is named.
const DEVICE_DEFAULT: &str = "http";

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(get))
        .routes(routes!(act))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ActorQuery {
    /// As which device.
    device: Option<String>,
    /// Repeated with the same name, a request has no second effect.
    request: Option<String>,
    /// Of an administrator: whose call.
    tenant: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct CallPath {
    /// Id of the call.
    call: String,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct CallVerbPath {
    /// Id of the call.
    call: String,
    /// What to do.
    verb: String,
}

/// Makes a call and rings. The answer has the call and the token for its room.
#[utoipa::path(post, path = "/v1/calls", tag = "calls", params(ActorQuery), request_body = Value,
    responses((status = OK, body = Value), (status = "4XX", body = ProblemDto)))]
async fn create(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Query(query): Query<ActorQuery>,
    Body(call): Body<Value>,
) -> Result<Json<Value>, Problem> {
    let call: NewCall = serde_json::from_value(call).map_err(|error| bad_body(&error))?;
    perform(&app, &caller, &query, Command::CreateCall(call)).await
}

/// One call: to those in it, to its supervisors, and to administrators.
#[utoipa::path(get, path = "/v1/calls/{call}", tag = "calls", params(CallPath, ActorQuery),
    responses((status = OK, body = Value), (status = "4XX", body = ProblemDto)))]
async fn get(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(CallPath { call }): Path<CallPath>,
    Query(query): Query<ActorQuery>,
) -> Result<Json<Value>, Problem> {
    let id = CallId::new(&call).ok_or_else(|| problem(ErrorCode::NotFound))?;
    let tenant = query.tenant.as_deref().or(caller.grant.call_tenant());
    let tenant = tenant.unwrap_or_default();
    if caller.grant.require_call_admin(tenant).is_err() {
        let scope = QueryScope::Call(CallRef::Id(id));
        return perform(&app, &caller, &query, Command::QueryState { scope }).await;
    }
    let tenant = TenantId::new(tenant).ok_or_else(|| {
        Problem::bad_request("tenant_missing", "say whose call it is by ?tenant=")
    })?;
    let found = app
        .calls
        .service
        .admin(tenant, AdminCommand::Call { call: id });
    match found.await.map_err(problem)? {
        AdminData::Call(call) => Ok(Json(json!(call))),
        _ => Err(Problem::internal()),
    }
}

/// Does something in or to a call.
#[utoipa::path(post, path = "/v1/calls/{call}/{verb}", tag = "calls",
    params(CallVerbPath, ActorQuery), request_body = Value,
    responses((status = OK, body = Value), (status = "4XX", body = ProblemDto)))]
async fn act(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(CallVerbPath { call, verb }): Path<CallVerbPath>,
    Query(query): Query<ActorQuery>,
    Body(body): Body<Map<String, Value>>,
) -> Result<Json<Value>, Problem> {
    let command = command_of(&call, &verb, body)?;
    perform(&app, &caller, &query, command).await
}

/// The command that a verb with its body stands for.
fn command_of(call: &str, verb: &str, mut body: Map<String, Value>) -> Result<Command, Problem> {
    let action = body.remove("action");
    let action = action.as_ref().and_then(Value::as_str).unwrap_or_default();
    let word = match (verb, action) {
        ("invites", _) => "invite",
        ("accept", _) => "accept",
        ("reject", _) => "reject",
        ("cancel", _) => "cancelInvite",
        ("hangup", _) => "hangUp",
        ("transfer", "ask" | "") => "transferAsk",
        ("transfer", "cancel") => "transferCancel",
        ("transfer", "accept") => "transferAccept",
        ("transfer", "reject") => "transferReject",
        ("transfer", "blind") => "transferBlind",
        ("third", "ask" | "") => "thirdAsk",
        ("third", "cancel") => "thirdCancel",
        ("third", "accept") => "thirdAccept",
        ("third", "reject") => "thirdReject",
        ("third", "remove") => "thirdRemove",
        ("third", "quit") => "thirdQuit",
        ("hold", _) => match body.remove("on") {
            Some(Value::Bool(false)) => "unhold",
            _ => "hold",
        },
        ("dtmf", _) => "dtmf",
        ("supervise", "listen" | "") => "monStart",
        ("supervise", "stop") => "monStop",
        ("supervise", "whisper") => "monWhisper",
        ("supervise", "barge") => "monBarge",
        ("supervise", "exit") => "monExitBarge",
        ("supervise", "end") => "monEndCall",
        ("supervise", "force") => "forceEnd",
        ("messages", _) => "sendMessage",
        _ => {
            let detail = "see /openapi.json for the verbs of a call and their actions";
            return Err(Problem::bad_request("unknown_verb", detail));
        }
    };
    match word {
        "accept" | "reject" => body.insert("invite".into(), json!({ "call": call })),
        _ => body.insert("call".into(), json!({ "id": call })),
    };
    if word == "monWhisper" {
        body.entry("on").or_insert(json!(true));
    }
    body.insert("type".into(), json!(word));
    serde_json::from_value(Value::Object(body)).map_err(|error| bad_body(&error))
}

async fn perform(
    app: &Arc<App>,
    caller: &Authenticated,
    query: &ActorQuery,
    command: Command,
) -> Result<Json<Value>, Problem> {
    let (tenant, user) =
        who::caller(&caller.grant).ok_or(Problem::from(Denied::Grant("callTenant")))?;
    let device = query.device.as_deref().unwrap_or(DEVICE_DEFAULT);
    let device = DeviceRef {
        tenant,
        user,
        device: DeviceName::new(device).ok_or_else(|| problem(ErrorCode::Param))?,
    };
    let name = || RequestId::new(&format!("http-{:032x}", rand::random::<u128>()));
    let request = query.request.as_deref().map_or_else(name, RequestId::new);
    let request = request.ok_or_else(|| problem(ErrorCode::Param))?;
    let service = &app.calls.service;
    if query.device.is_none() {
        // A device without a socket; coming online again changes nothing for it.
        let refresh = name().ok_or_else(Problem::internal)?;
        let there = service.command(device.clone(), refresh, Command::Refresh);
        if there.await.error != ErrorCode::Ok {
            let login = Login {
                terminal: Terminal::Server,
                skill_group: None,
                seat: false,
            };
            let request = name().ok_or_else(Problem::internal)?;
            let login = service.command(device.clone(), request, Command::Login(login));
            let result = login.await;
            if result.error != ErrorCode::Ok {
                return Err(problem(result.error));
            }
        }
    }
    let result = service.command(device, request, command).await;
    match result.error {
        ErrorCode::Ok => Ok(Json(json!({ "data": result.data }))),
        error => Err(problem(error)),
    }
}

fn bad_body(error: &serde_json::Error) -> Problem {
    Problem::bad_request("invalid_body", error.to_string())
}

/// The machine's refusal as a problem.
pub(super) fn problem(error: ErrorCode) -> Problem {
    use ErrorCode as Code;
    let status = match error {
        Code::TokenInvalid | Code::TokenExpired | Code::BadCredentials => StatusCode::UNAUTHORIZED,
        Code::TenantNotFound | Code::NotFound => StatusCode::NOT_FOUND,
        Code::Forbidden
        | Code::Banned
        | Code::Blocked
        | Code::AccountInvalid
        | Code::TenantSuspended
        | Code::NotInGroup
        | Code::CalleeNoPermission
        | Code::NotEnabled => StatusCode::FORBIDDEN,
        Code::Param | Code::SelfTarget => StatusCode::BAD_REQUEST,
        Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::Unavailable | Code::Timeout => StatusCode::SERVICE_UNAVAILABLE,
        Code::ServerInternal | Code::Unknown => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::CONFLICT,
    };
    let title = "The call system refused";
    Problem::new(status, error.label(), title, error.meaning())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_stand_for_commands() {
        let command = |verb: &str, body: Value| {
            let Value::Object(body) = body else {
                panic!("an object")
            };
            command_of("c1", verb, body).map(|command| command.word())
        };
        let cases = [
            ("invites", json!({ "callees": ["bob"] }), "Invite"),
            ("accept", json!({}), "Accept"),
            ("hangup", json!({}), "HangUp"),
            ("hold", json!({}), "Hold"),
            ("hold", json!({ "on": false }), "Unhold"),
            ("dtmf", json!({ "digit": "1" }), "Dtmf"),
            ("transfer", json!({ "target": "bob" }), "TransferAsk"),
            (
                "transfer",
                json!({ "action": "blind", "target": "7" }),
                "TransferBlind",
            ),
            ("third", json!({ "action": "quit" }), "ThirdQuit"),
            ("supervise", json!({ "action": "whisper" }), "MonWhisper"),
            (
                "messages",
                json!({ "contentType": "t", "content": "x" }),
                "SendMessage",
            ),
        ];
        for (verb, body, word) in cases {
            assert_eq!(command(verb, body), Ok(word));
        }
        let unknown = command("dance", json!({})).map_err(|problem| problem.label());
        assert_eq!(unknown, Err("unknown_verb"));
        let wrong = command("dtmf", json!({})).map_err(|problem| problem.label());
        assert_eq!(wrong, Err("invalid_body"));
    }
}

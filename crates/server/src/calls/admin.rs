//! `/v1/tenants`: the API of application servers.
//!
//! All of it needs `callAdmin` (for all tenants, or for the one that `callTenant` names), which
//! [`Administrator`] sees to.

#![expect(
    unused_qualifications,
    reason = "written by utoipa's macro for handlers with parameters"
)]

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use crosspoint_calls::command::{AdminCommand, NewCall};
use crosspoint_calls::door::AdminData;
use crosspoint_calls::error::ErrorCode;
use crosspoint_calls::ids::{CallId, GroupId, TenantId, UserId};
use crosspoint_calls::model::{Group, GroupKind, Person, UserRecord};
use crosspoint_calls::policy::TenantSettings;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::verbs::problem;
use super::who;
use crate::app::App;
use crate::auth::extract::Authenticated;
use crate::http::path::{Body, Path};
use crate::http::problem::{Problem, ProblemDto};
use crate::webhook::tenants;

/// How long a user's token is good for when nothing is said.
const TOKEN_TTL: Duration = Duration::from_secs(24 * 3600);

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(get_tenant, put_tenant, delete_tenant))
        .routes(routes!(users))
        .routes(routes!(get_user, put_user, delete_user))
        .routes(routes!(user_token))
        .routes(routes!(groups))
        .routes(routes!(put_group, delete_group))
        .routes(routes!(ban, unban))
        .routes(routes!(calls, create_call))
        .routes(routes!(end_call))
        .routes(routes!(kick))
}

/// A caller who may manage the tenant in the path.
pub(super) struct Administrator {
    pub(super) app: Arc<App>,
    pub(super) tenant: TenantId,
}

impl FromRequestParts<Arc<App>> for Administrator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let caller = Authenticated::from_request_parts(parts, app).await?;
        let Path(TenantPath { tenant }) = Path::from_request_parts(parts, app).await?;
        caller.grant.require_call_admin(tenant.as_str())?;
        Ok(Self {
            app: Arc::clone(app),
            tenant,
        })
    }
}

impl Administrator {
    /// Asks the call service for what the answer says.
    async fn ask(&self, command: AdminCommand) -> Result<AdminData, Problem> {
        let answer = self.app.calls.service.admin(self.tenant.clone(), command);
        answer.await.map_err(problem)
    }

    /// Has something done of which there is nothing to say.
    async fn carry_out(&self, command: AdminCommand) -> Result<StatusCode, Problem> {
        self.ask(command).await?;
        Ok(StatusCode::NO_CONTENT)
    }

    async fn user(&self, user: UserId) -> Result<UserRecord, Problem> {
        match self.ask(AdminCommand::User { user }).await? {
            AdminData::Users(mut users) if !users.is_empty() => Ok(users.swap_remove(0)),
            _ => Err(problem(ErrorCode::NotFound)),
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct TenantPath {
    /// App key, enterprise, system code.
    #[param(value_type = String)]
    tenant: TenantId,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct UserPath {
    /// The user.
    #[param(value_type = String)]
    user: UserId,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct GroupPath {
    /// The group.
    #[param(value_type = String)]
    group: GroupId,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct CallPath {
    /// The call.
    #[param(value_type = String)]
    call: CallId,
}

/// A user as an application server writes it.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UserDto {
    /// Name to show.
    #[serde(default)]
    name: String,
    /// Address of a picture.
    #[serde(default)]
    portrait_uri: String,
    /// Free text.
    #[serde(default)]
    extra: String,
    /// Kept as a hash; left out, the one that there is stays.
    password: Option<String>,
    /// Directory number.
    #[serde(default)]
    extension: String,
    /// Skill groups in which the user is an agent.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    skill_groups: Vec<GroupId>,
    /// May supervise these groups.
    #[serde(default)]
    supervisor: bool,
    /// Whose calls are refused.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    blocked: Vec<UserId>,
}

/// A group as an application server writes it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GroupDto {
    #[serde(default)]
    name: String,
    /// `group` or `skill`.
    #[schema(value_type = String)]
    kind: GroupKind,
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    members: Vec<UserId>,
}

/// How long a token is good for.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TokenWish {
    ttl_seconds: Option<u64>,
}

/// A token of a user.
#[derive(Serialize, ToSchema)]
struct UserToken {
    token: String,
}

/// How long a ban lasts.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BanWish {
    /// Left out: for good.
    ttl_seconds: Option<u64>,
}

/// A call in a user's name.
#[derive(Deserialize)]
struct CallWish {
    by: UserId,
    #[serde(flatten)]
    call: NewCall,
}

/// A body in the call system's own words.
fn words<T: DeserializeOwned>(body: Value) -> Result<T, Problem> {
    serde_json::from_value(body)
        .map_err(|error| Problem::bad_request("invalid_body", error.to_string()))
}

/// A tenant's settings.
#[utoipa::path(get, path = "/v1/tenants/{tenant}", tag = "calls", params(TenantPath),
    responses((status = OK, body = Value), (status = "4XX", body = ProblemDto)))]
async fn get_tenant(admin: Administrator) -> Result<Json<Value>, Problem> {
    match admin.ask(AdminCommand::Tenant).await? {
        AdminData::Tenant(settings) => Ok(Json(json!(settings))),
        _ => Err(Problem::internal()),
    }
}

/// Makes a tenant, or sets all of its settings; what is left out has its default.
///
/// `webhooks`, up to 8 URLs, are told of this tenant's calls, signed with `webhookSecret` (32 to 256
/// bytes, issuer: the tenant), or without one with the server's own key.
#[utoipa::path(put, path = "/v1/tenants/{tenant}", tag = "calls", params(TenantPath),
    request_body(content = Value, example = json!({
        "name": "Acme", "openRegistration": true, "recordPolicy": "onDemand",
        "webhooks": ["https://app.example.com/calls"],
        "webhookSecret": "a secret of the application server",
    })),
    responses((status = NO_CONTENT), (status = "4XX", body = ProblemDto)))]
async fn put_tenant(
    admin: Administrator,
    Body(settings): Body<Value>,
) -> Result<StatusCode, Problem> {
    let settings: Box<TenantSettings> = words(settings)?;
    tenants::check(&settings, admin.app.config.webhooks.allow_private)?;
    admin.carry_out(AdminCommand::PutTenant { settings }).await
}

/// Forgets a tenant and its records: calls end, everyone is turned out.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}", tag = "calls", params(TenantPath),
    responses((status = NO_CONTENT), (status = "4XX", body = ProblemDto)))]
async fn delete_tenant(admin: Administrator) -> Result<StatusCode, Problem> {
    admin.carry_out(AdminCommand::DeleteTenant).await
}

/// All users of a tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/users", tag = "calls", params(TenantPath),
    responses((status = OK, body = Value), (status = "4XX", body = ProblemDto)))]
async fn users(admin: Administrator) -> Result<Json<Value>, Problem> {
    match admin.ask(AdminCommand::Users).await? {
        AdminData::Users(users) => Ok(Json(json!({ "users": users }))),
        _ => Err(Problem::internal()),
    }
}

/// One user, without the password.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/users/{user}", tag = "calls",
    params(TenantPath, UserPath),
    responses((status = OK, body = Value), (status = "4XX", body = ProblemDto)))]
async fn get_user(
    admin: Administrator,
    Path(UserPath { user }): Path<UserPath>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(json!(admin.user(user).await?)))
}

/// Makes or changes a user.
#[utoipa::path(put, path = "/v1/tenants/{tenant}/users/{user}", tag = "calls",
    params(TenantPath, UserPath), request_body = UserDto,
    responses((status = NO_CONTENT), (status = "4XX", body = ProblemDto)))]
async fn put_user(
    admin: Administrator,
    Path(UserPath { user }): Path<UserPath>,
    Body(dto): Body<UserDto>,
) -> Result<StatusCode, Problem> {
    let password = match dto.password {
        Some(password) => Some(who::hash(password).await.ok_or_else(Problem::internal)?),
        None => {
            let there = admin.user(user.clone()).await.ok();
            there.and_then(|record| record.password)
        }
    };
    let user = Box::new(UserRecord {
        person: Person {
            user,
            name: dto.name,
            portrait_uri: dto.portrait_uri,
            extra: dto.extra,
            extension: dto.extension,
        },
        skill_groups: dto.skill_groups,
        supervisor: dto.supervisor,
        blocked: dto.blocked,
        password,
    });
    admin.carry_out(AdminCommand::PutUser { user }).await
}

/// Forgets a user: devices are turned out.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/users/{user}", tag = "calls",
    params(TenantPath, UserPath),
    responses((status = NO_CONTENT), (status = "4XX", body = ProblemDto)))]
async fn delete_user(
    admin: Administrator,
    Path(UserPath { user }): Path<UserPath>,
) -> Result<StatusCode, Problem> {
    admin.carry_out(AdminCommand::DeleteUser { user }).await
}

/// A token with which a user's devices come online.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/users/{user}/token", tag = "calls",
    params(TenantPath, UserPath), request_body = TokenWish,
    responses((status = OK, body = UserToken), (status = "4XX", body = ProblemDto)))]
async fn user_token(
    Administrator { app, tenant }: Administrator,
    Path(UserPath { user }): Path<UserPath>,
    Body(wish): Body<TokenWish>,
) -> Result<Json<UserToken>, Problem> {
    let ttl = wish.ttl_seconds.map_or(TOKEN_TTL, Duration::from_secs);
    let token = who::token(&app, &tenant, &user, ttl).map_err(|_| problem(ErrorCode::Param))?;
    Ok(Json(UserToken { token }))
}

/// All groups of a tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/groups", tag = "calls", params(TenantPath),
    responses((status = OK, body = Value), (status = "4XX", body = ProblemDto)))]
async fn groups(admin: Administrator) -> Result<Json<Value>, Problem> {
    match admin.ask(AdminCommand::Groups).await? {
        AdminData::Groups(groups) => Ok(Json(json!({ "groups": groups }))),
        _ => Err(Problem::internal()),
    }
}

/// Makes or changes a group.
#[utoipa::path(put, path = "/v1/tenants/{tenant}/groups/{group}", tag = "calls",
    params(TenantPath, GroupPath), request_body = GroupDto,
    responses((status = NO_CONTENT), (status = "4XX", body = ProblemDto)))]
async fn put_group(
    admin: Administrator,
    Path(GroupPath { group: id }): Path<GroupPath>,
    Body(dto): Body<GroupDto>,
) -> Result<StatusCode, Problem> {
    let group = Group {
        id,
        name: dto.name,
        kind: dto.kind,
        members: dto.members,
    };
    admin.carry_out(AdminCommand::PutGroup { group }).await
}

/// Forgets a group.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/groups/{group}", tag = "calls",
    params(TenantPath, GroupPath),
    responses((status = NO_CONTENT), (status = "4XX", body = ProblemDto)))]
async fn delete_group(
    admin: Administrator,
    Path(GroupPath { group }): Path<GroupPath>,
) -> Result<StatusCode, Problem> {
    admin.carry_out(AdminCommand::DeleteGroup { group }).await
}

/// Bans a user: turned out, calls left, no login.
#[utoipa::path(put, path = "/v1/tenants/{tenant}/bans/{user}", tag = "calls",
    params(TenantPath, UserPath), request_body = BanWish,
    responses((status = NO_CONTENT), (status = "4XX", body = ProblemDto)))]
async fn ban(
    admin: Administrator,
    Path(UserPath { user }): Path<UserPath>,
    Body(wish): Body<BanWish>,
) -> Result<StatusCode, Problem> {
    let ttl_s = wish.ttl_seconds;
    admin.carry_out(AdminCommand::Ban { user, ttl_s }).await
}

/// Takes a ban back.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/bans/{user}", tag = "calls",
    params(TenantPath, UserPath),
    responses((status = NO_CONTENT), (status = "4XX", body = ProblemDto)))]
async fn unban(
    admin: Administrator,
    Path(UserPath { user }): Path<UserPath>,
) -> Result<StatusCode, Problem> {
    admin.carry_out(AdminCommand::Unban { user }).await
}

/// Live calls of a tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/calls", tag = "calls", params(TenantPath),
    responses((status = OK, body = Value), (status = "4XX", body = ProblemDto)))]
async fn calls(admin: Administrator) -> Result<Json<Value>, Problem> {
    match admin.ask(AdminCommand::Calls).await? {
        AdminData::Calls(calls) => Ok(Json(json!({ "calls": calls }))),
        _ => Err(Problem::internal()),
    }
}

/// Makes a call in a user's name (`by`); the user's devices get the right to join it.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/calls", tag = "calls", params(TenantPath),
    request_body = Value,
    responses((status = OK, body = Value), (status = "4XX", body = ProblemDto)))]
async fn create_call(
    admin: Administrator,
    Body(wish): Body<Value>,
) -> Result<Json<Value>, Problem> {
    let CallWish { by, call } = words(wish)?;
    match admin.ask(AdminCommand::CreateCall { by, call }).await? {
        AdminData::Command(data) => Ok(Json(json!({ "data": data }))),
        _ => Err(Problem::internal()),
    }
}

/// Ends a call for all.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/calls/{call}", tag = "calls",
    params(TenantPath, CallPath),
    responses((status = NO_CONTENT), (status = "4XX", body = ProblemDto)))]
async fn end_call(
    admin: Administrator,
    Path(CallPath { call }): Path<CallPath>,
) -> Result<StatusCode, Problem> {
    admin.carry_out(AdminCommand::EndCall { call }).await
}

/// Takes a user out of a call.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/calls/{call}/participants/{user}", tag = "calls",
    params(TenantPath, CallPath, UserPath),
    responses((status = NO_CONTENT), (status = "4XX", body = ProblemDto)))]
async fn kick(
    admin: Administrator,
    Path(CallPath { call }): Path<CallPath>,
    Path(UserPath { user }): Path<UserPath>,
) -> Result<StatusCode, Problem> {
    admin
        .carry_out(AdminCommand::AdminKick { call, user })
        .await
}

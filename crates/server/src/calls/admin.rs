//! `/v1/tenants`: the API of application servers.
//!
//! All of it needs `callAdmin` (for all tenants, or for the one that `callTenant` names).

#![expect(
    unused_qualifications,
    reason = "written by utoipa's macro for handlers with parameters"
)]

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use crosspoint_calls::command::{AdminCommand, NewCall};
use crosspoint_calls::door::AdminData;
use crosspoint_calls::error::ErrorCode;
use crosspoint_calls::ids::{CallId, GroupId, TenantId, UserId};
use crosspoint_calls::model::{Group, GroupKind, Person, UserRecord};
use crosspoint_calls::policy::TenantSettings;
use crosspoint_calls::record::CallRecord;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::verbs::problem;
use super::who;
use crate::app::App;
use crate::auth::extract::Authenticated;
use crate::http::path::{Body, Path, Query};
use crate::http::problem::{Problem, ProblemDto};

/// How long a user's token is good for when nothing is said.
const TOKEN_TTL: Duration = Duration::from_secs(24 * 3600);
/// Most records in one answer.
const RECORDS_MAX: usize = 10_000;

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
        .routes(routes!(records))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct TenantPath {
    /// App key, enterprise, system code.
    tenant: String,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct UserPath {
    /// The tenant.
    tenant: String,
    /// The user.
    user: String,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct GroupPath {
    /// The tenant.
    tenant: String,
    /// The group.
    group: String,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct TenantCallPath {
    /// The tenant.
    tenant: String,
    /// The call.
    call: String,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct KickPath {
    /// The tenant.
    tenant: String,
    /// The call.
    call: String,
    /// Who is taken out.
    user: String,
}

/// A user as an application server writes it.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct UserDto {
    /// Name to show.
    name: String,
    /// Address of a picture.
    portrait_uri: String,
    /// Free text.
    extra: String,
    /// Kept as a hash; left out, the one that there is stays.
    password: Option<String>,
    /// Directory number.
    extension: String,
    /// Skill groups in which the user is an agent.
    skill_groups: Vec<String>,
    /// May supervise these groups.
    supervisor: bool,
    /// Whose calls are refused.
    blocked: Vec<String>,
}

/// A group as an application server writes it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GroupDto {
    #[serde(default)]
    name: String,
    /// `group` or `skill`.
    kind: String,
    #[serde(default)]
    members: Vec<String>,
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

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct RecordsQuery {
    /// Calls that ended at this time or later: milliseconds since the Unix epoch.
    since: Option<u64>,
    /// At most this many, newest first; default 1000.
    limit: Option<usize>,
    /// `json`, the default, or `csv`.
    format: Option<String>,
}

fn tenant_of(caller: &Authenticated, tenant: &str) -> Result<TenantId, Problem> {
    caller.grant.require_call_admin(tenant)?;
    TenantId::new(tenant).ok_or_else(|| problem(ErrorCode::Param))
}

fn id<T>(made: Option<T>) -> Result<T, Problem> {
    made.ok_or_else(|| problem(ErrorCode::Param))
}

async fn ask(app: &App, tenant: TenantId, command: AdminCommand) -> Result<AdminData, Problem> {
    let answer = app.calls.service.admin(tenant, command).await;
    answer.map_err(problem)
}

/// A tenant's settings.
#[utoipa::path(get, path = "/v1/tenants/{tenant}", tag = "calls", params(TenantPath),
    responses((status = OK, body = Value), (status = "4XX", body = ProblemDto)))]
async fn get_tenant(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(path): Path<TenantPath>,
) -> Result<Json<Value>, Problem> {
    let tenant = tenant_of(&caller, &path.tenant)?;
    match ask(&app, tenant, AdminCommand::Tenant).await? {
        AdminData::Tenant(settings) => Ok(Json(json!(settings))),
        _ => Err(Problem::internal()),
    }
}

/// Makes a tenant, or sets all of its settings; what is left out has its default.
#[utoipa::path(put, path = "/v1/tenants/{tenant}", tag = "calls", params(TenantPath),
    request_body = Value,
    responses((status = NO_CONTENT), (status = "4XX", body = ProblemDto)))]
async fn put_tenant(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(path): Path<TenantPath>,
    Body(settings): Body<Value>,
) -> Result<StatusCode, Problem> {
    let tenant = tenant_of(&caller, &path.tenant)?;
    let settings: TenantSettings = serde_json::from_value(settings)
        .map_err(|error| Problem::bad_request("invalid_body", error.to_string()))?;
    let settings = Box::new(settings);
    ask(&app, tenant, AdminCommand::PutTenant { settings }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Forgets a tenant: calls end, everyone is turned out.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}", tag = "calls", params(TenantPath),
    responses((status = NO_CONTENT), (status = "4XX", body = ProblemDto)))]
async fn delete_tenant(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(path): Path<TenantPath>,
) -> Result<StatusCode, Problem> {
    let tenant = tenant_of(&caller, &path.tenant)?;
    ask(&app, tenant, AdminCommand::DeleteTenant).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// All users of a tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/users", tag = "calls", params(TenantPath),
    responses((status = OK, body = Value), (status = "4XX", body = ProblemDto)))]
async fn users(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(path): Path<TenantPath>,
) -> Result<Json<Value>, Problem> {
    let tenant = tenant_of(&caller, &path.tenant)?;
    match ask(&app, tenant, AdminCommand::Users).await? {
        AdminData::Users(users) => Ok(Json(json!({ "users": users }))),
        _ => Err(Problem::internal()),
    }
}

async fn record(app: &App, tenant: TenantId, user: UserId) -> Result<UserRecord, Problem> {
    match ask(app, tenant, AdminCommand::User { user }).await? {
        AdminData::Users(mut users) if !users.is_empty() => Ok(users.swap_remove(0)),
        _ => Err(problem(ErrorCode::NotFound)),
    }
}

/// One user, without the password.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/users/{user}", tag = "calls", params(UserPath),
    responses((status = OK, body = Value), (status = "4XX", body = ProblemDto)))]
async fn get_user(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(path): Path<UserPath>,
) -> Result<Json<Value>, Problem> {
    let tenant = tenant_of(&caller, &path.tenant)?;
    let user = record(&app, tenant, id(UserId::new(&path.user))?).await?;
    Ok(Json(json!(user)))
}

/// Makes or changes a user.
#[utoipa::path(put, path = "/v1/tenants/{tenant}/users/{user}", tag = "calls", params(UserPath),
    request_body = UserDto,
    responses((status = NO_CONTENT), (status = "4XX", body = ProblemDto)))]
async fn put_user(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(path): Path<UserPath>,
    Body(dto): Body<UserDto>,
) -> Result<StatusCode, Problem> {
    let tenant = tenant_of(&caller, &path.tenant)?;
    let user = id(UserId::new(&path.user))?;
    let password = match dto.password {
        Some(password) => Some(who::hash(password).await.ok_or_else(Problem::internal)?),
        None => match record(&app, tenant.clone(), user.clone()).await {
            Ok(record) => record.password,
            Err(_) => None,
        },
    };
    let blocked = dto.blocked.iter().map(|name| id(UserId::new(name)));
    let groups = dto.skill_groups.iter().map(|name| id(GroupId::new(name)));
    let record = UserRecord {
        person: Person {
            user,
            name: dto.name,
            portrait_uri: dto.portrait_uri,
            extra: dto.extra,
            extension: dto.extension,
        },
        skill_groups: groups.collect::<Result<_, _>>()?,
        supervisor: dto.supervisor,
        blocked: blocked.collect::<Result<_, _>>()?,
        password,
    };
    let user = Box::new(record);
    ask(&app, tenant, AdminCommand::PutUser { user }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Forgets a user: devices are turned out.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/users/{user}", tag = "calls", params(UserPath),
    responses((status = NO_CONTENT), (status = "4XX", body = ProblemDto)))]
async fn delete_user(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(path): Path<UserPath>,
) -> Result<StatusCode, Problem> {
    let tenant = tenant_of(&caller, &path.tenant)?;
    let user = id(UserId::new(&path.user))?;
    ask(&app, tenant, AdminCommand::DeleteUser { user }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A token with which a user's devices come online.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/users/{user}/token", tag = "calls",
    params(UserPath), request_body = TokenWish,
    responses((status = OK, body = UserToken), (status = "4XX", body = ProblemDto)))]
async fn user_token(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(path): Path<UserPath>,
    Body(wish): Body<TokenWish>,
) -> Result<Json<UserToken>, Problem> {
    let tenant = tenant_of(&caller, &path.tenant)?;
    let user = id(UserId::new(&path.user))?;
    let ttl = wish.ttl_seconds.map_or(TOKEN_TTL, Duration::from_secs);
    let token = who::token(&app, &tenant, &user, ttl).map_err(|_| problem(ErrorCode::Param))?;
    Ok(Json(UserToken { token }))
}

/// All groups of a tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/groups", tag = "calls", params(TenantPath),
    responses((status = OK, body = Value), (status = "4XX", body = ProblemDto)))]
async fn groups(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(path): Path<TenantPath>,
) -> Result<Json<Value>, Problem> {
    let tenant = tenant_of(&caller, &path.tenant)?;
    match ask(&app, tenant, AdminCommand::Groups).await? {
        AdminData::Groups(groups) => Ok(Json(json!({ "groups": groups }))),
        _ => Err(Problem::internal()),
    }
}

/// Makes or changes a group.
#[utoipa::path(put, path = "/v1/tenants/{tenant}/groups/{group}", tag = "calls",
    params(GroupPath), request_body = GroupDto,
    responses((status = NO_CONTENT), (status = "4XX", body = ProblemDto)))]
async fn put_group(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(path): Path<GroupPath>,
    Body(dto): Body<GroupDto>,
) -> Result<StatusCode, Problem> {
    let tenant = tenant_of(&caller, &path.tenant)?;
    let kind = match dto.kind.as_str() {
        "group" => GroupKind::Group,
        "skill" => GroupKind::Skill,
        _ => {
            let detail = "kind is group or skill";
            return Err(Problem::bad_request("invalid_body", detail));
        }
    };
    let members = dto.members.iter().map(|name| id(UserId::new(name)));
    let group = Group {
        id: id(GroupId::new(&path.group))?,
        name: dto.name,
        kind,
        members: members.collect::<Result<_, _>>()?,
    };
    ask(&app, tenant, AdminCommand::PutGroup { group }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Forgets a group.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/groups/{group}", tag = "calls",
    params(GroupPath),
    responses((status = NO_CONTENT), (status = "4XX", body = ProblemDto)))]
async fn delete_group(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(path): Path<GroupPath>,
) -> Result<StatusCode, Problem> {
    let tenant = tenant_of(&caller, &path.tenant)?;
    let group = id(GroupId::new(&path.group))?;
    ask(&app, tenant, AdminCommand::DeleteGroup { group }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Bans a user: turned out, calls left, no login.
#[utoipa::path(put, path = "/v1/tenants/{tenant}/bans/{user}", tag = "calls", params(UserPath),
    request_body = BanWish,
    responses((status = NO_CONTENT), (status = "4XX", body = ProblemDto)))]
async fn ban(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(path): Path<UserPath>,
    Body(wish): Body<BanWish>,
) -> Result<StatusCode, Problem> {
    let tenant = tenant_of(&caller, &path.tenant)?;
    let user = id(UserId::new(&path.user))?;
    let ttl_s = wish.ttl_seconds;
    ask(&app, tenant, AdminCommand::Ban { user, ttl_s }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a ban back.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/bans/{user}", tag = "calls", params(UserPath),
    responses((status = NO_CONTENT), (status = "4XX", body = ProblemDto)))]
async fn unban(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(path): Path<UserPath>,
) -> Result<StatusCode, Problem> {
    let tenant = tenant_of(&caller, &path.tenant)?;
    let user = id(UserId::new(&path.user))?;
    ask(&app, tenant, AdminCommand::Unban { user }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Live calls of a tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/calls", tag = "calls", params(TenantPath),
    responses((status = OK, body = Value), (status = "4XX", body = ProblemDto)))]
async fn calls(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(path): Path<TenantPath>,
) -> Result<Json<Value>, Problem> {
    let tenant = tenant_of(&caller, &path.tenant)?;
    match ask(&app, tenant, AdminCommand::Calls).await? {
        AdminData::Calls(calls) => Ok(Json(json!({ "calls": calls }))),
        _ => Err(Problem::internal()),
    }
}

/// Makes a call in a user's name (`by`); the user's devices get the right to join it.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/calls", tag = "calls", params(TenantPath),
    request_body = Value,
    responses((status = OK, body = Value), (status = "4XX", body = ProblemDto)))]
async fn create_call(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(path): Path<TenantPath>,
    Body(wish): Body<Value>,
) -> Result<Json<Value>, Problem> {
    let tenant = tenant_of(&caller, &path.tenant)?;
    let CallWish { by, call } = serde_json::from_value(wish)
        .map_err(|error| Problem::bad_request("invalid_body", error.to_string()))?;
    match ask(&app, tenant, AdminCommand::CreateCall { by, call }).await? {
        AdminData::Command(data) => Ok(Json(json!({ "data": data }))),
        _ => Err(Problem::internal()),
    }
}

/// Ends a call for all.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/calls/{call}", tag = "calls",
    params(TenantCallPath),
    responses((status = NO_CONTENT), (status = "4XX", body = ProblemDto)))]
async fn end_call(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(path): Path<TenantCallPath>,
) -> Result<StatusCode, Problem> {
    let tenant = tenant_of(&caller, &path.tenant)?;
    let call = id(CallId::new(&path.call))?;
    ask(&app, tenant, AdminCommand::EndCall { call }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a user out of a call.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/calls/{call}/participants/{user}", tag = "calls",
    params(KickPath),
    responses((status = NO_CONTENT), (status = "4XX", body = ProblemDto)))]
async fn kick(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(path): Path<KickPath>,
) -> Result<StatusCode, Problem> {
    let tenant = tenant_of(&caller, &path.tenant)?;
    let (call, user) = (id(CallId::new(&path.call))?, id(UserId::new(&path.user))?);
    ask(&app, tenant, AdminCommand::AdminKick { call, user }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Records of calls that have ended, newest first.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/records", tag = "calls",
    params(TenantPath, RecordsQuery),
    responses((status = OK, body = Value), (status = "4XX", body = ProblemDto)))]
async fn records(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(path): Path<TenantPath>,
    Query(query): Query<RecordsQuery>,
) -> Result<Response, Problem> {
    let tenant = tenant_of(&caller, &path.tenant)?;
    let limit = query.limit.unwrap_or(1000).min(RECORDS_MAX);
    let archive = app.calls.service.archive();
    let records = archive
        .records(&tenant, query.since.unwrap_or_default(), limit)
        .await;
    match query.format.as_deref() {
        None | Some("json") => Ok(Json(json!({ "records": records })).into_response()),
        Some("csv") => {
            let headers = [(CONTENT_TYPE, "text/csv; charset=utf-8")];
            Ok((headers, csv(&records)).into_response())
        }
        Some(_) => Err(Problem::bad_request(
            "invalid_query",
            "format is json or csv",
        )),
    }
}

/// RFC 4180.
fn csv(records: &[CallRecord]) -> String {
    let mut text = String::from(
        "call,kind,media,caller,target,group,members,createdMs,beginMs,endMs,durationMs,reason,endedBy\r\n",
    );
    for record in records {
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let members: Vec<_> = record.members.iter().map(UserId::as_str).collect();
        let fields = [
            record.call.to_string(),
            word(&json!(record.kind)),
            word(&json!(record.media)),
            record.caller.to_string(),
            record.target.clone(),
            record
                .group
                .as_ref()
                .map(GroupId::to_string)
                .unwrap_or_default(),
            members.join(" "),
            record.created_ms.to_string(),
            record.begin_ms.to_string(),
            record.end_ms.to_string(),
            record.duration_ms.to_string(),
            record.reason.label().to_owned(),
            record
                .ended_by
                .as_ref()
                .map(UserId::to_string)
                .unwrap_or_default(),
        ];
        let quoted = fields.iter().map(|field| quoted(field));
        let _ = write!(text, "{}\r\n", quoted.collect::<Vec<_>>().join(","));
    }
    text
}

/// Quoted where need be; what a spreadsheet would take for a formula is made text.
fn quoted(field: &str) -> String {
    let formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let guard = if formula { "'" } else { "" };
    match formula || field.contains([',', '"', '\r', '\n']) {
        true => format!("\"{guard}{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    }
}

//! Errors as callers see them: RFC 9457 problem details.
//!
//! Every error of the API is a [`Problem`] with a stable label. The mapping from the house's error
//! types stands here and nowhere else; it is exhaustive, so a new variant needs a status.

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use crosspoint_control::api::{ControlError, OfferProblem};
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::{Denied, TokenProblem};

/// Something that a caller is told instead of what it asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    label: &'static str,
    title: &'static str,
    detail: String,
}

/// `application/problem+json` (RFC 9457 §3.1).
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemDto {
    /// URI reference that identifies the kind of problem.
    #[serde(rename = "type")]
    #[schema(example = "/problems/room_not_found")]
    kind: String,
    /// The same kind as one stable word.
    #[schema(example = "room_not_found")]
    label: &'static str,
    /// What kind of problem it is, for people.
    title: &'static str,
    /// HTTP status.
    status: u16,
    /// What happened this time and what to do.
    detail: String,
}

/// A problem within signalling, where `type` is the label itself.
#[derive(Debug, Serialize)]
pub(crate) struct SignalError {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
}

impl Problem {
    /// Makes one; `detail` says what to do.
    #[must_use]
    pub fn new(
        status: StatusCode,
        label: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        let detail = detail.into();
        Self {
            status,
            label,
            title,
            detail,
        }
    }

    /// 400 with a detail.
    #[must_use]
    pub fn bad_request(label: &'static str, detail: impl Into<String>) -> Self {
        let title = "The request is not understood";
        Self::new(StatusCode::BAD_REQUEST, label, title, detail)
    }

    /// Nothing is at this address.
    #[must_use]
    pub fn not_found() -> Self {
        let detail = "nothing is at this address; see /openapi.json for what there is";
        Self::new(StatusCode::NOT_FOUND, "not_found", "Not found", detail)
    }

    /// The address does not take this method.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "The method is not allowed here",
            "the Allow header names those that are",
        )
    }

    /// Our own fault. Details are in the log, not in the answer.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "The server failed",
            "it is not your fault; the server's log has more",
        )
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The stable name.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        self.label
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let dto = ProblemDto {
            kind: format!("/problems/{}", self.label),
            label: self.label,
            title: self.title,
            status: self.status.as_u16(),
            detail: self.detail,
        };
        let mut response = (self.status, axum::Json(dto)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if self.status == StatusCode::UNAUTHORIZED {
            // RFC 6750 §3: the error code is left out when there was no token at all.
            let challenge = match self.label {
                "token_missing" => "Bearer",
                _ => "Bearer error=\"invalid_token\"",
            };
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        let later = [
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::TOO_MANY_REQUESTS,
        ];
        if later.contains(&self.status) {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<Problem> for SignalError {
    fn from(problem: Problem) -> Self {
        Self {
            kind: problem.label,
            title: problem.title,
            status: problem.status.as_u16(),
            detail: problem.detail,
        }
    }
}

impl From<ControlError> for Problem {
    fn from(error: ControlError) -> Self {
        let (status, label, title) = match &error {
            ControlError::RoomNotFound(_) => {
                (StatusCode::NOT_FOUND, "room_not_found", "No such room")
            }
            ControlError::ParticipantNotFound(_) => (
                StatusCode::NOT_FOUND,
                "participant_not_found",
                "No such participant",
            ),
            ControlError::TrackNotFound(_) => {
                (StatusCode::NOT_FOUND, "track_not_found", "No such track")
            }
            ControlError::SessionNotFound => (
                StatusCode::NOT_FOUND,
                "session_not_found",
                "No such session",
            ),
            ControlError::IdentityTaken(_) => (
                StatusCode::CONFLICT,
                "identity_taken",
                "The identity is taken there",
            ),
            ControlError::RoomFull(_) => (StatusCode::FORBIDDEN, "room_full", "The room is full"),
            ControlError::NotPermitted(_) => {
                (StatusCode::FORBIDDEN, "not_permitted", "Not permitted")
            }
            ControlError::OfferRefused(problem) => offer_refused(problem),
            ControlError::TooLarge { .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "too_large", "Too large")
            }
            ControlError::Draining => (
                StatusCode::SERVICE_UNAVAILABLE,
                "draining",
                "The server is stopping",
            ),
            ControlError::TooMany(_) => (
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_requests",
                "Too many requests",
            ),
            ControlError::ServerFull { .. } => (
                StatusCode::SERVICE_UNAVAILABLE,
                "server_full",
                "The server is full",
            ),
            ControlError::Overloaded => (
                StatusCode::SERVICE_UNAVAILABLE,
                "overloaded",
                "The server is overloaded",
            ),
        };
        Self::new(status, label, title, error.to_string())
    }
}

fn offer_refused(problem: &OfferProblem) -> (StatusCode, &'static str, &'static str) {
    let status = match problem {
        OfferProblem::Syntax { .. } => StatusCode::BAD_REQUEST,
        OfferProblem::Limit { what: "bytes", .. } => StatusCode::PAYLOAD_TOO_LARGE,
        OfferProblem::Limit { .. }
        | OfferProblem::Attribute(_)
        | OfferProblem::NotBundled
        | OfferProblem::Contradiction(_)
        | OfferProblem::NothingUsable
        | OfferProblem::MLineChanged(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    (status, "offer_refused", "The offer cannot be answered")
}

impl From<TokenProblem> for Problem {
    fn from(problem: TokenProblem) -> Self {
        let title = "The token is missing or not accepted";
        let detail = problem.to_string();
        Self::new(StatusCode::UNAUTHORIZED, problem.label(), title, detail)
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        let title = "The token does not allow this";
        let detail = denied.to_string();
        Self::new(StatusCode::FORBIDDEN, denied.label(), title, detail)
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        from_rejection(rejection.status(), rejection.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        from_rejection(StatusCode::BAD_REQUEST, rejection.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        from_rejection(rejection.status(), rejection.body_text())
    }
}

fn from_rejection(status: StatusCode, detail: String) -> Problem {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
            status,
            "too_large",
            "Too large",
            "the body exceeds its limit",
        ),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Problem::new(
            status,
            "media_type",
            "The body's type is not taken here",
            detail,
        ),
        StatusCode::UNPROCESSABLE_ENTITY => {
            let title = "The request does not say what is needed";
            Problem::new(status, "invalid_value", title, detail)
        }
        _ => Problem::bad_request("bad_request", detail),
    }
}

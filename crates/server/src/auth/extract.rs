//! How a token travels: `Authorization: Bearer`, or `?access_token=` where a client cannot set
//! headers (WebSocket and EventSource in browsers).

use std::sync::Arc;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use sha2::{Digest, Sha256};

use super::{Grant, TokenProblem};
use crate::app::App;
use crate::http::problem::Problem;

/// A verified token of this request.
pub struct Authenticated {
    /// What it allows.
    pub grant: Grant,
    /// Digest of the token.
    pub token: TokenDigest,
}

/// Digest of a token: recognises the same token without keeping it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }
}

/// A token as it was presented, not yet verified: for resources that are kept by the token which
/// made them, even when it has expired since.
pub struct Presented {
    /// Digest of the token.
    pub digest: TokenDigest,
    /// Outcome of its verification.
    pub grant: Result<Grant, TokenProblem>,
}

impl FromRequestParts<Arc<App>> for Authenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let token = token_of(parts)?;
        Ok(Self {
            grant: app.keys.verify(&token)?,
            token: TokenDigest::of(&token),
        })
    }
}

impl OptionalFromRequestParts<Arc<App>> for Authenticated {
    type Rejection = Problem;

    /// `None` only when there is no token at all; a bad one is an error.
    async fn from_request_parts(
        parts: &mut Parts,
        app: &Arc<App>,
    ) -> Result<Option<Self>, Problem> {
        if token_of(parts) == Err(TokenProblem::Missing) {
            return Ok(None);
        }
        <Self as FromRequestParts<_>>::from_request_parts(parts, app)
            .await
            .map(Some)
    }
}

impl FromRequestParts<Arc<App>> for Presented {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let token = token_of(parts)?;
        Ok(Self {
            digest: TokenDigest::of(&token),
            grant: app.keys.verify(&token),
        })
    }
}

fn token_of(parts: &Parts) -> Result<String, TokenProblem> {
    let mut headers = parts.headers.get_all(AUTHORIZATION).iter();
    let in_header = match (headers.next(), headers.next()) {
        (None, _) => None,
        (Some(_), Some(_)) => return Err(TokenProblem::Ambiguous),
        (Some(value), None) => Some(bearer(value.as_bytes())?),
    };
    let mut queries = query_values(parts.uri.query().unwrap_or_default(), "access_token");
    match (in_header, queries.next(), queries.next()) {
        (Some(token), None, _) => Ok(token),
        (None, Some(token), None) => Ok(token),
        (None, None, _) => Err(TokenProblem::Missing),
        _ => Err(TokenProblem::Ambiguous),
    }
}

fn bearer(value: &[u8]) -> Result<String, TokenProblem> {
    let text = std::str::from_utf8(value).map_err(|_| TokenProblem::Malformed)?;
    let (scheme, token) = text.split_once(' ').ok_or(TokenProblem::Malformed)?;
    // RFC 9110 §11.1: the scheme's name is case-insensitive.
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(TokenProblem::Malformed);
    }
    Ok(token.trim().to_owned())
}

/// Raw values of a query parameter. A JWT needs no percent-encoding, so none is undone.
fn query_values<'a>(query: &'a str, name: &'a str) -> impl Iterator<Item = String> + 'a {
    query
        .split('&')
        .filter_map(move |pair| pair.strip_prefix(name)?.strip_prefix('='))
        .map(str::to_owned)
}

//! The keys that tokens are signed with, and the verification of tokens.

use std::collections::BTreeMap;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use super::{Claims, Grant};

/// Longest token accepted, in bytes.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// How far the clocks of this machine and of the one that minted a token may differ, in seconds.
const CLOCK_SKEW_S: u64 = 10;

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for the code that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::new(text.to_owned()))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Named HS256 secrets. Several, so that they can be rotated and told apart.
#[derive(Clone, Default)]
pub struct Keys(BTreeMap<String, Secret>);

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Why a text is no list of keys. Says where, never what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeys {
    /// No colon, or nothing on one of its sides.
    #[error("entry {0} is not of the form \"KEY: SECRET\"")]
    Entry(usize),
    /// The same key name twice.
    #[error("entry {0} repeats the name of an earlier key")]
    Repeated(usize),
}

/// Why a token was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenProblem {
    /// None was given.
    #[error("a token is needed: \"Authorization: Bearer TOKEN\" or \"?access_token=TOKEN\"")]
    Missing,
    /// More than one was given.
    #[error("give the token once, in the header or in the query")]
    Ambiguous,
    /// Not a JWT, or a claim has the wrong type.
    #[error("the token is not a well-formed JWT with the claims iss, exp and video")]
    Malformed,
    /// Signed with something else than HS256.
    #[error("the token must be signed with HS256")]
    Algorithm,
    /// No such key here.
    #[error("the token's key (iss) is not known here")]
    UnknownKey,
    /// Signature does not match.
    #[error("the token's signature does not match; was it signed with this server's secret?")]
    Signature,
    /// `exp` has passed.
    #[error("the token has expired; get a new one")]
    Expired,
    /// `nbf` has not come.
    #[error("the token is not valid yet; compare the clocks")]
    NotYetValid,
}

impl TokenProblem {
    /// Stable name.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Missing => "token_missing",
            Self::Ambiguous => "token_ambiguous",
            Self::Malformed => "token_malformed",
            Self::Algorithm => "token_algorithm",
            Self::UnknownKey => "token_key_unknown",
            Self::Signature => "token_signature",
            Self::Expired => "token_expired",
            Self::NotYetValid => "token_not_yet_valid",
        }
    }
}

impl Keys {
    /// Reads `KEY: SECRET[, KEY: SECRET...]`; line breaks separate entries as well as commas do.
    ///
    /// # Errors
    /// An entry without a name or secret, or a repeated name.
    pub fn parse(text: &str) -> Result<Self, InvalidKeys> {
        let mut keys = BTreeMap::new();
        let entries = text.split([',', '\n']).map(str::trim);
        for (index, entry) in entries.filter(|e| !e.is_empty()).enumerate() {
            let number = index + 1;
            let (name, secret) = entry.split_once(':').ok_or(InvalidKeys::Entry(number))?;
            let (name, secret) = (name.trim(), secret.trim());
            if name.is_empty() || secret.is_empty() {
                return Err(InvalidKeys::Entry(number));
            }
            if keys
                .insert(name.to_owned(), Secret::new(secret.to_owned()))
                .is_some()
            {
                return Err(InvalidKeys::Repeated(number));
            }
        }
        Ok(Self(keys))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names of keys whose secret has less than the 32 bytes that RFC 7518 §3.2 asks for.
    pub fn weak(&self) -> impl Iterator<Item = &str> {
        let weak = |secret: &Secret| secret.reveal().len() < 32;
        self.0
            .iter()
            .filter(move |(_, secret)| weak(secret))
            .map(|(name, _)| name.as_str())
    }

    /// The secret of a key.
    #[must_use]
    pub fn secret(&self, name: &str) -> Option<&Secret> {
        self.0.get(name)
    }

    /// The first key by name.
    #[must_use]
    pub fn first(&self) -> Option<(&str, &Secret)> {
        self.0.iter().next().map(|(name, s)| (name.as_str(), s))
    }

    /// Checks signature, times and types of a token. What it allows is asked of the [`Grant`].
    ///
    /// # Errors
    /// Why it was not accepted.
    pub fn verify(&self, token: &str) -> Result<Grant, TokenProblem> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenProblem::Malformed);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|e| problem_of(e.kind()))?;
        if header.alg != Algorithm::HS256 {
            return Err(TokenProblem::Algorithm);
        }
        // RFC 7515 §4.1.11: extensions marked critical must be understood, and none is here.
        if header.crit.is_some() {
            return Err(TokenProblem::Malformed);
        }
        let secret = self
            .0
            .get(&issuer(token)?)
            .ok_or(TokenProblem::UnknownKey)?;
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = CLOCK_SKEW_S;
        validation.validate_nbf = true;
        // LiveKit's layout has no audience; one that is there is not ours to judge.
        validation.validate_aud = false;
        let key = DecodingKey::from_secret(secret.reveal().as_bytes());
        let claims = jsonwebtoken::decode::<Claims>(token, &key, &validation)
            .map_err(|e| problem_of(e.kind()))?
            .claims;
        Grant::new(claims)
    }
}

impl Secret {
    /// Signs claims as `Keys::verify` takes them.
    pub(crate) fn sign(
        &self,
        claims: &impl Serialize,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let key = EncodingKey::from_secret(self.0.as_bytes());
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key)
    }
}

/// Which key a token says it was signed with: needed to find the secret, believed only after
/// verification with it.
fn issuer(token: &str) -> Result<String, TokenProblem> {
    #[derive(Deserialize)]
    struct Issuer {
        iss: String,
    }
    jsonwebtoken::dangerous::insecure_decode::<Issuer>(token)
        .map(|data| data.claims.iss)
        .map_err(|_| TokenProblem::Malformed)
}

fn problem_of(kind: &ErrorKind) -> TokenProblem {
    match kind {
        ErrorKind::InvalidSignature => TokenProblem::Signature,
        ErrorKind::ExpiredSignature => TokenProblem::Expired,
        ErrorKind::ImmatureSignature => TokenProblem::NotYetValid,
        ErrorKind::InvalidAlgorithm
        | ErrorKind::InvalidAlgorithmName
        | ErrorKind::MissingAlgorithm => TokenProblem::Algorithm,
        _ => TokenProblem::Malformed,
    }
}

//! How clients prove to a server that they may join.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Value, json};

/// Tokens are good for a long measurement.
const TOKEN_TTL: Duration = Duration::from_secs(24 * 3600);

/// Where bearer tokens come from.
#[derive(Clone)]
pub enum Access {
    /// None are sent.
    Open,
    /// One for everything.
    Token(String),
    /// Signed here, one for each participant, with a Crosspoint server's key.
    Key {
        /// The key's name.
        name: String,
        /// Its secret.
        secret: String,
    },
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Open => "Open",
            Self::Token(_) => "Token(..)",
            Self::Key { .. } => "Key(..)",
        })
    }
}

impl Access {
    /// The bearer token with which `identity` joins `room`.
    ///
    /// # Errors
    /// When the system's clock is before 1970.
    pub fn token(&self, room: &str, identity: &str) -> Result<Option<String>> {
        self.sign(identity, &json!({ "roomJoin": true, "room": room }))
    }

    /// The bearer token with which `room` may be recorded.
    ///
    /// # Errors
    /// When the system's clock is before 1970.
    pub fn recorder_token(&self, room: &str) -> Result<Option<String>> {
        self.sign("recorder", &json!({ "roomRecord": true, "room": room }))
    }

    /// The bearer token of `identity` with these grants, where tokens are signed here.
    ///
    /// # Errors
    /// See [`Self::token`].
    pub fn sign(&self, identity: &str, grants: &Value) -> Result<Option<String>> {
        match self {
            Self::Open => Ok(None),
            Self::Token(token) => Ok(Some(token.clone())),
            Self::Key { name, secret } => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
                let claims = json!({
                    "iss": name,
                    "sub": identity,
                    "exp": (now + TOKEN_TTL).as_secs(),
                    "video": grants,
                });
                Ok(Some(sign(&claims, secret)))
            }
        }
    }
}

/// A JWT by HS256 (RFC 7515, RFC 7518 §3.2).
fn sign(claims: &Value, secret: &str) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let claims = URL_SAFE_NO_PAD.encode(claims.to_string());
    let signed = format!("{header}.{claims}");
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes()));
    format!("{signed}.{signature}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The claims and secret of jwt.io's example.
    #[test]
    fn a_known_token_comes_out() {
        let claims: Value = serde_json::from_str(r#"{"admin":true,"iat":1516239022}"#).unwrap();
        let token = sign(&claims, "your-256-bit-secret");
        let parts: Vec<&str> = token.split('.').collect();
        assert_eq!(parts[0], "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9");
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"your-256-bit-secret");
        let signature = URL_SAFE_NO_PAD.decode(parts[2]).unwrap();
        let signed = format!("{}.{}", parts[0], parts[1]);
        assert!(hmac::verify(&key, signed.as_bytes(), &signature).is_ok());
    }
}

//! Whose tokens and refusals a demo provider imitates.

use hyper::http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::command::dev::answer::{json as answer, set};
use crate::command::dev::encoding::{random_alphanumeric, random_url_safe};
use crate::command::dev::http::Body;

/// A real provider's way to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Dialect {
    /// GitHub: `gho_…`; demands a `User-Agent`.
    GitHub,
    /// Google: `ya29.…`.
    Google,
    /// Bitbucket: long, and ending in `=`.
    Bitbucket,
}

impl Dialect {
    pub(super) fn access_token(self) -> String {
        match self {
            Self::GitHub => format!("gho_{}", random_alphanumeric(36)),
            Self::Google => format!("ya29.a0{}", random_url_safe(200)),
            Self::Bitbucket => format!("{}=", random_url_safe(87)),
        }
    }

    pub(super) fn refresh_token(self) -> String {
        match self {
            Self::GitHub => format!("ghr_{}", random_alphanumeric(76)),
            Self::Google => format!("1//0{}", random_url_safe(99)),
            Self::Bitbucket => random_alphanumeric(18),
        }
    }

    /// 401: no token, or a dead one.
    pub(super) fn unauthorized(self) -> Response<Body> {
        let (challenge, body) = match self {
            Self::GitHub => (
                r#"Bearer realm="GitHub""#,
                json!({
                    "message": "Bad credentials", "documentation_url": "https://docs.github.com/rest", "status": "401",
                }),
            ),
            Self::Google => (
                r#"Bearer realm="https://accounts.google.com/", error="invalid_token""#,
                json!({ "error": {
                    "code": 401,
                    "message": "Request had invalid authentication credentials. Expected OAuth 2 access token, login \
                                cookie or other valid authentication credential.",
                    "status": "UNAUTHENTICATED",
                } }),
            ),
            Self::Bitbucket => (
                r#"OAuth realm="Bitbucket.org HTTP""#,
                json!({ "type": "error", "error": {
                    "message": "Access token expired. Use your refresh token to obtain a new access token.",
                } }),
            ),
        };
        let mut response = answer(StatusCode::UNAUTHORIZED, &body);
        set(&mut response, "www-authenticate", challenge);
        response
    }

    /// Any other refusal or status.
    pub(super) fn problem(self, status: StatusCode) -> Response<Body> {
        let words = status.canonical_reason().unwrap_or("Unknown");
        let body: Value = match self {
            Self::GitHub => json!({ "message": words, "documentation_url": "https://docs.github.com/rest" }),
            Self::Google => json!({ "error": { "code": status.as_u16(), "message": words } }),
            Self::Bitbucket => json!({ "type": "error", "error": { "message": words } }),
        };
        answer(status, &body)
    }
}

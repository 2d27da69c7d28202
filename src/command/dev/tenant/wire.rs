//! Bodies that both of the tenant's APIs answer with, and its metadata.

use hyper::http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::command::dev::answer::{json as answer, uncached};
use crate::command::dev::http::Body;

/// A refusal of the Management API.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    message: String,
    code: Option<&'static str>,
    with_attributes: bool,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>, code: &'static str) -> Self {
        Self { status, message: message.into(), code: Some(code), with_attributes: false }
    }

    /// 401, whose body repeats the message under `attributes`.
    pub(super) fn unauthorized(message: impl Into<String>) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, message: message.into(), code: None, with_attributes: true }
    }

    /// 404 for a path that no operation has.
    pub(super) fn no_such_path() -> Self {
        Self { status: StatusCode::NOT_FOUND, message: "Not Found".to_owned(), code: None, with_attributes: false }
    }

    pub(super) fn response(&self) -> Response<Body> {
        let mut body = json!({
            "statusCode": self.status.as_u16(),
            "error": self.status.canonical_reason().unwrap_or_default(),
            "message": self.message,
        });
        if let Some(members) = body.as_object_mut() {
            if let Some(code) = self.code {
                members.insert("errorCode".to_owned(), json!(code));
            }
            if self.with_attributes {
                members.insert("attributes".to_owned(), json!({ "error": self.message }));
            }
        }
        answer(self.status, &body)
    }
}

/// A refusal of the Authentication API (RFC 6749 §5.2, with Auth0's own statuses).
#[derive(Debug)]
pub(super) struct OauthError {
    status: StatusCode,
    error: &'static str,
    description: String,
}

impl OauthError {
    pub(super) fn new(status: StatusCode, error: &'static str, description: impl Into<String>) -> Self {
        Self { status, error, description: description.into() }
    }

    pub(super) fn bad_request(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", description)
    }

    /// Says the same for an unknown application and a wrong secret.
    pub(super) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "access_denied", "Unauthorized")
    }

    pub(super) fn forbidden(error: &'static str, description: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, error, description)
    }

    /// The tenant has no API of that identifier.
    pub(super) fn no_such_api(audience: &str) -> Self {
        Self::forbidden("access_denied", format!("Service not enabled within domain: {audience}"))
    }

    /// The application is not set up for the grant.
    pub(super) fn grant_not_allowed(grant: &str) -> Self {
        Self::forbidden("unauthorized_client", format!("Grant type '{grant}' not allowed for the client."))
    }

    /// No account of the user is the one asked for. The real tenant words this one differently from all others.
    pub(super) fn no_identity() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "user_not_found", "Identity User not found.")
    }

    pub(super) fn response(&self) -> Response<Body> {
        if self.error == "user_not_found" {
            return uncached(answer(self.status, &json!({ "error": self.error, "description": self.description })));
        }
        let mut body = json!({ "error": self.error, "error_description": self.description });
        if let ("unauthorized_client", Some(members)) = (self.error, body.as_object_mut()) {
            members.insert("error_uri".to_owned(), json!("https://auth0.com/docs/clients/client-grant-types"));
        }
        uncached(answer(self.status, &body))
    }
}

/// `/.well-known/openid-configuration` and its alias. The real one lists more: this one says only what is true of it.
pub(super) fn discovery(base_url: &str) -> Value {
    json!({
        "issuer": format!("{base_url}/"),
        "authorization_endpoint": format!("{base_url}/authorize"),
        "token_endpoint": format!("{base_url}/oauth/token"),
        "device_authorization_endpoint": format!("{base_url}/oauth/device/code"),
        "userinfo_endpoint": format!("{base_url}/userinfo"),
        "jwks_uri": format!("{base_url}/.well-known/jwks.json"),
        "revocation_endpoint": format!("{base_url}/oauth/revoke"),
        "end_session_endpoint": format!("{base_url}/oidc/logout"),
        "scopes_supported": ["openid", "profile", "offline_access", "email"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": [
            "authorization_code", "refresh_token", "client_credentials", "urn:ietf:params:oauth:grant-type:device_code",
        ],
        "code_challenge_methods_supported": ["S256"],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "subject_types_supported": ["public"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"],
        "token_endpoint_auth_signing_alg_values_supported": ["RS256", "RS384", "PS256"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "claims_supported": [
            "aud", "auth_time", "email", "email_verified", "exp", "iat", "iss", "name", "nickname", "sid", "sub",
        ],
        "request_uri_parameter_supported": false,
        "request_parameter_supported": false,
    })
}

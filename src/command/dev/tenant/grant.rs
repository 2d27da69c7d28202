//! What a person has allowed an application to have, and the tokens made of it.

use std::sync::Arc;

use hyper::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::mint::{ACCESS_TOKEN_LIFE, TokenBuilder};
use super::userinfo;
use super::wire::OauthError;
use super::{Shared, lock};

/// One application's share of a sign-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Grant {
    pub(super) client_id: String,
    pub(super) sub: String,
    /// The session's id.
    pub(super) sid: String,
    pub(super) scope: String,
    /// Whether the proxy's API was asked for.
    pub(super) has_audience: bool,
    /// For the ID token (OpenID Connect Core §3.1.2.1).
    pub(super) nonce: Option<String>,
    /// When the person signed in, where the application wanted to know.
    pub(super) auth_time: Option<u64>,
}

impl Grant {
    /// Whether `scope` is among those of the grant.
    pub(super) fn has(&self, scope: &str) -> bool {
        self.scope.split(' ').any(|granted| granted == scope)
    }

    /// The first tokens of the grant, and the family of the refresh token if there is one.
    pub(super) fn begin(self, tenant: &Arc<Shared>) -> Result<(Value, Option<u64>), OauthError> {
        let mut body = self.tokens(tenant)?;
        if !self.has("offline_access") {
            return Ok((Value::Object(body), None));
        }
        let (token, family) = lock(&tenant.refresh).start(self, tenant.clock.now());
        tenant.keep();
        body.insert("refresh_token".to_owned(), json!(token));
        Ok((Value::Object(body), Some(family)))
    }

    /// The same grant with the scope that a renewal asks for, which can only be less (RFC 6749 §6).
    pub(super) fn narrowed(mut self, scope: Option<&str>) -> Result<Self, OauthError> {
        let asked: Vec<_> = scope.unwrap_or_default().split_whitespace().collect();
        if let Some(more) = asked.iter().find(|scope| !self.has(scope)) {
            let description = format!("The scope '{more}' was not granted by the resource owner.");
            return Err(OauthError::new(StatusCode::BAD_REQUEST, "invalid_scope", description));
        }
        if !asked.is_empty() {
            self.scope = asked.join(" ");
        }
        Ok(self)
    }

    /// The answer of the token endpoint, but for a refresh token.
    pub(super) fn tokens(&self, tenant: &Arc<Shared>) -> Result<Map<String, Value>, OauthError> {
        self.check_user(tenant)?;
        let mut body = Map::new();
        body.insert("access_token".to_owned(), json!(self.access_token(tenant)));
        if self.has("openid") {
            body.insert("id_token".to_owned(), json!(self.id_token(tenant)));
        }
        body.insert("scope".to_owned(), json!(self.scope));
        body.insert("expires_in".to_owned(), json!(ACCESS_TOKEN_LIFE));
        body.insert("token_type".to_owned(), json!("Bearer"));
        Ok(body)
    }

    fn check_user(&self, tenant: &Shared) -> Result<(), OauthError> {
        match lock(&tenant.users).get(&self.sub).map(|user| user.blocked) {
            None => Err(OauthError::forbidden("invalid_grant", "Unknown or invalid user.")),
            Some(Some(true)) => Err(OauthError::new(StatusCode::UNAUTHORIZED, "unauthorized", "user is blocked")),
            Some(Some(false) | None) => Ok(()),
        }
    }

    fn access_token(&self, tenant: &Arc<Shared>) -> String {
        // A sign-in that names no API gets a token that no API can read.
        if !self.has_audience {
            return lock(&tenant.unreadable).issue(&tenant.issuer(), self, tenant.clock.now());
        }
        let audience = lock(&tenant.settings).audience.clone();
        let token = TokenBuilder::access_token(tenant, &self.sub).scope(&self.scope).claim("azp", &self.client_id);
        if self.has("openid") { token.sign() } else { token.audience(audience).sign() }
    }

    fn id_token(&self, tenant: &Arc<Shared>) -> String {
        let token = TokenBuilder::id_token(tenant, &self.sub)
            .audience(&self.client_id)
            .claim("name", Value::Null)
            .claim("nonce", &self.nonce)
            .claim("sid", &self.sid)
            .claim("auth_time", self.auth_time);
        let claims = userinfo::claims(tenant, &self.sub, &self.scope).unwrap_or_default();
        claims.into_iter().fold(token, |token, (name, value)| token.claim(&name, value)).sign()
    }
}

//! `/userinfo`, and the access tokens that only it can read.

use std::collections::HashMap;
use std::time::Duration;

use hyper::http::header::AUTHORIZATION;
use hyper::http::{HeaderMap, Response, StatusCode};
use serde_json::{Map, Value, json};

use super::grant::Grant;
use super::mint::{self, ACCESS_TOKEN_LIFE};
use super::{Shared, lock};
use crate::clock::Timestamp;
use crate::command::dev::answer::{self, set, uncached};
use crate::command::dev::http::Body;

/// The access tokens of sign-ins that named no API. To everybody else they are noise.
#[derive(Default)]
pub(super) struct Unreadable(HashMap<String, (Subject, Timestamp)>);

/// Whose token it is, and what it shows of them.
#[derive(Clone)]
struct Subject {
    sub: String,
    scope: String,
}

impl Unreadable {
    /// A new one.
    pub(super) fn issue(&mut self, issuer: &str, grant: &Grant, now: Timestamp) -> String {
        let token = mint::encrypted(issuer);
        let subject = Subject { sub: grant.sub.clone(), scope: grant.scope.clone() };
        self.0.retain(|_, (_, expires)| now < *expires);
        self.0.insert(token.clone(), (subject, now.plus(Duration::from_secs(ACCESS_TOKEN_LIFE))));
        token
    }

    fn read(&self, token: &str, now: Timestamp) -> Option<Subject> {
        self.0.get(token).filter(|(_, expires)| now < *expires).map(|(subject, _)| subject.clone())
    }
}

/// Answers `/userinfo`.
pub(super) fn answer(tenant: &Shared, headers: &HeaderMap) -> Response<Body> {
    let claims = subject(tenant, headers).and_then(|Subject { sub, scope }| claims(tenant, &sub, &scope));
    match claims {
        Some(claims) => uncached(answer::json(StatusCode::OK, &Value::Object(claims))),
        None => {
            let mut response = answer::text(StatusCode::UNAUTHORIZED, "Unauthorized");
            set(&mut response, "www-authenticate", "Bearer error=\"invalid_token\"");
            response
        }
    }
}

/// Whoever is behind the bearer token: one for an API that also asked for `openid`, or one that only this endpoint reads.
fn subject(tenant: &Shared, headers: &HeaderMap) -> Option<Subject> {
    let token = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
    let now = tenant.clock.now();
    if let Some(subject) = lock(&tenant.unreadable).read(token, now) {
        return Some(subject);
    }
    let claims = lock(&tenant.keys).verified(token).ok()?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let own = format!("{}userinfo", tenant.issuer());
    let audience = claims.get("aud").and_then(Value::as_array)?;
    let is_valid = audience.contains(&json!(own)) && claims.get("exp")?.as_u64()? > now.unix_seconds();
    let scope = text("scope").filter(|_| is_valid)?;
    Some(Subject { sub: text("sub")?.to_owned(), scope: scope.to_owned() })
}

/// What is told of a user with that scope (OpenID Connect Core §5.4).
pub(super) fn claims(tenant: &Shared, sub: &str, scope: &str) -> Option<Map<String, Value>> {
    let has = |name: &str| scope.split(' ').any(|scope| scope == name);
    let users = lock(&tenant.users);
    let user = users.get(sub)?;
    let mut claims = Map::new();
    claims.insert("sub".to_owned(), json!(user.user_id));
    if has("profile") {
        claims.insert("nickname".to_owned(), json!(user.nickname));
        claims.insert("name".to_owned(), json!(user.name));
    }
    if has("email") {
        claims.insert("email".to_owned(), json!(user.email));
        claims.insert("email_verified".to_owned(), json!(true));
    }
    Some(claims)
}

//! Who calls the Management API, and what they may.

use hyper::http::header::AUTHORIZATION;
use hyper::http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::command::dev::tenant::keys::Unverified;
use crate::command::dev::tenant::wire::Refusal;
use crate::command::dev::tenant::{Shared, lock};

/// Whoever holds a valid management token.
pub(super) struct Caller {
    scope: String,
}

impl Caller {
    /// Whoever sent the token among `headers`.
    pub(super) fn of(tenant: &Shared, headers: &HeaderMap) -> Result<Self, Refusal> {
        let malformed = || Refusal::new(StatusCode::BAD_REQUEST, "Bad HTTP authentication header format", "Bearer");
        let mut lines = headers.get_all(AUTHORIZATION).iter();
        let line = lines.next().ok_or_else(|| Refusal::unauthorized("Missing authentication"))?;
        if lines.next().is_some() {
            return Err(malformed());
        }
        let token = line.to_str().ok().and_then(|line| line.strip_prefix("Bearer ")).ok_or_else(malformed)?;
        let claims = match lock(&tenant.keys).verified(token) {
            Ok(claims) => claims,
            Err(Unverified::Malformed) => return Err(malformed()),
            Err(Unverified::Signature) => {
                return Err(Refusal::unauthorized("Invalid signature received for JSON Web Token validation"));
            }
        };
        let expiry = claims.get("exp").and_then(Value::as_u64).unwrap_or_default();
        if expiry <= tenant.clock.now().unix_seconds() {
            return Err(Refusal::unauthorized("Expired token received for JSON Web Token validation"));
        }
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let audience = tenant.management_audience();
        if text("aud") != Some(&audience) {
            let found = claims.get("aud").cloned().unwrap_or_default();
            return Err(Refusal::unauthorized(format!("Bad audience: {found}")));
        }
        // A management token works only at the domain that minted it.
        if text("iss") != Some(&tenant.issuer()) {
            return Err(Refusal::unauthorized("Invalid token"));
        }
        Ok(Self { scope: text("scope").unwrap_or_default().to_owned() })
    }

    /// Whether the token has that scope.
    pub(super) fn has(&self, scope: &str) -> bool {
        self.scope.split(' ').any(|granted| granted == scope)
    }

    /// Goes on with one of these scopes. `others` would do as well, in the hands of a user; none has a token here.
    pub(super) fn needs(&self, any_of: &[&str], others: &[&str]) -> Result<(), Refusal> {
        if any_of.iter().any(|scope| self.has(scope)) {
            return Ok(());
        }
        let expected = [any_of, others].concat().join(",");
        let message = format!("Insufficient scope, expected any of: {expected}");
        Err(Refusal::new(StatusCode::FORBIDDEN, message, "insufficient_scope"))
    }
}

//! What a token endpoint grants, and whose it says that is.

use std::time::Duration;

use jsonwebtoken::dangerous::insecure_decode_claims;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Failure;
use super::tenant::legible;
use crate::clock::Timestamp;
use crate::secret::Secret;

/// Tokens for a login or a renewal (RFC 6749 §5.1).
#[derive(Deserialize)]
pub(in crate::command) struct Granted {
    /// For the proxy.
    pub(in crate::command) access_token: Secret,
    expires_in: u64,
    /// For the next access token, if the tenant gives one.
    pub(in crate::command) refresh_token: Option<Secret>,
    id_token: Option<Secret>,
}

/// Who logged in.
pub(in crate::command) struct Person {
    /// Who that is to the tenant.
    pub(in crate::command) subject: String,
    /// The same in words for people.
    pub(in crate::command) shown: String,
}

impl Granted {
    /// When the access token expires, if it was granted at `now`. One that no header could carry is refused.
    pub(in crate::command) fn expires_at(&self, now: Timestamp) -> Result<Timestamp, Failure> {
        // RFC 6750 §2.1.
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        if !self.access_token.expose().bytes().all(is_token) {
            return Err(Failure::failed("the tenant granted a token that no header can carry"));
        }
        Ok(now.plus(Duration::from_secs(self.expires_in)))
    }

    /// Who logged in, at `issuer` to the application `client_id`.
    pub(in crate::command) fn person(&self, issuer: &str, client_id: &str) -> Result<Person, Failure> {
        let nobody = || Failure::failed("the tenant does not say who logged in");
        let id_token = self.id_token.as_ref().ok_or_else(nobody)?;
        // It comes from the token endpoint itself, so that its signature adds nothing (OpenID Connect Core §3.1.3.7).
        let claims: Map<String, Value> = insecure_decode_claims(id_token.expose()).map_err(|_| nobody())?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if text("iss") != Some(issuer) || text("aud") != Some(client_id) {
            return Err(Failure::failed("the tenant's word on who logged in is for another application"));
        }
        let subject = text("sub").ok_or_else(nobody)?.to_owned();
        let shown = match text("name") {
            Some(name) => format!("{} ({})", legible(name), legible(&subject)),
            None => legible(&subject),
        };
        Ok(Person { subject, shown })
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::json;

    use super::*;

    fn granted(access_token: &str, claims: &Value) -> Granted {
        let [header, claims] =
            [json!({ "alg": "RS256" }), claims.clone()].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let id_token = format!("{header}.{claims}.c2ln");
        serde_json::from_value(json!({ "access_token": access_token, "expires_in": 60, "id_token": id_token })).unwrap()
    }

    #[test]
    fn a_token_that_would_end_a_header_is_refused() {
        let now = Timestamp::from_unix_seconds(1);
        for (token, is_good) in [("a.b-c_d~e+f/g==", true), ("a\r\nX: y", false), ("a b", false), ("a\"", false)] {
            assert_eq!(granted(token, &json!({})).expires_at(now).is_ok(), is_good, "{token:?}");
        }
        assert_eq!(granted("a", &json!({})).expires_at(now).unwrap(), Timestamp::from_unix_seconds(61));
    }

    #[test]
    fn whoever_logged_in_did_so_at_that_issuer_and_to_that_application() {
        let person = |claims: Value| granted("a", &claims).person("https://i/", "app").map(|person| person.shown);
        let shown = person(json!({ "iss": "https://i/", "aud": "app", "sub": "a|1", "name": "Al\u{1b}[2Jice" }));
        assert_eq!(shown.unwrap(), "Al[2Jice (a|1)");
        assert_eq!(person(json!({ "iss": "https://i/", "aud": "app", "sub": "a|1" })).unwrap(), "a|1");
        for claims in [
            json!({ "iss": "https://other/", "aud": "app", "sub": "a|1" }),
            json!({ "iss": "https://i/", "aud": "other", "sub": "a|1" }),
            json!({ "iss": "https://i/", "aud": "app" }),
        ] {
            assert!(person(claims).is_err());
        }
    }
}

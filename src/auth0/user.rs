//! `GET /api/v2/users/{id}`: the address, and what of the answer is kept.

use std::time::Duration;

use hyper::http::StatusCode;
use serde::{Deserialize, Deserializer};

use super::TenantError;
use super::wire::Answer;
use crate::clock::Timestamp;
use crate::percent::{self, Kept};
use crate::secret::Secret;

/// RFC 3986 §2.3: everything but the unreserved characters is encoded, since `sub` is data and may hold any other.
const SEGMENT: Kept = Kept::ALPHANUMERIC.and(b"-._~");

/// What of a user's record is needed.
#[derive(Debug, Deserialize)]
pub struct User {
    /// Blocked at the tenant: no new logins, and no service here.
    #[serde(default)]
    pub blocked: bool,
    /// The linked accounts. Every user has the list: an answer without it is not about a user.
    pub identities: Vec<Identity>,
    /// The last login through any connection.
    #[serde(default, deserialize_with = "timestamp")]
    pub last_login: Option<Timestamp>,
}

/// One linked account.
#[derive(Debug, Deserialize)]
pub struct Identity {
    /// The connection's name.
    pub connection: String,
    /// The kind of identity provider (`github`, `google-oauth2`, …).
    #[serde(default)]
    pub provider: String,
    /// The account's id there; a number at some providers.
    #[serde(deserialize_with = "text_or_number")]
    pub user_id: String,
    /// The account's access token; absent or empty when the tenant holds none.
    #[serde(default, deserialize_with = "secret")]
    pub access_token: Option<Secret>,
    /// What the account's access token is renewed with; absent or empty when the tenant holds none.
    #[serde(default, deserialize_with = "secret")]
    pub refresh_token: Option<Secret>,
    /// The second half of an OAuth 1.0a token, which no bearer can be made of.
    #[serde(default, deserialize_with = "secret")]
    pub access_token_secret: Option<Secret>,
    /// The token's life in seconds from its issue, which is not told.
    #[serde(default, deserialize_with = "seconds")]
    pub expires_in: Option<Duration>,
}

/// The address of a user's record, with the fields that are needed and no personal ones.
pub(super) fn url(base_url: &str, subject: &str) -> String {
    let id = percent::encode(subject.as_bytes(), SEGMENT);
    format!("{base_url}/api/v2/users/{id}?fields=user_id,identities,blocked,last_login&include_fields=true")
}

/// What the answer means. `reads_tokens` tells whether our management token holds `read:user_idp_tokens`: without it
/// the answer is 200 and the token fields are just not there.
pub(super) fn read(answer: &Answer, reads_tokens: bool) -> Result<Option<User>, TenantError> {
    match answer.status {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return Ok(None),
        StatusCode::UNAUTHORIZED => return Err(TenantError::TokenRefused),
        StatusCode::FORBIDDEN => {
            return Err(TenantError::Misconfigured(
                "the application may not read users: grant it read:users on the Management API",
            ));
        }
        _ => return Err(answer.failure()),
    }
    let user: User = answer.json()?;
    if !reads_tokens && user.identities.iter().all(|identity| identity.access_token.is_none()) {
        return Err(TenantError::Misconfigured(
            "the application may not read identity provider tokens: grant it read:user_idp_tokens on the Management API",
        ));
    }
    Ok(Some(user))
}

/// Auth0 documents `identities[].user_id` as a string or an integer. An integer is kept digit for digit.
fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Id {
        Text(String),
        Number(serde_json::Number),
    }
    Ok(match Id::deserialize(deserializer)? {
        Id::Text(text) => text,
        Id::Number(number) => number.to_string(),
    })
}

/// An empty text is what the tenant shows for an unlinked account: no token.
fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty()).map(Secret::new))
}

/// Not in the schema, so anything that is not a number of seconds counts as absent.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(value.as_u64().filter(|seconds| *seconds > 0).map(Duration::from_secs))
}

/// RFC 3339 in UTC, as the tenant writes it. What cannot be read counts as absent.
fn timestamp<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(value.as_str().and_then(Timestamp::parse))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_id_is_one_encoded_segment() {
        let url = url("https://t", "samlp|a/b?c#d e+f@é|..");
        assert!(url.starts_with("https://t/api/v2/users/samlp%7Ca%2Fb%3Fc%23d%20e%2Bf%40%C3%A9%7C..?fields="), "{url}");
    }

    #[test]
    fn ids_are_text_or_number_and_empty_tokens_are_none() {
        let user: User = serde_json::from_str(
            r#"{"identities":[{"connection":"github","user_id":12345678901234567890,"access_token":""},
                {"connection":"g","user_id":"7","access_token":"t","expires_in":"soon"}],"last_login":17}"#,
        )
        .unwrap();
        assert_eq!(user.identities[0].user_id, "12345678901234567890");
        assert_eq!(user.identities[0].access_token, None);
        assert_eq!(user.identities[1].access_token, Some(Secret::new("t")));
        assert_eq!(user.identities[1].expires_in, None);
        assert_eq!(user.last_login, None);
        assert!(!user.blocked);
    }
}

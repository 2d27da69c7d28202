//! `private_key_jwt`: a client proves itself with a signature in place of a secret (RFC 7523 §2.2). A leaf.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

use crate::clock::Timestamp;
use crate::random;

/// What `client_assertion_type` says.
pub const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The longest life of an assertion that Auth0 takes is five minutes; one is enough.
const SECONDS: u64 = 60;

/// RFC 7523 §3: who we are, for whom it is, good for one use and a minute. `None` when the key cannot sign.
#[must_use]
pub fn sign(key: &EncodingKey, client_id: &str, audience: &str, now: Timestamp) -> Option<String> {
    let now = now.unix_seconds();
    let claims = json!({
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "iat": now,
        "exp": now + SECONDS,
        "jti": random::name()?,
    });
    jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, key).ok()
}

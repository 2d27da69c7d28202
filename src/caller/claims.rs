//! What a caller's token must say about itself. Pure: no I/O, and the time is an argument.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::CallerError;
use crate::clock::Timestamp;

/// How far the tenant's clock and ours may differ, in seconds (RFC 7519 §4.1.4: "a few minutes" at most).
pub(super) const LEEWAY_SECONDS: u64 = 60;

/// The claims of an access token in Auth0's own profile or that of RFC 9068. A claim that occurs twice, or has another
/// type than it must have, fails the reading: RFC 8725 §2.4 warns of parsers that differ.
#[derive(Deserialize)]
pub(super) struct Claims {
    iss: Option<String>,
    sub: Option<String>,
    aud: Option<Audience>,
    exp: Option<Value>,
    nbf: Option<Value>,
    azp: Option<Value>,
    client_id: Option<Value>,
    gty: Option<Value>,
    sub_profile: Option<Value>,
    nonce: Option<Value>,
    at_hash: Option<Value>,
    cnf: Option<Value>,
    scope: Option<String>,
    permissions: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn contains(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Several(several) => several.iter().any(|one| one == audience),
        }
    }
}

/// What is kept of a token whose claims were judged good.
pub(super) struct Person {
    pub(super) subject: Arc<str>,
    /// Scopes and permissions, each between single spaces.
    pub(super) grants: Box<str>,
    pub(super) expires: Timestamp,
}

/// What stands in a token, as text.
pub(super) struct Told {
    pub(super) audience: String,
    pub(super) is_id_token: bool,
    pub(super) expires: String,
    pub(super) begins: Option<String>,
    pub(super) subject: String,
    pub(super) is_bound: bool,
}

pub(super) fn nothing() -> String {
    "none".to_owned()
}

fn date(seconds: u64) -> String {
    Timestamp::from_unix_seconds(seconds).to_string()
}

impl Claims {
    /// Reads the claims of a three-part token without judging them.
    pub(super) fn read(token: &str) -> Result<Self, CallerError> {
        jsonwebtoken::dangerous::insecure_decode_claims(token)
            .map_err(|_| CallerError::Invalid("its claims cannot be read"))
    }

    pub(super) fn issuer(&self) -> Option<&str> {
        self.iss.as_deref()
    }

    /// The texts of what was judged, for whoever asks why: audience, expiry, begin, subject.
    pub(super) fn told(&self) -> Told {
        let time = |claim: &Option<Value>| {
            let told = |claim: &Value| numeric_date(claim).map_or_else(|| claim.to_string(), date);
            claim.as_ref().map_or_else(nothing, told)
        };
        Told {
            audience: match &self.aud {
                None => nothing(),
                Some(Audience::One(one)) => one.clone(),
                Some(Audience::Several(several)) => several.join(", "),
            },
            is_id_token: self.nonce.is_some() || self.at_hash.is_some(),
            expires: time(&self.exp),
            begins: self.nbf.is_some().then(|| time(&self.nbf)),
            subject: self.sub.clone().unwrap_or_else(nothing),
            is_bound: self.cnf.is_some(),
        }
    }

    /// Judges the claims of a token whose signature was found good.
    pub(super) fn judge(self, audience: &Arc<str>, now: Timestamp) -> Result<Person, CallerError> {
        let expires = self.expiry(now)?;
        self.begin(now)?;
        self.purpose(audience)?;
        self.binding()?;
        let subject = Arc::from(self.person()?);
        let mut grants = self.scope.unwrap_or_default();
        for permission in self.permissions.unwrap_or_default() {
            grants.push(' ');
            grants.push_str(&permission);
        }
        Ok(Person { subject, grants: grants.into_boxed_str(), expires })
    }

    /// Until when it is accepted.
    pub(super) fn expiry(&self, now: Timestamp) -> Result<Timestamp, CallerError> {
        let expires = self.exp.as_ref().ok_or(CallerError::Invalid("it never expires")).and_then(seconds)?;
        if now.unix_seconds() >= expires.saturating_add(LEEWAY_SECONDS) {
            return Err(CallerError::Expired);
        }
        Ok(Timestamp::from_unix_seconds(expires.saturating_add(LEEWAY_SECONDS)))
    }

    /// Whether it is valid already.
    pub(super) fn begin(&self, now: Timestamp) -> Result<(), CallerError> {
        match &self.nbf {
            Some(claim) if seconds(claim)? > now.unix_seconds().saturating_add(LEEWAY_SECONDS) => {
                Err(CallerError::Invalid("it is not valid yet"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether it is an access token for us.
    pub(super) fn purpose(&self, audience: &Arc<str>) -> Result<(), CallerError> {
        let is_for_us = self.aud.as_ref().is_some_and(|named| named.contains(audience));
        // OpenID Connect Core §2 and §3.1.3.6: only ID tokens carry these. A configuration that names a client id as
        // its audience would otherwise take ID tokens for access tokens.
        if !is_for_us || self.nonce.is_some() || self.at_hash.is_some() {
            return Err(CallerError::WrongAudience(Arc::clone(audience)));
        }
        Ok(())
    }

    /// RFC 7800 §3.1: a bound token without its proof is not proof of anything. Which binding it is does not matter.
    pub(super) fn binding(&self) -> Result<(), CallerError> {
        if self.cnf.is_some() {
            return Err(CallerError::Invalid("it is bound to a key, and proofs of possession are not accepted yet"));
        }
        Ok(())
    }

    /// The subject, if it is a person's. Auth0 marks machines in several ways, of which `@clients` is only the oldest.
    pub(super) fn person(&self) -> Result<&str, CallerError> {
        let subject = self.sub.as_deref().unwrap_or_default();
        let is = |claim: &Option<Value>, text: &str| claim.as_ref().and_then(Value::as_str) == Some(text);
        let is_machine = subject.ends_with("@clients")
            || is(&self.gty, "client-credentials")
            || self.sub_profile.as_ref().is_some_and(|profile| profile != "user")
            || is(&self.azp, subject)
            || is(&self.client_id, subject)
            || !subject.contains('|');
        if is_machine {
            return Err(CallerError::NoUser);
        }
        Ok(subject)
    }
}

fn seconds(claim: &Value) -> Result<u64, CallerError> {
    numeric_date(claim).ok_or(CallerError::Invalid("a time in it is not a number"))
}

/// RFC 7519 §2 `NumericDate`: a JSON number, fractions allowed, of seconds since the epoch.
fn numeric_date(claim: &Value) -> Option<u64> {
    let number = claim.as_f64()?;
    // 2^53: up to there a double is exact to the second, and no clock will get there.
    if !(0.0..9_007_199_254_740_992.0).contains(&number) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was just checked")]
    Some(number as u64)
}

//! What a verifier finds in a token, claim by claim, for whoever asks why. Every check is the one that decides.

use super::claims::{Claims, nothing};
use super::{Bearer, CallerError, Signature, Verifier};
use crate::clock::Timestamp;

/// One thing that was looked at in a token.
#[derive(Debug)]
pub struct Finding {
    /// What it is.
    pub what: &'static str,
    /// What the token says. It was written by whoever made the token.
    pub came: String,
    /// What it should say.
    pub expected: String,
    /// Whether it is as it should be.
    pub verdict: Result<(), CallerError>,
}

impl Finding {
    fn new<T>(what: &'static str, came: String, expected: impl Into<String>, verdict: Result<T, CallerError>) -> Self {
        Self { what, came, expected: expected.into(), verdict: verdict.map(drop) }
    }
}

impl Verifier {
    /// Looks at everything in the token of `bearer`, also behind the first thing that is wrong. Whether the token is
    /// accepted is for [`Verifier::verify`] to say.
    pub async fn look(&self, bearer: &Bearer, now: Timestamp) -> Vec<Finding> {
        let expected = "a signed JWT";
        let token = match bearer.jwt(&self.audience) {
            Ok(token) => token,
            Err(error) => return vec![Finding::new("form", form(&error).to_owned(), expected, Err::<(), _>(error))],
        };
        let signature = Signature::of(token).map_err(|error| CallerError::Invalid(error.reason()));
        let claims = match Claims::read(token) {
            Ok(claims) => claims,
            Err(error) => return vec![Finding::new("form", form(&error).to_owned(), expected, Err::<(), _>(error))],
        };
        let mut findings = vec![Finding::new("form", "a JWT".to_owned(), expected, Ok(()))];
        self.look_at_signature(&claims, signature, &mut findings).await;
        let told = claims.told();
        findings.push(Finding::new("expires", told.expires, format!("later than {now}"), claims.expiry(now)));
        if let Some(begins) = told.begins {
            findings.push(Finding::new("not before", begins, format!("no later than {now}"), claims.begin(now)));
        }
        let audience = if told.is_id_token { "it is an ID token".to_owned() } else { told.audience };
        findings.push(Finding::new("audience", audience, &*self.audience, claims.purpose(&self.audience)));
        if told.is_bound {
            findings.push(Finding::new("binding", "to a key".to_owned(), "none", claims.binding()));
        }
        findings.push(Finding::new("subject", told.subject, "a person's", claims.person()));
        findings
    }

    async fn look_at_signature(
        &self,
        claims: &Claims,
        signature: Result<Signature<'_>, CallerError>,
        findings: &mut Vec<Finding>,
    ) {
        let issuers = self.issuers.iter().map(|issuer| issuer.name.as_str()).collect::<Vec<_>>().join(" or ");
        let (issuer, verdict) = match self.issuer_of(claims) {
            Ok((_, issuer)) => (Some(issuer), Ok(())),
            Err(error) => (None, Err(error)),
        };
        let came = claims.issuer().map_or_else(nothing, str::to_owned);
        findings.push(Finding::new("issuer", came, issuers, verdict));
        let signature = match signature {
            Ok(signature) => signature,
            Err(error) => {
                let expected = "RS256 or PS256, and a key id";
                findings.push(Finding::new("header", "something else".to_owned(), expected, Err::<(), _>(error)));
                return;
            }
        };
        // Whose keys those of a stranger are is not known, and not asked.
        let Some(issuer) = issuer else { return };
        let key = issuer.keys.find(signature.key_id()).await;
        let checked = match &key {
            Ok(key) => Some(signature.check(key).map_err(|error| CallerError::Invalid(error.reason()))),
            Err(_) => None,
        };
        findings.push(Finding::new("key id", signature.key_id().to_owned(), "one of the issuer's keys", key));
        if let Some(checked) = checked {
            let came = if checked.is_ok() { "that key's" } else { "not that key's" };
            findings.push(Finding::new("signature", came.to_owned(), "that key's", checked));
        }
    }
}

/// What a token is that is none of ours.
fn form(error: &CallerError) -> &'static str {
    match error {
        CallerError::Unreadable(kind, _) => kind,
        CallerError::MissingToken
        | CallerError::BadRequest(_)
        | CallerError::Invalid(_)
        | CallerError::Expired
        | CallerError::WrongAudience(_)
        | CallerError::NoUser
        | CallerError::NoKeys(_) => "something else",
    }
}

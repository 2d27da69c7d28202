//! Authorization codes: good for one exchange, by the application, the callback and the verifier they were made for.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use hyper::http::StatusCode;
use serde_json::Value;

use super::application::Application;
use super::grant::Grant;
use super::wire::OauthError;
use super::{Shared, lock};
use crate::clock::Timestamp;
use crate::command::dev::answer::Parameters;
use crate::command::dev::encoding::{base64url, random_url_safe};

/// How long a code is good: the most that RFC 6749 §4.1.2 recommends.
const LIFE: Duration = Duration::from_secs(600);

/// The codes given, spent ones too.
#[derive(Default)]
pub(super) struct Codes(HashMap<String, Code>);

struct Code {
    pending: Option<Pending>,
    expires: Timestamp,
    /// The refresh tokens it was exchanged for.
    family: Option<u64>,
}

/// What a code stands for.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) grant: Grant,
    pub(super) redirect_uri: String,
    /// The S256 code challenge (RFC 7636 §4.2).
    pub(super) challenge: String,
}

/// Why a code was refused.
struct Refused {
    error: OauthError,
    /// The refresh tokens that go with it: the code was used before, and somebody may have stolen it (RFC 6749 §4.1.2).
    family: Option<u64>,
}

impl Codes {
    pub(super) fn issue(&mut self, pending: Pending, now: Timestamp) -> String {
        self.0.retain(|_, code| now < code.expires);
        let code = random_url_safe(43);
        self.0.insert(code.clone(), Code { pending: Some(pending), expires: now.plus(LIFE), family: None });
        code
    }

    /// Spends the code of a token request, whatever comes of it.
    fn spend(&mut self, client_id: &str, parameters: &Parameters, now: Timestamp) -> Result<Grant, Refused> {
        let refused = |error| Refused { error, family: None };
        let required = |name: &str| {
            let missing = || refused(OauthError::bad_request(format!("Missing required parameter: {name}")));
            parameters.get(name).filter(|value| !value.is_empty()).ok_or_else(missing)
        };
        let invalid = |description: &str| OauthError::forbidden("invalid_grant", description);
        let unknown = || refused(invalid("Invalid authorization code"));
        let code = self.0.get_mut(required("code")?).filter(|code| now < code.expires).ok_or_else(unknown)?;
        let Some(pending) = code.pending.take() else {
            return Err(Refused { error: invalid("Invalid authorization code"), family: code.family.take() });
        };
        if pending.grant.client_id != client_id {
            return Err(unknown());
        }
        let callback = required("redirect_uri")?;
        if callback != pending.redirect_uri {
            let expected = pending.redirect_uri;
            let description = format!("The redirect URI is wrong. You sent {callback}, and we expected {expected}");
            return Err(refused(OauthError::new(StatusCode::FORBIDDEN, "unauthorized_client", description)));
        }
        let verifier = required("code_verifier")?;
        if base64url(digest::digest(&digest::SHA256, verifier.as_bytes()).as_ref()) != pending.challenge {
            return Err(refused(invalid("Failed to verify code verifier")));
        }
        Ok(pending.grant)
    }

    /// Remembers what a code was exchanged for.
    fn exchanged(&mut self, code: &str, family: u64) {
        if let Some(code) = self.0.get_mut(code) {
            code.family = Some(family);
        }
    }
}

/// The authorization-code grant.
pub(super) fn exchange(
    tenant: &Arc<Shared>,
    application: &Application,
    parameters: &Parameters,
) -> Result<Value, OauthError> {
    let spent = lock(&tenant.codes).spend(&application.client_id, parameters, tenant.clock.now());
    let grant = match spent {
        Ok(grant) => grant,
        Err(Refused { error, family }) => {
            if let Some(family) = family {
                lock(&tenant.refresh).end(family);
                tenant.keep();
            }
            return Err(error);
        }
    };
    let (body, family) = grant.begin(tenant)?;
    if let (Some(family), Some(code)) = (family, parameters.get("code")) {
        lock(&tenant.codes).exchanged(code, family);
    }
    Ok(body)
}

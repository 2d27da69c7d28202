//! The device flow (RFC 8628), with Auth0's statuses.

use std::collections::HashMap;
use std::sync::Arc;

use hyper::http::StatusCode;
use serde_json::{Value, json};

use super::application::Application;
use super::grant::Grant;
use super::wire::OauthError;
use super::{Shared, lock};
use crate::clock::Timestamp;
use crate::command::dev::answer::Parameters;
use crate::command::dev::encoding::{random_of, random_url_safe};

/// The grant.
pub(super) const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Life of a device code, in seconds.
const LIFE: u64 = 900;

/// Letters that cannot be mistaken for each other, and that spell no words (RFC 8628 §6.1).
const USER_CODE_LETTERS: &[u8] = b"BCDFGHJKLMNPQRSTVWXZ";

/// The logins waiting for somebody, by device code.
#[derive(Default)]
pub(super) struct Devices(HashMap<String, Waiting>);

struct Waiting {
    user_code: String,
    scope: String,
    has_audience: bool,
    expires: u64,
    polled: Option<u64>,
    decision: Decision,
}

enum Decision {
    Pending,
    Approved(String),
    Denied,
}

/// A login that somebody approved.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) sub: String,
    pub(super) scope: String,
    pub(super) has_audience: bool,
}

impl Devices {
    /// A new device code, its user code, and their life in seconds.
    pub(super) fn start(&mut self, now: Timestamp, scope: &str, has_audience: bool) -> (String, String, u64) {
        let device_code = random_url_safe(24);
        let user_code = format!("{}-{}", random_of(4, USER_CODE_LETTERS), random_of(4, USER_CODE_LETTERS));
        let waiting = Waiting {
            user_code: user_code.clone(),
            scope: scope.to_owned(),
            has_audience,
            expires: now.unix_seconds() + LIFE,
            polled: None,
            decision: Decision::Pending,
        };
        self.0.insert(device_code.clone(), waiting);
        (device_code, user_code, LIFE)
    }

    pub(super) fn approve(&mut self, user_code: &str, sub: &str) -> bool {
        self.decide(user_code, Decision::Approved(sub.to_owned()))
    }

    pub(super) fn deny(&mut self, user_code: &str) -> bool {
        self.decide(user_code, Decision::Denied)
    }

    fn decide(&mut self, user_code: &str, decision: Decision) -> bool {
        let pending = |waiting: &&mut Waiting| {
            waiting.user_code.eq_ignore_ascii_case(user_code) && matches!(waiting.decision, Decision::Pending)
        };
        self.0.values_mut().find(pending).map(|waiting| waiting.decision = decision).is_some()
    }

    /// One poll, no sooner than `interval` seconds after the last. Whatever ends the flow is told once.
    pub(super) fn poll(&mut self, now: Timestamp, device_code: &str, interval: u64) -> Result<Login, OauthError> {
        let now = now.unix_seconds();
        let unknown = || OauthError::forbidden("invalid_grant", "Invalid or expired device code.");
        let waiting = self.0.get_mut(device_code).ok_or_else(unknown)?;
        if waiting.expires <= now {
            self.0.remove(device_code);
            return Err(OauthError::forbidden("expired_token", "The device code has expired."));
        }
        let polled = waiting.polled.replace(now);
        if polled.is_some_and(|polled| now < polled + interval) {
            let description = format!("You are polling faster than the specified interval of {interval} seconds.");
            return Err(OauthError::new(StatusCode::TOO_MANY_REQUESTS, "slow_down", description));
        }
        if matches!(waiting.decision, Decision::Pending) {
            return Err(OauthError::forbidden("authorization_pending", "User has yet to authorize device code."));
        }
        let Waiting { decision, scope, has_audience, .. } = self.0.remove(device_code).ok_or_else(unknown)?;
        match decision {
            Decision::Approved(sub) => Ok(Login { sub, scope, has_audience }),
            Decision::Denied | Decision::Pending => {
                Err(OauthError::forbidden("access_denied", "User did not authorize the request."))
            }
        }
    }
}

/// Answers `POST /oauth/device/code`.
pub(super) fn start(tenant: &Arc<Shared>, parameters: &Parameters) -> Result<Value, OauthError> {
    let settings = lock(&tenant.settings).clone();
    let application = parameters.get("client_id").and_then(|client_id| settings.application(client_id));
    let unknown = || OauthError::forbidden("unauthorized_client", "Unauthorized or unknown client");
    if !application.ok_or_else(unknown)?.device_flow {
        return Err(OauthError::grant_not_allowed(GRANT));
    }
    let audience = parameters.get("audience");
    if let Some(other) = audience.filter(|audience| *audience != settings.audience) {
        return Err(OauthError::no_such_api(other));
    }
    let scope = parameters.get("scope").unwrap_or_default();
    let now = tenant.clock.now();
    let (device_code, user_code, life) = lock(&tenant.devices).start(now, scope, audience.is_some());
    Ok(json!({
        "device_code": device_code,
        "user_code": user_code,
        "verification_uri": format!("{}/activate", tenant.base_url),
        "verification_uri_complete": format!("{}/activate?user_code={user_code}", tenant.base_url),
        "expires_in": life,
        "interval": settings.device_interval,
    }))
}

/// Answers a poll.
pub(super) fn poll(
    tenant: &Arc<Shared>,
    application: &Application,
    parameters: &Parameters,
) -> Result<Value, OauthError> {
    let missing = || OauthError::bad_request("Missing required parameter: device_code");
    let device_code = parameters.get("device_code").ok_or_else(missing)?;
    let interval = lock(&tenant.settings).device_interval;
    let login = lock(&tenant.devices).poll(tenant.clock.now(), device_code, interval)?;
    let grant = Grant {
        client_id: application.client_id.clone(),
        sub: login.sub,
        sid: random_url_safe(32),
        scope: login.scope,
        has_audience: login.has_audience,
        nonce: None,
        auth_time: None,
    };
    grant.begin(tenant).map(|(body, _)| body)
}

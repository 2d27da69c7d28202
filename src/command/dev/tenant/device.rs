//! The device flow (RFC 8628), with Auth0's statuses.

use std::collections::HashMap;

use hyper::http::StatusCode;

use super::wire::OauthError;
use crate::clock::Timestamp;
use crate::command::dev::encoding::{random_of, random_url_safe};

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

//! Auth0's own refresh tokens: they rotate, and one that comes again too late ends its whole family.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::application::Application;
use super::client::Client;
use super::grant::Grant;
use super::wire::OauthError;
use super::{Shared, lock};
use crate::clock::Timestamp;
use crate::command::dev::answer::Parameters;
use crate::command::dev::encoding::random_url_safe;

/// All of them, and what they stand for. They are kept with the users.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct RefreshTokens {
    tokens: BTreeMap<String, Token>,
    families: BTreeMap<u64, Family>,
    drawn: u64,
}

#[derive(Serialize, Deserialize)]
struct Token {
    family: u64,
    generation: u64,
    issued: Timestamp,
    replaced: Option<Timestamp>,
}

/// All tokens descended from one sign-in. When it goes, they are worth nothing.
#[derive(Serialize, Deserialize)]
struct Family {
    grant: Grant,
    /// Of its newest token.
    generation: u64,
}

/// How long a refresh token is good.
#[derive(Clone, Copy)]
struct Patience {
    /// When nobody uses it.
    idle: Duration,
    /// When it has been replaced, and only the one before the newest.
    leeway: Duration,
}

impl RefreshTokens {
    /// The first token of a family, and the family.
    pub(super) fn start(&mut self, grant: Grant, now: Timestamp) -> (String, u64) {
        self.drawn += 1;
        let family = self.drawn;
        self.families.insert(family, Family { grant, generation: 0 });
        (self.next(family, now), family)
    }

    fn next(&mut self, family: u64, now: Timestamp) -> String {
        let generation = self.families.get_mut(&family).map_or(0, |family| {
            family.generation += 1;
            family.generation
        });
        let token = format!("v1.{}", random_url_safe(43));
        self.tokens.insert(token.clone(), Token { family, generation, issued: now, replaced: None });
        token
    }

    /// What a token stands for, and the one in its place. `None` is `invalid_grant`.
    fn rotate(&mut self, token: &str, client_id: &str, patience: Patience, now: Timestamp) -> Option<(Grant, String)> {
        let held = self.tokens.get_mut(token)?;
        let family = held.family;
        let Family { grant, generation } = self.families.get(&family)?;
        if grant.client_id != client_id || held.issued.plus(patience.idle) <= now {
            return None;
        }
        let is_good = held
            .replaced
            .is_none_or(|replaced| held.generation + 1 == *generation && now < replaced.plus(patience.leeway));
        if !is_good {
            self.end(family);
            return None;
        }
        held.replaced.get_or_insert(now);
        let grant = grant.clone();
        Some((grant, self.next(family, now)))
    }

    /// Ends a family: the code it came from was used again.
    pub(super) fn end(&mut self, family: u64) {
        self.families.remove(&family);
        self.tokens.retain(|_, token| token.family != family);
    }

    /// Ends the family of that token. False when it is another application's.
    fn revoke(&mut self, token: &str, client_id: &str) -> bool {
        let Some(family) = self.tokens.get(token).map(|token| token.family) else {
            return true;
        };
        let is_theirs = self.families.get(&family).is_none_or(|family| family.grant.client_id == client_id);
        if is_theirs {
            self.end(family);
        }
        is_theirs
    }
}

/// The refresh-token grant.
pub(super) fn renew(
    tenant: &Arc<Shared>,
    application: &Application,
    parameters: &Parameters,
) -> Result<Value, OauthError> {
    let missing = || OauthError::bad_request("Missing required parameter: refresh_token");
    let token = parameters.get("refresh_token").ok_or_else(missing)?;
    let settings = lock(&tenant.settings).clone();
    if let Some(other) = parameters.get("audience").filter(|audience| *audience != settings.audience) {
        return Err(OauthError::no_such_api(other));
    }
    let patience = Patience {
        idle: Duration::from_secs(settings.refresh_idle_life),
        leeway: Duration::from_secs(settings.refresh_leeway),
    };
    let rotated = lock(&tenant.refresh).rotate(token, &application.client_id, patience, tenant.clock.now());
    tenant.keep();
    let invalid = || OauthError::forbidden("invalid_grant", "Unknown or invalid refresh token.");
    let (grant, token) = rotated.ok_or_else(invalid)?;
    let mut body = grant.narrowed(parameters.get("scope"))?.tokens(tenant)?;
    body.insert("refresh_token".to_owned(), json!(token));
    Ok(Value::Object(body))
}

/// Answers `POST /oauth/revoke` (RFC 7009): the whole family goes. An unknown token is revoked already.
pub(super) fn revoke(tenant: &Shared, client: &Client, parameters: &Parameters) -> Result<(), OauthError> {
    let missing = || OauthError::bad_request("Missing required parameter: token");
    let token = parameters.get("token").filter(|token| !token.is_empty()).ok_or_else(missing)?;
    let client_id = match client {
        Client::Public(application) => &application.client_id,
        // They have no refresh tokens.
        Client::Machine | Client::Backend(_) | Client::Vault => return Ok(()),
    };
    let is_theirs = lock(&tenant.refresh).revoke(token, client_id);
    tenant.keep();
    if is_theirs { Ok(()) } else { Err(OauthError::unauthorized()) }
}

//! What only somebody asks who wants to know how the tenant is set up: what it calls itself, what our application has been
//! granted, how a connection is made. No request of a caller needs any of it.

use std::time::Instant;

use hyper::http::{StatusCode, header};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::wire::{self, Answer};
use super::{Priority, Tenant, TenantError, management};
use crate::clock::Timestamp;
use crate::percent::{self, Kept};
use crate::secret::Secret;

/// What our application may do with the Management API.
pub struct Grant {
    /// Every scope that has been granted.
    pub scopes: Vec<String>,
    token: Secret,
}

/// How a connection is set up.
#[derive(Debug, PartialEq, Eq)]
pub struct Connection {
    /// The kind of identity provider.
    pub strategy: String,
    /// Whether people sign in with it: then its tokens are with the users' identities.
    pub signs_in: bool,
    /// Whether it is for Connected Accounts: then Token Vault has tokens of it.
    pub is_in_vault: bool,
    /// Its own client at the provider. None where Auth0's developer keys are used.
    pub client_id: Option<String>,
    /// Whether every sign-in asks for a refresh token.
    pub asks_for_offline_access: bool,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
}

/// What of `GET /api/v2/connections` is needed. Its `options` hold the client's secret too, which is never read.
#[derive(Deserialize)]
struct Listed {
    name: String,
    #[serde(default)]
    strategy: String,
    authentication: Option<Active>,
    connected_accounts: Option<Active>,
    #[serde(default)]
    options: Options,
}

#[derive(Deserialize)]
struct Active {
    #[serde(default)]
    active: bool,
}

#[derive(Default, Deserialize)]
struct Options {
    client_id: Option<String>,
    scope: Option<Value>,
    offline_access: Option<Value>,
    #[serde(default)]
    upstream_params: Option<Map<String, Value>>,
}

/// RFC 3986 §2.3.
const QUERY: Kept = Kept::ALPHANUMERIC.and(b"-._~");

impl Tenant {
    /// What the tenant at the address `issuer` calls itself (OpenID Connect Discovery §4.3).
    ///
    /// # Errors
    /// [`TenantError`].
    pub async fn name(&self, issuer: &str) -> Result<String, TenantError> {
        let request = self.http.get(format!("{issuer}.well-known/openid-configuration"));
        let document: Discovery = wire::send(request, &self.clock).await?.json_if_ok()?;
        Ok(document.issuer)
    }

    /// Everything that our application has been granted; and what time it is at the tenant, if it answers at all.
    pub async fn grant(&self) -> (Option<Timestamp>, Result<Grant, TenantError>) {
        let answer = match self.management.ask(self, None).await {
            Ok(answer) => answer,
            Err(error) => return (None, Err(error)),
        };
        let grant = management::granted(&answer).map(|granted| Grant {
            // RFC 6749 §5.1: a scope that is left out is the one asked for, and none was.
            scopes: granted.scope.unwrap_or_default().split_whitespace().map(str::to_owned).collect(),
            token: granted.access_token,
        });
        (date(&answer), grant)
    }

    /// The connection of that name; `None` if the tenant has no such connection.
    ///
    /// # Errors
    /// [`TenantError`]; also if the grant lacks `read:connections`.
    pub async fn connection(
        &self,
        grant: &Grant,
        name: &str,
        deadline: Instant,
    ) -> Result<Option<Connection>, TenantError> {
        let place = self.budget.enter(Priority::Interactive, deadline).await?;
        let name_in_query = percent::encode(name.as_bytes(), QUERY);
        let fields = "name,strategy,options,authentication,connected_accounts";
        let url =
            format!("{}/api/v2/connections?name={name_in_query}&fields={fields}&include_fields=true", self.base_url);
        let answer = wire::send(self.http.get(url).bearer_auth(grant.token.expose()), &self.clock).await?;
        drop(place);
        self.budget.learn(&answer).await;
        if answer.status == StatusCode::FORBIDDEN {
            return Err(TenantError::Misconfigured(
                "the application may not read connections: grant it read:connections",
            ));
        }
        let listed: Vec<Listed> = answer.json_if_ok()?;
        Ok(listed.into_iter().find(|listed| listed.name == name).map(Connection::of))
    }
}

impl Grant {
    /// What the proxy needs.
    pub fn needed() -> impl Iterator<Item = &'static str> {
        management::SCOPES.split(' ')
    }

    /// Whether it has that scope.
    #[must_use]
    pub fn has(&self, scope: &str) -> bool {
        self.scopes.iter().any(|granted| granted == scope)
    }
}

impl Connection {
    fn of(listed: Listed) -> Self {
        let options = listed.options;
        Self {
            strategy: listed.strategy,
            // Older connections do not say what they are for: people sign in with them.
            signs_in: listed.authentication.is_none_or(|authentication| authentication.active),
            is_in_vault: listed.connected_accounts.is_some_and(|accounts| accounts.active),
            asks_for_offline_access: options.asks_for_offline_access(),
            client_id: options.client_id.filter(|id| !id.is_empty()),
        }
    }
}

impl Options {
    /// In Auth0's own option, in a static parameter (Google), or as a scope (OpenID Connect Core §11).
    fn asks_for_offline_access(&self) -> bool {
        let is_option = self.offline_access.as_ref().is_some_and(|option| *option == Value::Bool(true));
        let parameter = self.upstream_params.as_ref().and_then(|params| params.get("access_type")?.get("value"));
        let names = |scopes: &str| scopes.split([' ', ',']).any(|scope| scope == "offline_access");
        let is_scope = match &self.scope {
            Some(Value::String(scopes)) => names(scopes),
            Some(Value::Array(scopes)) => scopes.iter().filter_map(Value::as_str).any(names),
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => false,
        };
        is_option || is_scope || parameter.and_then(Value::as_str) == Some("offline")
    }
}

/// `Date` (RFC 9110 §5.6.7, the form that is sent): `Sun, 06 Nov 1994 08:49:37 GMT`.
fn date(answer: &Answer) -> Option<Timestamp> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = answer.headers.get(header::DATE)?.to_str().ok()?.split(' ').skip(1);
    let (day, month, year, time) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let month = MONTHS.iter().position(|known| *known == month)? + 1;
    Timestamp::parse(&format!("{year}-{month:02}-{day}T{time}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(json: &str) -> Connection {
        Connection::of(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn a_refresh_token_is_asked_for_by_an_option_a_parameter_or_a_scope() {
        for (options, asks) in [
            ("{}", false),
            (r#"{"offline_access":true}"#, true),
            (r#"{"offline_access":false,"scope":["email"]}"#, false),
            (r#"{"upstream_params":{"access_type":{"value":"offline"}}}"#, true),
            (r#"{"upstream_params":{"access_type":{"alias":"display"}}}"#, false),
            (r#"{"scope":"openid offline_access"}"#, true),
            (r#"{"scope":["openid","offline_access"]}"#, true),
            (r#"{"scope":"not_offline_access","upstream_params":null}"#, false),
        ] {
            let text = format!(r#"{{"name":"c","options":{options}}}"#);
            assert_eq!(connection(&text).asks_for_offline_access, asks, "{options}");
        }
    }

    #[test]
    fn what_a_connection_is_for_and_whose_client_it_has() {
        let old = connection(r#"{"name":"c","strategy":"github","options":{"client_id":""}}"#);
        assert_eq!((old.signs_in, old.is_in_vault, old.client_id), (true, false, None));
        let new = r#"{"name":"c","authentication":{"active":false},"connected_accounts":{"active":true},
                      "options":{"client_id":"id","client_secret":"canary"}}"#;
        let new = connection(new);
        assert!(!new.signs_in && new.is_in_vault && !format!("{new:?}").contains("canary"));
        assert_eq!(new.client_id.as_deref(), Some("id"));
    }
}

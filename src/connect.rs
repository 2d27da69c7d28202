//! WHERE TO SIGN IN: what an application has to do for a user's account to be connected, anew or with further scopes. Pure.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::config::{Application, Config, Provider, Source};
use crate::percent::{self, Kept};

/// What is known of the way to connect accounts at one provider.
pub struct Connect {
    connection: String,
    is_in_vault: bool,
    /// Those that are always asked for.
    scopes: Vec<String>,
    /// A sign-in's URL but for its scopes; `None` where no application is named.
    login: Option<String>,
    /// The same for whom a scope of ours is wanting: through any connection, and without being asked anew.
    session: Option<String>,
    /// Where the tenant sends users back to.
    redirect_uri: Option<String>,
    /// The tenant, as users see it: with a `/` at its end.
    issuer: String,
    /// The tenant's Management API.
    management: String,
}

/// What has to be done for a call to succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The user signs in with the account that is theirs already.
    Login,
    /// The account becomes one of the user's: signing in with it would make another user of the tenant.
    Link,
    /// Token Vault is filled by a flow of its own; signing in leaves it as it is.
    ConnectedAccounts,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Link => "link",
            Self::ConnectedAccounts => "connected_accounts",
        }
    }
}

/// What applications ask Auth0 for as a rule. One that wants a refresh token of Auth0's adds `offline_access`.
const SCOPE: &str = "openid profile email";

impl Connect {
    /// That of every provider, by its name.
    #[must_use]
    pub fn of_each(config: &Config) -> HashMap<String, Self> {
        let of = |provider: &Provider| Self {
            connection: provider.connection.clone(),
            is_in_vault: provider.source == Source::TokenVault,
            scopes: provider.sign_in.scopes.clone(),
            login: config.connect.as_ref().and_then(|application| login(config, provider, application)),
            session: config.connect.as_ref().and_then(|application| session(config, application)),
            redirect_uri: config.connect.as_ref().map(|application| application.redirect_uri.clone()),
            issuer: config.auth0.issuers.first().cloned().unwrap_or_default(),
            management: format!("https://{}/api/v2/", config.auth0.domain),
        };
        config.providers.iter().map(|(name, provider)| (name.clone(), of(provider))).collect()
    }

    /// The URL at which a user signs in with an account that is theirs already, so that its token has the scopes `needed`.
    /// The application adds what only it can know: `state`, `nonce` and its PKCE challenge.
    #[must_use]
    pub fn login_url(&self, needed: &[String]) -> Option<String> {
        let login = self.login.as_ref().filter(|_| !self.is_in_vault)?;
        let scope = self.scope(needed);
        if scope.is_empty() {
            return Some(login.clone());
        }
        let mut url = login.clone();
        push(&mut url, "connection_scope", &scope);
        Some(url)
    }

    /// What a user has to do who has no account there.
    #[must_use]
    pub fn first(&self) -> Value {
        if self.is_in_vault {
            return self.in_vault();
        }
        let mut member = self.member(Kind::Link, self.login_url(&[]));
        // The application sends it when the user has signed in at the URL in a second session of its own: with what proves
        // that both accounts are theirs.
        let link = json!({
            "method": "POST",
            "url": format!("{}users/{{sub}}/identities", self.management),
            "audience": self.management,
            "scope": "update:current_user_identities",
            "body": { "link_with": "{id_token of the second sign-in}" },
        });
        member.insert("link".into(), link);
        Value::Object(member)
    }

    /// What a user has to do whose account there has no token that can be used.
    #[must_use]
    pub fn anew(&self) -> Value {
        if self.is_in_vault { self.in_vault() } else { Value::Object(self.member(Kind::Login, self.login_url(&[]))) }
    }

    /// What a user has to do whose own token lacks a scope of this proxy's.
    #[must_use]
    pub fn with_scope(&self, scope: &str) -> Value {
        let mut member = Map::new();
        member.insert("kind".into(), Kind::Login.name().into());
        member.insert("scope".into(), scope.into());
        if let Some(mut url) = self.session.clone() {
            push(&mut url, "scope", &format!("{SCOPE} {scope}"));
            member.insert("url".into(), url.into());
        }
        Value::Object(member)
    }

    /// Auth0's My Account API, which takes the user's own token for it.
    fn in_vault(&self) -> Value {
        let mut member = self.member(Kind::ConnectedAccounts, None);
        let mut body = Map::new();
        body.insert("connection".into(), self.connection.as_str().into());
        if let Some(redirect_uri) = &self.redirect_uri {
            body.insert("redirect_uri".into(), redirect_uri.as_str().into());
        }
        if !self.scopes.is_empty() {
            body.insert("scopes".into(), self.scopes.clone().into());
        }
        let accounts = format!("{}me/v1/connected-accounts", self.issuer);
        let connected_accounts = json!({
            "method": "POST",
            "url": format!("{accounts}/connect"),
            "complete_url": format!("{accounts}/complete"),
            "audience": format!("{}me/", self.issuer),
            "scope": "create:me:connected_accounts",
            "body": body,
        });
        member.insert("connected_accounts".into(), connected_accounts);
        Value::Object(member)
    }

    fn member(&self, kind: Kind, url: Option<String>) -> Map<String, Value> {
        let scope = Some(self.scope(&[])).filter(|scope| !scope.is_empty());
        let mut member = Map::new();
        member.insert("connection".into(), self.connection.as_str().into());
        member.insert("kind".into(), kind.name().into());
        for (name, text) in [("url", url), ("connection_scope", scope)] {
            if let Some(text) = text {
                member.insert(name.into(), text.into());
            }
        }
        member
    }

    /// As Auth0 has it: a comma between two.
    fn scope(&self, needed: &[String]) -> String {
        let further = needed.iter().filter(|scope| !self.scopes.contains(scope));
        self.scopes.iter().chain(further).map(String::as_str).collect::<Vec<_>>().join(",")
    }
}

/// At the first of the tenant's issuers: with a custom domain that is where sessions and callers' tokens are from.
fn session(config: &Config, application: &Application) -> Option<String> {
    let mut url = format!("{}authorize?response_type=code", config.auth0.issuers.first()?);
    push(&mut url, "client_id", &application.client_id);
    push(&mut url, "redirect_uri", &application.redirect_uri);
    push(&mut url, "audience", &config.auth0.audience);
    Some(url)
}

fn login(config: &Config, provider: &Provider, application: &Application) -> Option<String> {
    let mut url = session(config, application)?;
    push(&mut url, "scope", SCOPE);
    push(&mut url, "connection", &provider.connection);
    for (name, value) in &provider.sign_in.params {
        push(&mut url, name, value);
    }
    Some(url)
}

/// RFC 3986 §2.3: what means the same everywhere, encoded or not.
const UNRESERVED: Kept = Kept::ALPHANUMERIC.and(b"-._~");

fn push(url: &mut String, name: &str, value: &str) {
    url.push('&');
    url.push_str(&percent::encode(name.as_bytes(), UNRESERVED));
    url.push('=');
    url.push_str(&percent::encode(value.as_bytes(), UNRESERVED));
}

//! The tenant's users as the Management API shows them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::vault::Vaulted;
use crate::clock::Timestamp;
use crate::command::dev::provider::Issued;

/// A user of the tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// The full id, `sub` in tokens: `github|583231`.
    pub user_id: String,
    /// The display name.
    pub name: String,
    /// The short name.
    pub nickname: String,
    /// The address.
    pub email: String,
    /// Absent unless an administrator has ever set it.
    pub blocked: Option<bool>,
    /// When the user last logged in.
    pub last_login: Option<Timestamp>,
    /// How often the user logged in.
    pub logins_count: u64,
    /// The linked accounts, the primary one first.
    pub identities: Vec<Identity>,
    /// What Token Vault holds of the user. The Management API does not show it.
    pub vault: Vec<Vaulted>,
}

/// One account at an identity provider.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// The strategy, `github`.
    pub provider: String,
    /// The connection's name.
    pub connection: String,
    /// The account's id there, a number or a text.
    pub user_id: IdentityId,
    /// Whether the connection is a social one.
    pub is_social: bool,
    /// The provider's access token. May be present and empty.
    pub access_token: Option<String>,
    /// Marks a token of OAuth 1.0a.
    pub access_token_secret: Option<String>,
    /// The provider's refresh token.
    pub refresh_token: Option<String>,
    /// Seconds of life of the access token, counted from an issue that is not told.
    pub expires_in: Option<u64>,
    /// The account's profile; shown on linked (secondary) identities only.
    pub profile_data: Option<Value>,
}

/// An account's id at its provider: the Management API shows both forms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum IdentityId {
    /// A JSON string.
    Text(String),
    /// A JSON integer.
    Number(u64),
}

impl IdentityId {
    fn value(&self) -> Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Number(number) => json!(number),
        }
    }
}

impl std::fmt::Display for IdentityId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => formatter.write_str(text),
            Self::Number(number) => write!(formatter, "{number}"),
        }
    }
}

impl From<&str> for IdentityId {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u64> for IdentityId {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl User {
    /// A user named after what follows the `|` of `sub`, without identities.
    #[must_use]
    pub fn new(sub: &str) -> Self {
        let name = sub.rsplit('|').next().unwrap_or(sub);
        Self {
            user_id: sub.to_owned(),
            name: name.to_owned(),
            nickname: name.to_owned(),
            email: format!("{name}@example.com"),
            blocked: None,
            last_login: None,
            logins_count: 0,
            identities: Vec::new(),
            vault: Vec::new(),
        }
    }

    /// The same user called `name`.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self.nickname = name.to_lowercase();
        self.email = format!("{}@example.com", self.nickname);
        self
    }

    /// The same user with one more identity.
    #[must_use]
    pub fn with(mut self, identity: Identity) -> Self {
        self.identities.push(identity);
        self
    }

    /// The same user with an account connected for Token Vault.
    #[must_use]
    pub fn connected(mut self, vaulted: Vaulted) -> Self {
        self.vault.push(vaulted);
        self
    }

    /// The first identity at `connection`.
    #[must_use]
    pub fn identity(&self, connection: &str) -> Option<&Identity> {
        self.identities.iter().find(|identity| identity.connection == connection)
    }

    /// The first identity at `connection`, to be changed.
    pub fn identity_mut(&mut self, connection: &str) -> Option<&mut Identity> {
        self.identities.iter_mut().find(|identity| identity.connection == connection)
    }

    /// The record as the Management API sends it.
    pub(super) fn to_json(&self, with_tokens: bool) -> Map<String, Value> {
        let identities = self.identities.iter().enumerate();
        let identities = identities.map(|(place, identity)| identity.to_json(place > 0, with_tokens));
        let mut members = Map::new();
        members.insert("user_id".to_owned(), json!(self.user_id));
        members.insert("name".to_owned(), json!(self.name));
        members.insert("nickname".to_owned(), json!(self.nickname));
        members.insert("email".to_owned(), json!(self.email));
        members.insert("email_verified".to_owned(), json!(true));
        members.insert("identities".to_owned(), identities.collect());
        members.insert("logins_count".to_owned(), json!(self.logins_count));
        if let Some(blocked) = self.blocked {
            members.insert("blocked".to_owned(), json!(blocked));
        }
        if let Some(last_login) = self.last_login {
            members.insert("last_login".to_owned(), json!(last_login.to_string()));
        }
        members
    }
}

impl Identity {
    /// A social account at a connection named after its strategy, without tokens.
    #[must_use]
    pub fn new(connection: &str, user_id: impl Into<IdentityId>) -> Self {
        Self {
            provider: connection.to_owned(),
            connection: connection.to_owned(),
            user_id: user_id.into(),
            is_social: true,
            access_token: None,
            access_token_secret: None,
            refresh_token: None,
            expires_in: None,
            profile_data: None,
        }
    }

    /// The same account with an access token.
    #[must_use]
    pub fn access_token(mut self, token: &str) -> Self {
        self.access_token = Some(token.to_owned());
        self
    }

    /// The same account with a refresh token.
    #[must_use]
    pub fn refresh_token(mut self, token: &str) -> Self {
        self.refresh_token = Some(token.to_owned());
        self
    }

    /// The same account with a life of its access token.
    #[must_use]
    pub fn expires_in(mut self, seconds: u64) -> Self {
        self.expires_in = Some(seconds);
        self
    }

    /// Takes what a provider issued in place of what was there. What it left out is gone: whether Auth0 keeps an older
    /// refresh token is not known, and a proxy has to live with the worse answer.
    pub(super) fn put(&mut self, issued: Option<Issued>) {
        let (access_token, refresh_token, expires_in) = match issued {
            Some(issued) => (Some(issued.access_token), issued.refresh_token, issued.expires_in),
            None => (None, None, None),
        };
        (self.access_token, self.refresh_token, self.expires_in) = (access_token, refresh_token, expires_in);
    }

    fn to_json(&self, secondary: bool, with_tokens: bool) -> Value {
        let mut members = Map::new();
        members.insert("provider".to_owned(), json!(self.provider));
        members.insert("connection".to_owned(), json!(self.connection));
        members.insert("user_id".to_owned(), self.user_id.value());
        members.insert("isSocial".to_owned(), json!(self.is_social));
        let mut optional = |name: &str, value: Option<Value>| {
            members.extend(value.map(|value| (name.to_owned(), value)));
        };
        if with_tokens {
            optional("access_token", self.access_token.as_ref().map(|token| json!(token)));
            optional("access_token_secret", self.access_token_secret.as_ref().map(|token| json!(token)));
            optional("refresh_token", self.refresh_token.as_ref().map(|token| json!(token)));
            optional("expires_in", self.expires_in.map(|seconds| json!(seconds)));
        }
        optional("profileData", self.profile_data.clone().filter(|_| secondary));
        Value::Object(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_shown_on_secondary_identities_only() {
        let with_profile = |connection| {
            let mut identity = Identity::new(connection, "1").access_token("");
            identity.profile_data = Some(json!({ "name": "A" }));
            identity
        };
        let shown =
            User::new("github|1").with(with_profile("github")).with(with_profile("google-oauth2")).to_json(true);
        assert_eq!(shown["identities"][0].get("profileData"), None);
        assert_eq!(shown["identities"][1]["profileData"]["name"], "A");
        assert_eq!(shown["identities"][0]["access_token"], "", "an empty token is shown as it is");
        assert_eq!(shown.get("blocked"), None, "a user nobody ever blocked has no such field");
    }
}

//! The tenant's connections: where their tokens come from, and where they go.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::vault::Vaulted;
use super::{Identity, Shared, Tenant, User, lock};
use crate::command::dev::encoding::{random_alphanumeric, random_of};
use crate::command::dev::provider::{Asked, Issued, Provider, ProviderSettings};

/// What a connection is for; the dashboard calls it so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// People sign in, and the provider's tokens are put into `identities[]`.
    #[default]
    Authentication,
    /// Accounts are connected, and the provider's tokens are put into Token Vault, never into `identities[]`.
    ConnectedAccounts,
    /// Both, each in its own world: a sign-in does not fill the vault.
    Both,
}

/// What a connection's provider gives at a sign-in, by the account's id there.
type Issue = Arc<dyn Fn(&str, &Asked) -> Issued + Send + Sync>;

/// What it gives for a refresh token; `None` once that is worth nothing.
type Renew = Arc<dyn Fn(&str) -> Option<Issued> + Send + Sync>;

/// How a connection is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionOptions {
    /// The kind of provider; `identities[].provider`.
    pub strategy: String,
    /// The OAuth client at the provider. Empty: Auth0's developer keys are used.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// The scopes that every sign-in asks for.
    pub scope: Vec<String>,
    /// Whether every sign-in asks for a refresh token.
    pub offline_access: bool,
}

impl ConnectionOptions {
    /// With Auth0's developer keys.
    #[must_use]
    pub fn new(strategy: &str) -> Self {
        Self {
            strategy: strategy.to_owned(),
            client_id: String::new(),
            client_secret: String::new(),
            scope: Vec::new(),
            offline_access: false,
        }
    }

    /// With a client of its own at `provider`.
    #[must_use]
    pub fn at(strategy: &str, provider: &ProviderSettings) -> Self {
        Self {
            client_id: provider.client_id.clone(),
            client_secret: provider.client_secret.clone(),
            // No other kind of connection has the switch.
            offline_access: strategy == "google-oauth2" && provider.behaviour.renews_without_asking(),
            ..Self::new(strategy)
        }
    }
}

/// One connection.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) purpose: Purpose,
    pub(super) renew: Option<Renew>,
    id: String,
    options: ConnectionOptions,
    issue: Option<Issue>,
}

impl Connection {
    /// One named after its strategy.
    fn new(name: &str) -> Self {
        Self {
            purpose: Purpose::default(),
            renew: None,
            id: format!("con_{}", random_alphanumeric(16)),
            options: ConnectionOptions::new(name),
            issue: None,
        }
    }

    /// The record as the Management API sends it.
    pub(super) fn to_json(&self, name: &str) -> Map<String, Value> {
        let ConnectionOptions { strategy, client_id, client_secret, scope, offline_access } = &self.options;
        let mut options = json!({ "client_id": client_id, "client_secret": client_secret, "scope": scope });
        if let (true, Some(members)) = (*offline_access, options.as_object_mut()) {
            members.insert("offline_access".to_owned(), json!(true));
        }
        let members = [
            ("id", json!(self.id)),
            ("name", json!(name)),
            ("strategy", json!(strategy)),
            ("options", options),
            ("realms", json!([name])),
            ("is_domain_connection", json!(false)),
            ("authentication", json!({ "active": self.has_sign_in() })),
            ("connected_accounts", json!({ "active": self.has_vault() })),
        ];
        members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Whether Token Vault serves it.
    pub(super) fn has_vault(&self) -> bool {
        matches!(self.purpose, Purpose::ConnectedAccounts | Purpose::Both)
    }

    /// Whether people sign in through it.
    pub(super) fn has_sign_in(&self) -> bool {
        matches!(self.purpose, Purpose::Authentication | Purpose::Both)
    }
}

impl Shared {
    /// The user signs in, through `connection` if through any: new tokens, if a provider is registered there, and a new
    /// `last_login`. False when there is no such user or identity.
    pub(super) fn sign_in(&self, sub: &str, connection: Option<&str>, asked: &Asked) -> bool {
        let signed_in = lock(&self.users).get_mut(sub).and_then(|user| {
            if let Some(name) = connection {
                let Connection { purpose, issue, .. } = self.connection(name);
                let identity = user.identity_mut(name)?;
                match (issue, purpose) {
                    (_, Purpose::ConnectedAccounts) => identity.put(None),
                    (Some(issue), Purpose::Authentication | Purpose::Both) => {
                        let issued = issue(&identity.user_id.to_string(), asked);
                        identity.put(Some(issued));
                    }
                    (None, Purpose::Authentication | Purpose::Both) => {}
                }
            }
            user.last_login = Some(self.clock.now());
            user.logins_count += 1;
            Some(())
        });
        self.keep();
        signed_in.is_some()
    }

    /// The user that a first sign-in with a new account at `connection` makes.
    pub(super) fn user_of_new_account(&self, connection: &str) -> User {
        let account = random_of(12, b"123456789");
        let strategy = self.connection(connection).options.strategy;
        let mut identity = Identity::new(connection, account.as_str());
        identity.provider.clone_from(&strategy);
        let prefix = if strategy == connection { strategy } else { format!("{strategy}|{connection}") };
        User::new(&format!("{prefix}|{account}")).with(identity)
    }

    fn connection(&self, name: &str) -> Connection {
        lock(&self.connections).get(name).cloned().unwrap_or_else(|| Connection::new(name))
    }
}

impl Tenant {
    /// From now on a sign-in at `connection` obtains its tokens from `issue`, which is given the account's id there.
    pub fn register(&self, connection: &str, issue: impl Fn(&str) -> Issued + Send + Sync + 'static) {
        let issue = move |account: &str, _: &Asked| issue(account);
        self.with_connection(connection, |connection| connection.issue = Some(Arc::new(issue)));
    }

    /// Sets a connection up, or another way.
    pub fn set_connection(&self, connection: &str, options: ConnectionOptions) {
        self.with_connection(connection, |connection| connection.options = options);
    }

    /// From now on `provider` is behind `connection`, for sign-ins and for the vault.
    pub fn put_behind(&self, connection: &str, provider: &Provider) {
        self.set_connection(connection, ConnectionOptions::at(connection, provider.settings()));
        let sign_in = provider.sign_ins();
        self.with_connection(connection, |connection| connection.issue = Some(Arc::new(sign_in)));
        self.renew_by(connection, provider.renewer());
    }

    /// From now on the vault renews tokens of `connection` by `renew`, which is given the refresh token.
    pub fn renew_by(&self, connection: &str, renew: impl Fn(&str) -> Option<Issued> + Send + Sync + 'static) {
        self.with_connection(connection, |connection| connection.renew = Some(Arc::new(renew)));
    }

    /// Changes what `connection` is for. Where nobody signs in any more, `identities[]` loses its tokens.
    pub fn set_purpose(&self, connection: &str, purpose: Purpose) {
        self.with_connection(connection, |connection| connection.purpose = purpose);
        if purpose == Purpose::ConnectedAccounts {
            for user in lock(&self.shared.users).values_mut() {
                let identities = user.identities.iter_mut().filter(|identity| identity.connection == connection);
                identities.for_each(|identity| identity.put(None));
            }
            self.shared.keep();
        }
    }

    /// The user signs in through `connection`: new tokens, if a provider is registered there, and a new `last_login`.
    /// False when there is no such user or identity.
    pub fn sign_in(&self, sub: &str, connection: &str) -> bool {
        self.shared.sign_in(sub, Some(connection), &Asked::default())
    }

    /// The user connects an account at `connection` for Token Vault (the Connected Accounts flow): the vault holds its
    /// tokens from now on, in place of those it held of that account. False when there is no such user, no provider
    /// registered, or the connection is not for it.
    pub fn connect(&self, sub: &str, connection: &str, account: &str) -> bool {
        let held = self.shared.connection(connection);
        let Some(issue) = held.issue.as_ref().filter(|_| held.has_vault()) else {
            return false;
        };
        let now = self.shared.clock.now();
        let connected = self.with_user(sub, |user| {
            user.vault.retain(|vaulted| !vaulted.is_of(connection, Some(account)));
            // The flow always asks for what outlives the visit.
            let asked = Asked { offline: true, consent: true, ..Asked::default() };
            user.vault.push(Vaulted::issued(connection, account, issue(account, &asked), now));
        });
        connected.is_some()
    }

    fn with_connection(&self, name: &str, change: impl FnOnce(&mut Connection)) {
        change(lock(&self.shared.connections).entry(name.to_owned()).or_insert_with(|| Connection::new(name)));
    }
}

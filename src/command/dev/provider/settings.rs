//! What can be set at a demo provider.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::dialect::Dialect;
use super::ledger::{Behaviour, RefreshToken};
use crate::command::dev::http::ANY_PORT;

/// What a demo provider is.
#[derive(Clone, Debug)]
pub struct ProviderSettings {
    /// Where it listens; port 0 picks one.
    pub listen: SocketAddr,
    /// The file in which what it has issued is kept; in memory alone if there is none.
    pub kept_in: Option<PathBuf>,
    /// Its name, as in `/proxy/NAME/…`.
    pub name: String,
    /// In whose words it answers and whose tokens it imitates.
    pub dialect: Dialect,
    /// What becomes of its tokens.
    pub behaviour: Behaviour,
    /// The OAuth client that may renew.
    pub client_id: String,
    /// Its secret, made up and meant to be printed.
    pub client_secret: String,
    /// Login names by account id; an account that is not listed is called by its id.
    pub logins: BTreeMap<String, String>,
}

impl ProviderSettings {
    /// A provider on loopback.
    #[must_use]
    pub fn new(name: &str, dialect: Dialect, behaviour: Behaviour) -> Self {
        Self {
            listen: ANY_PORT,
            kept_in: None,
            name: name.to_owned(),
            dialect,
            behaviour,
            client_id: format!("demo-{name}-client"),
            client_secret: format!("demo-{name}-secret"),
            logins: BTreeMap::new(),
        }
    }

    /// GitHub, whose tokens live for ever.
    #[must_use]
    pub fn github() -> Self {
        Self::new("github", Dialect::GitHub, Behaviour::ForEver)
    }

    /// Google, whose access tokens expire and whose refresh tokens are kept.
    #[must_use]
    pub fn google(life: Duration) -> Self {
        Self::new("google", Dialect::Google, Behaviour::Expires { life, refresh_token: RefreshToken::Always })
    }

    /// A Bitbucket that rotates its refresh tokens (the real one keeps them).
    #[must_use]
    pub fn bitbucket(life: Duration) -> Self {
        Self::new("bitbucket", Dialect::Bitbucket, Behaviour::Rotates { life })
    }

    /// The same provider with a login name for one account.
    #[must_use]
    pub fn login(mut self, account: &str, login: &str) -> Self {
        self.logins.insert(account.to_owned(), login.to_owned());
        self
    }
}

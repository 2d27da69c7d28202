//! The tenant, three providers and two people, ready to be used.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::provider::{Provider, ProviderSettings};
use super::tenant::{Identity, Purpose, Tenant, TenantSettings, User};
use crate::clock::Clock;

/// Alice's `sub`. Her primary identity is the one at GitHub, whose ids are numbers.
pub const ALICE: &str = "github|583231";

/// Bob's `sub`. His primary identity is the one at Google, whose ids are texts.
pub const BOB: &str = "google-oauth2|113219482739827349822";

/// The connection that is for Token Vault as well, where one is.
const GOOGLE: &str = "google-oauth2";

/// How long Google's and Bitbucket's access tokens live.
const LIFE: Duration = Duration::from_secs(3600);

/// What a world is made of.
#[derive(Clone, Debug)]
pub struct WorldSettings {
    /// The tenant.
    pub tenant: TenantSettings,
    /// The provider whose tokens live for ever.
    pub github: ProviderSettings,
    /// The provider whose access tokens expire and whose refresh tokens are kept.
    pub google: ProviderSettings,
    /// The provider that rotates refresh tokens.
    pub bitbucket: ProviderSettings,
    /// Whether Google's connection is for Token Vault as well, and bob's account there is in it: the tenant's record of
    /// him has no token of Google's.
    pub vault: bool,
    /// Whose pages may use its proxies. The first has the application that people sign in to.
    pub origins: Vec<String>,
}

impl Default for WorldSettings {
    fn default() -> Self {
        let github = ProviderSettings::github();
        let google = ProviderSettings::google(LIFE);
        let bitbucket = ProviderSettings::bitbucket(LIFE);
        Self {
            tenant: TenantSettings::default(),
            github: github.login("583231", "alice").login("583232", "bob"),
            google: google.login("109876543210987654321", "alice").login("113219482739827349822", "bob"),
            bitbucket: bitbucket.login("{8e5bd1a5-6d4a-4b1f-9a3e-0c9d2b7f1e60}", "alice"),
            vault: false,
            origins: Vec::new(),
        }
    }
}

impl WorldSettings {
    /// The parties' addresses and the files of their state, to be changed: the tenant's first.
    pub(super) fn parties(&mut self) -> [(&'static str, &mut SocketAddr, &mut Option<PathBuf>); 4] {
        let Self { tenant, github, google, bitbucket, vault: _, origins: _ } = self;
        [
            ("tenant", &mut tenant.listen, &mut tenant.kept_in),
            ("github", &mut github.listen, &mut github.kept_in),
            ("google", &mut google.listen, &mut google.kept_in),
            ("bitbucket", &mut bitbucket.listen, &mut bitbucket.kept_in),
        ]
    }
}

/// A tenant, three providers registered at it, and two users signed in: alice (github, google-oauth2, bitbucket) and bob
/// (google-oauth2, github).
pub struct World {
    /// The time in it.
    pub clock: Clock,
    /// The tenant.
    pub tenant: Tenant,
    /// Tokens live for ever. Connection `github`.
    pub github: Provider,
    /// Tokens expire, refresh tokens are kept. Connection `google-oauth2`.
    pub google: Provider,
    /// Refresh tokens rotate. Connection `bitbucket`.
    pub bitbucket: Provider,
    pub(super) origins: Vec<String>,
}

impl World {
    /// Starts everything. Whoever is kept in a file comes back as they were; nobody signs in anew.
    ///
    /// # Errors
    ///
    /// When an address cannot be listened on, or what was kept cannot be read.
    pub async fn start(clock: Clock, settings: WorldSettings) -> io::Result<Self> {
        let world = Self {
            tenant: Tenant::start(clock.clone(), settings.tenant).await?,
            github: Provider::start(clock.clone(), settings.github).await?,
            google: Provider::start(clock.clone(), settings.google).await?,
            bitbucket: Provider::start(clock.clone(), settings.bitbucket).await?,
            origins: settings.origins,
            clock,
        };
        for (provider, connection) in world.providers() {
            world.tenant.put_behind(connection, provider);
        }
        if settings.vault {
            world.tenant.set_purpose(GOOGLE, Purpose::Both);
        }
        if world.tenant.subjects().is_empty() {
            world.populate(settings.vault);
        }
        Ok(world)
    }

    fn populate(&self, vault: bool) {
        let alice = User::new(ALICE).named("Alice").with(Identity::new("github", 583_231));
        let alice = alice.with(Identity::new(GOOGLE, "109876543210987654321"));
        let alice = alice.with(Identity::new("bitbucket", "{8e5bd1a5-6d4a-4b1f-9a3e-0c9d2b7f1e60}"));
        let bob = User::new(BOB).named("Bob").with(Identity::new(GOOGLE, "113219482739827349822"));
        let bob = bob.with(Identity::new("github", 583_232));
        for user in [alice, bob] {
            let sub = user.user_id.clone();
            let accounts: Vec<_> = user
                .identities
                .iter()
                .map(|identity| (identity.connection.clone(), identity.user_id.clone()))
                .collect();
            self.tenant.add_user(user);
            for (connection, account) in accounts {
                if vault && sub == BOB && connection == GOOGLE {
                    self.tenant.connect(&sub, &connection, &account.to_string());
                } else {
                    self.tenant.sign_in(&sub, &connection);
                }
            }
        }
    }

    /// The providers, each with the connection it is behind.
    #[must_use]
    pub const fn providers(&self) -> [(&Provider, &'static str); 3] {
        [(&self.github, "github"), (&self.google, GOOGLE), (&self.bitbucket, "bitbucket")]
    }

    /// Where everybody listens, by the names in their settings.
    pub(super) fn parties(&self) -> [(&'static str, SocketAddr); 4] {
        [
            ("tenant", self.tenant.address()),
            ("github", self.github.address()),
            ("google", self.google.address()),
            ("bitbucket", self.bitbucket.address()),
        ]
    }

    /// Alice's access token.
    #[must_use]
    pub fn alice(&self) -> String {
        self.tenant.token_for(ALICE)
    }

    /// Bob's access token.
    #[must_use]
    pub fn bob(&self) -> String {
        self.tenant.token_for(BOB)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everybody_is_signed_in_with_tokens_that_the_providers_take() {
        let world = World::start(Clock::system(), WorldSettings::default()).await.unwrap();
        let (alice, bob) = (world.tenant.user(ALICE).unwrap(), world.tenant.user(BOB).unwrap());
        let token = |user: &User, connection| user.identity(connection).unwrap().access_token.clone().unwrap();
        for (provider, connection) in world.providers() {
            assert!(provider.is_live(&token(&alice, connection)));
        }
        assert!(world.github.is_live(&token(&bob, "github")));
        assert_eq!(bob.identity("bitbucket"), None);
        assert!(alice.last_login.is_some());
    }

    #[tokio::test]
    async fn bobs_google_account_can_be_in_the_vault_where_nobody_sees_its_token() {
        let settings = WorldSettings { vault: true, ..WorldSettings::default() };
        let world = World::start(Clock::system(), settings).await.unwrap();
        let (alice, bob) = (world.tenant.user(ALICE).unwrap(), world.tenant.user(BOB).unwrap());
        assert!(alice.identity(GOOGLE).unwrap().access_token.is_some() && alice.vault.is_empty());
        assert_eq!(bob.identity(GOOGLE).unwrap().access_token, None);
        assert!(world.google.is_live(&bob.vault.first().unwrap().access_token));
    }
}

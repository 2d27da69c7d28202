//! The tenant, three providers and two people, ready to be used.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use super::provider::{Behaviour, Provider, ProviderSettings};
use super::tenant::{Identity, Tenant, TenantSettings, User};
use crate::clock::Clock;

/// Alice's `sub`. Her primary identity is the one at GitHub, whose ids are numbers.
pub const ALICE: &str = "github|583231";

/// Bob's `sub`. His primary identity is the one at Google, whose ids are texts.
pub const BOB: &str = "google-oauth2|113219482739827349822";

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
        }
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
}

impl World {
    /// Starts everything.
    ///
    /// # Errors
    ///
    /// When an address cannot be listened on.
    pub async fn start(clock: Clock, settings: WorldSettings) -> io::Result<Self> {
        let world = Self {
            tenant: Tenant::start(clock.clone(), settings.tenant).await?,
            github: Provider::start(clock.clone(), settings.github).await?,
            google: Provider::start(clock.clone(), settings.google).await?,
            bitbucket: Provider::start(clock.clone(), settings.bitbucket).await?,
            clock,
        };
        for (provider, connection) in world.providers() {
            world.tenant.register(connection, provider.issuer());
        }
        let alice = User::new(ALICE).named("Alice").with(Identity::new("github", 583_231));
        let alice = alice.with(Identity::new("google-oauth2", "109876543210987654321"));
        let alice = alice.with(Identity::new("bitbucket", "{8e5bd1a5-6d4a-4b1f-9a3e-0c9d2b7f1e60}"));
        let bob = User::new(BOB).named("Bob").with(Identity::new("google-oauth2", "113219482739827349822"));
        let bob = bob.with(Identity::new("github", 583_232));
        for user in [alice, bob] {
            let sub = user.user_id.clone();
            let connections: Vec<_> = user.identities.iter().map(|identity| identity.connection.clone()).collect();
            world.tenant.add_user(user);
            for connection in connections {
                world.tenant.sign_in(&sub, &connection);
            }
        }
        Ok(world)
    }

    /// The providers, each with the connection it is behind.
    #[must_use]
    pub const fn providers(&self) -> [(&Provider, &'static str); 3] {
        [(&self.github, "github"), (&self.google, "google-oauth2"), (&self.bitbucket, "bitbucket")]
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

    /// A configuration for a proxy in this world, listening on `listen`, that keeps its grants in `store`.
    #[must_use]
    pub fn proxy_toml(&self, listen: &str, store: &str, key: &str) -> String {
        let settings = self.tenant.settings();
        let mut text = format!(
            "[server]\nlisten = {}\nadmin_listen = \"127.0.0.1:0\"\n\n\
             [store]\nurl = {}\nkeys = [{}]\n\n\
             [auth0]\ndomain = {}\naudience = {}\nclient_id = {}\nclient_secret = {}\nbase_url = {}\n",
            quoted(listen),
            quoted(store),
            quoted(key),
            quoted(&settings.domain),
            quoted(&settings.audience),
            quoted(&settings.client_id),
            quoted(&settings.client_secret),
            quoted(self.tenant.base_url()),
        );
        for (provider, connection) in self.providers() {
            let name = &provider.settings().name;
            let _infallible = write!(
                text,
                "\n[providers.{name}]\nconnection = {}\nbase_url = {}\nhost = {}\nallow = \"all\"\n",
                quoted(connection),
                quoted(provider.base_url()),
                quoted(&format!("{name}.localhost")),
            );
            let settings = provider.settings();
            if settings.behaviour != Behaviour::ForEver {
                let _infallible = write!(
                    text,
                    "token_url = {}\nclient_id = {}\nclient_secret = {}\nrotates = {}\n",
                    quoted(&provider.token_url()),
                    quoted(&settings.client_id),
                    quoted(&settings.client_secret),
                    matches!(settings.behaviour, Behaviour::Rotates { .. }),
                );
            }
        }
        text
    }
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
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
    async fn the_configuration_written_for_a_proxy_is_toml_with_the_addresses_in_it() {
        let world = World::start(Clock::system(), WorldSettings::default()).await.unwrap();
        let table: toml::Table = world.proxy_toml("127.0.0.1:8080", "sqlite:/tmp/a.db", "key").parse().unwrap();
        assert_eq!(table["server"]["listen"].as_str(), Some("127.0.0.1:8080"));
        assert_eq!(table["auth0"]["base_url"].as_str(), Some(world.tenant.base_url()));
        assert_eq!(table["auth0"]["client_secret"].as_str(), Some(world.tenant.settings().client_secret.as_str()));
        assert_eq!(table["store"]["url"].as_str(), Some("sqlite:/tmp/a.db"));
        assert_eq!(table["providers"]["bitbucket"]["rotates"].as_bool(), Some(true));
        assert_eq!(table["providers"]["github"].get("token_url"), None);
        assert_eq!(table["providers"]["google"]["connection"].as_str(), Some("google-oauth2"));
        assert_eq!(table["providers"]["bitbucket"]["base_url"].as_str(), Some(world.bitbucket.base_url()));
        assert_eq!(table["providers"]["github"]["host"].as_str(), Some("github.localhost"));
    }
}

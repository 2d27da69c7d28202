//! What a proxy in a world is configured with.

use std::fmt::Write as _;

use super::World;
use super::provider::{Behaviour, Dialect};

impl World {
    /// A configuration for a proxy in this world, listening on `listen`, that keeps its grants in `store`.
    #[must_use]
    pub fn proxy_toml(&self, listen: &str, store: &str, key: &str) -> String {
        let settings = self.tenant.settings();
        let mut text = format!(
            "[server]\nlisten = {}\nadmin_listen = \"127.0.0.1:0\"\n\n\
             [store]\nurl = {}\nkeys = [{}]\n\n\
             [auth0]\ndomain = {}\naudience = {}\nclient_id = {}\nclient_secret = {}\nbase_url = {}\n\n\
             [login]\nclient_id = {}\n",
            quoted(listen),
            quoted(store),
            quoted(key),
            quoted(&settings.domain),
            quoted(&settings.audience),
            quoted(&settings.client_id),
            quoted(&settings.client_secret),
            quoted(self.tenant.base_url()),
            quoted(&settings.native.client_id),
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
            let _infallible = write!(
                text,
                "client_id = {}\nclient_secret = {}\nrevoke_url = {}\nrevoke_with = {}\n",
                quoted(&settings.client_id),
                quoted(&settings.client_secret),
                quoted(&provider.revoke_url()),
                quoted(if settings.dialect == Dialect::GitHub { "github" } else { "token" }),
            );
            if settings.behaviour != Behaviour::ForEver {
                let _infallible = write!(
                    text,
                    "token_url = {}\nrotates = {}\n",
                    quoted(&provider.token_url()),
                    matches!(settings.behaviour, Behaviour::Rotates { .. }),
                );
            }
        }
        text + &self.pages(&settings.spa.client_id)
    }

    /// Whose pages may use the proxy, and which application its users sign in to.
    fn pages(&self, client_id: &str) -> String {
        let Some(first) = self.origins.first() else { return String::new() };
        let origins: Vec<_> = self.origins.iter().map(|origin| quoted(origin)).collect();
        format!(
            "\n[connect]\nclient_id = {}\nredirect_uri = {}\n\n[cors]\norigins = [{}]\n",
            quoted(client_id),
            quoted(&format!("{first}/")),
            origins.join(", "),
        )
    }
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::command::dev::WorldSettings;

    #[tokio::test]
    async fn the_configuration_written_for_a_proxy_is_toml_with_the_addresses_in_it() {
        let origins = ["http://127.0.0.1:3000", "http://localhost:3000"].map(str::to_owned).to_vec();
        let settings = WorldSettings { origins, ..WorldSettings::default() };
        let world = World::start(Clock::system(), settings).await.unwrap();
        let table: toml::Table = world.proxy_toml("127.0.0.1:8080", "sqlite:/tmp/a.db", "key").parse().unwrap();
        assert_eq!(table["server"]["listen"].as_str(), Some("127.0.0.1:8080"));
        assert_eq!(table["auth0"]["base_url"].as_str(), Some(world.tenant.base_url()));
        assert_eq!(table["auth0"]["client_secret"].as_str(), Some(world.tenant.settings().client_secret.as_str()));
        assert_eq!(table["login"]["client_id"].as_str(), Some(&*world.tenant.settings().native.client_id));
        assert_eq!(table["store"]["url"].as_str(), Some("sqlite:/tmp/a.db"));
        assert_eq!(table["providers"]["bitbucket"]["rotates"].as_bool(), Some(true));
        assert_eq!(table["providers"]["github"].get("token_url"), None);
        assert_eq!(table["providers"]["google"]["connection"].as_str(), Some("google-oauth2"));
        assert_eq!(table["providers"]["bitbucket"]["base_url"].as_str(), Some(world.bitbucket.base_url()));
        assert_eq!(table["providers"]["github"]["host"].as_str(), Some("github.localhost"));
        assert_eq!(table["cors"]["origins"].as_array().map(Vec::len), Some(2));
        assert_eq!(table["connect"]["redirect_uri"].as_str(), Some("http://127.0.0.1:3000/"));
    }
}

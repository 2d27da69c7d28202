//! A proxy in this process, in front of a simulated tenant, with a user who has an account at every provider.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use idp_proxy::clock::Clock;
use idp_proxy::command::dev::tenant::{Identity, Tenant, TenantSettings, User};
use idp_proxy::config::Config;
use idp_proxy::server::{Server, Surroundings};
use idp_proxy::telemetry::metrics::Metrics;

use super::{Answer, Upstream, client};

/// The user that [`Rig::token`] stands for.
pub const ALICE: &str = "github|583231";

/// A proxy and its surroundings. Everything stops when it is dropped.
pub struct Rig {
    pub tenant: Tenant,
    pub clock: Clock,
    pub metrics: Metrics,
    pub server: Server,
    /// The configuration the proxy runs with.
    pub toml: String,
    token: String,
}

/// What a rig is made of.
pub struct Builder {
    settings: TenantSettings,
    providers: Vec<(String, String, String)>,
    tables: BTreeMap<&'static str, String>,
    tenant_is_down: bool,
}

/// A rig without providers yet.
pub fn rig() -> Builder {
    Builder {
        settings: TenantSettings::default(),
        providers: Vec::new(),
        tables: BTreeMap::new(),
        tenant_is_down: false,
    }
}

/// The access token that the tenant holds for alice at `connection`.
pub fn provider_token(connection: &str) -> String {
    format!("tok-alice-at-{connection}-0123456789abcdef")
}

impl Builder {
    /// A provider at a recording upstream: connection of the same name, every method allowed.
    pub fn provider(self, name: &str, upstream: &Upstream) -> Self {
        self.provider_at(name, &upstream.base_url(), "allow = \"all\"")
    }

    /// A provider with `base_url` and further lines of its table. Without a connection there it is on one of its own name.
    pub fn provider_at(mut self, name: &str, base_url: &str, lines: &str) -> Self {
        self.providers.push((name.to_owned(), base_url.to_owned(), lines.to_owned()));
        self
    }

    /// More lines for one of the tables `server`, `auth0`, `cors`, `connect`, `login`, `limits`, `store`, `telemetry`.
    pub fn with(mut self, table: &'static str, lines: &str) -> Self {
        let text = self.tables.entry(table).or_default();
        text.push_str(lines);
        text.push('\n');
        self
    }

    /// Changes the tenant before it starts.
    pub fn tenant(mut self, change: impl FnOnce(&mut TenantSettings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Starts with a tenant that cannot be reached.
    pub fn with_tenant_down(mut self) -> Self {
        self.tenant_is_down = true;
        self
    }

    /// Starts everything and waits until the proxy is ready, unless the tenant is down.
    pub async fn start(self) -> Rig {
        let clock = Clock::system();
        let tenant = Tenant::start(clock.clone(), self.settings).await.unwrap();
        let mut alice = User::new(ALICE).named("Alice");
        for (name, ..) in &self.providers {
            alice = alice.with(Identity::new(name, "1").access_token(&provider_token(name)));
        }
        tenant.add_user(alice);
        if self.tenant_is_down {
            tenant.down().await;
        }
        let toml = toml(&tenant, &self.providers, &self.tables);
        let config = Config::parse(&toml, Path::new("test.toml"), &BTreeMap::new())
            .unwrap_or_else(|faults| panic!("{faults}\n{toml}"));
        let metrics = Metrics::new();
        let surroundings = Surroundings { clock: clock.clone(), metrics: metrics.clone(), ..Surroundings::default() };
        let server = Server::start(config, surroundings).await.unwrap();
        let token = tenant.token_for(ALICE);
        let rig = Rig { tenant, clock, metrics, server, toml, token };
        if !self.tenant_is_down {
            rig.ready().await;
        }
        rig
    }
}

fn toml(tenant: &Tenant, providers: &[(String, String, String)], tables: &BTreeMap<&str, String>) -> String {
    let settings = tenant.settings();
    let more = |table: &str| tables.get(table).cloned().unwrap_or_default();
    let mut text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n{}\n[auth0]\ndomain = \"{}\"\naudience = \"{}\"\n\
         client_id = \"{}\"\nclient_secret = \"{}\"\nbase_url = \"{}\"\n{}\n",
        more("server"),
        settings.domain,
        settings.audience,
        settings.client_id,
        settings.client_secret,
        tenant.base_url(),
        more("auth0"),
    );
    for (name, base_url, lines) in providers {
        text += &format!("[providers.{name}]\nbase_url = \"{base_url}\"\n");
        // There may be more tables behind its own.
        if !lines.split("\n[").next().unwrap_or_default().contains("connection = ") {
            text += &format!("connection = \"{name}\"\n");
        }
        text += &format!("{lines}\n");
        // Who has no preset must have one. Without a client it is never called.
        if !lines.contains("token_url") && !lines.contains("token_vault") {
            text += "token_url = \"https://login.example/token\"\n";
        }
    }
    for table in ["cors", "connect", "login", "limits", "store", "telemetry"] {
        if let Some(lines) = tables.get(table) {
            text += &format!("[{table}]\n{lines}\n");
        }
    }
    text
}

impl Rig {
    /// Alice's Auth0 access token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// `127.0.0.1:PORT` of the proxy.
    pub fn address(&self) -> String {
        self.server.proxy().to_string()
    }

    /// The proxy's answer to `GET path` from alice.
    pub async fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[]).await
    }

    /// The same with further header lines.
    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers, b"").await
    }

    /// The proxy's answer to a request from alice.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let authorization = format!("Bearer {}", self.token);
        let mut all = vec![("authorization", authorization.as_str())];
        all.extend_from_slice(headers);
        client::send(&self.address(), method, path, &all, body).await
    }

    /// The proxy's answer to a request with exactly these headers (and `Host`).
    pub async fn send_as_is(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        client::send(&self.address(), method, path, headers, body).await
    }

    /// The answer of the admin listener.
    pub async fn admin(&self, path: &str) -> Answer {
        client::send(&self.server.admin().to_string(), "GET", path, &[], b"").await
    }

    /// Waits until the proxy holds the tenant's keys.
    pub async fn ready(&self) {
        for _ in 0..500 {
            if self.admin("/readyz").await.status == 200 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the proxy did not become ready");
    }
}

//! The driver: one provider, a proxy that takes its preset by name, and users who have signed in.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use idp_proxy::clock::Clock;
use idp_proxy::command::dev::provider::Issued;
use idp_proxy::command::dev::tenant::{Identity, Tenant, TenantSettings, User};
use idp_proxy::config::{Preset, presets};

use super::facts::Facts;
use super::stand_in::{CLIENT_ID, StandIn};
use crate::support::canary::{CLIENT_SECRET, STORE_KEY, SUBJECT, search, search_file};
use crate::support::child::{Child, PATIENCE};
use crate::support::{Answer, client};

/// A renewal ahead of need begins in the last tenth of what was left when the token was first seen.
const A_MOMENT: Duration = Duration::from_secs(15);

/// A stage for one provider.
pub struct Play {
    pub facts: Facts,
    pub stand_in: StandIn,
    pub connection: &'static str,
    tenant: Tenant,
    clock: Clock,
    child: Child,
    users: AtomicU32,
}

/// Somebody who has signed in.
pub struct Caller {
    pub subject: String,
    /// What the tenant holds.
    pub access_token: String,
    pub refresh_token: Option<String>,
}

/// When a user signed in whose access token…
#[derive(Clone, Copy)]
pub enum SignedIn {
    /// … is new.
    Now,
    /// … has ended.
    LongAgo,
    /// … ends in a moment.
    AlmostTooLongAgo,
}

impl Play {
    pub async fn start(facts: Facts) -> Self {
        let stand_in = StandIn::start(facts).await;
        let preset = presets().find(|preset| preset.name == facts.preset).expect("a preset of this name");
        assert_eq!(preset.connection().as_deref(), facts.connection, "{}", facts.preset);
        let stores = facts.renewal.map(|renewal| renewal.rotates.needs_a_store());
        assert_eq!(preset.rotates(), stores, "{}: who loses a refresh token here, loses the grant", facts.preset);
        let connection = facts.connection.unwrap_or("acme");
        let clock = Clock::system();
        let settings = TenantSettings { client_secret: CLIENT_SECRET.to_owned(), ..TenantSettings::default() };
        let tenant = Tenant::start(clock.clone(), settings).await.unwrap();
        tenant.register(connection, stand_in.issuer());
        let config = proxy_toml(&tenant, &facts, preset, &stand_in);
        let child = Child::serve(&config, &[("IDP_PROXY_LOG", "debug")]).await.ready().await;
        Self { facts, stand_in, connection, tenant, clock, child, users: AtomicU32::new(1) }
    }

    /// A user who has signed in.
    pub fn caller(&self, signed_in: SignedIn) -> Caller {
        let subject = format!("{SUBJECT}-{}", self.users.fetch_add(1, Ordering::Relaxed));
        let Issued { access_token, refresh_token, expires_in } = self.stand_in.issue();
        let mut identity = Identity::new(self.connection, "1").access_token(&access_token);
        identity.refresh_token.clone_from(&refresh_token);
        identity.expires_in = expires_in;
        let life = Duration::from_secs(expires_in.unwrap_or_default());
        let ago = match signed_in {
            SignedIn::Now => Duration::ZERO,
            SignedIn::LongAgo => life + Duration::from_secs(3600),
            SignedIn::AlmostTooLongAgo => life.saturating_sub(A_MOMENT),
        };
        let last_login = Some(self.clock.now().minus(ago));
        self.tenant.add_user(User { last_login, ..User::new(&subject).with(identity) });
        Caller { subject, access_token, refresh_token }
    }

    /// The user goes through the provider's consent once more.
    pub fn sign_in(&self, caller: &Caller) {
        assert!(self.tenant.sign_in(&caller.subject, self.connection));
    }

    /// What the caller gets for the call that reads.
    pub async fn read(&self, caller: &Caller) -> Answer {
        let (method, path) = self.facts.call;
        self.send(caller, method, path, b"").await
    }

    /// What the caller gets for a path below the provider's base.
    pub async fn send(&self, caller: &Caller, method: &str, path: &str, body: &[u8]) -> Answer {
        let path = format!("/proxy/{}{path}", self.facts.preset);
        // Another token each time: two browsers of one user.
        let authorization = format!("Bearer {}", self.tenant.token_for(&caller.subject));
        let answer = client::send(&self.child.proxy, method, &path, &[("authorization", &authorization)], body).await;
        let heads: String = answer.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        search(&heads, &format!("the head of {}'s answer to {method} {path}", self.facts.preset));
        search(&answer.text(), &format!("{}'s answer to {method} {path}", self.facts.preset));
        answer
    }

    /// Calls until `is_so`, for what takes a while to be noticed.
    pub async fn read_until(&self, caller: &Caller, is_so: impl Fn(&Answer) -> bool) {
        let noticed = async {
            while !is_so(&self.read(caller).await) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let noticed = tokio::time::timeout(PATIENCE, noticed).await;
        assert!(noticed.is_ok(), "{}: waited in vain\n{}", self.facts.preset, self.child.log());
    }

    /// `http://…/proxy/NAME`, where callers see the provider's base.
    pub fn base(&self) -> String {
        format!("http://{}/proxy/{}", self.child.proxy, self.facts.preset)
    }

    /// Ends the proxy and searches all that it wrote.
    pub async fn end(mut self) {
        let name = self.facts.preset;
        self.stand_in.was_content();
        search(&self.child.admin("/metrics").await.text(), &format!("{name}'s metrics"));
        assert_eq!(self.child.stop().await, Some(0), "{name}");
        let log = self.child.log();
        assert!(log.contains("\"message\":\"request\""), "{name}: {log}");
        search(&log, &format!("{name}'s log"));
        search(&self.child.out(), &format!("{name}'s output"));
        for file in std::fs::read_dir(&self.child.folder).unwrap() {
            let file = file.unwrap();
            // Where the operator has written the secrets down.
            if file.file_name() != "proxy.toml" {
                let bytes = std::fs::read(file.path()).unwrap();
                search_file(&bytes, &format!("{name}'s {}", file.path().display()));
            }
        }
    }
}

/// The preset by its name, the same paths at another place, and what a customer adds.
fn proxy_toml(tenant: &Tenant, facts: &Facts, preset: Preset, stand_in: &StandIn) -> String {
    let settings = tenant.settings();
    let mut text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\nworkers = 1\n[auth0]\ndomain = \"{}\"\n\
         audience = \"{}\"\nclient_id = \"{}\"\nclient_secret = \"{CLIENT_SECRET}\"\nbase_url = \"{}\"\n",
        settings.domain,
        settings.audience,
        settings.client_id,
        tenant.base_url(),
    );
    if facts.renewal.is_some() {
        text += &format!("[store]\nurl = \"sqlite:grants.db\"\nkeys = [\"{STORE_KEY}\"]\n");
    }
    text += &format!("[providers.{}]\n{}\n", facts.preset, facts.customer.replace("ORIGIN", &stand_in.origin()));
    if facts.connection.is_none() {
        text += "connection = \"acme\"\n";
    }
    if facts.renewal.is_some() {
        text += &format!("client_id = \"{CLIENT_ID}\"\nclient_secret = \"{CLIENT_SECRET}\"\n");
    }
    let keys: toml::Table = preset.text.parse().unwrap();
    for name in ["base_url", "token_url", "refresh_url"] {
        if let Some(url) = keys.get(name).and_then(toml::Value::as_str) {
            // The customer's name is acme, whatever the preset calls it.
            let url =
                ["{tenant}", "{org}", "{shop}"].iter().fold(url.to_owned(), |url, name| url.replace(name, "acme"));
            text += &format!("{name} = \"{}\"\n", stand_in.relocated(&url));
        }
    }
    text
}

//! One sign-in at Microsoft, and a token for each of its APIs: none is sent where another belongs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use idp_proxy::clock::Clock;
use idp_proxy::command::dev::tenant::{Endpoint, Purpose, Tenant, Vaulted};
use idp_proxy::config::Config;
use idp_proxy::server::Server;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::child::{folder, idp_proxy};
use crate::support::durable::{self, KEY};
use crate::support::people::answers;
use crate::support::rig::ALICE;
use crate::support::{Answer, Rig, Upstream, client, refused, rig};

mod entra;

use entra::{Entra, GRAPH, SHAREPOINT};

/// Longer than an access token lives.
const HOUR: Duration = Duration::from_secs(3601);
/// Longer than a refusal is believed.
const SECONDS: Duration = Duration::from_secs(6);
const ME: &str = "/proxy/waad/v1.0/me";
const WEB: &str = "/proxy/sharepoint/_api/web";

/// Graph and SharePoint behind one connection, and alice.
struct Office {
    entra: Entra,
    login: Upstream,
    graph: Upstream,
    sharepoint: Upstream,
    tenant: Tenant,
    clock: Clock,
    server: Server,
    folder: PathBuf,
    toml: String,
}

impl Office {
    async fn start() -> Self {
        let entra = Entra::default();
        let (login, graph, sharepoint) = (entra.login().await, entra.api(GRAPH).await, entra.api(SHAREPOINT).await);
        let folder = folder();
        // The table of the connection's own name has a client, and both have it.
        let tables = format!(
            "client_id = \"app\"\nclient_secret = \"shh\"\nrotates = false\ntoken_url = \"{}/common/oauth2/v2.0/token\"\n\
             [providers.sharepoint]\nconnection = \"waad\"\nbase_url = \"{}\"\naudience = \"{SHAREPOINT}\"\n\
             [store]\nurl = \"sqlite:{}\"\nkeys = [\"{KEY}\"]",
            login.base_url(),
            sharepoint.base_url(),
            folder.join("grants.db").display(),
        );
        let Rig { tenant, clock, server, toml, .. } =
            rig().provider_at("waad", &graph.base_url(), &tables).start().await;
        Self { entra, login, graph, sharepoint, tenant, clock, server, folder, toml }
    }

    /// Alice has signed in, with consent to everything.
    async fn with_alice() -> Self {
        let office = Self::start().await;
        office.entra.consent(SHAREPOINT);
        office.sign_in();
        office
    }

    fn sign_in(&self) {
        let entra = self.entra.clone();
        self.tenant.register("waad", move |_| entra.sign_in());
        assert!(self.tenant.sign_in(ALICE, "waad"));
    }

    async fn restart(mut self) -> Self {
        assert!(self.server.stop().await);
        self.server = durable::serve_by(&self.clock, &self.toml).await;
        self
    }

    /// Every access token has ended.
    fn later(&self) {
        self.clock.advance(HOUR);
        self.entra.kill(GRAPH);
        self.entra.kill(SHAREPOINT);
    }

    fn begin(&self, path: &'static str) -> JoinHandle<Answer> {
        let (address, line) = (self.server.proxy().to_string(), format!("Bearer {}", self.tenant.token_for(ALICE)));
        tokio::spawn(async move { client::send(&address, "GET", path, &[("authorization", &line)], b"").await })
    }

    async fn get(&self, path: &'static str) -> Answer {
        self.begin(path).await.unwrap()
    }

    /// Both APIs, twenty times each and all at once.
    async fn flood(&self) {
        for answer in answers((0..20).flat_map(|_| [self.begin(ME), self.begin(WEB)])).await {
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    }

    fn identity_token(&self) -> String {
        self.tenant.user(ALICE).unwrap().identity("waad").unwrap().access_token.clone().unwrap()
    }

    /// How often a token was asked for, for Graph and for SharePoint.
    fn renewals(&self) -> (usize, usize) {
        (self.entra.spent_for(GRAPH).len(), self.entra.spent_for(SHAREPOINT).len())
    }

    async fn store(&self, arguments: &[&str]) -> String {
        let config = self.folder.join("proxy.toml");
        std::fs::write(&config, &self.toml).unwrap();
        let mut command = idp_proxy(&["store"]);
        command.args(arguments).arg("--config").arg(config);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

#[tokio::test]
async fn each_api_gets_its_own_token_of_one_sign_in_renewed_once_for_all_who_wait() {
    let office = Office::with_alice().await;
    office.flood().await;
    assert_eq!(office.renewals(), (0, 1), "the identity's own token is for Graph");
    assert_eq!(office.graph.last_token(), office.identity_token());
    assert!(!office.sharepoint.tokens().contains(&office.identity_token()));
    for round in 1..=3 {
        office.later();
        office.flood().await;
        assert_eq!(office.renewals(), (round, round + 1));
    }
    // Each spends the refresh token that came last for it.
    assert_eq!(office.entra.spent_for(GRAPH).first(), Some(&"rt-1".to_owned()));
    let spent = office.entra.spent_for(SHAREPOINT);
    assert_eq!(spent.first(), Some(&"rt-1".to_owned()));
    assert_eq!(spent.iter().collect::<std::collections::BTreeSet<_>>().len(), spent.len(), "{spent:?}");
    let refusals = [&office.graph, &office.sharepoint].map(|api| api.requests().len());
    assert_eq!(refusals, [80, 80], "no call was made twice");
    let metrics = client::send(&office.server.admin().to_string(), "GET", "/metrics", &[], b"").await.text();
    for line in ["{provider=\"waad\",class=\"ok\"} 3\n", "{provider=\"sharepoint\",class=\"ok\"} 4\n"] {
        assert!(metrics.contains(&format!("idp_proxy_renewals_total{line}")), "{line} is missing from\n{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audience_that_a_reload_brings_is_served_at_once() {
    let mut office = Office::with_alice().await;
    let both = office.toml.clone();
    let (before, behind) = both.split_once("[providers.sharepoint]").unwrap();
    office.toml = format!("{before}[store]{}", behind.split_once("[store]").unwrap().1);
    let office = office.restart().await;
    assert_eq!(office.get(ME).await.status, 200);
    assert_eq!(office.get(WEB).await.code(), "unknown_provider");
    let config = Config::parse(&both, Path::new("test.toml"), &BTreeMap::new()).unwrap();
    assert_eq!(office.server.reload(config).await.unwrap(), Vec::<&str>::new());
    office.flood().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tokens_of_all_audiences_outlive_a_restart_and_are_listed_and_forgotten() {
    let office = Office::with_alice().await;
    office.flood().await;
    let office = office.restart().await;
    office.flood().await;
    assert_eq!(office.renewals(), (0, 1), "both were kept");
    office.later();
    office.flood().await;
    assert_eq!(office.entra.spent_for(GRAPH), ["rt-1"]);
    assert_eq!(office.entra.spent_for(SHAREPOINT), ["rt-1", "rt-2"], "the one that came last was kept as well");

    let listed: Value = serde_json::from_str(&office.store(&["list", "--json"]).await).unwrap();
    let audiences: Vec<&Value> = listed.as_array().unwrap().iter().map(|entry| &entry["audience"]).collect();
    assert_eq!(audiences, [&json!(null), &json!(SHAREPOINT)]);
    let text = office.store(&["list"]).await;
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("github|583231  waad  waad|1  active"), "{text}");
    assert!(lines[1].starts_with("github|583231  waad  waad|1  https://acme.sharepoint.com  active"), "{text}");
    assert_eq!(office.store(&["forget", "--subject", ALICE]).await, "2 forgotten\n");
    assert_eq!(office.store(&["list"]).await, "");
}

#[tokio::test]
async fn what_dies_for_one_audience_lives_for_the_other_and_a_new_sign_in_revives_it() {
    let office = Office::start().await;
    office.sign_in();
    assert_eq!(office.get(ME).await.status, 200);
    for _ in 0..3 {
        let answer = office.get(WEB).await;
        refused(&answer, 403, "reconnect_required");
        assert!(answer.text().contains("consent"), "{}", answer.text());
    }
    assert_eq!(office.renewals(), (0, 1), "a dead grant is not tried again");
    office.later();
    assert_eq!(office.get(ME).await.status, 200);
    refused(&office.get(WEB).await, 403, "reconnect_required");
    office.sharepoint.saw_nothing();

    office.entra.consent(SHAREPOINT);
    office.sign_in();
    office.clock.advance(SECONDS);
    assert_eq!(office.get(WEB).await.status, 200);
    assert_eq!(office.get(ME).await.status, 200);
    assert_eq!(office.renewals(), (1, 2));
}

#[tokio::test]
async fn after_a_new_sign_in_every_audience_has_a_token_of_it() {
    let office = Office::with_alice().await;
    office.flood().await;
    let before = [office.graph.last_token(), office.sharepoint.last_token()];
    office.sign_in();
    // The user's record is read again by now.
    office.clock.advance(Duration::from_secs(601));
    office.flood().await;
    let after = [office.graph.last_token(), office.sharepoint.last_token()];
    assert_eq!(after[0], office.identity_token());
    assert!(before[0] != after[0] && before[1] != after[1], "{before:?} {after:?}");
    assert_eq!(office.entra.spent_for(SHAREPOINT), ["rt-1", "rt-3"]);
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_and_nobody_notices() {
    let office = Office::with_alice().await;
    office.flood().await;
    office.entra.kill(SHAREPOINT);
    office.flood().await;
    assert_eq!(office.renewals(), (0, 2));
    // Where another one would be refused too, the provider's own answer is relayed.
    office.entra.kill(SHAREPOINT);
    office.entra.withdraw_consent(SHAREPOINT);
    let answer = office.get(WEB).await;
    assert_eq!((answer.status, answer.text().as_str()), (401, ""));
    assert!(answer.header("x-ms-diagnostics").is_some_and(|text| text.contains("Invalid audience Uri")));
    refused(&office.get(WEB).await, 403, "reconnect_required");
    assert_eq!(office.get(ME).await.status, 200);
}

#[tokio::test]
async fn without_a_refresh_token_the_identitys_own_is_not_sent_and_the_vault_not_asked() {
    let office = Office::start().await;
    // Signed in without offline access; and the vault has a token, which is for Graph.
    office.tenant.set_purpose("waad", Purpose::Both);
    office.tenant.with_user(ALICE, |user| user.vault.push(Vaulted::new("waad", "1", "at-vault"))).unwrap();
    let answer = office.get(WEB).await;
    refused(&answer, 403, "reconnect_required");
    assert!(answer.text().contains("offline access"), "{}", answer.text());
    office.login.saw_nothing();
    office.sharepoint.saw_nothing();
    assert_eq!(office.tenant.calls(Endpoint::Vault), 0);
    office.entra.consent(SHAREPOINT);
    office.sign_in();
    office.clock.advance(SECONDS);
    assert_eq!(office.get(WEB).await.status, 200);
}

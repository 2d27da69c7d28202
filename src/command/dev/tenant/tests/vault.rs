//! Token Vault, asked by the proxy's own client of it.

use std::collections::BTreeMap;
use std::path::Path;

use jsonwebtoken::DecodingKey;

use super::*;
use crate::auth0::{Tenant as Client, TenantError, VaultError, VaultToken};
use crate::command::dev::provider::{Behaviour, Dialect, Provider, ProviderSettings, RefreshToken};
use crate::config::Config;
use crate::secret::Secret;
use crate::store::Store;
use crate::telemetry::metrics::Metrics;

mod refusals;

const SUB: &str = "github|583231";
const GOOGLE: &str = "google-oauth2";
const LIFE: Duration = Duration::from_secs(60);

/// A tenant with a provider behind its connection `google-oauth2`, and the proxy's client of it.
struct Vault {
    tenant: Tenant,
    provider: Provider,
    client: Client,
    metrics: Metrics,
    clock: Clock,
}

impl Vault {
    async fn new(settings: ProviderSettings, vault: &str) -> Self {
        let tenant = tenant().await;
        let clock = tenant.shared.clock.clone();
        let provider = Provider::start(clock.clone(), settings).await.unwrap();
        tenant.register(GOOGLE, provider.issuer());
        tenant.renew_by(GOOGLE, provider.renewer());
        tenant.set_purpose(GOOGLE, Purpose::ConnectedAccounts);
        let metrics = Metrics::new();
        let client = client(&tenant, vault, &metrics);
        Self { tenant, provider, client, metrics, clock }
    }

    /// The same with an account connected.
    async fn connected() -> Self {
        let vault = Self::new(ProviderSettings::google(LIFE), "").await;
        assert!(vault.tenant.connect(SUB, GOOGLE, "1111"));
        vault
    }

    async fn ask(&self, token: &str, connection: &str, login_hint: Option<&str>) -> Result<VaultToken, VaultError> {
        let deadline = self.clock.instant() + Duration::from_secs(15);
        self.client.exchange(&Secret::new(token), connection, login_hint, deadline).await
    }

    async fn exchange(&self) -> Result<VaultToken, VaultError> {
        self.ask(&self.tenant.token_for(SUB), GOOGLE, None).await
    }

    fn is_live(&self, token: &VaultToken) -> bool {
        self.provider.is_live(token.access_token.expose())
    }
}

/// The proxy's client, with these lines in `[auth0]`.
fn client(tenant: &Tenant, lines: &str, metrics: &Metrics) -> Client {
    let TenantSettings { domain, audience, client_id, client_secret, .. } = tenant.settings();
    let credential =
        if lines.contains("private_key") { String::new() } else { format!("client_secret = {client_secret:?}") };
    let toml = format!(
        "[auth0]\ndomain = {domain:?}\naudience = {audience:?}\nclient_id = {client_id:?}\n{credential}\nbase_url = {:?}\n{lines}\n\
         [limits]\ntenant_timeout = \"2s\"\n[providers.google]\n",
        tenant.base_url(),
    );
    let config = Config::parse(&toml, Path::new("test.toml"), &BTreeMap::new());
    let config = config.unwrap_or_else(|faults| panic!("{faults}"));
    Client::new(&config, &Store::memory(&tenant.shared.clock, 10), metrics.clone(), &tenant.shared.clock).unwrap()
}

#[tokio::test]
async fn a_connected_account_is_served_with_what_is_left_of_its_tokens_life() {
    let vault = Vault::connected().await;
    let first = vault.exchange().await.unwrap();
    assert!(vault.is_live(&first));
    assert_eq!(first.scope.as_deref(), Some("openid profile"));
    assert!((58..=60).contains(&first.expires_in.unwrap().as_secs()), "{first:?}");
    vault.clock.advance(LIFE / 2);
    let second = vault.exchange().await.unwrap();
    assert_eq!(second.access_token, first.access_token, "it lives");
    assert!((28..=30).contains(&second.expires_in.unwrap().as_secs()), "{second:?}");
    assert_eq!((vault.tenant.calls(Endpoint::Vault), vault.tenant.calls(Endpoint::Token)), (2, 0));
    assert_eq!(vault.tenant.calls(Endpoint::Users), 0);
}

#[tokio::test]
async fn the_tenant_renews_an_expired_token_itself_whether_or_not_the_provider_rotates() {
    for settings in [ProviderSettings::google(LIFE), ProviderSettings::bitbucket(LIFE)] {
        let vault = Vault::new(settings, "").await;
        assert!(vault.tenant.connect(SUB, GOOGLE, "1111"));
        let mut last = vault.exchange().await.unwrap();
        for renewals in 1..=3 {
            vault.clock.advance(LIFE);
            assert!(!vault.is_live(&last));
            let next = vault.exchange().await.unwrap();
            assert!(vault.is_live(&next) && next.access_token != last.access_token);
            assert!((58..=60).contains(&next.expires_in.unwrap().as_secs()), "{next:?}");
            assert_eq!((vault.provider.refreshes(), vault.provider.reuses()), (renewals, 0));
            last = next;
        }
    }
}

#[tokio::test]
async fn nothing_is_there_for_who_never_connected_and_a_sign_in_does_not_fill_the_vault() {
    let vault = Vault::new(ProviderSettings::google(LIFE), "").await;
    vault.tenant.set_purpose(GOOGLE, Purpose::Both);
    assert!(vault.tenant.sign_in(SUB, GOOGLE));
    assert!(vault.tenant.user(SUB).unwrap().identity(GOOGLE).unwrap().access_token.is_some());
    assert!(matches!(vault.exchange().await, Err(VaultError::NotConnected)));
}

#[tokio::test]
async fn a_grant_that_the_provider_has_ended_is_told_apart_until_the_user_connects_again() {
    let vault = Vault::connected().await;
    vault.provider.revoke_account("1111");
    vault.clock.advance(LIFE);
    for _ in 0..2 {
        assert!(matches!(vault.exchange().await, Err(VaultError::RenewalFailed)));
    }
    assert!(vault.tenant.connect(SUB, GOOGLE, "1111"));
    assert!(vault.is_live(&vault.exchange().await.unwrap()));
}

#[tokio::test]
async fn no_token_is_given_that_could_not_be_renewed() {
    let never = Behaviour::Expires { life: LIFE, refresh_token: RefreshToken::Never };
    for settings in [ProviderSettings::new("g", Dialect::Google, never), ProviderSettings::github()] {
        let vault = Vault::new(settings, "").await;
        assert!(vault.tenant.connect(SUB, GOOGLE, "1111"));
        assert!(matches!(vault.exchange().await, Err(VaultError::NotConnected)));
    }
}

#[tokio::test]
async fn a_login_hint_chooses_among_accounts_and_one_that_fits_none_is_told_apart() {
    let vault = Vault::connected().await;
    assert!(vault.tenant.connect(SUB, GOOGLE, "2222"));
    let token = vault.tenant.token_for(SUB);
    let first = vault.ask(&token, GOOGLE, Some("1111")).await.unwrap();
    let second = vault.ask(&token, GOOGLE, Some("2222")).await.unwrap();
    assert_ne!(first.access_token, second.access_token);
    assert_eq!(vault.exchange().await.unwrap().access_token, second.access_token, "the account connected last");
    assert!(matches!(vault.ask(&token, GOOGLE, Some("3333")).await, Err(VaultError::NoSuchAccount)));
}

#[tokio::test]
async fn a_connection_without_the_purpose_is_not_enabled_and_holds_its_tokens_in_identities() {
    let vault = Vault::connected().await;
    let token = vault.tenant.token_for(SUB);
    let google = || vault.tenant.user(SUB).unwrap().identity(GOOGLE).unwrap().clone();
    assert!(vault.tenant.sign_in(SUB, GOOGLE));
    assert_eq!((google().access_token, google().refresh_token, google().expires_in), (None, None, None));
    let (_, shown) = said(vault.tenant.users("github%7C583231")).await;
    assert!(shown["identities"][1].get("access_token").is_none() && shown.get("vault").is_none(), "{shown}");

    vault.tenant.set_purpose(GOOGLE, Purpose::Authentication);
    assert!(matches!(vault.exchange().await, Err(VaultError::NotEnabled)));
    assert!(!vault.tenant.connect(SUB, GOOGLE, "1111"));
    assert!(vault.tenant.sign_in(SUB, GOOGLE));
    assert!(google().access_token.is_some());
    assert!(matches!(vault.ask(&token, "unknown", None).await, Err(VaultError::NotEnabled)));
}

#[tokio::test]
async fn an_exchange_takes_one_of_the_concurrent_calls_and_no_turn_of_the_management_apis_budget() {
    let lines = "tenant_concurrency = 1\nmanagement_rps = 0.001";
    let vault = Vault::new(ProviderSettings::google(LIFE), lines).await;
    assert!(vault.tenant.connect(SUB, GOOGLE, "1111"));
    vault.tenant.delay(Endpoint::Vault, Duration::from_millis(20));
    let (first, second, third) = tokio::join!(vault.exchange(), vault.exchange(), vault.exchange());
    assert!(first.is_ok() && second.is_ok() && third.is_ok());
    assert_eq!((vault.tenant.calls(Endpoint::Vault), vault.tenant.calls_at_once_max(Endpoint::Vault)), (3, 1));
}

#[tokio::test]
async fn a_client_with_a_private_key_signs_anew_for_every_exchange() {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let lines = format!("private_key = '''\n{}'''", key.serialize_pem());
    let vault = Vault::new(ProviderSettings::google(LIFE), &lines).await;
    let public = DecodingKey::from_rsa_pem(key.public_key_pem().as_bytes()).unwrap();
    vault.tenant.change(|settings| settings.client_keys = vec![public]);
    assert!(vault.tenant.connect(SUB, GOOGLE, "1111"));
    assert!(vault.exchange().await.is_ok() && vault.exchange().await.is_ok());
}

#[tokio::test]
async fn who_finds_no_free_call_before_the_deadline_is_told() {
    let vault = Vault::new(ProviderSettings::google(LIFE), "tenant_concurrency = 1").await;
    assert!(vault.tenant.connect(SUB, GOOGLE, "1111"));
    vault.tenant.delay(Endpoint::Vault, Duration::from_millis(500));
    let token = Secret::new(vault.tenant.token_for(SUB));
    let deadline = vault.clock.instant() + Duration::from_millis(100);
    let hasty = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        vault.client.exchange(&token, GOOGLE, None, deadline).await
    };
    let (first, hasty) = tokio::join!(vault.exchange(), hasty);
    assert!(first.is_ok());
    assert!(matches!(hasty, Err(VaultError::Tenant(TenantError::TooSlow))), "{hasty:?}");
    assert_eq!(vault.tenant.calls(Endpoint::Vault), 1);
}

#[tokio::test]
async fn a_refusal_that_ends_in_time_is_waited_out_and_one_that_does_not_spares_the_tenant() {
    let vault = Vault::connected().await;
    let busy = |seconds: u64| {
        let headers = vec![("retry-after", seconds.to_string())];
        Fault::Answer { status: 429, headers, body: "{}".to_owned() }.times(1)
    };
    vault.tenant.fail(Endpoint::Vault, busy(1));
    assert!(vault.exchange().await.is_ok());
    assert_eq!(vault.tenant.calls(Endpoint::Vault), 2);
    vault.tenant.fail(Endpoint::Vault, busy(60));
    for _ in 0..2 {
        let refused = vault.exchange().await;
        let Err(VaultError::Tenant(TenantError::RateLimited { retry_after })) = refused else { panic!("{refused:?}") };
        assert!((58..=60).contains(&retry_after.as_secs()), "{retry_after:?}");
    }
    assert_eq!(vault.tenant.calls(Endpoint::Vault), 3, "the second did not ask");
}

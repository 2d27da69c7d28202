//! `idp-proxy check --online`: everything that can be wrong at the tenant and the providers is found before a caller finds
//! it, with what to do about it.

use std::path::PathBuf;
use std::time::Duration;

use idp_proxy::clock::Clock;
use idp_proxy::command::check;
use idp_proxy::command::dev::fault::Fault;
use idp_proxy::command::dev::provider::Side;
use idp_proxy::command::dev::tenant::{Endpoint, VaultClient};
use idp_proxy::command::dev::{World, WorldSettings};
use serde_json::Value;

use crate::support::child::{folder, idp_proxy};
use crate::support::command::{Ran, masked, run, write};
use crate::support::durable::KEY;

mod connections;

/// A world, and a `proxy.toml` for it in a folder of its own.
struct Site {
    world: World,
    folder: PathBuf,
    toml: String,
}

/// GitHub's tokens live for ever, so its client only revokes them; and Token Vault, which some tests say it is of, has no use
/// for one.
fn without_githubs_client(toml: &str) -> String {
    let (before, rest) = toml.split_once("[providers.github]\n").unwrap();
    let (table, after) = rest.split_once("\n\n").unwrap();
    let is_its_own = |line: &&str| !line.starts_with("client_") && !line.starts_with("revoke_");
    let table: Vec<_> = table.lines().filter(is_its_own).collect();
    format!("{before}[providers.github]\n{}\n\n{after}", table.join("\n"))
}

impl Site {
    async fn new() -> Self {
        let settings = WorldSettings { vault: true, ..WorldSettings::default() };
        let world = World::start(Clock::system(), settings).await.unwrap();
        let toml = without_githubs_client(&world.proxy_toml("127.0.0.1:0", "sqlite:grants.db", KEY));
        Self { world, folder: folder(), toml }
    }

    /// The command, of a file in which `this` is `that`.
    async fn check(&self, (this, that): (&str, &str), more: &[&str]) -> Ran {
        assert!(self.toml.contains(this), "no {this} in {}", self.toml);
        write(&self.folder.join("proxy.toml"), &self.toml.replacen(this, that, 1));
        let mut command = idp_proxy(&["check", "--online"]);
        command.args(more).current_dir(&self.folder);
        let ran = run(command, "").await;
        let printed = ran.out.clone() + &ran.err;
        for secret in ["demo-proxy-client-secret", "demo-google-secret", "demo-bitbucket-secret", KEY, "eyJ"] {
            assert!(!printed.contains(secret), "{printed}");
        }
        ran
    }

    /// What it found of `probe`, and the exit code.
    async fn found(&self, change: (&str, &str), probe: &str) -> (Option<i32>, Vec<Value>) {
        let ran = self.check(change, &["--json"]).await;
        let all = ran.json().as_array().unwrap().clone();
        (ran.code, all.into_iter().filter(|finding| finding["probe"] == probe).collect())
    }

    /// The one thing that it found of `probe`: exit code, outcome, message and key.
    async fn only(&self, change: (&str, &str), probe: &str) -> (Option<i32>, String, String, String) {
        let (code, found) = self.found(change, probe).await;
        let [finding] = found.as_slice() else { panic!("{found:?}") };
        let text = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
        assert!(finding["outcome"] == "ok" || finding["hint"].is_string(), "no hint: {finding}");
        (code, text("outcome"), text("message"), text("key"))
    }

    /// Names for what varies.
    fn masked(&self, text: &str) -> String {
        let [github, google, bitbucket] = self.world.providers().map(|(provider, _)| provider.base_url().to_owned());
        masked(
            text,
            &[
                (self.world.tenant.base_url(), "TENANT"),
                (&github, "GITHUB"),
                (&google, "GOOGLE"),
                (&bitbucket, "BITBUCKET"),
            ],
        )
    }
}

const AS_IT_IS: (&str, &str) = ("[auth0]", "[auth0]");

fn told(code: i32, outcome: &str, message: &str, key: &str) -> (Option<i32>, String, String, String) {
    (Some(code), outcome.to_owned(), message.to_owned(), key.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_issuer_is_what_the_tenant_calls_itself() {
    let site = Site::new().await;
    let other = site.world.tenant.issuer().replace("127.0.0.1", "localhost");
    let issuers = format!("[auth0]\nissuers = [\"{}\", \"{other}\"]", site.world.tenant.issuer());
    let (code, found) = site.found(("[auth0]", &issuers), "issuer").await;
    assert_eq!((code, &found[0]["outcome"], &found[1]["outcome"]), (Some(2), &"ok".into(), &"wrong".into()));
    assert_eq!(found[1]["message"], format!("the tenant calls itself {}", site.world.tenant.issuer()));
    assert_eq!((&found[1]["key"], &found[1]["file"]), (&"auth0.issuers".into(), &"proxy.toml".into()));
    let line = found[1]["line"].as_u64().unwrap() as usize;
    let text = std::fs::read_to_string(site.folder.join("proxy.toml")).unwrap();
    assert!(text.lines().nth(line - 1).unwrap().starts_with("issuers = "), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_cannot_check_a_signature_are_no_keys() {
    let site = Site::new().await;
    let fine = told(0, "ok", "2 of 2 keys are for RS256 or PS256", "");
    assert_eq!(site.only(AS_IT_IS, "key set").await, fine);
    site.world.tenant.fail(Endpoint::Jwks, Fault::Status(200, r#"{"keys":[{"kty":"EC","kid":"a"}]}"#.to_owned()));
    let none = told(2, "wrong", "it has no key for RS256 or PS256", "auth0.issuers");
    assert_eq!(site.only(AS_IT_IS, "key set").await, none);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_wrong_is_told_before_tokens_are_refused_for_it() {
    let site = Site::new().await;
    write(&site.folder.join("proxy.toml"), &site.toml);
    for (ahead, outcome, code) in [(0, "ok", 0), (20, "warning", 0), (90, "wrong", 2)] {
        let (path, clock) = (site.folder.join("proxy.toml"), Clock::system());
        clock.advance(Duration::from_secs(ahead));
        let probed = tokio::task::spawn_blocking(move || {
            let (mut out, nothing) = (Vec::new(), std::collections::BTreeMap::<&str, &str>::new());
            let exit = check::run_online(&path, true, &nothing, clock, (&mut out, false));
            (exit.code(), serde_json::from_slice::<Value>(&out).unwrap())
        });
        let (exit, found) = probed.await.unwrap();
        let found = found.as_array().unwrap().iter().find(|finding| finding["probe"] == "clock").unwrap().clone();
        assert_eq!((found["outcome"].as_str(), exit), (Some(outcome), code), "{found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_has_what_is_needed_and_no_more() {
    let site = Site::new().await;
    let scopes = |scopes: &[&str]| {
        let scopes: Vec<String> = scopes.iter().map(ToString::to_string).collect();
        site.world.tenant.change(|settings| settings.scopes = scopes);
    };
    let key = "auth0.client_id";
    scopes(&["read:users"]);
    let lacks = told(2, "wrong", "the application lacks read:user_idp_tokens", key);
    assert_eq!(site.only(AS_IT_IS, "grant").await, lacks);
    scopes(&["read:users", "read:user_idp_tokens", "read:connections", "update:users"]);
    let (code, found) = site.found(AS_IT_IS, "grant").await;
    assert_eq!((code, &found[0]["outcome"], &found[1]["outcome"]), (Some(0), &"ok".into(), &"warning".into()));
    assert_eq!(found[1]["message"], "the application has scopes that it never uses: update:users");
    scopes(&[]);
    let (code, outcome, message, _) = site.only(AS_IT_IS, "grant").await;
    assert_eq!((code, &*outcome), (Some(2), "wrong"));
    assert!(message.contains("not authorized for the Management API"), "{message}");
    scopes(&["read:users", "read:user_idp_tokens"]);
    let wrong = ("client_secret = \"demo-proxy", "client_secret = \"another");
    let (code, _, message, _) = site.only(wrong, "grant").await;
    assert!(code == Some(2) && message.contains("refuses the application's credentials"), "{message}");
    site.world.tenant.change(|settings| settings.client_credentials = false);
    let (code, _, message, _) = site.only(AS_IT_IS, "grant").await;
    assert!(code == Some(2) && message.contains("may not use client credentials"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn token_vault_is_asked_with_a_token_that_nobody_has() {
    let site = Site::new().await;
    let fine = told(0, "ok", "the application may exchange callers' tokens", "");
    assert_eq!(site.only(AS_IT_IS, "token vault").await, fine);
    site.world.tenant.change(|settings| settings.vault_audience = None);
    let unused = told(0, "ok", "is not set up, and no provider says that it must be", "");
    assert_eq!(site.only(AS_IT_IS, "token vault").await, unused);
    let wanted = ("[providers.github]\n", "[providers.github]\nsource = \"token_vault\"\n");
    let (code, outcome, message, key) = site.only(wanted, "token vault").await;
    assert_eq!((code, &*outcome, &*key), (Some(2), "wrong", "auth0.client_id"));
    assert!(message.contains("Custom API Client"), "{message}");
    let client = VaultClient { client_id: "vault".into(), client_secret: "right".into() };
    site.world.tenant.change(|settings| {
        settings.vault_client = Some(client);
        settings.vault_audience = Some(settings.audience.clone());
    });
    for (secret, code, outcome) in [("right", 0, "ok"), ("mistaken", 2, "wrong")] {
        let lines = format!("[auth0]\nvault = {{ client_id = \"vault\", client_secret = \"{secret}\" }}");
        let (exit, found, message, _) = site.only(("[auth0]", &lines), "token vault").await;
        assert_eq!((exit, &*found), (Some(code), outcome), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_refused_at_a_token_endpoint_is_found_and_nothing_is_spent() {
    let site = Site::new().await;
    let renewed =
        |found: &[Value]| found.iter().map(|one| one["outcome"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let (code, found) = site.found(AS_IT_IS, "renewal").await;
    assert_eq!((code, renewed(&found)), (Some(0), vec!["ok".to_owned(), "ok".to_owned()]));
    let wrong = ("client_secret = \"demo-google-secret\"", "client_secret = \"mistyped\"");
    let (code, found) = site.found(wrong, "renewal").await;
    assert_eq!((code, renewed(&found)), (Some(2), vec!["ok".to_owned(), "wrong".to_owned()]));
    assert_eq!((&found[1]["about"], &found[1]["key"]), (&"google".into(), &"providers.google.client_secret".into()));
    site.world.google.fail(Side::Token, Fault::Status(503, "{}".to_owned()));
    let (code, found) = site.found(AS_IT_IS, "renewal").await;
    assert_eq!((code, renewed(&found)), (Some(5), vec!["ok".to_owned(), "out_of_reach".to_owned()]));
    site.world.google.heal();
    assert_eq!((site.world.bitbucket.reuses(), site.world.bitbucket.refreshes()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gives_no_answer_is_named_and_what_is_wrong_goes_before_it() {
    let site = Site::new().await;
    site.world.github.down().await;
    let (code, found) = site.found(AS_IT_IS, "provider").await;
    let outcomes: Vec<_> =
        found.iter().map(|one| (one["about"].as_str().unwrap(), one["outcome"].as_str().unwrap())).collect();
    assert_eq!((code, outcomes), (Some(5), vec![("bitbucket", "ok"), ("github", "out_of_reach"), ("google", "ok")]));
    let both = site.check(("demo-google-secret", "mistyped"), &["--json"]).await;
    assert_eq!(both.code, Some(2));
    site.world.tenant.down().await;
    let (code, found) = site.found(AS_IT_IS, "issuer").await;
    assert_eq!((code, found[0]["outcome"].as_str()), (Some(5), Some("out_of_reach")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_other_keys_have_sealed_is_found() {
    let site = Site::new().await;
    let missing = told(0, "ok", "is not there yet; `idp-proxy serve` makes it", "");
    assert_eq!(site.only(AS_IT_IS, "store").await, missing);
    let store = format!("sqlite:{}", site.folder.join("grants.db").display());
    let mut child = crate::support::Child::serve(&site.world.proxy_toml("127.0.0.1:0", &store, KEY), &[]).await;
    assert_eq!(
        site.only(AS_IT_IS, "store").await,
        told(0, "ok", "opens with the configured keys", ""),
        "beside a proxy"
    );
    child.stop().await;
    let other = (KEY, "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=");
    let (code, outcome, _, key) = site.only(other, "store").await;
    assert_eq!((code, &*outcome, &*key), (Some(2), "wrong", "store.keys"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_faults_is_told_as_ever_and_nobody_is_asked() {
    let site = Site::new().await;
    let ran = site.check(("domain", "domian"), &["--json"]).await;
    let codes: Vec<_> = ran.json().as_array().unwrap().iter().map(|fault| fault["code"].clone()).collect();
    assert_eq!((ran.code, codes), (Some(2), vec!["missing_key".into(), "unknown_key".into()]));
    assert_eq!(site.world.tenant.calls(Endpoint::Token), 0);
}

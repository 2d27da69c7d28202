//! The same with everything that renews: refresh tokens, what proves the clients, Token Vault, the store and its keys.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Response;
use hyper::body::Bytes;
use idp_proxy::command::dev::tenant::{Purpose, VaultClient, Vaulted};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Executor as _, Row as _};

use super::*;
use crate::support::canary::{REFRESH_TOKEN, STORE_KEY, search_file};
use crate::support::child::{Signal, eventually, idp_proxy};

const VAULT_SECRET: &str = "canary-vault-secret-0123456789";
const VAULT_TOKEN: &str = "canary-vault-token-0123456789";
/// Another key of the store.
const OTHER_KEY: &str = "canarystorekeyBBBBBBBBBBBBBBBBBBBBBBBBBBBBA=";

/// What the token endpoint says.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<(u16, String)>>);

impl Script {
    fn say(&self, status: u16, body: &str) {
        *self.0.lock().unwrap() = (status, body.to_owned());
    }

    async fn start(&self) -> Upstream {
        let script = self.clone();
        let endpoint = Upstream::recording(move |_| {
            let (status, body) = script.0.lock().unwrap().clone();
            let type_name =
                if body.starts_with('{') { "application/json" } else { "application/x-www-form-urlencoded" };
            let answer = Response::builder().status(status).header("content-type", type_name);
            answer.header("location", format!("/{REFRESH_TOKEN}")).body(Bytes::from(body)).unwrap()
        });
        endpoint.await.allow(&["no authorization"])
    }
}

/// A proxy with a store, a provider that rotates, one whose client proves itself otherwise, and one of the vault.
struct Renewals {
    run: Run,
    script: Script,
    config: String,
    refused: Upstream,
    _endpoint: Upstream,
}

impl Renewals {
    async fn start() -> Self {
        // `/401` is what a provider says to a token that it does not take.
        let refused = Upstream::recording(|request| {
            let status = if request.target.ends_with("401") { 401 } else { 200 };
            Response::builder().status(status).body(Bytes::from_static(b"hello")).unwrap()
        });
        let (refused, script) = (refused.await, Script::default());
        let endpoint = script.start().await;
        let (client_id, client_secret) = ("custom".to_owned(), VAULT_SECRET.to_owned());
        let rig = rig().provider("github", &refused).tenant(|settings| {
            settings.client_secret = CLIENT_SECRET.to_owned();
            settings.vault_client = Some(VaultClient { client_id, client_secret });
        });
        let vault = format!("vault = {{ client_id = \"custom\", client_secret = \"{VAULT_SECRET}\" }}");
        let limits = "tenant_timeout = \"400ms\"\ntoken_wait = \"2s\"\nfirst_byte_timeout = \"400ms\"";
        let rig = rig.with("auth0", &vault).with("limits", limits).start().await;
        rig.tenant.set_purpose("vaulted", Purpose::Both);
        let (api, token_url) = (refused.base_url(), format!("{}/token", endpoint.base_url()));
        let provider = |name: &str, lines: &str| {
            format!("[providers.{name}]\nconnection = \"{name}\"\nbase_url = \"{api}\"\nallow = \"all\"\n{lines}\n")
        };
        let client = format!("token_url = \"{token_url}\"\nclient_id = \"rp\"\nrotates = true\n");
        let secrets = format!("client_secret = [\"{CLIENT_SECRET}-new\", \"{CLIENT_SECRET}\"]");
        let basic = format!("client_secret = \"{CLIENT_SECRET}\"\nrefresh_auth = \"basic\"");
        let config = rig.toml.clone()
            + &format!("[store]\nurl = \"sqlite:grants.db\"\nkeys = [\"{STORE_KEY}\"]\n")
            + &provider("rotating", &format!("{client}{secrets}"))
            + &provider("basic", &format!("{client}{basic}"))
            + &provider("vaulted", "source = \"token_vault\"");
        let child = Child::serve(&config, &[("IDP_PROXY_LOG", "trace")]).await.ready().await;
        Self { run: Run { rig, child, subjects: 0 }, script, config, refused, _endpoint: endpoint }
    }

    /// A user whose access tokens have ended, and whose refresh tokens have not.
    fn newcomer(&mut self) -> String {
        self.run.subjects += 1;
        let (tenant, subject) = (&self.run.rig.tenant, format!("{SUBJECT}-renewing-{}", self.run.subjects));
        let ended = |connection: &str| {
            Identity::new(connection, "1").access_token(PROVIDER_TOKEN).refresh_token(REFRESH_TOKEN).expires_in(1)
        };
        let user = User::new(&subject).with(ended("rotating")).with(ended("basic"));
        let user = user.with(Identity::new("vaulted", "1")).connected(Vaulted::new("vaulted", "1", VAULT_TOKEN));
        let last_login = Some(self.run.rig.clock.now().minus(Duration::from_secs(60)));
        tenant.add_user(User { last_login, ..user });
        tenant.token_for(&subject)
    }

    async fn get(&self, token: &str, path: &str) -> u16 {
        self.run.with_token(token, "GET", path, &[]).await.status
    }

    async fn database(&self) -> SqliteConnection {
        SqliteConnection::connect(self.run.child.folder.join("grants.db").to_str().unwrap()).await.unwrap()
    }

    /// Searches what `store` says with this configuration.
    async fn tend(&self, config: &str, arguments: &[&str]) {
        let path = self.run.child.folder.join("tending.toml");
        std::fs::write(&path, config).unwrap();
        let mut command = idp_proxy(&["store"]);
        command.args(arguments).arg("--config").arg(path).env("IDP_PROXY_LOG", "trace");
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        // Whose the records are is what a list is for.
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).replace("canary-subject", "");
        search(&text, &format!("`store {}`", arguments.join(" ")));
    }

    /// Searches the store's files, and everything else for what is in them.
    async fn end(self) {
        let rows = sqlx::query("SELECT sealed FROM grants").fetch_all(&mut self.database().await).await.unwrap();
        assert!(!rows.is_empty(), "nothing was stored");
        let key = STANDARD.decode(STORE_KEY).unwrap();
        for suffix in ["", "-wal"] {
            let written = std::fs::read(self.run.child.folder.join(format!("grants.db{suffix}"))).unwrap();
            search_file(&written, &format!("grants.db{suffix}"));
            assert!(!written.windows(key.len()).any(|piece| piece == key), "the key is in grants.db{suffix}");
        }
        let (log, metrics) = (self.run.child.log(), self.run.child.admin("/metrics").await.text());
        for row in rows {
            // Behind the format: the key's id and the nonce.
            let sealed: Vec<u8> = row.get(0);
            let piece = &sealed[1..13];
            let hex: String = piece.iter().map(|byte| format!("{byte:02x}")).collect();
            let list = format!("{piece:?}");
            for written in [hex.to_uppercase(), STANDARD.encode(piece), list[1..list.len() - 1].to_owned(), hex] {
                assert!(
                    !log.contains(&written) && !metrics.contains(&written),
                    "a sealed record is in the log: {written}"
                );
            }
        }
        self.run.end().await;
    }
}

/// What a token endpoint may say, with all that it was told in it.
fn answers() -> Vec<(u16, String)> {
    let echo =
        format!("{CLIENT_SECRET} {REFRESH_TOKEN} {PROVIDER_TOKEN} {SUBJECT} eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln");
    let error = |code: &str| serde_json::json!({ "error": code, "error_description": echo }).to_string();
    let mut answers = vec![
        (
            200,
            format!(r#"{{"access_token":"{PROVIDER_TOKEN}-1","refresh_token":"{REFRESH_TOKEN}-1","expires_in":3600}}"#),
        ),
        (200, format!("access_token={PROVIDER_TOKEN}-2&refresh_token={REFRESH_TOKEN}-2&expires_in=3600")),
        (200, format!(r#"{{"access_token":"{PROVIDER_TOKEN}\n","refresh_token":"{REFRESH_TOKEN}-3"}}"#)),
        (200, format!(r#"{{"access_token":["{PROVIDER_TOKEN}"],"refresh_token":"{REFRESH_TOKEN}-4"}}"#)),
        (
            200,
            format!(
                r#"{{"access_token":"{PROVIDER_TOKEN}","expires_in":"{REFRESH_TOKEN}","scope":{{"{CLIENT_SECRET}":1}}}}"#
            ),
        ),
        (200, format!(r#"{{"{REFRESH_TOKEN}":"#)),
        (302, echo.clone()),
    ];
    for status in [200, 400, 401, 429, 500, 503] {
        answers.push((status, echo.clone()));
        for code in ["invalid_grant", "invalid_client", "temporarily_unavailable", REFRESH_TOKEN] {
            answers.push((status, error(code)));
        }
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_of_a_renewal_is_written_whatever_the_token_endpoint_says() {
    let mut renewals = Renewals::start().await;
    let answers = answers();
    for (place, (status, body)) in answers.iter().enumerate() {
        renewals.script.say(*status, body);
        let token = renewals.newcomer();
        for provider in ["rotating", "basic"] {
            let status = renewals.get(&token, &format!("/proxy/{provider}/user")).await;
            assert_eq!(status == 200, place < 2 || place == 4, "{place}: {status} for {body}");
        }
        // Refused right after it was renewed.
        renewals.get(&token, "/proxy/rotating/401").await;
    }
    assert!(renewals.refused.tokens().iter().any(|token| token.starts_with(PROVIDER_TOKEN)), "the canary never sang");
    renewals.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_of_the_vault_is_written_whatever_it_says() {
    let mut renewals = Renewals::start().await;
    // Something must be stored.
    renewals.script.say(200, &answers()[0].1);
    let token = renewals.newcomer();
    assert_eq!(renewals.get(&token, "/proxy/rotating/user").await, 200);
    assert_eq!(renewals.get(&token, "/proxy/vaulted/user").await, 200);
    assert_eq!(renewals.refused.last_token(), VAULT_TOKEN);
    renewals.get(&token, "/proxy/vaulted/401").await;
    let echo = format!("{VAULT_TOKEN} {VAULT_SECRET} {REFRESH_TOKEN} {token}");
    let error = |code: &str| serde_json::json!({ "error": code, "error_description": echo }).to_string();
    let bodies = [
        echo.clone(),
        error("federated_connection_refresh_token_flow_failed"),
        error("invalid_request"),
        error(VAULT_TOKEN),
        format!(r#"{{"access_token":["{VAULT_TOKEN}"]}}"#),
        format!(r#"{{"access_token":"{VAULT_TOKEN}\n","expires_in":"{VAULT_SECRET}"}}"#),
    ];
    for body in bodies {
        for status in [200, 400, 401, 403, 429, 500] {
            renewals.run.rig.tenant.fail(Endpoint::Vault, Fault::Status(status, body.clone()));
            let token = renewals.newcomer();
            renewals.get(&token, "/proxy/vaulted/user").await;
        }
    }
    for fault in [Fault::Garbage, Fault::Reset, Fault::Hang, Fault::LoseAnswer] {
        renewals.run.rig.tenant.fail(Endpoint::Vault, fault);
        let token = renewals.newcomer();
        renewals.get(&token, "/proxy/vaulted/user").await;
    }
    renewals.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_written_when_the_store_fails_or_the_configuration_has_faults() {
    let mut renewals = Renewals::start().await;
    renewals.script.say(200, &answers()[0].1);
    let token = renewals.newcomer();
    assert_eq!(renewals.get(&token, "/proxy/rotating/user").await, 200);

    // A table that is gone, a record that is damaged, one that is sealed with another key, and one of a newer version.
    let mut database = renewals.database().await;
    for (breaks, mends) in [
        ("ALTER TABLE grants RENAME TO away", "ALTER TABLE away RENAME TO grants"),
        ("ALTER TABLE leases RENAME TO away", "ALTER TABLE away RENAME TO leases"),
        ("CREATE TRIGGER t BEFORE INSERT ON grants BEGIN SELECT RAISE(ABORT, 'no'); END", "DROP TRIGGER t"),
    ] {
        database.execute(breaks).await.unwrap();
        let token = renewals.newcomer();
        assert_eq!(renewals.get(&token, "/proxy/rotating/user").await, 503);
        database.execute(mends).await.unwrap();
    }
    for sealed in
        ["X'01'", "X'0100000000'", "X'020000'", "substr(sealed, 1, 20) || X'00000000000000000000000000000000'"]
    {
        let token = renewals.newcomer();
        assert_eq!(renewals.get(&token, "/proxy/rotating/user").await, 200);
        let newest = format!("{SUBJECT}-renewing-{}", renewals.run.subjects);
        let damage =
            format!("UPDATE grants SET sealed = {sealed}, generation = generation + 1 WHERE subject = '{newest}'");
        database.execute(sqlx::AssertSqlSafe(damage)).await.unwrap();
        renewals.get(&token, "/proxy/rotating/401").await;
        renewals.get(&token, "/proxy/rotating/user").await;
    }
    let config = renewals.config.clone();
    let turned = config.replace(&format!("[\"{STORE_KEY}\"]"), &format!("[\"{OTHER_KEY}\", \"{STORE_KEY}\"]"));
    for arguments in [&["list"][..], &["list", "--json"]] {
        renewals.tend(&config, arguments).await;
        renewals.tend(&config.replace(STORE_KEY, OTHER_KEY), arguments).await;
    }
    renewals.tend(&turned, &["rekey"]).await;
    database.execute("DELETE FROM grants WHERE length(sealed) < 50").await.unwrap();

    let file = renewals.run.child.folder.join("proxy.toml");
    for text in [
        config.replace("keys =", "kyes ="),
        config.replace(&format!("\"{STORE_KEY}\""), STORE_KEY),
        config.replace(STORE_KEY, &STORE_KEY[..20]),
        config.replace("rotates = true", "rotates = 7"),
        config.replace(&format!("\"{VAULT_SECRET}\""), VAULT_SECRET),
        config.replace("refresh_auth = \"basic\"", "refresh_auth = \"none\""),
        config.replace("client_secret = [", "client_secret = [7, "),
    ] {
        assert_ne!(text, config);
        std::fs::write(&file, text).unwrap();
        let count = renewals.run.child.log().matches("stays in force").count();
        renewals.run.child.signal(Signal::HUP);
        let said = eventually(|| (renewals.run.child.log().matches("stays in force").count() > count).then_some(()));
        said.await.unwrap();
    }
    let log = renewals.run.child.log();
    for expected in ["the store gives no answer", "a stored record was set aside"] {
        assert!(log.contains(expected), "{expected} was never said: {log}");
    }
    renewals.end().await;
}

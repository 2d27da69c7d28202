//! `GET /connections`: a caller sees what a call would find at each provider, and nothing is done to find it out.

use std::path::{Path, PathBuf};
use std::time::Duration;

use idp_proxy::clock::Clock;
use idp_proxy::command::dev::provider::Side;
use idp_proxy::command::dev::tenant::{Endpoint, Identity, Purpose, User, Vaulted};
use idp_proxy::command::dev::{ALICE, World, WorldSettings};
use idp_proxy::server::Server;
use serde_json::{Value, json};

use crate::support::durable::{self, KEY};
use crate::support::{Answer, Rig, Upstream, client, rig};

mod disconnect;

/// Longer than the demo providers' access tokens live.
const HOUR: Duration = Duration::from_secs(3601);
const APPLICATION: &str = "client_id = \"spa\"\nredirect_uri = \"https://app.example.com/cb\"";

/// A world with a proxy in front, whose grants are in a file.
struct Life {
    world: World,
    server: Server,
    toml: String,
}

/// A file for a store that is not there yet.
fn fresh_file(name: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("accounts-{name}-{}.db", std::process::id()));
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", file.display()));
    }
    file
}

impl Life {
    async fn start(name: &str) -> Self {
        let world = World::start(Clock::system(), WorldSettings::default()).await.unwrap();
        let toml = world.proxy_toml("127.0.0.1:0", &format!("sqlite:{}", fresh_file(name).display()), KEY);
        Self::with(world, &toml).await
    }

    async fn with(world: World, toml: &str) -> Self {
        let server = durable::serve(&world, toml).await;
        Self { world, server, toml: toml.to_owned() }
    }

    async fn send(&self, method: &str, path: &str) -> Answer {
        let authorization = format!("Bearer {}", self.world.alice());
        client::send(&self.server.proxy().to_string(), method, path, &[("authorization", &authorization)], b"").await
    }

    /// What alice has at each provider.
    async fn connections(&self) -> Value {
        let answer = self.send("GET", "/connections").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }
}

/// What is said of one provider.
fn of<'all>(connections: &'all Value, provider: &str) -> &'all Value {
    let all = connections["providers"].as_array().unwrap();
    all.iter().find(|entry| entry["name"] == provider).unwrap_or_else(|| panic!("no {provider} in {connections}"))
}

fn states(connections: &Value) -> Vec<(&str, &str)> {
    let all = connections["providers"].as_array().unwrap().iter();
    all.map(|entry| (entry["name"].as_str().unwrap(), entry["state"].as_str().unwrap())).collect()
}

impl Rig {
    async fn connections(&self) -> Value {
        let answer = self.get("/connections").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }
}

#[tokio::test]
async fn a_caller_sees_every_provider_by_one_look_at_the_tenant_and_nothing_is_renewed() {
    let life = Life::start("look").await;
    let connections = life.connections().await;
    assert_eq!(connections["subject"], ALICE);
    let connected = [("bitbucket", "connected"), ("github", "connected"), ("google", "connected")];
    assert_eq!(states(&connections), connected);
    assert_eq!(life.world.tenant.calls(Endpoint::Users), 1);
    let github = of(&connections, "github");
    let url = format!("http://{}/proxy/github", life.server.proxy());
    assert_eq!(github["url"], url);
    assert_eq!(
        (&github["account"], &github["expires_at"], &github["connect"]),
        (&json!("583231"), &Value::Null, &Value::Null)
    );
    assert!(of(&connections, "google")["expires_at"].as_str().is_some_and(|at| at.ends_with('Z')), "{connections}");

    // What has expired is renewed by the call that needs it, and only then.
    life.world.clock.advance(HOUR);
    assert_eq!(states(&life.connections().await), connected);
    assert_eq!((life.world.google.calls(Side::Token), life.world.bitbucket.calls(Side::Token)), (0, 0));
    let before = of(&life.connections().await, "google")["expires_at"].clone();
    assert_eq!(life.send("GET", "/proxy/google/user").await.status, 200);
    let after = life.connections().await;
    assert!(of(&after, "google")["expires_at"].as_str() > before.as_str(), "{after}");
    assert_eq!(life.world.google.calls(Side::Token), 1);
}

#[tokio::test]
async fn no_token_is_told() {
    let life = Life::start("silent").await;
    for path in ["/proxy/google/user", "/proxy/bitbucket/user", "/proxy/github/user"] {
        assert_eq!(life.send("GET", path).await.status, 200);
    }
    let text = life.send("GET", "/connections").await.text();
    for connection in ["github", "google-oauth2", "bitbucket"] {
        let user = life.world.tenant.user(ALICE).unwrap();
        let identity = user.identity(connection).unwrap();
        for token in [&identity.access_token, &identity.refresh_token].into_iter().flatten() {
            assert!(!text.contains(token.as_str()), "{connection}: {text}");
        }
    }
}

#[tokio::test]
async fn a_grant_that_the_provider_has_ended_is_to_be_connected_anew_and_a_sign_in_is_seen_at_once() {
    let life = Life::start("ended").await;
    assert_eq!(life.send("GET", "/proxy/google/user").await.status, 200);
    let account = of(&life.connections().await, "google")["account"].as_str().unwrap().to_owned();
    life.world.google.revoke_account(&account);
    life.world.clock.advance(HOUR);
    assert_eq!(life.send("GET", "/proxy/google/user").await.code(), "reconnect_required");
    let connections = life.connections().await;
    let google = of(&connections, "google");
    assert_eq!(google["state"], "reconnect_required");
    let detail = life.send("GET", "/proxy/google/user").await.json()["detail"].clone();
    assert_eq!(google["detail"], detail, "a call says the same");
    assert_eq!(google["connect"]["connection"], "google-oauth2");

    assert!(life.world.tenant.sign_in(ALICE, "google-oauth2"));
    life.world.clock.advance(Duration::from_secs(6));
    assert_eq!(of(&life.connections().await, "google")["state"], "connected");
    assert_eq!(life.send("GET", "/proxy/google/user").await.status, 200);
}

#[tokio::test]
async fn each_state_says_what_has_to_be_done() {
    let upstream = Upstream::replying("hello").await;
    let rig = rig().provider("chosen", &upstream).provider("here", &upstream).provider("none", &upstream);
    let rig = rig.provider("old", &upstream).with("connect", APPLICATION).start().await;
    let token = "tok-alice-0123456789abcdef";
    let at = |connection: &str, id: &str| Identity::new(connection, id).access_token(token);
    let user = User::new(ALICE).with(at("chosen", "1")).with(at("chosen", "2")).with(at("here", "7"));
    rig.tenant.add_user(user.with(Identity::new("old", "9")));
    let connections = rig.connections().await;
    let expected = [
        ("chosen", "ambiguous_account"),
        ("here", "connected"),
        ("none", "not_connected"),
        ("old", "reconnect_required"),
    ];
    assert_eq!(states(&connections), expected);
    assert_eq!(of(&connections, "chosen")["choices"], json!(["1", "2"]));
    assert_eq!(of(&connections, "here")["account"], "7");
    assert_eq!(of(&connections, "none")["connect"]["kind"], "link");
    let old = of(&connections, "old");
    assert_eq!(old["connect"]["kind"], "login");
    assert!(old["connect"]["url"].as_str().unwrap().contains("&connection=old&"), "{old}");
    for name in ["chosen", "none", "old"] {
        let call = rig.get(&format!("/proxy/{name}/x")).await.json();
        assert_eq!(of(&connections, name)["state"], call["code"], "a call says the same");
        assert_eq!(of(&connections, name)["detail"], call["detail"]);
        assert_eq!(of(&connections, name)["connect"], call.get("connect").cloned().unwrap_or(Value::Null));
    }
    upstream.saw_nothing();
}

#[tokio::test]
async fn what_the_tenant_cannot_be_asked_is_unknown() {
    let github = Upstream::replying("hello").await;
    let rig = rig().provider("github", &github).with("limits", "token_wait = \"1s\"").start().await;
    rig.tenant.down().await;
    let connections = rig.connections().await;
    assert_eq!(states(&connections), [("github", "unknown")]);
    assert!(of(&connections, "github")["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
}

#[tokio::test]
async fn token_vault_is_asked_where_only_it_can_tell_and_a_call_uses_what_it_gave() {
    let upstream = Upstream::replying("hello").await;
    let lines = "source = \"token_vault\"\nallow = \"all\"";
    let rig = rig().provider_at("intranet", &upstream.base_url(), lines);
    let rig = rig.provider_at("wiki", &upstream.base_url(), lines).start().await;
    for connection in ["intranet", "wiki"] {
        rig.tenant.set_purpose(connection, Purpose::Both);
    }
    let user = User::new(ALICE).with(Identity::new("intranet", "1")).with(Identity::new("wiki", "1"));
    rig.tenant.add_user(user.connected(Vaulted::new("intranet", "1", "tok-vaulted-0123456789")));
    let connections = rig.connections().await;
    assert_eq!(states(&connections), [("intranet", "connected"), ("wiki", "reconnect_required")]);
    assert_eq!(of(&connections, "wiki")["connect"]["kind"], "connected_accounts");
    let exchanges = rig.tenant.calls(Endpoint::Vault);
    assert_eq!(rig.get("/proxy/intranet/x").await.text(), "hello");
    assert_eq!(rig.tenant.calls(Endpoint::Vault), exchanges);
}

#[tokio::test]
async fn who_may_not_call_may_not_look() {
    let github = Upstream::replying("hello").await;
    let rig = rig().provider("github", &github).with("cors", "origins = [\"https://app.example.com\"]").start().await;
    let bearer = |token: &str| format!("Bearer {token}");
    let expired = bearer(&rig.tenant.token(ALICE).expires_in(-3600).sign());
    let machine = bearer(&rig.tenant.machine_token());
    for (headers, code) in [
        (vec![], "missing_token"),
        (vec![("authorization", expired.as_str())], "expired_token"),
        (vec![("authorization", machine.as_str())], "no_user"),
        (vec![("origin", "https://evil.example")], "origin_not_allowed"),
    ] {
        let answer = rig.send_as_is("GET", "/connections", &headers, b"").await;
        assert_eq!(answer.code(), code);
        assert_eq!(answer.header("www-authenticate").is_some(), answer.status == 401, "{code}");
    }
    let path = format!("/connections?access_token={}", rig.token());
    assert_eq!(rig.send_as_is("GET", &path, &[], b"").await.code(), "missing_token");

    let answer = rig.get_with("/connections", &[("origin", "https://app.example.com")]).await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example.com"));
    assert_eq!(
        (answer.all("cache-control"), answer.all("content-type")),
        ("no-store".into(), "application/json".into())
    );
    let head = rig.send("HEAD", "/connections", &[], b"").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    for (method, path) in
        [("POST", "/connections"), ("PUT", "/connections"), ("GET", "/connections/"), ("GET", "/connections/github")]
    {
        assert_eq!(rig.send(method, path, &[], b"").await.code(), "not_found", "{method} {path}");
    }

    rig.tenant.with_user(ALICE, |user| user.blocked = Some(true));
    rig.clock.advance(Duration::from_secs(601));
    assert_eq!(rig.get("/connections").await.code(), "user_blocked");
}

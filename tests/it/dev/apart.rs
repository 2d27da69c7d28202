//! `dev --tenant-only`: a world that outlives its process, for proxies in processes of their own.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::Child;
use crate::support::child::{Signal, folder, idp_proxy};

/// The folder of a world, gone at the end.
struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.0.parent().unwrap());
    }
}

impl Place {
    fn new() -> Self {
        Self(folder().join("a world"))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap()
    }

    fn toml(&self) -> toml::Table {
        self.text("proxy.toml").parse().unwrap()
    }

    /// Starts the world that lives here.
    fn start(&self, more: &[&str]) -> Child {
        let mut command = idp_proxy(&["dev", "--json", "--tenant-only"]);
        command.arg(&self.0).args(more);
        Child::spawn(command)
    }

    /// The same, running, its proxies on a free port; and what it says of itself.
    async fn running(&self, more: &[&str]) -> (Child, Value) {
        let listen: &[&str] = if more.contains(&"--listen") { &[] } else { &["--listen", "127.0.0.1:0"] };
        let child = self.start(&[listen, more].concat());
        let world = serde_json::from_str(&child.printed("{").await).unwrap();
        (child, world)
    }

    /// A proxy beside it.
    async fn serve(&self) -> Child {
        let mut command = idp_proxy(&["serve", "--config"]);
        command.arg(self.file("proxy.toml"));
        Child::spawn(command).listening().await.ready().await
    }

    /// What the tenant holds of alice at `connection`, read as the proxy would.
    async fn identity(&self, connection: &str) -> Value {
        let auth0 = &self.toml()["auth0"];
        let member = |name: &str| auth0[name].as_str().unwrap().to_owned();
        let (base, client) = (member("base_url"), reqwest::Client::new());
        let credentials = json!({
            "grant_type": "client_credentials", "client_id": member("client_id"),
            "client_secret": member("client_secret"), "audience": format!("https://{}/api/v2/", member("domain")),
        });
        let granted = client.post(format!("{base}/oauth/token")).json(&credentials).send().await.unwrap();
        let granted: Value = granted.json().await.unwrap();
        let user = client.get(format!("{base}/api/v2/users/github%7C583231"));
        let user = user.bearer_auth(granted["access_token"].as_str().unwrap()).send().await.unwrap();
        let user: Value = user.json().await.unwrap();
        let identities = user["identities"].as_array().unwrap();
        identities.iter().find(|identity| identity["connection"] == connection).unwrap().clone()
    }

    /// Bitbucket's answer to a refresh token, if there is one.
    async fn refresh(&self, refresh_token: &str) -> Option<(u16, Value)> {
        let bitbucket = &self.toml()["providers"]["bitbucket"];
        let member = |name: &str| bitbucket[name].as_str().unwrap();
        let form = format!(
            "grant_type=refresh_token&client_id={}&client_secret={}&refresh_token={refresh_token}",
            member("client_id"),
            member("client_secret"),
        );
        let request = reqwest::Client::new().post(member("token_url")).body(form);
        let answer = request.header("content-type", "application/x-www-form-urlencoded").send().await.ok()?;
        Some((answer.status().as_u16(), answer.json().await.unwrap()))
    }
}

async fn killed(mut child: Child) {
    child.signal(Signal::KILL);
    assert_eq!(child.exit().await.code(), None);
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[tokio::test]
async fn its_json_is_that_of_dev_without_a_proxy() {
    let place = Place::new();
    let (mut child, world) = place.running(&[]).await;
    for absent in ["proxy", "admin"] {
        assert!(world.as_object().unwrap().contains_key(absent) && world[absent].is_null(), "{world}");
    }
    assert_eq!(world["tenant"].as_str(), place.toml()["auth0"]["base_url"].as_str());
    assert_eq!((&world["users"][0]["name"], &world["providers"][2]["name"]), (&json!("alice"), &json!("bitbucket")));
    let port: u16 = text(&world["tenant"]).rsplit(':').next().unwrap().parse().unwrap();
    assert!((27_000..32_000).contains(&port), "{port} may be given to somebody else while the world is down");
    assert_eq!(child.stop().await, Some(0));
}

#[tokio::test]
async fn its_files_are_this_users_alone() {
    let place = Place::new();
    let (_child, _) = place.running(&[]).await;
    let mode = |name: &str| std::fs::metadata(place.file(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(""), mode("state")), (0o700, 0o700));
    let state = ["state/tenant.json", "state/github.json", "state/google.json", "state/bitbucket.json"];
    for name in ["proxy.toml", "alice", "bob", "state/addresses.json"].iter().chain(&state) {
        assert_eq!(mode(name), 0o600, "{name}");
    }
    let line = place.text("alice");
    let token = line.trim_end().strip_prefix("Authorization: Bearer ").unwrap();
    assert_eq!(token.split('.').count(), 3, "{line}");
}

#[tokio::test]
async fn killed_and_started_again_it_goes_on_where_it_was() {
    let place = Place::new();
    let (child, before) = place.running(&[]).await;
    let proxy = place.serve().await;
    let alice = text(&before["users"][0]["token"]).to_owned();
    let held = place.identity("bitbucket").await;
    let spent = text(&held["refresh_token"]).to_owned();
    let (status, renewed) = place.refresh(&spent).await.unwrap();
    assert_eq!((status, &renewed["expires_in"]), (200, &json!(20)));
    killed(child).await;

    let (child, after) = place.running(&[]).await;
    assert_eq!(after["tenant"], before["tenant"]);
    assert_eq!(place.identity("bitbucket").await, held, "nobody has signed in anew");
    let answer = proxy.get(&alice, "/proxy/google/user").await;
    assert_eq!(answer.status, 200, "keys and tokens of before are good: {}", answer.text());
    let (status, again) = place.refresh(text(&renewed["refresh_token"])).await.unwrap();
    assert_eq!(status, 200, "what was not spent is good");
    killed(child).await;

    let (_child, _) = place.running(&[]).await;
    assert_eq!(place.refresh(&spent).await.unwrap().1["error"], "invalid_grant", "what was spent stays spent");
    assert_eq!(place.refresh(text(&again["refresh_token"])).await.unwrap().0, 400, "and ends the family");
}

#[tokio::test]
async fn a_fault_is_one_of_this_run() {
    let place = Place::new();
    let (child, _) = place.running(&["--fault", "lost-answer=bitbucket"]).await;
    let spent = text(&place.identity("bitbucket").await["refresh_token"]).to_owned();
    assert_eq!(place.refresh(&spent).await, None);
    killed(child).await;
    let (_child, _) = place.running(&[]).await;
    assert_eq!(
        place.refresh(&spent).await.unwrap().1["error"],
        "invalid_grant",
        "the provider has renewed all the same"
    );
}

#[tokio::test]
async fn its_configuration_is_written_once_and_without_faults() {
    let place = Place::new();
    let (child, _) = place.running(&["--listen", "127.0.0.1:8089"]).await;
    let toml = place.toml();
    assert_eq!(toml["server"]["listen"].as_str(), Some("127.0.0.1:8089"));
    assert_eq!(toml["store"]["url"].as_str(), Some("sqlite:idp-proxy.db"));
    for provider in ["google", "bitbucket"] {
        assert!(toml["providers"][provider]["client_secret"].is_str(), "{provider} cannot be renewed");
    }
    let check = idp_proxy(&["check", "--config"]).arg(place.file("proxy.toml")).output().unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
    let edited = place.text("proxy.toml").replace("8089", "8090");
    std::fs::write(place.file("proxy.toml"), &edited).unwrap();
    killed(child).await;
    let (_child, _) = place.running(&[]).await;
    assert_eq!(place.text("proxy.toml"), edited);
}

#[tokio::test]
async fn with_tls_a_proxy_beside_it_shows_what_the_newest_start_vouches_for() {
    let place = Place::new();
    let (child, world) = place.running(&["--tls"]).await;
    assert_eq!(world["ca"].as_str(), place.file("ca.pem").canonicalize().unwrap().to_str());
    let token = text(&world["users"][0]["token"]).to_owned();
    let proxy = place.serve().await;
    let call = async |authority: &str| {
        let root = reqwest::Certificate::from_pem(authority.as_bytes()).unwrap();
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([root]).build().unwrap();
        let sent = client.get(format!("https://{}/proxy/github/user", proxy.proxy)).bearer_auth(&token).send().await;
        sent.map(|answer| answer.status().as_u16())
    };
    let first = place.text("ca.pem");
    assert_eq!(call(&first).await.unwrap(), 200);
    killed(child).await;

    // Without being told: proxy.toml says it.
    let (child, world) = place.running(&[]).await;
    assert!(world["ca"].is_string(), "{world}");
    proxy.logged("configuration reloaded").await;
    assert_eq!(call(&place.text("ca.pem")).await.unwrap(), 200);
    assert!(call(&first).await.is_err(), "yesterday's authority vouches for today's certificate");
    killed(child).await;

    let without = place.text("proxy.toml").replace("[server.tls]", "[other]");
    std::fs::write(place.file("proxy.toml"), without).unwrap();
    let mut refused = place.start(&["--tls"]);
    assert_eq!(refused.exit().await.code(), Some(2));
    assert!(refused.log().contains("proxy.toml: has no TLS"), "{}", refused.log());
}

#[tokio::test]
async fn what_a_first_start_left_unfinished_is_begun_anew() {
    let place = Place::new();
    let (child, _) = place.running(&[]).await;
    killed(child).await;
    std::fs::remove_file(place.file("state/addresses.json")).unwrap();
    std::fs::write(place.file("state/bitbucket.json"), "{").unwrap();
    let (_child, _) = place.running(&[]).await;
    let refresh_token = place.identity("bitbucket").await["refresh_token"].clone();
    assert_eq!(place.refresh(text(&refresh_token)).await.unwrap().0, 200);
}

#[tokio::test]
async fn damaged_state_and_a_world_that_runs_already_end_it_with_1_and_a_reason() {
    let place = Place::new();
    let (running, world) = place.running(&[]).await;
    let mut second = place.start(&[]);
    assert_eq!(second.exit().await.code(), Some(1));
    let address = text(&world["tenant"]).trim_start_matches("http://");
    assert!(second.log().contains(address), "{}", second.log());
    killed(running).await;

    std::fs::write(place.file("state/google.json"), "{").unwrap();
    let mut third = place.start(&[]);
    assert_eq!(third.exit().await.code(), Some(1));
    assert!(third.log().contains("google.json"), "{}", third.log());
    assert_eq!(third.out(), "");
}

#[tokio::test]
async fn the_lines_for_people_name_every_address_and_the_file() {
    let place = Place::new();
    let mut command = idp_proxy(&["dev", "--listen", "127.0.0.1:8091", "--tenant-only"]);
    command.arg(&place.0);
    let child = Child::spawn(command);
    let line = child.printed("listening tenant=http://127.0.0.1:").await;
    for name in ["github", "google", "bitbucket"] {
        let base = place.toml()["providers"][name]["base_url"].as_str().unwrap().to_owned();
        assert!(line.contains(&format!(" {name}={base}")), "{line}");
    }
    child.printed("Ctrl-C").await;
    let path = |name: &str| place.file(name).canonicalize().unwrap().display().to_string();
    let lines = [
        format!("idp-proxy serve --config '{}'", path("proxy.toml")),
        format!("curl -H '@{}' http://127.0.0.1:8091/proxy/google/user", path("alice")),
        format!("curl -H '@{}' http://127.0.0.1:8091/proxy/bitbucket/user", path("bob")),
    ];
    for line in lines {
        assert!(child.out().contains(&line), "no {line} in {}", child.out());
    }
}

#[tokio::test]
async fn it_goes_without_once_and_on_loopback_alone() {
    let place = Place::new();
    for more in [["--once"].as_slice(), &["--listen", "0.0.0.0:0"]] {
        let mut child = place.start(more);
        assert_eq!(child.exit().await.code(), Some(2), "{more:?}: {}", child.log());
        assert!(!Path::exists(&place.0), "{more:?}");
    }
}

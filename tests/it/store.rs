//! The store, as whoever runs the proxy meets it: its configuration, its commands, its bad days.

use std::path::{Path, PathBuf};
use std::process::Output;

use idp_proxy::clock::Clock;
use idp_proxy::command::dev::{ALICE, World, WorldSettings};

use crate::support::child::{self, Child, idp_proxy};
use crate::support::durable::KEY;

const OTHER_KEY: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

fn write(folder: &Path, toml: &str) -> PathBuf {
    let path = folder.join("proxy.toml");
    std::fs::write(&path, toml).unwrap();
    path
}

async fn store(config: &Path, arguments: &[&str]) -> Output {
    let mut command = idp_proxy(&["store"]);
    command.args(arguments).arg("--config").arg(config);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn out(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_are_listed_forgotten_and_sealed_anew_beside_a_proxy_that_serves() {
    let world = World::start(Clock::system(), WorldSettings::default()).await.unwrap();
    let folder = child::folder();
    let toml = |keys: &str| {
        let store = format!("sqlite:{}", folder.join("grants.db").display());
        world.proxy_toml("127.0.0.1:0", &store, KEY).replace(&format!("[\"{KEY}\"]"), keys)
    };
    let config = write(&folder, &toml(&format!("[\"{KEY}\"]")));
    let child = Child::serve(&std::fs::read_to_string(&config).unwrap(), &[]).await.ready().await;
    for provider in ["google", "bitbucket"] {
        assert_eq!(child.get(&world.alice(), &format!("/proxy/{provider}/user")).await.status, 200);
    }
    let token = world.tenant.user(ALICE).unwrap().identity("bitbucket").unwrap().access_token.clone().unwrap();

    let text = out(&store(&config, &["list"]).await);
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.contains(ALICE) && text.contains("bitbucket") && !text.contains(&token), "{text}");
    let json: serde_json::Value = serde_json::from_str(&out(&store(&config, &["list", "--json"]).await)).unwrap();
    assert_eq!(json[0]["connection"], "bitbucket");
    assert_eq!((json[1]["subject"].as_str(), json[1]["state"].as_str()), (Some(ALICE), Some("active")));
    assert!(json[1]["expires"].is_string() && text.contains("active, expires in "), "{text}");

    let fresh = out(&tokio::task::spawn_blocking(|| idp_proxy(&["store", "keygen"]).output().unwrap()).await.unwrap());
    let config = write(&folder, &toml(&format!("[\"{}\", \"{KEY}\"]", fresh.trim())));
    assert_eq!(out(&store(&config, &["rekey"]).await), "2 sealed anew\n");
    assert_eq!(out(&store(&config, &["rekey"]).await), "0 sealed anew\n");
    let config = write(&folder, &toml(&format!("[\"{}\"]", fresh.trim())));
    assert_eq!(out(&store(&config, &["list"]).await).lines().count(), 2);

    assert_eq!(
        out(&store(&config, &["forget", "--subject", ALICE, "--connection", "bitbucket"]).await),
        "1 forgotten\n"
    );
    assert_eq!(out(&store(&config, &["list"]).await).lines().count(), 1);
    for nobody in [&["forget"][..], &["forget", "--subject", ""], &["forget", "--connection", ""]] {
        assert_eq!(store(&config, nobody).await.status.code(), Some(2), "whose, it must be said");
    }
    assert_eq!(out(&store(&config, &["list"]).await).lines().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_does_not_start_and_says_what_to_do() {
    let world = World::start(Clock::system(), WorldSettings::default()).await.unwrap();
    let folder = child::folder();
    let store_url = format!("sqlite:{}", folder.join("grants.db").display());
    let mut child = Child::serve(&world.proxy_toml("127.0.0.1:0", &store_url, KEY), &[]).await;
    child.stop().await;
    let config = write(&folder, &world.proxy_toml("127.0.0.1:0", &store_url, OTHER_KEY));
    for arguments in [&["serve"][..], &["store", "list"]] {
        let mut command = idp_proxy(arguments);
        command.arg("--config").arg(&config);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains("was sealed with other keys than those in `[store] keys`"), "{told}");
    }
    let config = write(&folder, &world.proxy_toml("127.0.0.1:0", &store_url, KEY));
    assert_eq!(out(&store(&config, &["list"]).await), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistyped_path_is_told_and_makes_nothing() {
    let world = World::start(Clock::system(), WorldSettings::default()).await.unwrap();
    let folder = child::folder();
    let config = write(&folder, &world.proxy_toml("127.0.0.1:0", "sqlite:mistyped.db", KEY));
    for arguments in [&["list"][..], &["rekey"], &["forget", "--subject", ALICE]] {
        let output = store(&config, arguments).await;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains("there is no store at") && told.contains("mistyped.db"), "{told}");
    }
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "the configuration alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_of_a_database_is_nowhere_to_be_read() {
    let world = World::start(Clock::system(), WorldSettings::default()).await.unwrap();
    for (address, code) in [
        ("postgres://proxy:canary1@127.0.0.1:1/canary2?application_name=canary3", 1),
        ("postgres://proxy:ca?canary1=canary2@127.0.0.1:1/canary3", 2),
        ("postgres://proxy:canary1@127.0.0.1:1/canary2?passwd=canary3", 2),
    ] {
        let folder = child::folder();
        std::fs::write(folder.join("proxy.toml"), world.proxy_toml("127.0.0.1:0", address, KEY)).unwrap();
        let mut command = idp_proxy(&["serve"]);
        command.env("IDP_PROXY_LOG", "trace").env("RUST_LOG", "trace");
        let mut child = Child::spawn_in(command, folder);
        assert_eq!(child.exit().await.code(), Some(code), "{}", child.log());
        assert!(!child.log().contains("canary") && !child.out().contains("canary"), "{}", child.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_store_there_is_nothing_to_look_after() {
    let folder = child::folder();
    let config =
        write(&folder, &std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("proxy.toml")).unwrap());
    let mut command = idp_proxy(&["store", "list", "--config"]);
    command.arg(&config).envs(["AUTH0_CLIENT_SECRET", "GOOGLE_CLIENT_SECRET"].map(|name| (name, "hunter2")));
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("has no [store] url"));
}

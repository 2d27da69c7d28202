//! The ways to a link: `idp-proxy console` beside `serve`, and `dev`.

use std::net::TcpListener;
use std::process::Output;

use serde_json::{Value, json};

use super::{code_of, cookie_of};
use crate::support::child::{folder, idp_proxy};
use crate::support::{Child, client, rig};

/// A provider that nobody calls.
const NOWHERE: &str = "http://127.0.0.1:9";

fn console(config: &str, more: &[&str]) -> Output {
    let folder = folder();
    std::fs::write(folder.join("proxy.toml"), config).unwrap();
    idp_proxy(&["console"]).args(more).current_dir(folder).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// `toml` with an admin listener at a port that is free.
fn with_port(toml: &str) -> (String, String) {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    (toml.replace("admin_listen = \"127.0.0.1:0\"", &format!("admin_listen = \"{free}\"")), free)
}

#[tokio::test]
async fn the_command_prints_a_link_that_opens_the_process_with_the_same_configuration() {
    let rig = rig().provider_at("github", NOWHERE, "").start().await;
    let (toml, address) = with_port(&rig.toml);
    // One from before the process does not open it: it may have been used.
    let before = text(&console(&toml, &[]).stdout);
    let mut child = Child::serve(&toml, &[]).await.ready().await;
    let printed = console(&toml, &[]);
    assert_eq!((printed.status.code(), text(&printed.stderr).as_str()), (Some(0), ""));
    let link = text(&printed.stdout).trim_end().to_owned();
    assert!(link.starts_with(&format!("http://{address}/admin/?code=")) && !link.contains('\n'), "{link}");

    assert_eq!(child.admin(&code_of(before.trim_end())).await.status, 403);
    let other = toml.replace("client_secret = \"", "client_secret = \"other-");
    assert_ne!(other, toml);
    let foreign = text(&console(&other, &[]).stdout);
    let refused = child.admin(&code_of(foreign.trim_end())).await;
    assert!(refused.status == 403 && refused.text().contains("not a link of this process"), "{}", refused.text());
    assert_eq!(child.admin(&code_of(&link)).await.status, 303);
    assert_eq!(child.admin(&code_of(&link)).await.status, 403);

    let told: Value = serde_json::from_slice(&console(&toml, &["--json"]).stdout).unwrap();
    assert_eq!(told["expires_in"], 600);
    assert_eq!(child.admin(&code_of(told["console"].as_str().unwrap())).await.status, 303);
    assert_eq!(child.stop().await, Some(0));
    // A log is kept, and read by others: no link is in it.
    assert!(!child.log().contains("code=") && !child.out().contains("code="), "{}", child.log());
}

#[tokio::test]
async fn the_command_says_why_there_is_no_link() {
    let rig = rig().provider_at("github", NOWHERE, "").start().await;
    for (config, piece) in [
        (rig.toml.clone(), "only the running process knows which port"),
        (rig.toml.replace("admin_listen = \"127.0.0.1:0\"", "admin_listen = \"10.0.0.1:9090\""), "loopback alone"),
        (rig.toml.replace("client_id", "klient_id"), "klient_id"),
    ] {
        let printed = console(&config, &[]);
        assert_eq!((printed.status.code(), text(&printed.stdout).as_str()), (Some(2), ""));
        assert!(text(&printed.stderr).contains(piece), "{}", text(&printed.stderr));
    }
}

#[tokio::test]
async fn dev_tells_its_link_and_lends_its_users_whose_tokens_stay_with_it() {
    let mut child = Child::spawn(idp_proxy(&["dev", "--json", "--listen", "127.0.0.1:0"]));
    let world: Value = serde_json::from_str(&child.printed("{").await).unwrap();
    let admin = world["admin"].as_str().unwrap().trim_start_matches("http://").to_owned();
    let link = world["console"].as_str().unwrap();
    let entered = client::send(&admin, "GET", &code_of(link), &[], b"").await;
    let cookie = cookie_of(&entered);
    let origin = format!("http://{admin}");
    let headers = [("cookie", cookie.as_str()), ("origin", &origin), ("content-type", "application/json")];

    let state = client::send(&admin, "GET", "/admin/state.json", &headers, b"").await;
    assert_eq!(state.json()["users"], json!(["alice", "bob"]));
    let mut seen = state.text();
    // The tenant's keys are on their way.
    child.admin.clone_from(&admin);
    let child = child.ready().await;
    for (user, path, status) in [("alice", "/proxy/github/user", 200), ("bob", "/proxy/bitbucket/user", 403)] {
        let order = json!({ "user": user, "method": "GET", "path": path, "headers": [], "body": "" }).to_string();
        let told = client::send(&admin, "POST", "/admin/try", &headers, order.as_bytes()).await;
        assert_eq!(told.json()["status"], status, "{}", told.text());
        seen += &told.text();
    }
    for user in world["users"].as_array().unwrap() {
        assert!(!seen.contains(user["token"].as_str().unwrap()), "{seen}");
    }

    // Another link, by the file that the banner names.
    let config = world["config"].as_str().unwrap();
    let printed = idp_proxy(&["console", "--config", config]).output().unwrap();
    assert_eq!(child.admin(&code_of(text(&printed.stdout).trim_end())).await.status, 303, "{}", text(&printed.stderr));
}

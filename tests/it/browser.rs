//! What a real browser makes of it: pages that use the proxy, in Debian's Chromium.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::child::idp_proxy;
use crate::support::{Child, Upstream, browser, rig};

mod console;

#[tokio::test]
async fn a_page_of_a_listed_origin_reads_answers_and_a_page_of_another_reads_none() {
    // One server at two names.
    let app = browser::page().await;
    let [listed, other] = ["app", "evil"].map(|name| app.base_url().replace("127.0.0.1", &format!("{name}.localhost")));
    let github = Upstream::replying("ok").await.allow(&browser::HEADERS);
    let rig = rig().with("cors", &format!("origins = [\"{listed}\"]")).provider("github", &github).start().await;
    let url = format!("http://{}/proxy/github/user", rig.address());
    let input = json!({ "origins": [listed, other], "url": url, "token": rig.token() });

    let told = browser::run("origins", &input).await;
    let read = json!({ "status": 200, "proxyStatus": "idp-proxy; received-status=200", "text": "ok" });
    assert_eq!(told["seen"], json!({ listed.as_str(): read, other.as_str(): "TypeError: Failed to fetch" }));
    // The header that carries the token has to be asked for, and who may not use the proxy is told so then.
    assert_eq!(told["asked"], json!([format!("GET {url}"), format!("GET {url}")]));
    assert_eq!(github.requests().len(), 1);
}

#[tokio::test]
async fn the_example_application_signs_in_shows_a_github_user_and_connects_a_dead_account_again() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/spa");
    assert!(folder.join("node_modules/@auth0").exists(), "npm's @auth0/auth0-spa-js is missing; tests/run installs it");
    let mut command = Command::new("node");
    command.arg(folder.join("serve.js")).arg("0");
    let app = Child::spawn(command);
    let origin = app.printed("listening ").await.trim_start_matches("listening ").to_owned();
    let dev = ["dev", "--listen", "127.0.0.1:0", "--origin", &origin, "--fault", "revoked=google", "--json"];
    let dev = Child::spawn(idp_proxy(&dev));
    let world: Value = serde_json::from_str(&dev.printed("{").await).unwrap();

    let told = browser::run("spa", &json!({ "page": format!("{origin}/"), "proxy": world["proxy"] })).await;
    assert_eq!(told["user"], "Alice");
    assert!(told["dead"].as_str().unwrap().contains("sign in there again"), "{told}");
    assert_eq!(
        (&told["signIn"], &told["offers"]),
        (&json!("Sign in at google-oauth2 to demoSpaClient as:"), &json!(0))
    );
    assert_eq!(told["disconnected"], 1, "{told}");
    assert!(!told["stored"].as_str().unwrap().contains("eyJ"), "{told}");
    assert_eq!(told["denied"], "User did not authorize the request");
    let asked = told["asked"].as_array().unwrap();
    for call in ["GET /proxy/github/user", "GET /proxy/google/user", "GET /connections"] {
        assert!(asked.contains(&json!(call)), "{told}");
    }
    // What the page says of itself is right: the proxy answers, and not to everybody.
    assert!(told["refused"].as_str().unwrap().contains("[cors]") && dev.log().contains("origin_not_allowed"), "{told}");
}

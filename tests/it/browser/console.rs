//! The developer console of `dev`, in a browser.

use serde_json::{Value, json};

use crate::support::child::idp_proxy;
use crate::support::{Child, browser};

#[tokio::test]
async fn the_console_is_entered_by_a_link_and_shows_calls_and_refusals_in_both_themes_and_by_keys() {
    let mut child = Child::spawn(idp_proxy(&["dev", "--json", "--listen", "127.0.0.1:0"]));
    let world: Value = serde_json::from_str(&child.printed("{").await).unwrap();
    let admin = world["admin"].as_str().unwrap();
    child.admin = admin.trim_start_matches("http://").to_owned();
    let child = child.ready().await;
    let tokens: Vec<&Value> = world["users"].as_array().unwrap().iter().map(|user| &user["token"]).collect();

    let told = browser::run("console", &json!({ "link": world["console"], "tokens": tokens })).await;
    assert_eq!(told["url"], format!("{admin}/admin/"), "the code is not in the address bar");
    let cookie = json!([{
        "prefix": "__Host-", "domain": "127.0.0.1", "path": "/", "secure": true, "httpOnly": true, "sameSite": "Strict",
    }]);
    assert_eq!(told["cookies"], cookie);
    let [worked, refused] = [&told["tried"][0], &told["tried"][1]];
    assert_eq!(
        (&worked["account"], &worked["outcome"], &worked["line"]),
        (&json!("connected"), &json!([]), &json!(["200", ""]))
    );
    assert!(worked["body"].as_str().unwrap().contains("\"login\": \"alice\""), "{worked}");
    assert_eq!(worked["steps"], "Verify …, Token (found) …, Provider …, the rest …");
    assert_eq!(refused["account"], "not connected");
    assert_eq!(refused["outcome"], json!(["The user has no account connected at this provider"]));
    let why = "not_connected, fault of the caller\nThe user has no account connected at this provider";
    assert_eq!(refused["line"], json!(["403", why]));

    let tabs: Vec<&str> = told["tabs"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let wanted = [
        "who",
        "help-open",
        "leave",
        "look",
        "provider",
        "method",
        "path",
        "send",
        "dialect",
        "copy",
        "code",
        "filter",
        "pause",
    ];
    let places: Vec<_> = wanted.map(|name| tabs.iter().position(|tab| *tab == name)).to_vec();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "in the order in which one reads: {tabs:?}");

    let (light, dark) = (&told["themes"]["light"], &told["themes"]["dark"]);
    assert_ne!(light["page"], dark["page"]);
    assert_eq!((&light["pale"], &dark["pale"]), (&json!([]), &json!([])));
    assert_eq!(told["spill"], 0, "wider than a telephone");
    assert_eq!((&told["leaks"], &told["complaints"]), (&json!(0), &json!([])));
    assert!(told["again"].as_str().unwrap().to_lowercase().contains("this link has been used"), "{}", told["again"]);
    // Whoever has the page may read, and is held to what callers are: all of it was counted.
    assert!(child.admin("/metrics").await.text().contains(r#"provider="bitbucket",status="403",fault="caller""#));
}

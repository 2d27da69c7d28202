//! GitHub, emulated.

use idp_proxy::command::dev::tenant::Identity;
use serde_json::json;

use super::emulator::Pages;
use super::{Emulator, USERS, mixed, post, signed_in, subject};
use crate::support::{Rig, rig};

const PAGES: Pages =
    Pages { consent: "/login/oauth/callback", token: "/login/oauth/access_token", scope: "scope=repo,user" };

/// A proxy before GitHub, where alice and bob have signed in.
async fn github() -> (Rig, Emulator) {
    let github = Emulator::start("github", PAGES).await;
    let rig = rig().provider_at("github", &github.url, "allow = \"all\"").start().await;
    for user in USERS {
        let tokens = github.sign_in(&format!("login={user}")).await;
        let token = tokens["access_token"].as_str().unwrap_or_else(|| panic!("{tokens}"));
        signed_in(&rig, user, Identity::new("github", user).access_token(token));
    }
    (rig, github)
}

#[tokio::test]
async fn emulated_github_takes_every_call_for_its_callers_own() {
    let (rig, _github) = github().await;
    for (user, answer) in mixed(&rig, "/proxy/github/user").await {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["login"], user);
    }
    for user in USERS {
        let issue = json!({ "title": format!("by {user}") });
        let made = post(&rig, user, &format!("/proxy/github/repos/{user}/one/issues"), &issue).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let made = made.json();
        assert_eq!((&made["user"]["login"], &made["title"]), (&json!(user), &json!(format!("by {user}"))));
    }
    // It counts by token: all of them were one user's one.
    let last = rig.get_as(&subject("alice"), "/proxy/github/user").await;
    let left = last.header("x-ratelimit-remaining").and_then(|left| left.parse::<usize>().ok());
    assert_eq!(left, Some(5000 - super::AT_ONCE / USERS.len() - 2), "{:?}", last.headers);
    assert_eq!(last.header("x-ratelimit-limit"), Some("5000"));
}

#[tokio::test]
async fn emulated_githubs_pages_are_followed_through_the_proxy() {
    let (rig, _github) = github().await;
    let here = format!("http://{}", rig.address());
    let mut path = "/proxy/github/user/repos?per_page=1".to_owned();
    let mut names = Vec::new();
    loop {
        let page = rig.get_as(&subject("bob"), &path).await;
        assert_eq!(page.status, 200, "{}", page.text());
        let repository = &page.json()[0];
        names.push(repository["full_name"].as_str().unwrap().to_owned());
        let url = repository["url"].as_str().unwrap();
        assert!(url.starts_with(&format!("{here}/proxy/github/repos/")), "{url}");
        let link = page.header("link").unwrap_or_default();
        let Some(next) = link.split(", ").find(|link| link.ends_with("rel=\"next\"")) else { break };
        let next = next.split(['<', '>']).nth(1).unwrap();
        path = next.strip_prefix(&here).unwrap_or_else(|| panic!("{next} is past the proxy")).to_owned();
    }
    names.sort_unstable();
    assert_eq!(names, ["bob/one", "bob/three", "bob/two"]);
}

#[tokio::test]
async fn emulated_githubs_refusals_are_relayed() {
    let (rig, _github) = github().await;
    let missing = rig.get_as(&subject("alice"), "/proxy/github/repos/alice/none").await;
    assert_eq!((missing.status, missing.json()["message"].as_str()), (404, Some("Not Found")));
    let untitled = post(&rig, "alice", "/proxy/github/repos/alice/one/issues", &json!({ "title": 1 })).await;
    assert_eq!((untitled.status, untitled.code()), (422, String::new()), "{}", untitled.text());
}

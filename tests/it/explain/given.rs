//! What is asked about on the command line: tokens in the query, headers, mistakes.

use std::os::unix::fs::PermissionsExt;

use super::{explain, facts};
use crate::support::child::{folder, idp_proxy};
use crate::support::command::{run, write};
use crate::support::{Upstream, rig};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_the_query_is_not_shown() {
    let upstream = Upstream::replying("hello").await;
    let lines = "token_param = \"access_token\"\nallow = \"read\"";
    let rig = rig().provider_at("facebook", &upstream.base_url(), lines).start().await;
    for name in ["access_token", "access%5Ftoken"] {
        let path = format!("/proxy/facebook/me?{name}={}&fields=id", rig.token());
        // That it is printed nowhere is looked at with every explanation.
        let told = explain(&rig, None, &["GET", &path]).await;
        assert!(told.out.contains(&format!("/proxy/facebook/me?{name}=<masked>&fields=id")), "{}", told.out);
        let said = explain(&rig, None, &["GET", &path, "--json"]).await.json();
        assert_eq!(said["request"]["target"], format!("/proxy/facebook/me?{name}=<masked>&fields=id"));
        assert_eq!(said["verdict"]["url"], format!("{}/me?fields=id", upstream.base_url()), "{said:#}");
    }
    upstream.saw_nothing();
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_are_taken_as_they_are_given() {
    let upstream = Upstream::replying("hello").await;
    let lines = "allow = \"all\"\nheaders = { X-Api-Key = \"hunter2\", X-Api-Version = \"7\", User-Agent = \"ours\" }";
    let rig = rig().provider_at("github", &upstream.base_url(), lines).start().await;
    let with = async |headers: &[&str]| {
        let mut arguments = vec!["GET", "/proxy/github/user", "--json"];
        arguments.extend(headers.iter().flat_map(|header| ["--header", header]));
        explain(&rig, Some(rig.token()), &arguments).await
    };
    let told = with(&["Cookie: a=b", "Accept: text/plain", "User-Agent: curl/8"]).await;
    let said = told.json();
    let outgoing = facts(&said, "to the provider");
    assert!(outgoing["removes"].to_string().contains("cookie"), "{outgoing}");
    let sets = outgoing["sets"].to_string();
    assert!(!sets.contains("user-agent"), "the caller's own stays: {sets}");
    assert!(sets.contains("x-api-key: <as configured>") && sets.contains("x-api-version: 7"), "{sets}");
    let told = with(&["Origin: https://elsewhere.example"]).await;
    assert_eq!((told.code, &told.json()["verdict"]["code"]), (Some(1), &"origin_not_allowed".into()));
    let told = with(&["Authorization: Bearer hunter2"]).await;
    assert_eq!((told.code, &*told.out), (Some(2), ""));
    assert!(told.err.contains("--token-file"), "{}", told.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_callers_own_accounts_take_a_caller_and_a_provider_that_is_there() {
    let upstream = Upstream::replying("hello").await;
    let rig = rig().provider("github", &upstream).start().await;
    for (method, path) in [("GET", "/connections"), ("DELETE", "/connections/github")] {
        let told = explain(&rig, None, &[method, path]).await;
        assert_eq!(told.code, Some(4), "{}", told.out);
        let told = explain(&rig, Some(rig.token()), &[method, path]).await;
        assert_eq!(told.code, Some(0), "{}", told.out);
    }
    let told = explain(&rig, Some(rig.token()), &["DELETE", "/connections/nope", "--json"]).await;
    assert_eq!((told.code, &told.json()["verdict"]["code"]), (Some(1), &"unknown_provider".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_is_told_with_what_was_meant() {
    let upstream = Upstream::replying("hello").await;
    let rig = rig().provider("github", &upstream).start().await;
    for (arguments, hint) in [
        (["get", "/proxy/github/user"], "did you mean GET?"),
        (["GET", "proxy/github/user"], "begins with /"),
        (["GET", "user"], "begins with /"),
        (["GET", "ftp://example.com/user"], "begins with /"),
    ] {
        let told = explain(&rig, Some(rig.token()), &arguments).await;
        assert_eq!(told.code, Some(2), "{arguments:?}");
        assert!(told.err.contains(hint), "{arguments:?}: {}", told.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_cannot_be_read_is_not_taken_for_none() {
    let upstream = Upstream::replying("hello").await;
    let rig = rig().provider("github", &upstream).start().await;
    let folder = folder();
    write(&folder.join("proxy.toml"), &rig.toml.replacen("127.0.0.1:0", &rig.address(), 1));
    std::fs::create_dir_all(folder.join("idp-proxy")).unwrap();
    let file = folder.join("idp-proxy/sessions.json");
    for (mode, code, why) in [(0o644, 2, "is open to other users"), (0o600, 1, "is damaged")] {
        write(&file, "nonsense");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let mut command = idp_proxy(&["explain", "GET", "/proxy/github/user"]);
        command.current_dir(&folder).env("XDG_STATE_HOME", &folder);
        let told = run(command, "").await;
        assert_eq!((told.code, told.err.contains(why)), (Some(code), true), "{}{}", told.out, told.err);
    }
}

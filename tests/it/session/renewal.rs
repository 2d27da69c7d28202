//! Sessions that last: renewed in time, by one process, and not in silence when that fails.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use idp_proxy::command::dev::tenant::Endpoint;
use serde_json::Value;

use super::{logged_in, rig_with, said};
use crate::support::Upstream;
use crate::support::rig::ALICE;
use crate::support::shell::Shell;

#[tokio::test]
async fn a_token_is_printed_and_nothing_else() {
    let github = Upstream::replying("ok").await;
    let (rig, shell) = logged_in(&github).await;
    let session = shell.session();
    let calls = rig.tenant.calls(Endpoint::Token);
    let ran = shell.run(&["token"]).await;
    assert_eq!((ran.code, &*ran.err), (Some(0), ""));
    assert_eq!(ran.out, format!("{}\n", session["access_token"].as_str().unwrap()));

    let ran = shell.run(&["token", "--json"]).await;
    assert_eq!((ran.code, ran.out.lines().count()), (Some(0), 1));
    let described: Value = serde_json::from_str(&ran.out).unwrap();
    let expected = serde_json::json!({
        "token": session["access_token"],
        "expires_at": session["expires_at"].as_u64().unwrap() / 1000,
        "sub": ALICE,
        "proxy": shell.proxy,
    });
    assert_eq!(described, expected);
    assert_eq!(rig.tenant.calls(Endpoint::Token), calls, "a token that is good was renewed");
}

#[tokio::test]
async fn a_token_with_less_than_a_minute_left_is_renewed_before_it_is_used() {
    let github = Upstream::replying("ok").await;
    let (rig, shell) = logged_in(&github).await;
    let old = shell.session();
    // Tokens of one second are the same to the letter.
    rig.clock.advance(Duration::from_secs(2));
    shell.expire_in(62);
    assert_eq!(shell.run(&["token"]).await.out.trim_end(), old["access_token"], "renewed too early");
    shell.expire_in(59);
    let ran = shell.run(&["token"]).await;
    assert_eq!((ran.code, &*ran.err), (Some(0), ""));
    let new = shell.session();
    assert_eq!(ran.out.trim_end(), new["access_token"]);
    for name in ["access_token", "refresh_token", "expires_at"] {
        assert_ne!(old[name], new[name], "{name}");
    }
    assert_eq!(rig.get_bearing(ran.out.trim_end(), "/proxy/github/user").await.status, 200);
    let mode = std::fs::metadata(shell.file()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    // And once more: it is the new refresh token that is good now.
    shell.expire_in(0);
    assert_eq!(shell.run(&["token"]).await.code, Some(0));
}

#[tokio::test]
async fn many_at_once_spend_one_refresh_token() {
    let github = Upstream::replying("ok").await;
    let (rig, shell) = logged_in(&github).await;
    shell.expire_in(0);
    let calls = rig.tenant.calls(Endpoint::Token);
    rig.tenant.delay(Endpoint::Token, Duration::from_millis(300));
    let children: Vec<_> = (0..6).map(|_| shell.begin(&["token"])).collect();
    let mut tokens = Vec::new();
    for child in children {
        let ran = shell.end(child).await;
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        tokens.push(ran.out);
    }
    tokens.dedup();
    assert_eq!(tokens.len(), 1, "different tokens");
    assert_eq!(rig.tenant.calls(Endpoint::Token), calls + 1);
}

#[tokio::test]
async fn a_session_that_is_over_ends_with_4_and_says_what_to_type() {
    let github = Upstream::replying("ok").await;
    let (_rig, shell) = logged_in(&github).await;
    shell.expire_in(0);
    shell.change(|session| session["refresh_token"] = "of-somebody-else".into());
    let login = format!("log in with `idp-proxy login --proxy {}`", shell.proxy);
    let expected = said(4, &format!("error: the session is over; {login}"));
    for arguments in [&["token"][..], &["curlrc"], &["curl", "github", "/user"]] {
        assert_eq!(shell.run(arguments).await, expected, "{arguments:?}");
    }
    shell.change(|session| session["refresh_token"] = Value::Null);
    let why = "the session is over, and the tenant gave no refresh token to renew it with";
    assert_eq!(shell.run(&["token"]).await, said(4, &format!("error: {why}; {login}")));
    assert_eq!(shell.log_in().await.code, Some(0));
    assert_eq!(shell.run(&["token"]).await.code, Some(0));
}

#[tokio::test]
async fn whoever_is_not_logged_in_is_told_what_to_type() {
    let github = Upstream::replying("ok").await;
    let rig = rig_with(&github).await;
    let shell = Shell::of(&rig);
    let proxy = &shell.proxy;
    let expected = said(4, &format!("error: not logged in to {proxy}; log in with `idp-proxy login --proxy {proxy}`"));
    for arguments in [&["token"][..], &["token", "--json"], &["curlrc"], &["curl", "github", "/user"]] {
        assert_eq!(shell.run(arguments).await, expected, "{arguments:?}");
    }
    assert_eq!(shell.run(&["logout"]).await, said(0, &format!("not logged in to {proxy}")));
    assert!(!shell.file().parent().unwrap().exists(), "something is kept");
}

#[tokio::test]
async fn a_tenant_out_of_reach_ends_with_5_and_the_session_outlives_it() {
    let github = Upstream::replying("ok").await;
    let (rig, shell) = logged_in(&github).await;
    rig.tenant.down().await;
    assert_eq!(shell.run(&["token"]).await.code, Some(0), "there is nothing to ask the tenant for");
    shell.expire_in(30);
    assert_eq!(shell.run(&["token"]).await.code, Some(0), "what is held is good to its end");
    shell.expire_in(0);
    let ran = shell.run(&["token"]).await;
    assert_eq!((ran.code, &*ran.out), (Some(5), ""));
    assert!(
        ran.err.starts_with(&format!("error: the tenant {} is out of reach: ", rig.tenant.issuer())),
        "{}",
        ran.err
    );
    rig.tenant.up().await.unwrap();
    assert_eq!(shell.run(&["token"]).await.code, Some(0));
}

#[tokio::test]
async fn a_file_that_others_can_read_is_refused_and_so_is_a_damaged_one() {
    let github = Upstream::replying("ok").await;
    let (_rig, shell) = logged_in(&github).await;
    let path = shell.file().display().to_string();
    for mode in [0o640, 0o604, 0o660] {
        std::fs::set_permissions(shell.file(), std::fs::Permissions::from_mode(mode)).unwrap();
        let expected = format!(
            "error: {path} is open to other users (mode {mode:o}); `chmod 600 {path}`, and log in anew if one may have read it"
        );
        for arguments in [&["token"][..], &["login"], &["logout"], &["curl", "github", "/user"]] {
            assert_eq!(shell.run(arguments).await, said(2, &expected), "{arguments:?}");
        }
    }
    std::fs::set_permissions(shell.file(), std::fs::Permissions::from_mode(0o600)).unwrap();
    let text = std::fs::read_to_string(shell.file()).unwrap();
    std::fs::write(shell.file(), &text[..text.len() / 2]).unwrap();
    assert_eq!(shell.run(&["token"]).await, said(1, &format!("error: {path} is damaged; remove it, and log in anew")));
}

//! Which of a user's accounts, and why that one.

use super::*;

async fn told(rig: &Rig, more: &[&str]) -> (Option<i32>, Value) {
    let ran = explain(rig, Some(rig.token()), &[&["GET", "/proxy/github/user", "--json"], more].concat()).await;
    (ran.code, ran.json())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_several_is_named_or_configured_or_the_choices_are_told() {
    let upstream = Upstream::replying("hello").await;
    let rig = rig().provider("github", &upstream).start().await;
    second(&rig, "github");
    let (code, said) = told(&rig, &[]).await;
    assert_eq!((code, said["verdict"]["code"].as_str()), (Some(1), Some("ambiguous_account")));
    assert_eq!(facts(&said, "account")["there_are"], json!(["1", "2"]));

    let (code, said) = told(&rig, &["--account", "2"]).await;
    let account = facts(&said, "account");
    assert_eq!((code, account["is"].as_str(), account["of"].as_str()), (Some(0), Some("2"), Some("2 accounts there")));
    assert_eq!(account["chosen_by"], "Idp-Proxy-Account: 2");
    assert_eq!(facts(&said, "to the provider")["removes"], json!(["idp-proxy-account"]));

    let (code, said) = told(&rig, &["--account", "3"]).await;
    assert_eq!((code, said["verdict"]["code"].as_str()), (Some(1), Some("not_connected")));

    let rig = crate::support::rig().provider_at("github", &upstream.base_url(), "account = \"github|1\"").start().await;
    second(&rig, "github");
    let (code, said) = told(&rig, &[]).await;
    let account = facts(&said, "account");
    assert_eq!((code, account["chosen_by"].as_str()), (Some(0), Some("`account` of the provider: github|1")));
    assert_eq!(account["is"], "1");
    upstream.saw_nothing();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_is_blocked_or_holds_nothing_hears_so_at_that_step() {
    let upstream = Upstream::replying("hello").await;
    let rig = rig().provider("github", &upstream).start().await;
    let last = |said: &Value| said["steps"].as_array().unwrap().last().unwrap()["step"].as_str().unwrap().to_owned();
    rig.tenant.with_user(ALICE, |user| user.identity_mut("github").unwrap().access_token = None).unwrap();
    let (_, said) = told(&rig, &[]).await;
    assert_eq!((said["verdict"]["code"].as_str(), &*last(&said)), (Some("reconnect_required"), "token"));
    rig.tenant.with_user(ALICE, |user| user.blocked = Some(true)).unwrap();
    let (_, said) = told(&rig, &[]).await;
    assert_eq!((said["verdict"]["code"].as_str(), &*last(&said)), (Some("user_blocked"), "account"));
}

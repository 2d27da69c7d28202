//! Logging out: forgotten here, revoked there.

use idp_proxy::command::dev::tenant::Endpoint;

use super::{logged_in, said};
use crate::support::Upstream;
use crate::support::shell::Shell;

#[tokio::test]
async fn a_session_is_forgotten_here_and_revoked_at_the_tenant() {
    let github = Upstream::replying("ok").await;
    let (_rig, shell) = logged_in(&github).await;
    let session = shell.session();
    assert_eq!(shell.run(&["logout"]).await, said(0, &format!("logged out of {}", shell.proxy)));
    assert!(shell.sessions().is_empty());
    assert_eq!(shell.run(&["token"]).await.code, Some(4));
    assert_eq!(shell.run(&["logout"]).await, said(0, &format!("not logged in to {}", shell.proxy)));

    // Whoever has kept the refresh token has nothing.
    assert_eq!(shell.log_in().await.code, Some(0));
    shell.change(|current| current["refresh_token"] = session["refresh_token"].clone());
    shell.expire_in(0);
    assert_eq!(shell.run(&["token"]).await.code, Some(4));
}

#[tokio::test]
async fn a_session_is_forgotten_though_the_tenant_is_out_of_reach() {
    let github = Upstream::replying("ok").await;
    let (rig, shell) = logged_in(&github).await;
    rig.tenant.down().await;
    let ran = shell.run(&["logout"]).await;
    let expected = format!(
        "logged out of {}\nerror: the session is forgotten here, but not revoked: the tenant {} is out of reach: ",
        shell.proxy,
        rig.tenant.issuer(),
    );
    assert_eq!((ran.code, &*ran.out), (Some(5), ""));
    assert!(ran.err.starts_with(&expected), "{}", ran.err);
    assert!(shell.sessions().is_empty());
}

#[tokio::test]
async fn sessions_at_several_proxies_end_one_by_one_or_all_at_once() {
    let github = Upstream::replying("ok").await;
    let (rig, mut shell) = logged_in(&github).await;
    let own = shell.proxy.clone();
    // The same proxy by another name.
    shell.proxy = own.replace("127.0.0.1", "localhost");
    assert_eq!(shell.log_in().await.code, Some(0));
    assert_eq!(shell.sessions().len(), 2);
    assert_eq!(shell.run(&["logout", "--proxy", &own]).await, said(0, &format!("logged out of {own}")));
    assert_eq!(shell.sessions().keys().collect::<Vec<_>>(), [&shell.proxy]);
    assert_eq!(shell.run(&["token"]).await.code, Some(0));
    shell.proxy = own.clone();
    assert_eq!(shell.log_in().await.code, Some(0));

    let calls = rig.tenant.calls(Endpoint::Token);
    let other = own.replace("127.0.0.1", "localhost");
    assert_eq!(shell.run(&["logout", "--all"]).await, said(0, &format!("logged out of {own}\nlogged out of {other}")));
    assert!(shell.sessions().is_empty());
    assert_eq!(rig.tenant.calls(Endpoint::Token), calls, "a token was renewed to be revoked");
    assert_eq!(shell.run(&["logout", "--all"]).await, said(0, "not logged in"));
    assert_eq!(Shell::at(&own).run(&["logout", "--all", "--proxy", &own]).await.code, Some(2));
}

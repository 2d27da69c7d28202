//! Logging in by a code: what is shown, what is kept, and how it ends otherwise.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use idp_proxy::command::dev::fault::Fault;
use idp_proxy::command::dev::tenant::Endpoint;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{rig_with, said};
use crate::support::child::{Child, idp_proxy};
use crate::support::rig::ALICE;
use crate::support::shell::{Shell, approve, submit};
use crate::support::{Rig, Upstream, rig};

/// What a login shows until somebody has allowed it.
fn prompt(rig: &Rig, login: &Child) -> String {
    let log = login.log();
    let code = log.split("user_code=").nth(1).unwrap().lines().next().unwrap();
    format!(
        "Open this page in a browser, on any machine:\n\n  {}/activate?user_code={code}\n\nIt must show this code: {code}\n\n\
         waiting for up to 15 minutes; Ctrl-C ends it\n",
        rig.tenant.base_url()
    )
}

#[tokio::test]
async fn a_code_is_shown_and_the_session_is_kept_for_this_user_alone() {
    let github = Upstream::replying("ok").await;
    let rig = rig_with(&github).await;
    let shell = Shell::of(&rig);
    let login = shell.begin(&["login"]);
    approve(&login, ALICE).await;
    let prompt = prompt(&rig, &login);
    let ran = shell.end(login).await;
    let expected = format!("{prompt}logged in to {} as Alice (github|583231)", shell.proxy);
    assert_eq!(ran, said(0, &expected));

    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&shell.file()), mode(shell.file().parent().unwrap())), (0o600, 0o700));
    let session = shell.session();
    assert_eq!(session["issuer"], rig.tenant.issuer());
    assert_eq!(session["audience"], rig.tenant.settings().audience);
    assert_eq!(session["client_id"], rig.tenant.settings().native.client_id);
    assert_eq!(session["subject"], ALICE);
    let token = shell.run(&["token"]).await.out;
    assert_eq!(rig.get_bearing(token.trim_end(), "/proxy/github/user").await.status, 200);
}

#[tokio::test]
async fn whoever_polls_too_fast_slows_down() {
    let github = Upstream::replying("ok").await;
    let rig = rig_with(&github).await;
    let shell = Shell::of(&rig);
    let login = shell.begin(&["login"]);
    login.logged("waiting").await;
    // Told to come every second, refused for it from then on.
    rig.tenant.change(|tenant| tenant.device_interval = 4);
    let before = rig.tenant.calls(Endpoint::Token);
    while rig.tenant.calls(Endpoint::Token) < before + 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    approve(&login, ALICE).await;
    let ran = shell.end(login).await;
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(rig.tenant.calls(Endpoint::Token), before + 3);
}

#[tokio::test]
async fn a_tenant_that_is_away_for_a_while_ends_no_login() {
    let github = Upstream::replying("ok").await;
    let rig = rig_with(&github).await;
    let shell = Shell::of(&rig);
    let login = shell.begin(&["login"]);
    login.logged("waiting").await;
    rig.tenant.fail(Endpoint::Token, Fault::Status(503, String::new()));
    let before = rig.tenant.calls(Endpoint::Token);
    while rig.tenant.calls(Endpoint::Token) < before + 1 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    rig.tenant.heal();
    approve(&login, ALICE).await;
    assert_eq!(shell.end(login).await.code, Some(0));
}

#[tokio::test]
async fn a_login_that_is_refused_ends_with_4() {
    let github = Upstream::replying("ok").await;
    let rig = rig_with(&github).await;
    let shell = Shell::of(&rig);
    let login = shell.begin(&["login"]);
    assert_eq!(submit(&login, "deny=1").await.status, 200);
    let prompt = prompt(&rig, &login);
    let expected = format!("{prompt}error: the login was refused: User did not authorize the request.");
    assert_eq!(shell.end(login).await, said(4, &expected));
    assert!(!shell.file().exists());
}

#[tokio::test]
async fn a_code_that_nobody_allows_in_time_ends_with_4() {
    let github = Upstream::replying("ok").await;
    let rig = rig_with(&github).await;
    let shell = Shell::of(&rig);
    let login = shell.begin(&["login"]);
    login.logged("waiting").await;
    rig.clock.advance(Duration::from_secs(901));
    let ran = shell.end(login).await;
    assert_eq!(ran.code, Some(4));
    assert!(ran.err.ends_with("\nerror: nobody allowed the code in time; try again\n"), "{}", ran.err);
}

#[tokio::test]
async fn without_an_application_to_log_in_by_the_cure_is_told() {
    let github = Upstream::replying("ok").await;
    let rig = rig().provider("github", &github).tenant(|tenant| tenant.device_interval = 1).start().await;
    let shell = Shell::of(&rig);
    let expected = "error: the proxy names no application to log in by; create a native application at the tenant (with the \
                    grants Device Code and Refresh Token, and http://127.0.0.1:18737/callback among its Allowed Callback \
                    URLs), and put its id under [login] client_id in proxy.toml, or behind --client-id";
    assert_eq!(shell.run(&["login"]).await, said(2, expected));

    let expected = "error: the tenant does not let people log in to the application nobody by a code; it must be a native \
                    one with the grant Device Code";
    assert_eq!(shell.run(&["login", "--client-id", "nobody"]).await, said(2, expected));

    let login = shell.begin(&["login", "--client-id", &rig.tenant.settings().native.client_id]);
    approve(&login, ALICE).await;
    assert_eq!(shell.end(login).await.code, Some(0));
}

#[tokio::test]
async fn who_is_out_of_reach_is_named_and_it_ends_with_5() {
    let github = Upstream::replying("ok").await;
    let rig = rig_with(&github).await;
    let shell = Shell::of(&rig);
    rig.tenant.down().await;
    let ran = shell.run(&["login"]).await;
    assert_eq!(ran.code, Some(5));
    let tenant = format!("error: the tenant {} is out of reach: ", rig.tenant.issuer());
    assert!(ran.err.starts_with(&tenant) && ran.err.contains("refused"), "{}", ran.err);
    rig.tenant.up().await.unwrap();
    rig.tenant.fail(Endpoint::Discovery, Fault::Status(503, String::new()));
    assert_eq!(shell.run(&["login"]).await, said(5, &format!("{tenant}it answers with status 503")));

    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ran = shell.run(&["login", "--proxy", &format!("http://{closed}/")]).await;
    assert_eq!(ran.code, Some(5));
    assert!(ran.err.starts_with(&format!("error: the proxy at http://{closed} is out of reach: ")), "{}", ran.err);
    assert!(ran.err.ends_with("; is it running? --proxy names another\n"), "{}", ran.err);
}

#[tokio::test]
async fn what_is_no_proxy_is_told() {
    let website = Upstream::raw(async |mut stream: TcpStream| {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n<!doctype html>").await;
    });
    let website = website.await;
    let shell = Shell::at(&website.base_url());
    let expected = format!(
        "error: the proxy at {} does not answer as it should; is it running? --proxy names another",
        shell.proxy
    );
    assert_eq!(shell.run(&["login"]).await, said(1, &expected));
}

/// Callers of a proxy with an authority of its own trust that by `SSL_CERT_FILE`, curl as well.
#[tokio::test]
async fn a_proxy_with_tls_is_called_as_any_other() {
    let dev = Child::spawn(idp_proxy(&["dev", "--listen", "127.0.0.1:0", "--json", "--tls"]));
    let world: Value = serde_json::from_str(&dev.printed("{").await).unwrap();
    let shell = Shell::at(world["proxy"].as_str().unwrap());
    assert!(shell.proxy.starts_with("https://"), "{}", shell.proxy);
    let trusting = |arguments: &[&str]| {
        let mut command = shell.command(arguments);
        // curl's own variables come before it.
        command
            .env("SSL_CERT_FILE", world["ca"].as_str().unwrap())
            .env_remove("CURL_CA_BUNDLE")
            .env_remove("SSL_CERT_DIR");
        Child::spawn(command)
    };
    assert_eq!(shell.run(&["login"]).await.code, Some(5), "nobody vouches for it");
    let login = trusting(&["login"]);
    approve(&login, ALICE).await;
    assert_eq!(shell.end(login).await.code, Some(0));
    let ran = shell.end(trusting(&["curl", "github", "/user", "--", "--silent", "--show-error"])).await;
    assert_eq!((ran.code, &*ran.err), (Some(0), ""));
    assert!(ran.out.contains("\"login\":\"alice\""), "{}", ran.out);
}

/// RFC 8414 §3.3.
#[tokio::test]
async fn an_issuer_that_calls_itself_otherwise_is_not_believed() {
    let github = Upstream::replying("ok").await;
    let rig = rig_with(&github).await;
    let shell = Shell::of(&rig);
    let other = rig.tenant.issuer().replace("127.0.0.1", "localhost");
    rig.reload_with("\n[providers", &format!("\nissuers = [\"{other}\"]\n[providers")).await;
    let expected = format!("error: the tenant {other} calls itself {}", rig.tenant.issuer());
    assert_eq!(shell.run(&["login"]).await, said(1, &expected));
}

#[tokio::test]
async fn a_token_goes_to_no_address_without_protection() {
    let shell = Shell::at("http://proxy.example.com");
    let hint = "plain http is for loopback only: 127.0.0.0/8, [::1], localhost and *.localhost";
    for arguments in [&["login"][..], &["token"], &["logout"], &["curlrc"], &["curl", "github", "/user"]] {
        let expected = format!("error: the proxy's address in IDP_PROXY_URL must be https ({hint})");
        assert_eq!(shell.run(arguments).await, said(2, &expected), "{arguments:?}");
    }
}

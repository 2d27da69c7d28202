//! Beside a proxy that serves: what is in its store is seen, and nothing of it is touched.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use idp_proxy::clock::Clock;
use idp_proxy::command::dev::provider::{Behaviour, RefreshToken};
use idp_proxy::command::dev::{World, WorldSettings};

use super::*;
use crate::support::Child;
use crate::support::child::{Signal, eventually};
use crate::support::durable::KEY;

/// `explain GET /proxy/PROVIDER/user` with the token of the file `who`, for the proxy of `folder`.
async fn told(folder: &Path, provider: &str, who: &str) -> Ran {
    let mut command = idp_proxy(&["explain", "GET"]);
    command.arg(format!("/proxy/{provider}/user")).args(["--json", "--token-file"]).arg(folder.join(who));
    command.arg("--config").arg(folder.join("proxy.toml"));
    run(command, "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_is_told_as_it_is_stored_renewed_and_dead() {
    let mut settings = WorldSettings::default();
    let life = Duration::from_secs(2);
    settings.google.behaviour = Behaviour::Expires { life, refresh_token: RefreshToken::Always };
    let world = World::start(Clock::system(), settings).await.unwrap();
    let place = folder();
    let toml = world.proxy_toml("127.0.0.1:0", &format!("sqlite:{}", place.join("grants.db").display()), KEY);
    write(&place.join("proxy.toml"), &toml);
    write(&place.join("alice"), &format!("Authorization: Bearer {}\n", world.alice()));

    let token = |said: &Value| facts(said, "token").clone();
    let before = told(&place, "google", "alice").await.json();
    assert_eq!(token(&before)["generation"], "none yet: a call begins with what the tenant holds");
    assert_eq!(token(&before)["source"], "the user's identity, renewed here");
    assert!(!place.join("grants.db").exists(), "a look makes nothing");

    let child = Child::serve(&toml, &[]).await.ready().await;
    assert_eq!(child.get(&world.alice(), "/proxy/google/user").await.status, 200);
    let during = eventually(|| {
        let said = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(told(&place, "google", "alice")).json()
        });
        (token(&said)["to_do"] == "renew it first").then_some(said)
    });
    let said = during.await.unwrap();
    assert!(token(&said)["generation"].as_str().unwrap().parse::<u64>().is_ok() && token(&said)["expired"].is_string());
    assert_eq!((&token(&said)["renewable"], &token(&said)["in_memory"]), (&json!("yes"), &json!("no")));
    let refreshes = world.google.refreshes();
    assert_eq!(told(&place, "google", "alice").await.code, Some(0));
    assert_eq!(world.google.refreshes(), refreshes, "nothing is renewed for a look");

    world.google.revoke_account("109876543210987654321");
    let refused = child.get(&world.alice(), "/proxy/google/user").await;
    assert_eq!(refused.json()["code"], "reconnect_required");
    let dead = told(&place, "google", "alice").await;
    let (code, said) = (dead.code, dead.json());
    assert_eq!((code, &said["verdict"]["detail"]), (Some(1), &refused.json()["detail"]));
    assert_eq!(said["verdict"]["provider"], "google");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_works_in_the_folder_that_dev_has_written_and_asks_the_vault_where_only_it_can_tell() {
    let place = folder().join("a world");
    let mut command = idp_proxy(&["dev", "--listen", "127.0.0.1:0", "--tenant-only"]);
    command.arg(&place);
    let mut world = Child::spawn(command);
    world.printed("listening").await;
    for (who, provider, code, source) in [
        ("alice", "github", 0, "the user's identity"),
        ("alice", "bitbucket", 0, "the user's identity, renewed here"),
        ("bob", "google", 0, "Token Vault"),
    ] {
        let told = told(&place, provider, who).await;
        assert_eq!(
            (told.code, &facts(&told.json(), "token")["source"]),
            (Some(code), &json!(source)),
            "{who} {provider}"
        );
    }
    let refused = told(&place, "bitbucket", "bob").await;
    assert_eq!((refused.code, &refused.json()["verdict"]["code"]), (Some(1), &json!("not_connected")));
    world.signal(Signal::TERM);
    world.exit().await;
    let _ = std::fs::remove_dir_all(place.parent().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_logged_in_needs_no_file() {
    let world = World::start(Clock::system(), WorldSettings::default()).await.unwrap();
    let place = folder();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let toml = world.proxy_toml(&format!("127.0.0.1:{port}"), "sqlite:grants.db", KEY);
    write(&place.join("proxy.toml"), &toml);
    let explain = || {
        let mut command = idp_proxy(&["explain", "GET", "/proxy/github/user", "--json"]);
        command.current_dir(&place).env("XDG_STATE_HOME", place.join("state"));
        command
    };
    let nobody = run(explain(), "").await;
    assert_eq!((nobody.code, &nobody.json()["verdict"]["code"]), (Some(4), &json!("missing_token")));
    assert!(nobody.err.starts_with(&format!("note: not logged in to http://127.0.0.1:{port}; ")), "{}", nobody.err);

    let state = place.join("state/idp-proxy");
    std::fs::create_dir_all(&state).unwrap();
    let session = json!({ format!("http://127.0.0.1:{port}"): {
        "issuer": world.tenant.issuer(), "client_id": "x", "audience": "x", "subject": "x",
        "token_endpoint": format!("{}/oauth/token", world.tenant.base_url()), "revocation_endpoint": null,
        "access_token": world.alice(), "expires_at": world.clock.now().plus(Duration::from_secs(3600)).unix_millis(), "refresh_token": null,
    } });
    write(&state.join("sessions.json"), &session.to_string());
    std::fs::set_permissions(state.join("sessions.json"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let alice = run(explain(), "").await;
    assert_eq!((alice.code, &*alice.err), (Some(0), ""), "{}", alice.out);
    assert_eq!(facts(&alice.json(), "caller")["subject"]["is"], ALICE);
}

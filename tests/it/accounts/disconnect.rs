//! `DELETE /connections/NAME`: nothing is held any more, the provider is told, and nothing but a sign-in brings it back.

use std::sync::{Arc, Mutex};

use idp_proxy::command::dev::fault::Fault;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::support::postgres::Postgres;

const ALL: [(&str, &str); 3] = [("github", "github"), ("google", "google-oauth2"), ("bitbucket", "bitbucket")];

impl Life {
    /// The same store under a new process, as far as a test can tell.
    async fn restart(self) -> Self {
        let Self { world, server, toml } = self;
        assert!(server.stop().await);
        Self::with(world, &toml).await
    }

    async fn call(&self, provider: &str) -> Answer {
        self.send("GET", &format!("/proxy/{provider}/user")).await
    }

    async fn disconnect(&self, provider: &str) -> Value {
        let answer = self.send("DELETE", &format!("/connections/{provider}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.all("cache-control"), "no-store");
        answer.json()
    }

    fn provider(&self, name: &str) -> &idp_proxy::command::dev::provider::Provider {
        self.world
            .providers()
            .into_iter()
            .map(|(provider, _)| provider)
            .find(|known| known.settings().name == name)
            .unwrap()
    }

    /// How many of alice's sign-ins the provider honours still.
    fn grants(&self, provider: &str, connection: &str) -> usize {
        let user = self.world.tenant.user(ALICE).unwrap();
        self.provider(provider).grants(&user.identity(connection).unwrap().user_id.to_string())
    }

    /// The token that the tenant holds.
    fn token(&self, connection: &str) -> String {
        self.world.tenant.user(ALICE).unwrap().identity(connection).unwrap().access_token.clone().unwrap()
    }

    async fn state(&self, provider: &str) -> String {
        of(&self.connections().await, provider)["state"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn what_is_disconnected_is_revoked_and_stays_away_until_the_next_sign_in() {
    let mut life = Life::start("parted").await;
    for (provider, connection) in ALL {
        assert_eq!(life.call(provider).await.status, 200);
        let token = life.token(connection);
        let parted = life.disconnect(provider).await;
        assert_eq!((&parted["name"], &parted["state"]), (&json!(provider), &json!("reconnect_required")));
        assert_eq!(parted["revoked"], true, "{parted}");
        assert!(!life.provider(provider).is_live(&token), "{provider} was not told");
        assert!(!parted.to_string().contains(&token));
    }
    for round in ["at once", "after a restart", "after an hour"] {
        let calls: Vec<u64> = ALL.map(|(provider, _)| life.provider(provider).calls(Side::Api)).into();
        for (provider, _) in ALL {
            let refusal = life.call(provider).await;
            assert_eq!(refusal.code(), "reconnect_required", "{provider} {round}");
            let detail = refusal.json()["detail"].as_str().unwrap().to_owned();
            assert!(detail.starts_with("you have disconnected your account at "), "{detail}");
            let connections = life.connections().await;
            assert_eq!(of(&connections, provider)["state"], "reconnect_required");
            assert_eq!(of(&connections, provider)["detail"], detail.as_str());
        }
        let after: Vec<u64> = ALL.map(|(provider, _)| life.provider(provider).calls(Side::Api)).into();
        assert_eq!(calls, after, "no doomed call, {round}");
        match round {
            "at once" => life = life.restart().await,
            _ => life.world.clock.advance(HOUR),
        }
    }
    for (provider, connection) in ALL {
        assert!(life.world.tenant.sign_in(ALICE, connection));
        life.world.clock.advance(Duration::from_secs(6));
        assert_eq!(life.call(provider).await.status, 200, "{provider} after a sign-in");
        assert_eq!(life.state(provider).await, "connected");
    }
}

#[tokio::test]
async fn the_newest_tokens_are_revoked_and_not_those_that_the_tenant_still_shows() {
    let life = Life::start("newest").await;
    for _ in 0..3 {
        assert_eq!(life.call("bitbucket").await.status, 200);
        life.world.clock.advance(HOUR);
    }
    assert_eq!(life.call("bitbucket").await.status, 200);
    assert_eq!(life.disconnect("bitbucket").await["revoked"], true);
    assert_eq!(life.world.bitbucket.reuses(), 0);
    assert!(life.world.tenant.sign_in(ALICE, "bitbucket"));
    life.world.clock.advance(Duration::from_secs(6));
    assert_eq!(life.call("bitbucket").await.status, 200);
}

#[tokio::test]
async fn a_provider_that_cannot_be_told_keeps_nobody_from_disconnecting_and_is_told_at_the_next_try() {
    let life = Life::start("untold").await;
    for (provider, connection) in ALL {
        assert_eq!(life.call(provider).await.status, 200);
        for fault in [Fault::Status(503, "{}".to_owned()), Fault::Reset] {
            life.provider(provider).fail(Side::Revoke, fault);
            let parted = life.disconnect(provider).await;
            assert_eq!(parted["revoked"], false, "{parted}");
            assert!(parted["detail"].as_str().unwrap().contains("may go on honouring"), "{parted}");
            assert!(life.provider(provider).is_live(&life.token(connection)));
            assert_eq!(life.call(provider).await.code(), "reconnect_required");
        }
        life.provider(provider).heal();
        assert_eq!(life.disconnect(provider).await["revoked"], true);
        assert!(!life.provider(provider).is_live(&life.token(connection)));
    }
}

#[tokio::test]
async fn the_newest_tokens_are_kept_until_the_provider_has_been_told() {
    let mut life = Life::start("kept").await;
    for (provider, connection) in ALL {
        // Renewed where it can be: what the tenant still shows is spent or has expired by then.
        assert_eq!(life.call(provider).await.status, 200);
        life.world.clock.advance(HOUR);
        assert_eq!((life.call(provider).await.status, life.grants(provider, connection)), (200, 1));
        for fault in [Fault::Status(503, "{}".to_owned()), Fault::Reset] {
            life.provider(provider).fail(Side::Revoke, fault);
            assert_eq!(life.disconnect(provider).await["revoked"], false);
        }
        life.provider(provider).heal();
        assert_eq!(life.grants(provider, connection), 1);
        // It is no use to anybody meanwhile.
        assert_eq!(life.call(provider).await.code(), "reconnect_required");
        life = life.restart().await;
        assert_eq!(life.call(provider).await.code(), "reconnect_required");
        assert_eq!(life.disconnect(provider).await["revoked"], true);
        assert_eq!(life.grants(provider, connection), 0, "{provider} honours it still");
        // Once more is no more, and costs the provider no call.
        let calls = life.provider(provider).calls(Side::Revoke);
        assert_eq!(life.disconnect(provider).await["revoked"], true);
        assert_eq!(life.provider(provider).calls(Side::Revoke), calls);
    }
}

#[tokio::test]
async fn a_renewal_that_is_under_way_leaves_nothing_that_is_used() {
    let life = Life::start("race").await;
    assert_eq!(life.call("bitbucket").await.status, 200);
    life.world.clock.advance(HOUR);
    life.world.bitbucket.delay(Side::Token, Duration::from_millis(500));
    let (address, authorization) = (life.server.proxy().to_string(), format!("Bearer {}", life.world.alice()));
    let call = tokio::spawn(async move {
        client::send(&address, "GET", "/proxy/bitbucket/user", &[("authorization", &authorization)], b"").await
    });
    while life.world.bitbucket.calls(Side::Token) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(life.disconnect("bitbucket").await["revoked"], true);
    // Whoever was first, no token is left that is good for anything.
    drop(call.await.unwrap());
    assert_eq!(life.call("bitbucket").await.code(), "reconnect_required");
    assert_eq!((life.world.bitbucket.refreshes(), life.world.bitbucket.reuses()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_disconnected_at_one_replica_is_so_at_all_of_them() {
    let world = World::start(Clock::system(), WorldSettings::default()).await.unwrap();
    let toml = world.proxy_toml("127.0.0.1:0", &Postgres::shared().database(), KEY);
    // The providers are not told, so that it is not they who refuse.
    let toml: String =
        toml.lines().filter(|line| !line.starts_with("revoke_")).map(|line| format!("{line}\n")).collect();
    let toml = toml.replace("[providers.github]\n", "[providers.github]\nrevoke_url = \"http://127.0.0.1:1/x\"\n");
    let (one, other) = (durable::serve(&world, &toml).await, durable::serve(&world, &toml).await);
    let authorization = format!("Bearer {}", world.alice());
    let send = |server: &Server, method: &'static str, path: String| {
        let (address, authorization) = (server.proxy().to_string(), authorization.clone());
        async move { client::send(&address, method, &path, &[("authorization", &authorization)], b"").await }
    };
    let call = |server: &Server, provider: &str| send(server, "GET", format!("/proxy/{provider}/user"));
    for (provider, connection) in ALL {
        assert_eq!((call(&one, provider).await.status, call(&other, provider).await.status), (200, 200));
        let parted = send(&one, "DELETE", format!("/connections/{provider}")).await.json();
        assert_eq!(parted["revoked"], false, "{parted}");
        let mut code = String::new();
        for _ in 0..200 {
            code = call(&other, provider).await.code();
            if !code.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(code, "reconnect_required", "{provider}");
        assert_eq!(call(&one, provider).await.code(), "reconnect_required", "{provider}");
        let seen = send(&other, "GET", "/connections".to_owned()).await.json();
        assert!(of(&seen, provider)["detail"].as_str().unwrap().starts_with("you have disconnected"), "{seen}");

        assert!(world.tenant.sign_in(ALICE, connection));
        world.clock.advance(Duration::from_secs(6));
        assert_eq!((call(&one, provider).await.status, call(&other, provider).await.status), (200, 200), "{provider}");
    }
}

#[tokio::test]
async fn of_several_accounts_the_one_that_is_named_is_disconnected() {
    let upstream = Upstream::replying("hello").await;
    let rig = rig().provider("github", &upstream).provider_at("again", &upstream.base_url(), "connection = \"github\"");
    let rig = rig.start().await;
    let at = |id: &str| Identity::new("github", id).access_token(&format!("tok-{id}-0123456789abcdef"));
    rig.tenant.add_user(User::new(ALICE).with(at("1")).with(at("2")));
    let path = "/connections/github";
    let refusal = rig.send("DELETE", path, &[], b"").await;
    assert_eq!((refusal.code().as_str(), &refusal.json()["choices"]), ("ambiguous_account", &json!(["1", "2"])));
    let parted = rig.send("DELETE", path, &[("idp-proxy-account", "github|2")], b"").await.json();
    assert_eq!((&parted["account"], &parted["shared_with"]), (&json!("2"), &json!(["again"])));
    assert_eq!(parted["revoked"], false, "{parted}");
    assert!(parted["detail"].as_str().unwrap().contains("revoke_url"), "{parted}");
    for (account, status) in [("1", 200), ("2", 403)] {
        for provider in ["github", "again"] {
            let answer = rig.get_with(&format!("/proxy/{provider}/x"), &[("idp-proxy-account", account)]).await;
            assert_eq!(answer.status, status, "{account} by {provider}");
        }
    }
}

#[tokio::test]
async fn who_may_not_call_may_not_disconnect_and_what_cannot_be_is_said() {
    let upstream = Upstream::replying("hello").await;
    let vault = "source = \"token_vault\"\nallow = \"all\"";
    let rig = rig().provider("github", &upstream).provider("none", &upstream);
    let rig = rig.provider_at("intranet", &upstream.base_url(), vault);
    let rig = rig.provider_at("strict", &upstream.base_url(), "require = [\"read:it\"]");
    let rig = rig.with("cors", "origins = [\"https://app.example.com\"]").start().await;
    rig.tenant.add_user(User::new(ALICE).with(Identity::new("github", "1").access_token("tok-0123456789abcdef")));
    let as_is = |headers: Vec<(&'static str, &'static str)>| {
        let address = rig.address();
        async move { client::send(&address, "DELETE", "/connections/github", &headers, b"").await.code() }
    };
    assert_eq!(as_is(vec![]).await, "missing_token");
    assert_eq!(as_is(vec![("origin", "https://evil.example")]).await, "origin_not_allowed");
    for (name, code) in [
        ("githup", "unknown_provider"),
        ("github/x", "unknown_provider"),
        ("none", "not_connected"),
        ("strict", "insufficient_scope"),
        ("intranet", "not_implemented"),
    ] {
        assert_eq!(rig.send("DELETE", &format!("/connections/{name}"), &[], b"").await.code(), code, "{name}");
    }
    assert_eq!(rig.send("DELETE", "/connections", &[], b"").await.code(), "not_found");
    let told = rig.send("DELETE", "/connections/intranet", &[], b"").await.json();
    assert!(told["detail"].as_str().unwrap().contains("/me/v1/connected-accounts/accounts/"), "{told}");
    assert_eq!(rig.get("/proxy/github/x").await.text(), "hello", "all of that has disconnected nothing");

    let asks = [("origin", "https://app.example.com"), ("access-control-request-method", "DELETE")];
    let preflight = rig.send_as_is("OPTIONS", "/connections/github", &asks, b"").await;
    assert!(preflight.all("access-control-allow-methods").contains("DELETE"));
    assert_eq!(preflight.all("access-control-allow-origin"), "https://app.example.com");
}

#[tokio::test]
async fn each_provider_is_told_in_its_own_way() {
    for (lines, expected) in [
        ("revoke_with = \"bearer\"", ("POST", "Bearer tok-0123456789abcdef", "")),
        ("revoke_with = \"delete\"", ("DELETE", "Bearer tok-0123456789abcdef", "")),
        ("revoke_with = \"token\"", ("POST", "", "token=tok-0123456789abcdef&token_type_hint=access_token")),
        (
            "revoke_with = \"github\"\nclient_id = \"a b\"\nclient_secret = \"c\"",
            ("DELETE", "Basic YStiOmM=", r#"{"access_token":"tok-0123456789abcdef"}"#),
        ),
        (
            "client_id = \"a b\"\nclient_secret = \"c\"",
            ("POST", "", "token=tok-0123456789abcdef&token_type_hint=access_token&client_id=a+b&client_secret=c"),
        ),
    ] {
        let (upstream, requests) = told().await;
        let lines = format!("{lines}\nrevoke_url = \"{}/revoke/{{client_id}}\"", upstream.base_url());
        let lines = if lines.contains("client_id = ") { format!("{lines}\nrotates = false") } else { lines };
        let rig = rig().provider_at("intranet", &upstream.base_url(), &lines).start().await;
        rig.tenant.add_user(User::new(ALICE).with(Identity::new("intranet", "1").access_token("tok-0123456789abcdef")));
        let parted = rig.send("DELETE", "/connections/intranet", &[], b"").await.json();
        assert_eq!(parted["revoked"], true, "{parted}");
        let request = requests.lock().unwrap().clone();
        let (head, sent) = request.split_once("\r\n\r\n").unwrap();
        let (method, authorization, body) = expected;
        let id = if lines.contains("client_id = ") { "a%20b" } else { "" };
        assert!(head.starts_with(&format!("{method} /revoke/{id} HTTP/1.1\r\n")), "{head}");
        let line = head.lines().find_map(|line| line.strip_prefix("authorization: ")).unwrap_or_default();
        assert_eq!((line, sent), (authorization, body), "{lines}");
    }
}

/// A provider that is told something once, and what that was.
async fn told() -> (Upstream, Arc<Mutex<String>>) {
    let request = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&request);
    let upstream = Upstream::raw(move |mut stream| {
        let kept = Arc::clone(&kept);
        async move {
            let mut buffer = [0; 4096];
            loop {
                let count = stream.read(&mut buffer).await.unwrap();
                let mut text = kept.lock().unwrap();
                text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                    break;
                }
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        }
    });
    (upstream.await, request)
}

#[tokio::test]
async fn what_a_provider_could_not_end_is_ended_by_the_next_try_with_the_newest_tokens() {
    let mut life = Life::start("again").await;
    for (provider, connection) in ALL {
        assert_eq!(life.call(provider).await.status, 200);
        life.world.clock.advance(HOUR);
        // Where tokens rotate, those of the tenant are spent by now.
        assert_eq!(life.call(provider).await.status, 200);
        assert_eq!(life.grants(provider, connection), 1);
        life.provider(provider).fail(Side::Revoke, Fault::Status(503, String::new()));
        let parted = life.disconnect(provider).await;
        assert_eq!((&parted["revoked"], life.grants(provider, connection)), (&json!(false), 1), "{parted}");
        life.provider(provider).heal();
    }
    life = life.restart().await;
    for (provider, connection) in ALL {
        assert_eq!(life.call(provider).await.code(), "reconnect_required");
        let parted = life.disconnect(provider).await;
        assert_eq!((&parted["revoked"], life.grants(provider, connection)), (&json!(true), 0), "{parted}");
        // What is ended stays so.
        assert_eq!(life.disconnect(provider).await["revoked"], true);
    }
}

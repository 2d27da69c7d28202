//! `idp-proxy explain`: it says what the proxy would do, and why, and does nothing of it.

use idp_proxy::command::dev::tenant::{Endpoint, Identity};
use serde_json::{Value, json};

use crate::support::child::{folder, idp_proxy};
use crate::support::command::{Ran, masked, run, write};
use crate::support::rig::{ALICE, provider_token};
use crate::support::{Rig, Upstream, rig};

mod accounts;
mod beside;
mod given;

/// `explain` of a request at a rig's proxy, by the holder of `token`.
async fn explain(rig: &Rig, token: Option<&str>, arguments: &[&str]) -> Ran {
    let folder = folder();
    let toml = rig.toml.replacen("127.0.0.1:0", &rig.address(), 1);
    write(&folder.join("proxy.toml"), &toml);
    let mut command = idp_proxy(&["explain"]);
    // Nobody is logged in there.
    command.args(arguments).current_dir(&folder).env("XDG_STATE_HOME", &folder);
    if token.is_some() {
        command.args(["--token-file", "-"]);
    }
    let ran = run(command, token.unwrap_or_default()).await;
    let printed = ran.out.clone() + &ran.err;
    let token = token.filter(|token| !token.is_empty()).unwrap_or("\u{0}");
    for secret in [token, rig.token(), "tok-alice", "demo-proxy-client-secret"] {
        assert!(!printed.contains(secret), "{printed}");
    }
    ran
}

/// The facts of one step.
fn facts<'said>(said: &'said Value, step: &str) -> &'said Value {
    let steps = said["steps"].as_array().unwrap();
    &steps.iter().find(|known| known["step"] == step).unwrap_or_else(|| panic!("no {step} in {said:#}"))["facts"]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_would_be_sent_is_told_to_its_end_and_not_sent() {
    let upstream = Upstream::replying("hello").await;
    let rig = rig()
        .provider_at("github", &upstream.base_url(), "require = [\"read:github\"]\nallow = [\"GET /repos/**\"]")
        .with("server", "name = \"edge\"")
        .start()
        .await;
    let token = rig.tenant.token(ALICE).scope("openid read:github").sign();
    let told = explain(&rig, Some(&token), &["GET", "/proxy/github/repos/a/b?page=2"]).await;
    assert_eq!((told.code, &*told.err), (Some(0), ""), "{}", told.out);
    let (host, proxy) = (upstream.base_url().replace("http://", ""), rig.address());
    let key = told.out.lines().find_map(|line| line.trim().strip_prefix("ok  key id      ")).unwrap();
    let key = key.split_whitespace().next().unwrap();
    let names = [(&*host, "UPSTREAM"), (&*proxy, "PROXY"), (rig.tenant.base_url(), "TENANT"), (key, "KEY")];
    let expected = "\
GET /proxy/github/repos/a/b?page=2

ok  request
      method      GET
      target      /proxy/github/repos/a/b?page=2
      host        127.0.0.1
ok  caller
  ok  form        a JWT  (a signed JWT)
  ok  issuer      TENANT/  (TENANT/)
  ok  key id      KEY  (one of the issuer's keys)
  ok  signature   that key's  (that key's)
  ok  expires     <time>  (later than <time>)
  ok  audience    https://idp-proxy.localhost/, TENANT/userinfo  (https://idp-proxy.localhost/)
  ok  subject     github|583231  (a person's)
ok  route
      found by    path
      provider    github
      base_url    http://UPSTREAM
ok  rule
  ok  holds       read:github  (read:github)
      says        allow has \"GET /repos/**\"
ok  account
      connection  github
      is          1
      chosen by   being the only one there
      looked at   the tenant, 0 s ago
ok  token
      source      the user's identity
      expires     not known
      renewable   no
      to do       use it
ok  to the provider
      url         http://UPSTREAM/repos/a/b?page=2
      sets        host: UPSTREAM
      sets        accept-encoding: identity
      sets        via: 1.1 edge
      sets        user-agent: idp-proxy
      sets        authorization: Bearer <the account's token>
      removes     nothing
ok  way back
      links       led back through the proxy in headers and JSON bodies
      guard       the account's token cannot come back

It would be sent: GET http://UPSTREAM/repos/a/b?page=2
What a running proxy holds in its memory alone is not seen from here.
";
    assert_eq!(masked(&told.out, &names), expected);
    upstream.saw_nothing();
    assert!(!told.out.contains('\u{1b}'), "colour in a pipe");

    let said = explain(&rig, Some(&token), &["GET", "/proxy/github/repos/a/b", "--json"]).await.json();
    assert_eq!(said["request"], json!({ "method": "GET", "target": "/proxy/github/repos/a/b" }));
    let url = format!("{}/repos/a/b", upstream.base_url());
    assert_eq!(said["verdict"], json!({ "outcome": "sent", "method": "GET", "url": url }));
    let names: Vec<&str> =
        said["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(names, ["request", "caller", "route", "rule", "account", "token", "to the provider", "way back"]);
    let audience = &facts(&said, "caller")["audience"];
    assert_eq!((&audience["expected"], &audience["ok"]), (&json!("https://idp-proxy.localhost/"), &json!(true)));
}

/// What the proxy does with a request is what `explain` says of it.
async fn agrees(rig: &Rig, upstream: &Upstream, token: Option<&str>, (method, path): (&str, &str)) -> Value {
    let sent = upstream.requests().len();
    let authorization = token.map(|token| format!("Bearer {token}"));
    let headers: Vec<_> = authorization.iter().map(|value| ("authorization", value.as_str())).collect();
    let answer = rig.send_as_is(method, path, &headers, b"").await;
    let told = explain(rig, token, &[method, path, "--json"]).await;
    let (said, passed) = (told.json(), upstream.requests().len() > sent);
    let verdict = &said["verdict"];
    if passed {
        assert_eq!((verdict["outcome"].as_str(), told.code), (Some("sent"), Some(0)), "{method} {path}: {said:#}");
        let real = &upstream.requests()[sent];
        let url = format!("{}{}", upstream.base_url(), real.target);
        assert_eq!(verdict["url"], url, "{method} {path}");
        let sets: Vec<&str> = facts(&said, "to the provider")["sets"]
            .as_array()
            .unwrap()
            .iter()
            .map(|set| set.as_str().unwrap())
            .collect();
        for (name, value) in &real.headers {
            let value = value.to_str().unwrap().replace(&provider_token("github"), "<the account's token>");
            assert!(sets.contains(&&*format!("{name}: {value}")), "{name}: {value} in {sets:?}");
        }
        assert_eq!(sets.len(), real.headers.len(), "{sets:?}");
    } else {
        let problem = answer.json();
        for member in ["status", "code", "fault", "title", "detail"] {
            assert_eq!(verdict[member], problem[member], "{method} {path}: {said:#}");
        }
        let expected = match problem["code"].as_str().unwrap() {
            "missing_token" | "expired_token" => 4,
            _ => 1,
        };
        assert_eq!(told.code, Some(expected), "{said:#}");
    }
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn it_agrees_with_the_proxy_about_every_path() {
    let upstream = Upstream::replying("hello").await;
    let lines = "require = []\nallow = [\"GET,POST /repos/**\", \"GET /user\"]\ndeny = [\"* /repos/secret/**\"]";
    let rig = rig()
        .provider_at("github", &upstream.base_url(), lines)
        .provider_at("facebook", &upstream.base_url(), "allow = \"read\"")
        .with("server", "name = \"edge\"")
        .start()
        .await;
    let mut says = Vec::new();
    for (method, path) in [
        ("GET", "/proxy/github/repos/a?b=c"),
        ("HEAD", "/proxy/github/user"),
        ("POST", "/proxy/github/user"),
        ("POST", "/proxy/github/repos/a/b"),
        ("GET", "/proxy/github/repos/secret/b"),
        ("GET", "/proxy/github/repos/secret%2Fb"),
        ("GET", "/proxy/github/a/../user"),
        ("GET", "/proxy/githbu/user"),
        ("GET", "/nowhere"),
        ("TRACE", "/proxy/github/user"),
        ("GET", "/proxy/facebook/me?method=delete"),
        ("DELETE", "/proxy/facebook/me"),
    ] {
        let said = agrees(&rig, &upstream, Some(rig.token()), (method, path)).await;
        if let Some(rule) = said["steps"].as_array().unwrap().iter().find(|step| step["step"] == "rule") {
            says.push((path, rule["facts"]["says"].as_str().map(str::to_owned)));
        }
    }
    let expected = [
        ("/proxy/github/repos/a?b=c", Some("allow has \"GET,POST /repos/**\"")),
        ("/proxy/github/user", Some("allow has \"GET /user\"")),
        ("/proxy/github/user", Some("nothing in `allow` permits it")),
        ("/proxy/github/repos/a/b", Some("allow has \"GET,POST /repos/**\"")),
        ("/proxy/github/repos/secret/b", Some("deny has \"* /repos/secret/**\"")),
        ("/proxy/github/repos/secret%2Fb", None),
        ("/proxy/facebook/me?method=delete", Some("allow = \"read\" (GET and HEAD)")),
        ("/proxy/facebook/me", Some("nothing in `allow` permits it")),
    ];
    assert_eq!(says, expected.map(|(path, says)| (path, says.map(str::to_owned))));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_agrees_with_the_proxy_about_every_token_and_names_the_claim() {
    let upstream = Upstream::replying("hello").await;
    let rig =
        rig().provider_at("github", &upstream.base_url(), "allow = \"all\"\nrequire = [\"read:github\"]").start().await;
    let token = || rig.tenant.token(ALICE);
    for (token, wrong) in [
        (token().expires_in(-120).sign(), &["expires"][..]),
        (token().audience("https://other.example/").sign(), &["audience"]),
        (token().issuer("https://other.example/").sign(), &["issuer"]),
        (token().claim("nbf", 9_999_999_999_u64).sign(), &["not_before"]),
        (token().claim("cnf", json!({ "jkt": "x" })).sign(), &["binding"]),
        (token().expires_in(-120).audience("x").sign(), &["audience", "expires"]),
        (rig.tenant.machine_token(), &["subject"]),
        (rig.tenant.id_token(ALICE), &["audience"]),
        (rig.tenant.encrypted_token(), &["form"]),
        (rig.tenant.opaque_token(), &["form"]),
        (token().sign() + "AAAA", &["signature"]),
        (token().header("kid", "nobody's").sign(), &["key_id"]),
        (token().header("crit", ["x"]).sign(), &["header"]),
        (token().sign(), &[]),
    ] {
        let said = agrees(&rig, &upstream, Some(&token), ("GET", "/proxy/github/user")).await;
        let claims = facts(&said, "caller").as_object().unwrap().iter();
        let found: Vec<_> = claims.filter(|(_, claim)| claim["ok"] == false).map(|(name, _)| name.as_str()).collect();
        assert_eq!(found, wrong, "{said:#}");
        // A token without fault lacks a scope, which is the rule's matter.
        let last = said["steps"].as_array().unwrap().last().unwrap();
        assert_eq!(last["step"], if wrong.is_empty() { "rule" } else { "caller" });
        assert_eq!(last["outcome"], "refused");
    }
    upstream.saw_nothing();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_route_and_rule_are_told_and_how_to_get_one() {
    let upstream = Upstream::replying("hello").await;
    let rig = rig().provider_at("github", &upstream.base_url(), "host = \"github.localhost\"").start().await;
    let told = explain(&rig, None, &["DELETE", "http://github.localhost:8080/user"]).await;
    assert_eq!(told.code, Some(4));
    let expected = "\
DELETE /user

ok  request
      method      DELETE
      target      /user
      host        github.localhost
NO  caller
ok  route
      found by    host
      provider    github
      base_url    UPSTREAM
NO  rule
      says        nothing in `allow` permits it

It would be refused: 401 missing_token (fault: caller)
  the request carries no access token; send `Authorization: Bearer <Auth0 access token>`
  Log in with `idp-proxy login`, or name a file that has a token with --token-file; `dev` writes such files.
What a running proxy holds in its memory alone is not seen from here.
";
    assert_eq!(masked(&told.out, &[(&upstream.base_url(), "UPSTREAM")]), expected);
    assert_eq!(rig.tenant.calls(Endpoint::Users), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_request_a_configuration_or_a_token_is_bad_usage() {
    let upstream = Upstream::replying("hello").await;
    let rig = rig().provider("github", &upstream).start().await;
    for (token, arguments) in [
        (Some(""), &["GET", "/proxy/github/user"][..]),
        (Some("two\nlines"), &["GET", "/proxy/github/user"]),
        (None, &["GET", "/proxy/github/user", "--token-file", "no-such-file"]),
        (None, &["GET", "/proxy/github/user", "--config", "no-such.toml"]),
        (None, &["GET", "/proxy/github/us er"]),
        (None, &["G ET", "/proxy/github/user"]),
        (None, &["GET"]),
    ] {
        let told = explain(&rig, token, arguments).await;
        assert_eq!((told.code, &*told.out), (Some(2), ""), "{arguments:?}: {}", told.err);
        assert!(!told.err.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_out_of_reach_is_5() {
    let upstream = Upstream::replying("hello").await;
    let rig = rig().provider("github", &upstream).start().await;
    let token = rig.token().to_owned();
    rig.tenant.down().await;
    let told = explain(&rig, Some(&token), &["GET", "/proxy/github/user", "--json"]).await;
    assert_eq!((told.code, told.json()["verdict"]["code"].as_str()), (Some(5), Some("tenant_unavailable")));
    rig.tenant.up().await.unwrap();
    assert_eq!(explain(&rig, Some(&token), &["GET", "/proxy/github/user"]).await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_strangers_token_says_does_nothing_to_a_terminal() {
    let upstream = Upstream::replying("hello").await;
    let rig = rig().provider("github", &upstream).start().await;
    let token = rig.tenant.token("github|\u{1b}[2J\n\u{202e}x").sign();
    let told = explain(&rig, Some(&token), &["GET", "/proxy/github/user"]).await;
    assert!(told.out.contains("github|\\u{1b}[2J\\n\\u{202e}x"), "{}", told.out);
    assert!(!told.out.contains(['\u{1b}', '\u{202e}']));
}

/// What of alice's identities is hers at `connection` twice.
fn second(rig: &Rig, connection: &str) {
    let identity = Identity::new(connection, "2").access_token(&provider_token("second"));
    rig.tenant.with_user(ALICE, |user| user.identities.push(identity)).unwrap();
}

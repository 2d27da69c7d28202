//! A canary run: every secret is marked, everything goes wrong, and the marks are looked for in all that comes out.

use idp_proxy::command::dev::fault::Fault;
use idp_proxy::command::dev::tenant::{Endpoint, Identity, User};

use crate::support::canary::{CLIENT_SECRET, PROVIDER_TOKEN, SUBJECT, search};
use crate::support::{Answer, Child, Rig, Upstream, client, rig};

mod renewal;

const QUERY_VALUE: &str = "canary-query-value";

struct Run {
    rig: Rig,
    child: Child,
    subjects: u32,
}

impl Run {
    /// A user who has not called yet, so that the tenant is asked.
    fn newcomer(&mut self) -> String {
        self.subjects += 1;
        let subject = format!("{SUBJECT}-{}", self.subjects);
        let identity = |connection: &str| Identity::new(connection, "1").access_token(PROVIDER_TOKEN);
        self.rig.tenant.add_user(User::new(&subject).with(identity("github")).with(identity("broken")));
        self.rig.tenant.token_for(&subject)
    }

    /// Sends a request and searches the answer, if it is ours.
    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let answer = client::send(&self.child.proxy, method, path, headers, b"").await;
        let heads: String = answer.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        search(&heads, "an answer's head");
        search(&answer.text(), "an answer's body");
        answer
    }

    async fn with_token(&self, token: &str, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let authorization = format!("Bearer {token}");
        let mut all = vec![("authorization", authorization.as_str())];
        all.extend_from_slice(headers);
        self.send(method, path, &all).await
    }

    /// Ends the proxy and searches everything that it wrote.
    async fn end(mut self) {
        let metrics = self.child.admin("/metrics").await.text();
        search(&metrics, "/metrics");
        assert_eq!(self.child.stop().await, Some(0));
        let log = self.child.log();
        assert!(log.contains("\"message\":\"request\""), "{log}");
        search(&log, "the log");
        search(&self.child.out(), "stdout");
    }
}

/// A proxy that says all it can, with a provider that answers and one that does not speak HTTP.
async fn run(upstream: &Upstream, broken: &Upstream) -> Run {
    let rig = rig()
        .provider("github", upstream)
        .provider("broken", broken)
        .with("limits", "tenant_timeout = \"400ms\"\ntoken_wait = \"2s\"\nfirst_byte_timeout = \"400ms\"")
        .tenant(|settings| settings.client_secret = CLIENT_SECRET.to_owned())
        .start()
        .await;
    let child = Child::serve(&rig.toml, &[("IDP_PROXY_LOG", "trace")]).await.ready().await;
    Run { rig, child, subjects: 0 }
}

async fn nonsense() -> Upstream {
    Upstream::raw(|mut stream| async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut head = vec![0; 65536];
        let count = stream.read(&mut head).await.unwrap_or(0);
        // Hands the request back, token and all, as something that is no answer.
        let _ = stream.write_all(&head[..count]).await;
    })
    .await
}

#[tokio::test]
async fn no_secret_is_written_when_callers_do_wrong() {
    let (github, broken) =
        (Upstream::replying("hello").await.allow(&["x-token", "x-http-method-override"]), nonsense().await);
    let mut run = run(&github, &broken).await;
    let token = run.newcomer();
    assert_eq!(run.with_token(&token, "GET", "/proxy/github/user", &[]).await.status, 200);
    let in_path = format!("/proxy/github/{token}/x");
    let in_query = format!("/proxy/github/user?access_token={token}&a={QUERY_VALUE}&{token}");
    let of_provider = format!("/proxy/github/user?access_token={PROVIDER_TOKEN}&q={QUERY_VALUE}");
    let opaque = "/proxy/github/user?access_token=canary-provider-token";
    for path in [in_path.as_str(), in_query.as_str(), of_provider.as_str(), opaque, "/proxy/broken/a", "/a?canary-x=1"]
    {
        run.with_token(&token, "GET", path, &[]).await;
        run.send("GET", path, &[]).await;
        run.with_token(&token, "BREW", path, &[]).await;
    }
    let refused = [
        ("authorization", format!("Basic {token}")),
        ("authorization", token.clone()),
        ("authorization", format!("DPoP {token}")),
        ("authorization", format!("Bearer {token}x")),
        ("authorization", format!("Bearer {}", token.replace('.', "!"))),
        ("authorization", format!("Bearer {}", &token[..token.len() - 9])),
        ("authorization", format!("Bearer {}", run.rig.tenant.id_token(SUBJECT))),
        ("authorization", format!("Bearer {}", run.rig.tenant.encrypted_token())),
        ("authorization", format!("Bearer {}", run.rig.tenant.token("canary-subject@clients").sign())),
        ("authorization", format!("Bearer {}", run.rig.tenant.management_token("read:users"))),
        ("cookie", format!("session={token}")),
        ("origin", format!("https://{QUERY_VALUE}.example")),
        ("host", format!("{QUERY_VALUE}.example")),
        ("host", token.clone()),
    ];
    for (name, value) in &refused {
        run.send("GET", "/proxy/github/user", &[(name, value)]).await;
        run.send("POST", &format!("/proxy/github/user?x={QUERY_VALUE}"), &[(name, value)]).await;
    }
    for header in ["x-token", "idp-proxy-account", "connection", "via", "x-http-method-override", "upgrade"] {
        run.with_token(&token, "GET", "/proxy/github/user", &[(header, &token)]).await;
        run.with_token(&token, "GET", "/proxy/github/user", &[(header, "canary-provider-token")]).await;
    }
    run.end().await;
}

#[tokio::test]
async fn no_secret_is_written_when_the_tenant_fails_and_echoes_them() {
    let (github, broken) = (Upstream::replying("hello").await, nonsense().await);
    let mut run = run(&github, &broken).await;
    let echo = format!("{CLIENT_SECRET} {PROVIDER_TOKEN} {SUBJECT} eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln");
    let json = |text: &str| serde_json::json!({ "error": text, "error_description": text, "access_token": text });
    let bodies = [
        echo.clone(),
        json(&echo).to_string(),
        format!(r#"{{"user_id":"{SUBJECT}","identities":"{PROVIDER_TOKEN}"}}"#),
        format!(r#"{{"user_id":"{SUBJECT}","identities":[{{"connection":"github","{PROVIDER_TOKEN}":1}}]}}"#),
        format!(r#"{{"user_id":7,"identities":[{{"connection":"github","access_token":["{PROVIDER_TOKEN}"]}}]}}"#),
        format!(r#"{{"access_token":"{PROVIDER_TOKEN}","expires_in":"{CLIENT_SECRET}"}}"#),
        format!(r#"{{"blocked":"{SUBJECT}"}}"#),
        format!(r#"{{"keys":"{CLIENT_SECRET}"}}"#),
    ];
    // Users first: a management token is held by then, and later is not asked for any more.
    let warm = run.newcomer();
    assert_eq!(run.with_token(&warm, "GET", "/proxy/github/user", &[]).await.status, 200);
    for endpoint in [Endpoint::Users, Endpoint::Token] {
        if endpoint == Endpoint::Token {
            // Makes the proxy drop the management token that it holds.
            run.rig.tenant.fail(Endpoint::Users, Fault::Status(401, echo.clone()));
        }
        for body in &bodies {
            for status in [200, 401, 500] {
                run.rig.tenant.fail(endpoint, Fault::Status(status, body.clone()));
                let token = run.newcomer();
                run.with_token(&token, "GET", "/proxy/github/user", &[]).await;
            }
        }
        let statuses = [400, 403, 404, 429].map(|status| Fault::Status(status, echo.clone()));
        for fault in statuses.into_iter().chain([Fault::Garbage, Fault::Reset, Fault::Hang]) {
            run.rig.tenant.fail(endpoint, fault);
            let token = run.newcomer();
            run.with_token(&token, "GET", "/proxy/github/user", &[]).await;
        }
    }
    run.rig.tenant.fail(Endpoint::Jwks, Fault::Status(200, bodies[7].clone()));
    run.rig.tenant.rotate_keys();
    run.rig.tenant.rotate_keys();
    let token = run.newcomer();
    run.with_token(&token, "GET", "/proxy/github/user", &[]).await;
    run.rig.tenant.down().await;
    run.with_token(&token, "GET", "/proxy/github/user", &[]).await;
    run.end().await;
}

#[tokio::test]
async fn no_secret_is_written_when_the_provider_fails() {
    let refusing = Upstream::recording(|request| {
        let status = request.target.rsplit('/').next().and_then(|text| text.parse().ok()).unwrap_or(200);
        http::Response::builder().status(status).body(hyper::body::Bytes::new()).unwrap()
    })
    .await;
    let broken = nonsense().await;
    let mut run = run(&refusing, &broken).await;
    let token = run.newcomer();
    let answer = run.with_token(&token, "GET", "/proxy/broken/a", &[]).await;
    assert_eq!(answer.status, 502, "{}", answer.text());
    for status in [200, 301, 401, 401, 403, 404, 429, 500, 503] {
        run.with_token(&token, "GET", &format!("/proxy/github/{status}"), &[]).await;
    }
    run.rig.tenant.with_user(&format!("{SUBJECT}-1"), |user| user.blocked = Some(true));
    run.with_token(&token, "GET", "/proxy/github/200", &[]).await;
    let token = run.newcomer();
    drop(broken);
    let answer = run.with_token(&token, "GET", "/proxy/broken/a", &[]).await;
    assert_eq!(answer.status, 502, "{}", answer.text());
    run.end().await;
}

#[tokio::test]
async fn no_secret_of_the_configuration_is_written_when_it_has_faults() {
    let (github, broken) = (Upstream::replying("hello").await, nonsense().await);
    let run = run(&github, &broken).await;
    let file = run.child.folder.join("proxy.toml");
    for text in [
        run.rig.toml.replace("client_secret =", "client_sceret ="),
        run.rig.toml.replace(&format!("\"{CLIENT_SECRET}\""), CLIENT_SECRET),
        run.rig.toml.replace(&format!("\"{CLIENT_SECRET}\""), &format!("\"{CLIENT_SECRET}")),
        run.rig.toml.replace("[server]", &format!("client_secret = \"{CLIENT_SECRET}\"\n[server]\nlisten = 7")),
    ] {
        std::fs::write(&file, text).unwrap();
        let count = run.child.log().matches("stays in force").count();
        run.child.signal(crate::support::child::Signal::HUP);
        let said = crate::support::child::eventually(|| {
            (run.child.log().matches("stays in force").count() > count).then_some(())
        });
        said.await.unwrap();
    }
    run.with_token(run.rig.token(), "GET", "/proxy/github/user", &[]).await;
    run.end().await;
}

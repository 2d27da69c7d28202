//! `/client.js`: what applications are spared by it, in a page and in Node, and that it is as small as was promised.

use std::path::Path;
use std::process::Command;

use http::Response;
use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use crate::support::child::folder;
use crate::support::https::Authority;
use crate::support::rig::ALICE;
use crate::support::{Child, Recorded, Rig, Upstream, browser, client, readme, rig};

/// A proxy for the pages of `app`, two of whose providers answer.
async fn for_pages_of(app: &str, server: &str) -> (Rig, Upstream, Upstream) {
    let github =
        Upstream::recording(github).await.allow(&browser::HEADERS).allow(&["x-own", "cache-control", "pragma"]);
    let silent = Upstream::raw(|mut stream| async move { while stream.read_u8().await.is_ok() {} }).await;
    let rig = rig()
        .with("cors", &format!("origins = [\"{app}\"]"))
        .with("server", server)
        .with("connect", "client_id = \"app\"\nredirect_uri = \"https://app.example.com/callback\"")
        .provider("github", &github)
        .provider("silent", &silent)
        .start()
        .await;
    rig.add("github|2", "elsewhere", "tok-of-nobody-0123456789");
    (rig, github, silent)
}

fn github(request: &Recorded) -> Response<Bytes> {
    let body = String::from_utf8_lossy(&request.body);
    let echo = format!("{} {} {} {body}", request.method, request.target, request.all("x-own"));
    let answer = Response::builder();
    let answer = match request.target.as_str() {
        "/denied" => answer.status(403).header("proxy-status", r#"idp-proxy; error=x; details="reconnect_required""#),
        "/linked" => answer.header("link", format!(r#"<http://{}/user?page=2>; rel="next""#, request.all("host"))),
        _ => answer,
    };
    answer.body(echo.into()).unwrap()
}

fn input(rig: &Rig, page: &str) -> Value {
    let proxy = rig.server.url();
    let expired = rig.tenant.token(ALICE).expires_in(-600).sign();
    let tokens = json!({ "alice": rig.token(), "nobody": rig.tenant.token_for("github|2"), "expired": expired });
    json!({ "module": format!("{proxy}/client.js"), "page": page, "proxy": proxy, "tokens": tokens })
}

/// What every application is spared, wherever it runs.
fn spared(told: &Value, rig: &Rig) {
    assert_eq!(told["call"], json!([200, "POST /echo?a=%2F&b 1 hello"]));
    assert_eq!(told["colon"], json!([200, "GET /v1:run  "]));
    // Even one that would like to be taken for the proxy.
    assert_eq!(told["providersOwnRefusal"], json!([403, "GET /denied  "]));
    assert_eq!(told["linked"], json!([200, "GET /user?page=2  "]));
    assert_eq!([&told["elsewhere"], &told["around"]], [&json!(["TypeError"]), &json!(["TypeError"])]);
    assert_eq!(told["head"], json!(["ProxyProblem", 404, "unknown_provider"]));
    let problem = &told["problem"];
    assert_eq!(problem["type"], json!(format!("{}/problems/unknown_provider", rig.server.url())));
    assert_eq!((&problem["fault"], &problem["headers"]), (&json!("caller"), &json!(true)), "{problem}");
    assert!(problem["request_id"].is_string() && problem["detail"].is_string(), "{problem}");
    assert_eq!(told["aborted"], json!(["AbortError"]));

    assert_eq!(told["renewed"], json!([[200, "POST /echo  hello"], ["on", "off"]]));
    assert_eq!(told["expired"], json!([["ProxyProblem", 401, "expired_token"], ["on", "off"]]));

    assert_eq!(told["signedOut"], json!(["ProxyProblem", 401, "missing_token"]));

    let not_connected = json!(["ProxyProblem", 403, "not_connected"]);
    assert_eq!(told["alone"], not_connected);
    assert_eq!(told["refused"][0], not_connected);
    let connects = told["refused"][1].as_array().unwrap();
    assert_eq!((connects.len(), &connects[0][0]), (1, &json!("not_connected")));
    assert_eq!(connects[0][1]["connection"], "github");
    let again = json!([200, "PUT /echo  again"]);
    assert_eq!(told["reconnected"], json!([[again, again], 1, ["on", "on", "off", "off"]]));
    assert_eq!(told["inVain"], json!([not_connected, 1]));
    assert_eq!(told["nothingToDisconnect"], json!([not_connected, 0]));
    // With an account of the user's it would have been done.
    assert_eq!(told["disconnectedOther"], not_connected);
}

#[tokio::test]
async fn a_page_that_loads_it_from_the_proxy_is_spared_tokens_problems_and_second_tries() {
    let page = browser::page().await;
    let folder = folder();
    Authority::new().certificate("127.0.0.1").put(&folder);
    let tls = format!("tls = {{ cert = '{0}/cert.pem', key = '{0}/key.pem' }}", folder.display());
    let (rig, github, _silent) = for_pages_of(&page.base_url(), &tls).await;
    let mut input = input(&rig, &page.base_url());
    // It knows where it came from.
    input.as_object_mut().unwrap().remove("proxy");
    let told = browser::run("frontend", &input).await;
    spared(&told, &rig);
    // What has gone cannot go again.
    assert_eq!(told["streams"], json!(["POST /echo  one two", "not_connected", "expired_token", 1]));
    let targets: Vec<String> = github.requests().into_iter().map(|request| request.target).collect();
    let once = ["/echo?a=%2F&b", "/v1:run", "/denied", "/linked", "/user?page=2", "/echo", "/echo", "/echo", "/echo"];
    assert_eq!(targets, once);
}

#[tokio::test]
async fn a_program_in_node_is_spared_the_same() {
    let (rig, _github, _silent) = for_pages_of("https://app.example.com", "").await;
    spared(&browser::run("frontend-node", &input(&rig, "")).await, &rig);
}

#[tokio::test]
async fn the_readmes_snippet_calls_and_sends_the_user_to_sign_in_again() {
    let page = browser::page().await;
    let github = Upstream::replying(r#"{"login":"alice"}"#).await.allow(&browser::HEADERS);
    let refusing = |_: &Recorded| Response::builder().status(401).body(Bytes::new()).unwrap();
    let dead = Upstream::recording(refusing).await.allow(&browser::HEADERS);
    let plain = || {
        let cors = format!("origins = [\"{}\"]", page.base_url());
        rig().with("cors", &cors).provider("github", &github).provider("dead", &dead)
    };
    let connect = "client_id = \"app\"\nredirect_uri = \"https://app.example.com/callback\"";
    let told = snippet(&page, &plain().with("connect", connect).start().await).await;
    // Once, however often the call fails.
    let asked = told["asked"].as_array().unwrap();
    assert_eq!((asked.len(), &asked[0]["authorizationParams"]["connection"]), (1, &json!("dead")), "{told}");
    assert_eq!(asked[0]["authorizationParams"]["prompt"], "login");
    // Without [connect] there is no URL to sign in at.
    assert_eq!(snippet(&page, &plain().start().await).await["asked"], json!([]));
}

/// What came of the snippet in a page: a call that is answered, and three that are not.
async fn snippet(page: &Upstream, rig: &Rig) -> Value {
    let snippet = readme::block("javascript frontend").text.replace("https://proxy.example.com", &rig.server.url());
    let input = json!({ "page": page.base_url(), "token": rig.token(), "snippet": snippet });
    let told = browser::run("snippet", &input).await;
    assert_eq!(
        (&told["login"], &told["refusals"], &told["isProblem"]),
        (&json!("alice"), &json!([401, 403, 403]), &json!(true))
    );
    told
}

#[tokio::test]
async fn it_is_under_two_kibibytes_and_lies_where_pages_of_allowed_origins_can_load_it() {
    let app = "https://app.example.com";
    let (rig, _github, _silent) = for_pages_of(app, "").await;
    let load = |path: &'static str, origin: &'static str| {
        let address = rig.address();
        async move { client::send(&address, "GET", path, &[("origin", origin)], b"").await }
    };
    for (path, kind) in
        [("/client.js", "text/javascript; charset=utf-8"), ("/client.d.ts", "text/plain; charset=utf-8")]
    {
        let file = load(path, app).await;
        assert_eq!((file.status, file.all("content-type").as_str()), (200, kind));
        assert_eq!(
            (file.header("access-control-allow-origin"), file.header("cache-control")),
            (Some(app), Some("max-age=300"))
        );
        assert!(path != "/client.js" || file.body.len() < 2048, "{} bytes", file.body.len());
        assert_eq!(load(path, "https://evil.example").await.code(), "origin_not_allowed");
    }
}

#[tokio::test]
async fn its_types_are_those_of_what_applications_in_typescript_do_with_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    let mut command = Command::new("node");
    command.arg(folder.join("node_modules/typescript/bin/tsc")).arg("-p").arg(folder.join("types"));
    let mut child = Child::spawn(command);
    assert!(child.exit().await.success(), "{}{}", child.out(), child.log());
}

//! Facebook's ways: proofs of the app's secret, tokens in the query, and calls that are other calls than they look.

use aws_lc_rs::hmac;
use http::Response;
use hyper::body::Bytes;
use idp_proxy::clock::Clock;
use idp_proxy::command::dev::provider::Issued;
use idp_proxy::command::dev::tenant::{Purpose, Vaulted};

use crate::support::rig::{ALICE, provider_token};
use crate::support::wire::{self, Wire};
use crate::support::{Answer, Child, Recorded, Rig, Upstream, client, refused, rig};

const SECRET: &str = "the-apps-own-secret";
pub const CLIENT: &str = "client_id = \"app\"\nclient_secret = \"the-apps-own-secret\"\nallow = \"all\"\n";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const MULTIPART: (&str, &str) = ("content-type", "multipart/form-data; boundary=XyX");
const JSON: (&str, &str) = ("content-type", "application/json");

/// All values of a parameter.
fn values<'target>(target: &'target str, name: &str) -> Vec<&'target str> {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    query.split('&').filter_map(|one| one.split_once('=')).filter(|(known, _)| *known == name).map(|(_, v)| v).collect()
}

/// What Facebook says to a call whose proof is not right: made with another secret or for another token, or old.
pub fn judged(request: &Recorded, clock: &Clock) -> Result<(), &'static str> {
    let token = request.all("authorization").replace("Bearer ", "");
    let ([proof], [time]) =
        (&values(&request.target, "appsecret_proof")[..], &values(&request.target, "appsecret_time")[..])
    else {
        return Err("API calls from the server require an appsecret_proof argument");
    };
    let seconds: u64 = time.parse().map_err(|_| "not a time")?;
    if clock.now().unix_seconds().abs_diff(seconds) > 300 {
        return Err("the proof has expired");
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let right = hmac::sign(&key, format!("{token}|{time}").as_bytes());
    let right: String = right.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    if *proof == right { Ok(()) } else { Err("Invalid appsecret_proof provided in the API argument") }
}

fn answer(status: u16, body: String) -> Response<Bytes> {
    Response::builder().status(status).header("content-type", "application/json").body(body.into()).unwrap()
}

/// A Facebook that is strict, to which `tok-old` is dead and which renews what it is asked to. `BASE` in `lines` is where
/// it is.
async fn facebook(clock: &Clock, lines: &str) -> (Rig, Upstream) {
    let (clock, wants_proof) = (clock.clone(), lines.contains("proof"));
    let upstream = Upstream::recording(move |request| {
        if request.target == "/oauth/access_token" {
            return answer(200, r#"{"access_token":"tok-new","token_type":"bearer","expires_in":3600}"#.to_owned());
        }
        if wants_proof && let Err(error) = judged(request, &clock) {
            return answer(400, format!(r#"{{"error":{{"code":100,"message":"{error}"}}}}"#));
        }
        if request.all("authorization") == "Bearer tok-old" {
            return answer(400, r#"{"error":{"code":190,"error_subcode":463}}"#.to_owned());
        }
        answer(200, r#"{"id":"1"}"#.to_owned())
    })
    .await
    // At the token endpoint.
    .allow(&["no authorization"]);
    let lines = lines.replace("BASE", &upstream.base_url());
    let rig = rig().provider_at("facebook", &upstream.base_url(), &lines).start().await;
    (rig, upstream)
}

async fn anonymous(rig: &Rig, path: String) -> Answer {
    rig.send_as_is("GET", &path, &[], b"").await
}

#[tokio::test]
async fn every_call_is_proven_anew_and_a_proof_of_the_callers_own_is_not_sent() {
    let clock = Clock::system();
    // The preset drops the caller's in any case.
    let (rig, facebook) = facebook(&clock, &format!("{CLIENT}proof = \"appsecret\"\ndrop_params = []")).await;
    for (method, path, before) in [
        ("GET", "/me", "/me?"),
        ("GET", "/me?fields=id%2Cname&&x=", "/me?fields=id%2Cname&&x=&"),
        ("POST", "/me/feed?", "/me/feed?"),
        ("DELETE", "/1?appsecret_proof=ab&a=1&appsecret%5Ftime=1", "/1?a=1&"),
    ] {
        let body = if method == "POST" { "message=hello" } else { "" };
        let answer = rig.send(method, &format!("/proxy/facebook{path}"), &[FORM], body.as_bytes()).await;
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text());
        let arrived = facebook.requests().pop().unwrap();
        assert!(arrived.target.starts_with(&format!("{before}appsecret_proof=")), "{}", arrived.target);
        assert_eq!(arrived.body, body.as_bytes());
        assert!(!answer.text().contains("appsecret") && !format!("{:?}", answer.headers).contains("appsecret"));
    }
}

#[tokio::test]
async fn a_call_that_is_sent_again_with_another_token_is_proven_for_that() {
    let renewed = "refresh_grant = \"refresh_token\"\ntoken_url = \"BASE/oauth/access_token\"\nproof = \"appsecret\"";
    let (rig, facebook) = facebook(&Clock::system(), &format!("{CLIENT}{renewed}")).await;
    rig.tenant.register("facebook", |_: &str| Issued {
        access_token: "tok-old".to_owned(),
        refresh_token: Some("refresh".to_owned()),
        expires_in: Some(3600),
    });
    assert!(rig.tenant.sign_in(ALICE, "facebook"));
    let answer = rig.send("POST", "/proxy/facebook/me/feed", &[FORM], b"message=x").await;
    assert_eq!(answer.text(), r#"{"id":"1"}"#, "the stand-in takes no token with the proof of another");
    assert_eq!(facebook.tokens(), ["tok-old", "", "tok-new"]);
}

#[tokio::test]
async fn a_callers_token_is_taken_from_the_query_where_the_operator_says_so_and_not_sent_on() {
    let lines = "allow = \"all\"\ntoken_param = \"access_token\"\nhost = \"facebook.example\"";
    let (rig, facebook) = facebook(&Clock::system(), lines).await;
    let token = rig.token().to_owned();
    let encoded = token.replace('.', "%2E");
    for (path, arrives) in [
        (format!("/me?access_token={token}"), "/me"),
        (format!("/me?fields=a%2Cb&access_token={token}&x"), "/me?fields=a%2Cb&x"),
        (format!("/me?Access%5Ftoken={encoded}"), "/me"),
        (format!("/me?access_token={token}&access_token={token}&access_token="), "/me"),
    ] {
        for (prefix, host) in [("/proxy/facebook", rig.address()), ("", "facebook.example".to_owned())] {
            let answer = rig.send_as_is("GET", &format!("{prefix}{path}"), &[("host", &host)], b"").await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
            assert_eq!(answer.header("cache-control"), Some("private, no-store"));
            assert_eq!(facebook.requests().pop().unwrap().target, arrives);
            assert_eq!(facebook.last_token(), provider_token("facebook"));
        }
    }
    // With `Authorization` as well it is removed too, and must be the same.
    assert_eq!(rig.get(&format!("/proxy/facebook/me?access_token={token}")).await.status, 200);
    assert_eq!(facebook.requests().pop().unwrap().target, "/me");
    let seen = facebook.requests().len();
    let bob = rig.tenant.token_for("github|2");
    refused(&rig.get(&format!("/proxy/facebook/me?access_token={bob}")).await, 400, "bad_request");
    for path in [format!("/me?access_token={token}&access_token={bob}"), format!("/me?access_token={token}&x={token}")]
    {
        refused(&rig.send_as_is("GET", &format!("/proxy/facebook{path}"), &[], b"").await, 400, "bad_request");
    }
    let form = format!("message=x&access_token={token}");
    refused(&rig.send("POST", "/proxy/facebook/me/feed", &[FORM], form.as_bytes()).await, 403, "not_allowed");
    assert!(facebook.requests()[seen..].iter().all(|request| !request.complete), "{:?}", &facebook.requests()[seen..]);
}

#[tokio::test]
async fn where_no_token_is_taken_from_the_query_it_is_data_and_strangers_learn_nothing() {
    let (facebook, github) = (Upstream::replying("ok").await, Upstream::replying("ok").await);
    let lines = "allow = \"all\"\ntoken_param = \"access_token\"";
    let rig = rig().provider_at("facebook", &facebook.base_url(), lines).provider("github", &github).start().await;
    let token = rig.token().to_owned();
    let query = format!("/me?access_token={token}");
    refused(&rig.send_as_is("GET", &format!("/proxy/github{query}"), &[], b"").await, 401, "missing_token");
    refused(&rig.get(&format!("/proxy/github{query}")).await, 400, "bad_request");
    assert_eq!(rig.get("/proxy/github/me?access_token=a-page-of-its-own&x").await.status, 200);
    assert_eq!(github.only().target, "/me?access_token=a-page-of-its-own&x");
    for stranger in
        ["/me", "/me?access_token=", "/me?access_token=0123456789abcdef.0123456789.x", "/me?access_token=a%0a"]
    {
        let ask = |name: &'static str| anonymous(&rig, format!("/proxy/{name}{stranger}"));
        let answers = [ask("facebook").await, ask("github").await, ask("nowhere").await];
        let [one, two, three] = answers.map(|answer| (answer.status, answer.code(), answer.json()["detail"].clone()));
        assert_eq!(one.0, 401, "{stranger}");
        assert!(one == two && two == three, "{stranger}: {one:?} {two:?} {three:?}");
    }
    facebook.saw_nothing();
}

#[tokio::test]
async fn a_method_in_the_query_must_be_permitted_too() {
    let rules = "allow = [\"GET /**\", \"POST /me/feed\", \"* /free\"]";
    let (rig, facebook) = facebook(&Clock::system(), rules).await;
    for (method, path, is_permitted) in [
        ("GET", "/1?method=get", true),
        ("GET", "/1?a=method=delete&methods=delete", true),
        ("GET", "/me/feed?method=post", true),
        ("GET", "/free?method=delete", true),
        ("GET", "/1?method=delete", false),
        ("GET", "/1?Method=DELETE", false),
        ("GET", "/1?m%65thod=d%45lete", false),
        ("GET", "/1?+method=delete", false),
        ("GET", "/1?method[]=delete", false),
        ("GET", "/1?method=get&method=delete", false),
        ("GET", "/1?method=", false),
        ("POST", "/me/feed?method=delete", false),
        ("GET", "/?batch=[]", false),
        ("POST", "/me/feed?ba%74ch=", false),
    ] {
        let answer = rig.send(method, &format!("/proxy/facebook{path}"), &[], b"").await;
        if is_permitted {
            assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text());
            assert_eq!(facebook.requests().pop().unwrap().target, path);
        } else {
            refused(&answer, 403, "not_allowed");
        }
    }
    assert_eq!(facebook.requests().len(), 4);
    let kind = [("content-type", "multipart/form-data")];
    assert_eq!(rig.get_with("/proxy/facebook/me", &kind).await.status, 200, "no body, nothing to look into");
    assert_eq!(rig.get("/proxy/facebook/me?suppress_response_codes=true&a=1").await.status, 200);
    assert_eq!(facebook.requests().pop().unwrap().target, "/me?a=1");
}

fn part(name: &str) -> String {
    format!("--XyX\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\nx\r\n--XyX--\r\n")
}

#[tokio::test]
async fn a_body_that_would_dodge_a_rule_never_arrives_whole() {
    let (rig, facebook) = facebook(&Clock::system(), "allow = [\"GET /**\", \"POST /me/feed\"]").await;
    let long = format!("message={}&method=delete", "x".repeat(3_000_000));
    for (kind, body) in [
        (FORM, "method=delete"),
        (FORM, "message=x&%6Dethod=delete"),
        (FORM, "batch=%5B%5D"),
        (FORM, &long),
        (MULTIPART, &part("method")),
        (MULTIPART, &part("batch")),
        (JSON, r#"{"message":"x","method":"delete"}"#),
        (("content-type", "multipart/form-data"), &part("message")),
    ] {
        let answer = rig.send("POST", "/proxy/facebook/me/feed", &[kind], body.as_bytes()).await;
        refused(&answer, 403, "not_allowed");
    }
    assert!(facebook.requests().iter().all(|request| !request.complete), "a whole request arrived");
    for (kind, body) in
        [(FORM, "message=method%3Ddelete"), (MULTIPART, &*part("message")), (JSON, r#"{"message":"method"}"#)]
    {
        assert_eq!(rig.send("POST", "/proxy/facebook/me/feed", &[kind], body.as_bytes()).await.status, 200, "{body}");
        let arrived = facebook.requests().pop().unwrap();
        assert!(arrived.complete && arrived.body == body.as_bytes());
    }
}

#[tokio::test]
async fn a_body_is_broken_off_when_it_turns_out_and_what_is_everything_allowed_is_not_looked_into() {
    let (rig, facebook) = facebook(&Clock::system(), "allow = [\"POST /me/feed\"]").await;
    let mut caller = Wire::to(&rig.address()).await;
    let (name, kind) = FORM;
    let lines = format!("{name}: {kind}\r\ntransfer-encoding: chunked\r\n");
    caller.send(wire::head(&rig, "POST /proxy/facebook/me/feed", &lines)).await;
    for piece in ["5\r\na=1&m\r\n", "3\r\neth\r\n", "4\r\nod=d\r\n"] {
        caller.send(piece.to_owned()).await;
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    }
    let received = String::from_utf8_lossy(&caller.rest().await).into_owned();
    assert!(received.starts_with("HTTP/1.1 403") && received.contains("not_allowed"), "{received}");
    let arrived = facebook.requests();
    assert!(arrived.iter().all(|request| !request.complete && !request.body.ends_with(b"d")), "{arrived:?}");

    // The preset denies the token endpoint to every method, and of a batch nobody knows where it goes.
    let (denied, facebook) = self::facebook(&Clock::system(), "allow = \"all\"").await;
    assert_eq!(denied.send("POST", "/proxy/facebook/1?method=delete", &[FORM], b"method=delete").await.status, 200);
    refused(&denied.send("POST", "/proxy/facebook/", &[FORM], b"batch=[]").await, 403, "not_allowed");
    refused(&denied.send("POST", "/proxy/facebook/?batch=[]", &[], b"").await, 403, "not_allowed");
    assert_eq!(facebook.requests().iter().filter(|request| request.complete).count(), 1);

    let (all, facebook) = self::facebook(&Clock::system(), "allow = \"all\"\ndeny = []").await;
    for (kind, body) in [(FORM, "method=delete&batch=[]"), (MULTIPART, &*part("method"))] {
        let answer = all.send("POST", "/proxy/facebook/?method=delete&batch=[]", &[kind], body.as_bytes()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(facebook.requests().pop().unwrap().body, body.as_bytes());
    }
}

#[tokio::test]
async fn a_token_in_the_query_reaches_the_vault() {
    let lines = "source = \"token_vault\"\ntoken_param = \"access_token\"";
    let (rig, facebook) = facebook(&Clock::system(), lines).await;
    rig.tenant.set_purpose("facebook", Purpose::Both);
    rig.tenant.with_user(ALICE, |user| user.vault = vec![Vaulted::new("facebook", "1", "tok-vault")]);
    let path = format!("/proxy/facebook/me?access_token={}", rig.token());
    assert_eq!(rig.send_as_is("GET", &path, &[], b"").await.status, 200);
    assert_eq!(facebook.last_token(), "tok-vault");
}

#[tokio::test]
async fn neither_a_token_in_the_query_nor_a_proof_is_written_down() {
    let clock = Clock::system();
    let lines = format!("{CLIENT}proof = \"appsecret\"\ntoken_param = \"access_token\"");
    let (rig, facebook) = facebook(&clock, &lines).await;
    let mut child = Child::serve(&rig.toml, &[("IDP_PROXY_LOG", "trace")]).await.ready().await;
    let token = rig.token().to_owned();
    for (path, status) in [
        (format!("/proxy/facebook/me?access_token={token}"), 200),
        (format!("/proxy/facebook/me?access_token={token}&access_token={token}x"), 400),
        (format!("/proxy/facebook/me?access_token={token}x"), 401),
        (format!("/proxy/nowhere/me?access_token={token}"), 404),
    ] {
        let answer = client::send(&child.proxy, "GET", &path, &[], b"").await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert!(!answer.text().contains("eyJ") && !format!("{:?}", answer.headers).contains("eyJ"), "{path}");
    }
    assert_eq!(child.stop().await, Some(0));
    let target = facebook.only().target;
    let log = child.log();
    assert!(log.contains("access_token=…"), "{log}");
    for secret in ["eyJ", SECRET, values(&target, "appsecret_proof")[0]] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

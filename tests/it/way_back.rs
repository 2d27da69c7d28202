//! An answer's way back: what it says of the token, where its links lead, and that the token is not in it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Response;
use hyper::body::Bytes;
use idp_proxy::command::dev::tenant::{Purpose, Vaulted};

use crate::support::rig::{ALICE, provider_token};
use crate::support::wire::{self, Wire};
use crate::support::{Recorded, Rig, Upstream, rig};

const GITHUB: &str = "allow = \"all\"";

async fn provider_with(
    lines: &str,
    answer: impl Fn(&Recorded) -> Response<Bytes> + Send + Sync + 'static,
) -> (Rig, Upstream) {
    let upstream = Upstream::recording(answer).await;
    (rig().provider_at("github", &upstream.base_url(), lines).start().await, upstream)
}

fn json(body: String) -> Response<Bytes> {
    Response::builder().header("content-type", "application/json").body(body.into()).unwrap()
}

#[tokio::test]
async fn links_into_the_provider_lead_back_through_the_proxy() {
    let upstream = Upstream::recording(|request| {
        let base = format!("http://{}", request.all("host"));
        let body = format!(r#"{{"url":"{base}/repos/1{{/sha}}","html_url":"https://github.com/a","{base}":1}}"#);
        let mut answer = json(body);
        let link = format!("<{base}/repos?page=2>; rel=\"next\", <https://github.com/b>; rel=\"alternate\"");
        answer.headers_mut().insert("link", link.parse().unwrap());
        answer.headers_mut().insert("location", format!("{base}/moved").parse().unwrap());
        answer.headers_mut().insert("etag", "\"v1\"".parse().unwrap());
        answer.headers_mut().insert("content-digest", "sha-256=:AAAA:".parse().unwrap());
        answer
    })
    .await;
    let rig = rig().provider_at("github", &upstream.base_url(), GITHUB).start().await;
    let answer = rig.get("/proxy/github/repos").await;
    let ours = format!("http://{}/proxy/github", rig.address());
    let link = format!("<{ours}/repos?page=2>; rel=\"next\", <https://github.com/b>; rel=\"alternate\"");
    assert_eq!(answer.header("link"), Some(link.as_str()));
    assert_eq!(answer.header("location"), Some(format!("{ours}/moved").as_str()));
    assert_eq!((answer.header("etag"), answer.header("content-digest")), (Some("\"v1\""), None));
    let base = upstream.base_url();
    let body = format!(r#"{{"url":"{ours}/repos/1{{/sha}}","html_url":"https://github.com/a","{base}":1}}"#);
    assert_eq!(answer.text(), body);
    assert_eq!(upstream.only().all("accept-encoding"), "identity", "what is compressed cannot be read");
    // The next page is followed as it stands, and comes through the proxy.
    let next = link.trim_start_matches('<').split('>').next().unwrap().to_owned();
    let path = next.strip_prefix(&format!("http://{}", rig.address())).unwrap().to_owned();
    assert_eq!(rig.get(&path).await.status, 200);
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test]
async fn a_provider_that_gives_the_token_back_is_kept_from_it_and_the_operator_hears_of_it() {
    let echo = |request: &Recorded| {
        let token = request.all("authorization").replace("Bearer ", "");
        let mut answer = json(format!(r#"{{"token":"{token}","basic":"{}"}}"#, STANDARD.encode(&token)));
        answer.headers_mut().insert("x-token", token.parse().unwrap());
        answer
    };
    let (rig, _upstream) = provider_with(GITHUB, echo).await;
    let token = provider_token("github");
    let answer = rig.get("/proxy/github/x").await;
    assert_eq!(answer.status, 200);
    let basic = STANDARD.encode(&token);
    assert!(!answer.text().contains(&token) && !answer.text().contains(&basic[..20]), "{}", answer.text());
    assert!(answer.text().starts_with("{\"token\":\"****"), "{}", answer.text());
    assert_eq!(answer.header("x-token"), Some("*".repeat(token.len()).as_str()));
    let metrics = rig.admin("/metrics").await.text();
    for place in ["header", "body"] {
        let line = format!("idp_proxy_leaks_total{{provider=\"github\",place=\"{place}\"}} 1\n");
        assert!(metrics.contains(&line), "{line} is missing from\n{metrics}");
    }
    let (off, _upstream) = provider_with("guard = \"off\"", echo).await;
    assert!(off.get("/proxy/github/x").await.text().contains(&token));
}

#[tokio::test]
async fn compressed_text_with_the_token_in_it_is_cut_before_the_token() {
    // gzip with one stored block (RFC 1951 §3.2.4): the text stands in it as it is.
    let echo = |request: &Recorded| {
        let text = format!("before {} behind", request.all("authorization").replace("Bearer ", ""));
        let length = u16::try_from(text.len()).unwrap();
        let mut body = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
        body.extend(length.to_le_bytes());
        body.extend((!length).to_le_bytes());
        body.extend(text.as_bytes());
        // Nobody gets as far as the sum.
        body.extend([0; 4]);
        body.extend(u32::from(length).to_le_bytes());
        let answer = Response::builder().header("content-type", "text/plain").header("content-encoding", "gzip");
        answer.body(Bytes::from(body)).unwrap()
    };
    let (rig, _upstream) = provider_with("allow = \"all\"\nrewrite = \"headers\"", echo).await;
    let mut caller = Wire::to(&rig.address()).await;
    let head = wire::head(&rig, "GET /proxy/github/x", "accept-encoding: gzip\r\n");
    caller.send(head).await;
    let received = String::from_utf8_lossy(&caller.rest().await).into_owned();
    assert!(received.starts_with("HTTP/1.1 200"), "{received}");
    assert!(!received.contains(&provider_token("github")), "{received}");
    let metrics = rig.admin("/metrics").await.text();
    assert!(metrics.contains("idp_proxy_leaks_total{provider=\"github\",place=\"compressed\"} 1\n"), "{metrics}");
}

/// gzip with one stored block (RFC 1951 §3.2.4): the text stands in it as it is.
fn gzip(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap();
    let mut body = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    body.extend(length.to_le_bytes());
    body.extend((!length).to_le_bytes());
    body.extend(text.as_bytes());
    let mut sum = !0_u32;
    for byte in text.bytes() {
        sum ^= u32::from(byte);
        for _ in 0..8 {
            sum = sum >> 1 ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 };
        }
    }
    body.extend((!sum).to_le_bytes());
    body.extend(u32::from(length).to_le_bytes());
    body
}

#[tokio::test]
async fn an_edited_body_comes_without_its_coding_and_tells_its_length() {
    let (rig, upstream) = provider_with(GITHUB, |request: &Recorded| {
        let text = format!(r#"{{"url":"http://{}/x"}}"#, request.all("host"));
        let body = if request.target == "/broken" { gzip(&text)[..40].to_vec() } else { gzip(&text) };
        let answer = Response::builder().header("content-type", "application/json").header("content-encoding", "gzip");
        answer.header("etag", "\"v1\"").body(Bytes::from(body)).unwrap()
    })
    .await;
    let answer = rig.get_with("/proxy/github/x", &[("accept-encoding", "gzip")]).await;
    let expected = format!(r#"{{"url":"http://{}/proxy/github/x"}}"#, rig.address());
    assert_eq!(answer.text(), expected);
    assert_eq!((answer.header("content-encoding"), answer.header("etag")), (None, Some("\"v1\"")));
    // All of it came with its head.
    assert_eq!(answer.header("content-length"), Some(expected.len().to_string().as_str()));
    assert_eq!(upstream.only().all("accept-encoding"), "identity", "it was asked for uncompressed all the same");
    // What breaks off is cut, and not rounded off.
    let mut caller = Wire::to(&rig.address()).await;
    caller.send(wire::head(&rig, "GET /proxy/github/broken", "")).await;
    let received = String::from_utf8_lossy(&caller.rest().await).into_owned();
    assert!(received.starts_with("HTTP/1.1 200") && !received.ends_with("0\r\n\r\n"), "{received}");
}

#[tokio::test]
async fn tokens_of_others_in_a_body_are_masked_where_the_preset_says_so() {
    let pages = r#"{"data":[{"access_token":"EAApage1","id":"1"},{"access_token":"EAApage2","id":"2"}]}"#;
    let upstream = Upstream::recording(move |_| json(pages.to_owned())).await;
    let rig = rig()
        .provider_at("facebook", &upstream.base_url(), "source = \"token_vault\"")
        .provider_at("pages", &upstream.base_url(), "source = \"token_vault\"\nsecret_fields = []")
        .start()
        .await;
    for provider in ["facebook", "pages"] {
        rig.tenant.set_purpose(provider, Purpose::Both);
    }
    rig.tenant.with_user(ALICE, |user| {
        user.vault = ["facebook", "pages"].map(|name| Vaulted::new(name, "1", "EAAtoken-of-the-user")).into();
    });
    let answer = rig.get("/proxy/facebook/me/accounts").await;
    assert_eq!(answer.text(), pages.replace("EAApage1", "********").replace("EAApage2", "********"));
    assert_eq!(answer.header("content-length"), Some(pages.len().to_string().as_str()));
    assert_eq!(rig.get("/proxy/pages/me/accounts").await.text(), pages);
    // Under another name it would not be known.
    for query in
        ["fields=id,access_token.as(x)", "fields=accounts%7Baccess%5Ftoken%20.as(x)%7D", "f=access_token+.%20as(b)"]
    {
        let answer = rig.get(&format!("/proxy/facebook/me/accounts?{query}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (403, "not_allowed"), "{query}");
    }
    assert_eq!(rig.get("/proxy/facebook/me/accounts?fields=access_token,id.as(access_token)").await.status, 200);
}

#[tokio::test]
async fn a_token_that_is_dead_in_the_providers_own_words_is_replaced_and_one_that_may_not_is_not() {
    // Slack's way: status 200, and the body tells.
    let upstream = Upstream::recording(|request| {
        let said = match (request.all("authorization").as_str(), request.target.as_str()) {
            (_, "/api/scope.info") => r#"{"ok":false,"error":"missing_scope"}"#,
            ("Bearer tok-old", _) => r#"{"ok":false,"error":"token_expired"}"#,
            _ => r#"{"ok":true}"#,
        };
        json(said.to_owned())
    })
    .await;
    let base = format!("{}/api", upstream.base_url());
    let rig = rig().provider_at("slack", &base, "source = \"token_vault\"").start().await;
    rig.tenant.set_purpose("slack", Purpose::Both);
    rig.tenant.with_user(ALICE, |user| user.vault = vec![Vaulted::new("slack", "1", "tok-old")]);
    assert_eq!(rig.get("/proxy/slack/scope.info").await.text(), r#"{"ok":false,"error":"missing_scope"}"#);
    assert_eq!(upstream.requests().len(), 1, "another token would not be allowed more");
    rig.tenant.with_user(ALICE, |user| user.vault = vec![Vaulted::new("slack", "1", "tok-new")]);
    assert_eq!(rig.get("/proxy/slack/users.info").await.text(), r#"{"ok":true}"#, "the caller noticed");
    assert_eq!(upstream.tokens(), ["tok-old", "tok-old", "tok-new"]);
    let headers = [("accept-encoding", "gzip, br")];
    assert_eq!(rig.get_with("/proxy/slack/users.info", &headers).await.status, 200);
    let asked = upstream.requests().iter().map(|request| request.all("accept-encoding")).collect::<Vec<_>>();
    assert_eq!(asked.last().map(String::as_str), Some("identity"), "what is compressed cannot be read");
}

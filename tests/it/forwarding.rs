//! What is forwarded, and how it comes back.

use http::Response;
use hyper::body::Bytes;

use crate::support::rig::provider_token;
use crate::support::{Upstream, rig};

#[tokio::test]
async fn a_caller_with_nothing_but_an_auth0_token_gets_the_providers_answer() {
    let github = Upstream::recording(|_| {
        Response::builder().status(201).header("x-kept", "yes").body(Bytes::from_static(b"hello")).unwrap()
    })
    .await;
    let rig = rig().provider("github", &github).start().await;
    let answer =
        rig.send("POST", "/proxy/github/user/repos?per_page=2", &[("content-type", "text/plain")], b"body").await;
    assert_eq!((answer.status, answer.text().as_str()), (201, "hello"));
    assert_eq!(answer.header("x-kept"), Some("yes"));
    assert_eq!(answer.header("proxy-status"), Some("idp-proxy; received-status=201"));
    let request = github.only();
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/user/repos?per_page=2"));
    assert_eq!(request.body, b"body");
    assert_eq!(request.all("authorization"), format!("Bearer {}", provider_token("github")));
    assert!(request.all("host").starts_with("127.0.0.1:"));
}

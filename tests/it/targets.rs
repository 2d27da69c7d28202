//! Paths and queries: sent on byte for byte, or not at all.

use std::collections::BTreeMap;

use crate::support::{Rig, Upstream, rig};

/// A provider at the root of its server, and one below a path.
async fn two() -> (Rig, Upstream) {
    let github = Upstream::replying("ok").await;
    let below = format!("{}/api/v4", github.base_url());
    let rig = rig().provider("github", &github).provider_at("gitlab", &below, "allow = \"all\"").start().await;
    (rig, github)
}

#[tokio::test]
async fn every_byte_of_path_and_query_arrives_as_it_was_sent() {
    let (rig, github) = two().await;
    for target in [
        "/",
        "/a%2Fb%2fc",
        "/projects/group%2Fproject/repository/files/src%2Fmain.rs",
        "/double//slash/",
        "/a;v=1;w=2/b,c",
        "/plus+and%2Bplus",
        "/x?",
        "/x??",
        "/?",
        "/x?a=1&a=2&b&=c&&",
        "/x?q=a+b%20c%2Bd",
        "/x?path=/../..&next=https://evil.example/%2e%2e",
        "/x?a=%00%0d%0a%5c",
        "/~user/!$&'()*,:@=-._",
        "/%E2%82%AC/%e2%82%ac",
        "/%252e%252e/%252F",
        "/a..b/..c/d../...",
        "/.well-known/.git",
        "/%zz/%",
        "/a|b^c",
        "/{owner}/\"x\"",
        "/[1]/x?f[]=1",
        "/x?a='%3C'&b={1|2}^",
        "/upload?sig=ab%2Fcd%3D%3D",
    ] {
        for (prefix, base) in [("/proxy/github", ""), ("/proxy/gitlab", "/api/v4")] {
            let answer = rig.get(&format!("{prefix}{target}")).await;
            assert_eq!(answer.status, 200, "{target}: {}", answer.text());
            assert_eq!(github.requests().pop().unwrap().target, format!("{base}{target}"));
        }
    }
}

#[tokio::test]
async fn a_slash_that_a_client_puts_behind_that_of_its_base_url_is_left_out() {
    let (rig, github) = two().await;
    for (prefix, base) in [("/proxy/github/", ""), ("/proxy/gitlab/", "/api/v4")] {
        assert_eq!(rig.get(&format!("{prefix}/user//x?a=//")).await.status, 200);
        assert_eq!(github.requests().pop().unwrap().target, format!("{base}/user//x?a=//"));
    }
}

#[tokio::test]
async fn a_path_that_means_another_one_once_decoded_is_refused() {
    let (rig, github) = two().await;
    for path in [
        "/..",
        "/../user",
        "/.",
        "/a/./b",
        "/a/..",
        "/a/../../b",
        "/%2e%2e/user",
        "/%2E%2E",
        "/.%2e/user",
        "/%2e./user",
        "/%2e/user",
        "/..;/user",
        "/..;x=1/user",
        "/..%3b/user",
        "/.;/user",
        "/a%2f..%2fb",
        "/a%2f%2e%2e%2fb",
        "/%2e%2e%2fuser",
        "/..%2f",
        "/..%5cuser",
        "/a%5C..%5Cb",
        "/a%5cb",
        "/..\\user",
        "/a\\b",
        "\\user",
        "/a%00",
        "/a%0d%0aHost:%20evil.example",
        "/a%0a",
        "/a%09b",
        "/a%7f",
        "/é",
        "/user?q=é",
    ] {
        for prefix in ["/proxy/github", "/proxy/gitlab"] {
            let answer = rig.get(&format!("{prefix}{path}")).await;
            let seen = (answer.status, answer.code());
            let glued = path.starts_with('\\');
            let expected = if glued { (404, "unknown_provider") } else { (400, "bad_request") };
            assert_eq!(seen, (expected.0, expected.1.to_owned()), "{path}");
        }
    }
    github.saw_nothing();
}

#[tokio::test]
async fn no_spelling_of_a_target_leads_to_another_server() {
    let (rig, github) = two().await;
    let elsewhere = Upstream::replying("elsewhere").await;
    let evil = elsewhere.base_url().trim_start_matches("http://").to_owned();
    for target in [
        format!("//{evil}/x"),
        format!("/proxy/github@{evil}/x"),
        format!("/proxy/github:80@{evil}/x"),
        format!("/proxy/github.{evil}/x"),
        format!("/proxy//{evil}/x"),
        format!("http://{evil}/x"),
        format!("/http://{evil}/x"),
        format!("/proxy/http://{evil}/x"),
        "*".to_owned(),
        evil.clone(),
        format!("github:{evil}"),
        "?x".to_owned(),
        "proxy/github/x".to_owned(),
        "javascript:alert(1)".to_owned(),
    ] {
        for method in ["GET", "OPTIONS"] {
            let host = format!("Host: {}", rig.address());
            let answer = rig.exchange(&format!("{method} {target} HTTP/1.1"), &[&host]).await;
            assert!(matches!(answer.status, 400 | 404), "{method} {target}: {}", answer.status);
        }
    }
    for path in
        [format!("//{evil}/x"), format!("/http://{evil}/x"), format!("/@{evil}"), format!("/x?url=http://{evil}")]
    {
        assert_eq!(rig.get(&format!("/proxy/github{path}")).await.status, 200, "{path}");
        let sent = if path.starts_with("//") { &path[1..] } else { &path };
        assert_eq!(github.requests().pop().unwrap().target, sent);
    }
    elsewhere.saw_nothing();
}

#[tokio::test]
async fn connect_and_trace_are_not_done_in_any_form() {
    let (rig, github) = two().await;
    let address = rig.address();
    let host = format!("Host: {address}");
    for request_line in [
        format!("CONNECT {address} HTTP/1.1"),
        "CONNECT evil.example:443 HTTP/1.1".to_owned(),
        "TRACE /proxy/github/user HTTP/1.1".to_owned(),
        "TRACE /nothing HTTP/1.1".to_owned(),
    ] {
        let answer = rig.exchange(&request_line, &[&host]).await;
        assert_eq!((answer.status, answer.code().as_str()), (501, "not_implemented"), "{request_line}");
        assert!(!answer.text().contains("eyJ"), "the bearer is not echoed");
    }
    github.saw_nothing();
}

#[tokio::test]
async fn what_follows_a_fragment_sign_never_travels_and_no_rule_is_dodged_by_it() {
    let github = Upstream::replying("ok").await;
    let rig = rig().provider_at("github", &github.base_url(), "deny = [\"/admin/**\"]").start().await;
    let expected = BTreeMap::from([
        ("/user#/../admin", Some("/user")),
        ("/user?a=1#b", Some("/user?a=1")),
        ("/admin/x#/user", None),
        ("/#/admin", Some("/")),
    ]);
    for (path, arrives) in expected {
        let answer = rig.get(&format!("/proxy/github{path}")).await;
        match arrives {
            Some(target) => assert_eq!(github.requests().pop().unwrap().target, target, "{path}"),
            None => assert_eq!(answer.code(), "not_allowed", "{path}"),
        }
    }
}

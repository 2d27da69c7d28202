//! Whom a request is for: by its host, by the name in its path, on the bytes as they came.

use crate::support::{Rig, Upstream, rig};

const HOST: &str = "github.proxy.example.com";

/// A proxy at `proxy.example.com` with two providers, of which `github` also has a host of its own.
async fn two() -> (Rig, Upstream, Upstream) {
    let (github, google) = (Upstream::replying("github").await, Upstream::replying("google").await);
    let rig = rig()
        .with("server", "public_url = \"https://proxy.example.com\"")
        .provider_at("github", &format!("{}/v3", github.base_url()), &format!("host = \"{HOST}\"\nallow = \"all\""))
        .provider("google", &google)
        .start()
        .await;
    (rig, github, google)
}

#[tokio::test]
async fn a_providers_own_host_reaches_it_with_the_path_alone_port_and_case_ignored() {
    let (rig, github, google) = two().await;
    for host in [HOST, "GitHub.Proxy.Example.COM", "github.proxy.example.com:8080", "GITHUB.proxy.example.com:1"] {
        let answer = rig.get_with("/user?x=1", &[("host", host)]).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "github"), "{host}");
        let request = github.requests().pop().unwrap();
        assert_eq!(request.target, "/v3/user?x=1");
        assert_eq!(format!("http://{}", request.all("host")), github.base_url());
    }
    for host in ["proxy.example.com", "x.github.proxy.example.com", "xgithub.proxy.example.com", "github.proxy.example"]
    {
        assert_eq!(rig.get_with("/user", &[("host", host)]).await.code(), "not_found", "{host}");
    }
    google.saw_nothing();
}

#[tokio::test]
async fn a_providers_own_host_wins_over_all_the_proxys_own_paths() {
    let (rig, github, google) = two().await;
    for path in [
        "/proxy/google/user",
        "/problems/internal",
        "/.well-known/oauth-protected-resource",
        "/connections",
        "/client.js",
    ] {
        let answer = rig.get_with(path, &[("host", HOST)]).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "github"), "{path}");
        assert_eq!(github.requests().pop().unwrap().target, format!("/v3{path}"));
        let stranger = rig.send_as_is("GET", path, &[("host", HOST)], b"").await;
        assert_eq!(stranger.code(), "missing_token", "{path}");
    }
    google.saw_nothing();
}

#[tokio::test]
async fn a_request_names_one_host_and_one_that_is_a_host() {
    let (rig, github, google) = two().await;
    for lines in [
        &[][..],
        &["Host: proxy.example.com", "Host: proxy.example.com"],
        &["Host: proxy.example.com", "Host: evil.example"],
        &["Host: alice@proxy.example.com"],
        &["Host: alice:secret@proxy.example.com"],
        &["Host: proxy.example.com/path"],
        &["Host: proxy.example.com?x"],
        &["Host: proxy.example.com#x"],
        &["Host: http://proxy.example.com"],
        &["Host: proxy.example.com, evil.example"],
        &["Host: proxy.example.com evil.example"],
        &["Host: proxy.example.com:http"],
        &["Host: proxy.example.com:80:80"],
        &["Host: [::1"],
        &["Host: ::1"],
        &["Host: pröxy.example.com"],
        &["Host: proxy.example.com\\evil"],
        &["Host:"],
        &["Host: :80"],
    ] {
        let answer = rig.exchange("GET /proxy/google/user HTTP/1.1", lines).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad_request"), "{lines:?}");
    }
    google.saw_nothing();
    for host in
        ["proxy.example.com", "anything.example:80", "[::1]:8080", "192.0.2.1", "my_proxy", "proxy.example.com:"]
    {
        let answer = rig.exchange("GET /proxy/google/user HTTP/1.1", &[&format!("Host: {host}")]).await;
        assert_eq!(answer.status, 200, "{host}");
    }
    github.saw_nothing();
}

#[tokio::test]
async fn a_target_that_names_a_server_must_name_this_one_and_agree_with_host() {
    let (rig, github, google) = two().await;
    for (target, host, text) in [
        ("http://proxy.example.com/proxy/google/user", "proxy.example.com", "google"),
        ("https://Proxy.Example.com:443/proxy/google/user", "proxy.example.com", "google"),
        ("http://127.0.0.1:9/proxy/google/user", "127.0.0.1", "google"),
        ("HTTP://localhost/proxy/google/user", "localhost:8080", "google"),
        ("http://[::1]:8080/proxy/google/user", "[::1]:8080", "google"),
        ("http://github.proxy.example.com/user", HOST, "github"),
    ] {
        let answer = rig.exchange(&format!("GET {target} HTTP/1.1"), &[&format!("Host: {host}")]).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, text), "{target}");
    }
    let before = (github.requests().len(), google.requests().len());
    let own = rig.address();
    for (target, host) in [
        ("http://evil.example/proxy/google/user", "evil.example"),
        ("http://evil.example/proxy/google/user", "proxy.example.com"),
        ("http://evil.example/proxy/google/user", &*own),
        ("http://proxy.example.com/proxy/google/user", "evil.example"),
        ("http://proxy.example.com/user", HOST),
        ("http://github.proxy.example.com/user", "proxy.example.com"),
        ("http://alice@proxy.example.com/proxy/google/user", "proxy.example.com"),
        ("http://proxy.example.com@evil.example/proxy/google/user", "proxy.example.com"),
        ("http://proxy.example.com.evil.example/proxy/google/user", "proxy.example.com.evil.example"),
        ("ftp://proxy.example.com/proxy/google/user", "proxy.example.com"),
        ("file://proxy.example.com/proxy/google/user", "proxy.example.com"),
    ] {
        let answer = rig.exchange(&format!("GET {target} HTTP/1.1"), &[&format!("Host: {host}")]).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad_request"), "{target} at {host}");
    }
    assert_eq!((github.requests().len(), google.requests().len()), before);
}

#[tokio::test]
async fn an_old_client_without_a_host_is_served_by_path() {
    let (rig, github, google) = two().await;
    let answer = rig.exchange("GET /proxy/google/user HTTP/1.0", &[]).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "google"));
    assert_eq!(google.only().target, "/user");
    assert_eq!(rig.exchange("GET /user HTTP/1.0", &[&format!("Host: {HOST}")]).await.text(), "github");
    assert_eq!(rig.exchange("GET /user HTTP/1.0", &["Host: a", "Host: b"]).await.code(), "bad_request");
    assert_eq!(github.requests().len(), 1);
}

#[tokio::test]
async fn a_providers_name_is_matched_on_raw_bytes_and_nothing_can_be_glued_to_it() {
    let (rig, github, google) = two().await;
    for (path, target) in [
        ("/proxy/github", "/v3"),
        ("/proxy/github?a=b", "/v3?a=b"),
        ("/proxy/github/", "/v3/"),
        ("/proxy/github//evil.example/x", "/v3/evil.example/x"),
        ("/proxy/github/proxy/google", "/v3/proxy/google"),
        ("/proxy/github/@evil.example", "/v3/@evil.example"),
    ] {
        assert_eq!(rig.get(path).await.text(), "github", "{path}");
        assert_eq!(github.requests().pop().unwrap().target, target, "{path}");
    }
    let before = github.requests().len();
    for name in [
        "Github",
        "GITHUB",
        "git%68ub",
        "%67ithub",
        "github%2Fuser",
        "github%3F",
        "github%00",
        "github@evil.example",
        "github@evil.example/user",
        "github:443/user",
        "github;x=1/user",
        "github.evil.example/user",
        "github%20/user",
        "github\\user",
        "github&x",
        "/github/user",
        "./github/user",
        "../proxy/github/user",
        "",
        "github2",
        "githu",
    ] {
        let answer = rig.get(&format!("/proxy/{name}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "unknown_provider"), "{name}");
    }
    for path in ["/Proxy/github/user", "/%70roxy/github/user", "//proxy/github/user", "/proxy", "/proxygithub/user"] {
        assert_eq!(rig.get(path).await.code(), "not_found", "{path}");
    }
    assert_eq!(github.requests().len(), before);
    google.saw_nothing();
}

#[tokio::test]
async fn a_caller_hears_the_nearest_name_and_a_stranger_cannot_tell_which_names_there_are() {
    let (rig, github, google) = two().await;
    for (name, near) in [("githb", "github"), ("Github", "github"), ("gogle", "google"), ("google2", "google")] {
        let answer = rig.get(&format!("/proxy/{name}/user")).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "unknown_provider"));
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(&format!("did you mean {near}?")), "{detail}");
        assert_eq!(answer.json().get("provider"), None);
    }
    let far = rig.get("/proxy/salesforce/user").await;
    assert!(!far.text().contains("github") && !far.text().contains("google"), "{}", far.text());

    let mut seen = Vec::new();
    for name in ["github", "githb", "salesforce", ""] {
        let answer = rig.send_as_is("GET", &format!("/proxy/{name}/user"), &[], b"").await;
        let mut problem = answer.json();
        problem.as_object_mut().unwrap().remove("request_id");
        seen.push((answer.status, answer.all("www-authenticate"), problem.to_string()));
    }
    assert_eq!(seen[0].0, 401);
    assert!(seen.iter().all(|answer| *answer == seen[0]), "{seen:#?}");
    github.saw_nothing();
    google.saw_nothing();
}

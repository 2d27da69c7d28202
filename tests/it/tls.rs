//! TLS to providers: trusted as the platform trusts, HTTP/2 or HTTP/1.1 as the provider chooses, or nothing sent.

use std::time::Duration;

use http::Version;
use tokio_rustls::rustls::NamedGroup;

use crate::support::client::{self, Answer};
use crate::support::https::{Authority, Https, Shown};
use crate::support::wire::{Wire, by_hand, head, until_so};
use crate::support::{Child, Rig, Upstream, rig};

/// A proxy process that trusts `authority`, with a tenant beside it.
async fn proxy_that_trusts(authority: &Authority, providers: &[(&str, u16)]) -> (Child, Rig) {
    let mut builder = rig();
    for (name, port) in providers {
        builder = builder.provider_at(name, &format!("https://127.0.0.1:{port}"), "allow = \"all\"");
    }
    let rig = builder.start().await;
    let file = authority.file();
    let child = Child::serve(&rig.toml, &[("SSL_CERT_FILE", file.to_str().unwrap())]).await.ready().await;
    std::fs::remove_file(file).unwrap();
    (child, rig)
}

async fn post(child: &Child, rig: &Rig, path: &str, body: &[u8]) -> Answer {
    let bearer = format!("Bearer {}", rig.token());
    client::send(&child.proxy, "POST", path, &[("authorization", &bearer)], body).await
}

#[tokio::test]
async fn a_provider_is_spoken_to_in_the_version_it_chooses_on_connections_that_are_used_again() {
    let authority = Authority::new();
    let modern = Https::start(authority.certificate("127.0.0.1"), &["h2", "http/1.1"]).await;
    let older = Https::start(authority.certificate("127.0.0.1"), &["http/1.1"]).await;
    let oldest = Https::start(authority.certificate("127.0.0.1"), &[]).await;
    let ports = [("modern", modern.port), ("older", older.port), ("oldest", oldest.port)];
    let (child, rig) = proxy_that_trusts(&authority, &ports).await;
    for (name, provider, version) in [
        ("modern", &modern, Version::HTTP_2),
        ("older", &older, Version::HTTP_11),
        ("oldest", &oldest, Version::HTTP_11),
    ] {
        let body = vec![b'x'; 300_000];
        for number in 0..5 {
            let answer = post(&child, &rig, &format!("/proxy/{name}/{number}"), &body).await;
            assert_eq!((answer.status, answer.body == body), (200, true), "{name}: {}", child.log());
        }
        let expected: Vec<_> = (0..5).map(|number| (version, format!("/{number}"))).collect();
        assert_eq!(provider.requests(), expected, "{name}");
        assert_eq!(provider.connections(), 1, "{name}");
    }
}

#[tokio::test]
async fn many_requests_share_one_http_2_connection_also_when_there_was_none_yet() {
    let authority = Authority::new();
    let modern = Https::start(authority.certificate("127.0.0.1"), &["h2", "http/1.1"]).await;
    let (child, rig) = proxy_that_trusts(&authority, &[("modern", modern.port), ("other", modern.port)]).await;
    // The token is held then, so that the requests come to the provider at the same time.
    assert_eq!(post(&child, &rig, "/proxy/other/first", b"hello").await.text(), "hello");
    let answers = (0..50).map(|number| {
        let (address, bearer) = (child.proxy.clone(), format!("Bearer {}", rig.token()));
        tokio::spawn(async move {
            let text = number.to_string();
            let answer =
                client::send(&address, "POST", "/proxy/modern/x", &[("authorization", &bearer)], text.as_bytes()).await;
            assert_eq!(answer.text(), text);
        })
    });
    for answer in answers.collect::<Vec<_>>() {
        answer.await.unwrap();
    }
    assert_eq!((modern.connections(), modern.requests().len()), (2, 51), "one for each name");
}

#[tokio::test]
async fn requests_to_an_http_1_provider_do_not_wait_for_one_another() {
    let authority = Authority::new();
    let older = Https::start(authority.certificate("127.0.0.1"), &["http/1.1"]).await;
    let (child, rig) = proxy_that_trusts(&authority, &[("older", older.port)]).await;
    let mut callers = Vec::new();
    for _ in 0..20 {
        let mut caller = Wire::to(&child.proxy).await;
        caller.send(head(&rig, "POST /proxy/older/x", "content-length: 2\r\n") + "h").await;
        callers.push(caller);
    }
    until_so("all of them at the provider", || older.requests().len() == 20).await;
    for caller in &mut callers {
        caller.send("i").await;
        assert_eq!(caller.answer("POST").await.text(), "hi");
    }
}

#[tokio::test]
async fn all_who_wait_for_a_connection_hear_at_once_that_there_is_none() {
    let (silent, _connections) = by_hand().await;
    let port = silent.base_url().rsplit(':').next().unwrap().parse::<u16>().unwrap();
    let rig = rig()
        .provider_at("silent", &format!("https://127.0.0.1:{port}"), "allow = \"all\"")
        .with("limits", "connect_timeout = \"700ms\"")
        .start()
        .await;
    let mut callers = Vec::new();
    for _ in 0..20 {
        let mut caller = Wire::to(&rig.address()).await;
        caller.send(head(&rig, "GET /proxy/silent/x", "")).await;
        callers.push(caller);
    }
    let answers = async {
        for caller in &mut callers {
            assert_eq!(caller.answer("GET").await.code(), "upstream_timeout");
        }
    };
    // One after the other they would need fourteen seconds.
    assert!(tokio::time::timeout(Duration::from_secs(7), answers).await.is_ok());
}

#[tokio::test]
async fn the_key_exchange_with_a_provider_is_hybrid() {
    let authority = Authority::new();
    let modern = Https::start(authority.certificate("127.0.0.1"), &["h2"]).await;
    let (child, rig) = proxy_that_trusts(&authority, &[("modern", modern.port)]).await;
    assert_eq!(post(&child, &rig, "/proxy/modern/x", b"hello").await.text(), "hello");
    assert_eq!(modern.exchanged(), [NamedGroup::X25519MLKEM768]);
}

#[tokio::test]
async fn an_http_2_provider_hears_that_the_caller_takes_trailers() {
    let authority = Authority::new();
    let modern = Https::start(authority.certificate("127.0.0.1"), &["h2"]).await;
    let (child, rig) = proxy_that_trusts(&authority, &[("modern", modern.port)]).await;
    let bearer = format!("Bearer {}", rig.token());
    for headers in [&[("te", "trailers"), ("connection", "te")][..], &[][..]] {
        let headers = [&[("authorization", bearer.as_str())], headers].concat();
        assert_eq!(client::send(&child.proxy, "GET", "/proxy/modern/x", &headers, b"").await.status, 200);
    }
    assert_eq!(modern.takes_trailers(), [true, false]);
}

#[tokio::test]
async fn nothing_is_sent_to_a_provider_that_cannot_prove_its_name() {
    let authority = Authority::new();
    for (reason, shown) in [
        ("expired", authority.expired_certificate("127.0.0.1")),
        ("for another name", authority.certificate("other.example")),
        ("for another address", authority.certificate("127.0.0.2")),
        ("self-signed", Shown::self_signed("127.0.0.1")),
        ("of another authority", Authority::new().certificate("127.0.0.1")),
    ] {
        let provider = Https::start(shown, &["h2", "http/1.1"]).await;
        let (child, rig) = proxy_that_trusts(&authority, &[("github", provider.port)]).await;
        let answer = post(&child, &rig, "/proxy/github/x", b"hello").await;
        assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_tls"), "{reason}");
        let problem = answer.json();
        assert_eq!(problem["fault"], "provider", "{reason}");
        assert!(!answer.text().to_lowercase().contains("certificate"), "{reason}: {problem}");
        assert_eq!(provider.requests(), [], "{reason}");
    }
}

#[tokio::test]
async fn a_provider_that_speaks_no_tls_is_told_apart_from_one_that_is_down() {
    let plain = Upstream::replying("plain").await;
    let port = plain.base_url().rsplit(':').next().unwrap().parse().unwrap();
    let (child, rig) = proxy_that_trusts(&Authority::new(), &[("github", port)]).await;
    let answer = post(&child, &rig, "/proxy/github/x", b"hello").await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_tls"));
    plain.saw_nothing();
}

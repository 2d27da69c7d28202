//! Facebook's way of renewing: there is no refresh token, and an access token that still lives is exchanged for another.

use std::time::Duration;

use http::Response;
use hyper::body::Bytes;
use idp_proxy::command::dev::provider::Issued;

use crate::support::rig::ALICE;
use crate::support::{Recorded, Rig, Upstream, refused, rig};

const DAY: Duration = Duration::from_secs(24 * 3600);
const SIXTY_DAYS: u64 = 60 * 24 * 3600;
const ME: &str = "/proxy/facebook/me";

/// Facebook, and alice who has signed in there just now.
async fn facebook() -> (Rig, Upstream) {
    let upstream = Upstream::recording(|request: &Recorded| {
        let body = match request.target.split('?').next() {
            Some("/oauth/access_token") => r#"{"access_token":"token-two","token_type":"bearer","expires_in":5184000}"#,
            _ => r#"{"id":"1"}"#,
        };
        let answer = Response::builder().header("content-type", "application/json");
        answer.body(Bytes::from_static(body.as_bytes())).unwrap()
    })
    .await
    // At the token endpoint the client proves itself in the form.
    .allow(&["no authorization"]);
    let base = upstream.base_url();
    let lines = format!("client_id = \"app\"\nclient_secret = \"shh\"\ntoken_url = \"{base}/oauth/access_token\"");
    let rig = rig().provider_at("facebook", &base, &lines).start().await;
    let issue =
        |_: &str| Issued { access_token: "token-one".to_owned(), refresh_token: None, expires_in: Some(SIXTY_DAYS) };
    rig.tenant.register("facebook", issue);
    assert!(rig.tenant.sign_in(ALICE, "facebook"));
    (rig, upstream)
}

/// The tokens that were sent to the API, and the exchanges that were asked for.
fn seen(upstream: &Upstream) -> (Vec<String>, Vec<String>) {
    let (exchanges, calls): (Vec<_>, Vec<_>) =
        upstream.requests().into_iter().partition(|request| request.target.contains("access_token"));
    let token = |request: &Recorded| request.all("authorization").replace("Bearer ", "");
    let form = |request: &Recorded| format!("{} {}", request.target, String::from_utf8_lossy(&request.body));
    (calls.iter().map(token).collect(), exchanges.iter().map(form).collect())
}

#[tokio::test]
async fn a_token_is_exchanged_days_before_it_ends_while_it_serves() {
    let (rig, upstream) = facebook().await;
    assert_eq!(rig.get_as(ALICE, ME).await.status, 200);
    rig.clock.advance(DAY * 50);
    assert_eq!(rig.get_as(ALICE, ME).await.status, 200);
    assert_eq!(seen(&upstream).1, [""; 0], "there is time still");
    rig.clock.advance(DAY * 8);
    assert_eq!(rig.get_as(ALICE, ME).await.status, 200);
    for _ in 0..500 {
        if !seen(&upstream).1.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let [exchange] = &seen(&upstream).1[..] else { panic!("{:?}", seen(&upstream).1) };
    assert!(exchange.contains("grant_type=fb_exchange_token"), "{exchange}");
    assert!(exchange.contains("fb_exchange_token=token-one") && exchange.contains("client_secret=shh"), "{exchange}");
    // The old one would have ended by now.
    rig.clock.advance(DAY * 8);
    assert_eq!(rig.get_as(ALICE, ME).await.status, 200);
    assert_eq!(seen(&upstream).0, ["token-one", "token-one", "token-one", "token-two"]);
}

#[tokio::test]
async fn a_token_that_has_ended_cannot_be_exchanged_and_is_not_sent() {
    let (rig, upstream) = facebook().await;
    assert_eq!(rig.get_as(ALICE, ME).await.status, 200);
    rig.clock.advance(DAY * 61);
    refused(&rig.get_as(ALICE, ME).await, 403, "reconnect_required");
    assert_eq!(seen(&upstream), (vec!["token-one".to_owned()], Vec::new()));
}

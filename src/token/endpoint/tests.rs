//! What is sent to a token endpoint, and what its answers mean.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::config::ClientProof;

mod clients;
mod lost;

/// An endpoint that answers each request with the next of these, and keeps what was asked.
async fn scripted(answers: &[&str]) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/oauth/token", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (answers, seen) = (answers.iter().map(|answer| (*answer).to_owned()).collect::<Vec<_>>(), Arc::clone(&asked));
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while !is_whole(&request) {
                let count = stream.read(&mut buffer).await.unwrap();
                request.extend_from_slice(&buffer[..count]);
            }
            seen.lock().unwrap().push(String::from_utf8(request).unwrap());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (url, asked)
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    body.len() >= length
}

fn answer(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} Word\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

fn settings(url: &str, proof: ClientProof) -> Renewal {
    Renewal {
        url: url.to_owned(),
        audience: "https://login.example/token".to_owned(),
        client_id: "my client".to_owned(),
        proof,
        body: RefreshBody::Form,
        grant: RefreshGrant::RefreshToken,
        params: Vec::new(),
        scope: None,
        rotates: false,
        lifetime: None,
    }
}

fn post() -> ClientProof {
    ClientProof::Post(vec![Secret::new("s3cret")])
}

async fn renew(settings: &Renewal) -> Result<Granted, Failure> {
    let endpoint = TokenEndpoint::new(settings, Duration::from_millis(500), &Clock::system()).unwrap();
    endpoint.renew(&Secret::new("old refresh")).await
}

async fn meaning(status: u16, body: &str) -> String {
    let (url, _) = scripted(&[&answer(status, body)]).await;
    told(&renew(&settings(&url, post())).await)
}

/// An outcome in one line.
fn told(outcome: &Result<Granted, Failure>) -> String {
    match outcome {
        Ok(granted) => {
            let refresh = granted.refresh_token.as_ref().map_or("-", |token| token.expose());
            let life = granted.expires_in.map_or_else(|| "-".to_owned(), |life| life.as_secs().to_string());
            format!("{} {refresh} {life}", granted.access_token.expose())
        }
        Err(Failure { class, is_ambiguous, .. }) => {
            format!("{}{}", class.name(), if *is_ambiguous { ", perhaps spent" } else { "" })
        }
    }
}

/// Status, body, and what they mean.
const ANSWERS: &[(u16, &str, &str)] = &[
    (200, r#"{"access_token":"a","refresh_token":"r","expires_in":3600}"#, "a r 3600"),
    (200, r#"{"access_token":"a","expires_in":"3600"}"#, "a - 3600"),
    (200, r#"{"access_token":"a","expires_in":3599.7,"refresh_token":""}"#, "a - 3599"),
    (200, r#"{"access_token":"a","expires_in":0}"#, "a - -"),
    (200, r#"{"access_token":"a","expires_in":-1}"#, "a - -"),
    (200, r#"{"access_token":"a","expires_in":1e300,"refresh_token":null}"#, "a - -"),
    (200, r#"{"access_token":"a","expires_in":"never"}"#, "a - -"),
    (200, r#"{"ok":true,"access_token":"a","error":null,"errors":[]}"#, "a - -"),
    (200, r#"{"access_token":"a","error":"invalid_grant"}"#, "dead_grant"),
    (200, r#"{"ok":false,"access_token":"a"}"#, "provider_4xx"),
    (201, r#"{"ok":true,"access_token":"a"}"#, "a - -"),
    (200, "access_token=a%2Bb&expires_in=28800&refresh_token=r&scope=", "a+b r 28800"),
    (200, r#"{"error":"bad_refresh_token"}"#, "dead_grant"),
    (200, r#"{"error":"incorrect_client_credentials"}"#, "wrong_client"),
    (200, r#"{"ok":false,"error":"invalid_refresh_token"}"#, "dead_grant"),
    (200, r#"{"ok":false,"error":"token_revoked"}"#, "dead_grant"),
    (200, r#"{"ok":false,"error":"account_inactive"}"#, "dead_grant"),
    (200, r#"{"ok":false,"error":"bad_client_secret"}"#, "wrong_client"),
    (200, r#"{"ok":false,"error":"invalid_client_id"}"#, "wrong_client"),
    (200, r#"{"ok":false,"error":"invalid_auth"}"#, "provider_4xx"),
    (200, r#"{"ok":false,"error":"ratelimited"}"#, "provider_4xx"),
    (400, r#"{"error":"invalid_grant","error_description":"whatever"}"#, "dead_grant"),
    (403, r#"{"error":"invalid_grant"}"#, "dead_grant"),
    (400, r#"{"status":"BAD_REFRESH_TOKEN","message":"m"}"#, "dead_grant"),
    (400, r#"{"status":"BAD_REFRESH_TOKEN","message":"m","error":"invalid_request"}"#, "dead_grant"),
    (400, r#"{"reason":"Invalid Token!","error":"invalid_request"}"#, "dead_grant"),
    (400, r#"{"reason":"Invalid Token!","error":"invalid_grant"}"#, "dead_grant"),
    (400, r#"{"reason":"Another one.","error":"invalid_request"}"#, "provider_4xx"),
    (
        400,
        r#"{"message":"m","errors":[{"resource":"RefreshToken","field":"refresh_token","code":"invalid"}]}"#,
        "dead_grant",
    ),
    (
        400,
        r#"{"message":"m","errors":[{"resource":"Application","field":"client_secret","code":"invalid"}]}"#,
        "wrong_client",
    ),
    (400, r#"{"message":"Bad Request","error":400}"#, "dead_grant"),
    (400, r#"{"message":"Something else","error":400}"#, "provider_4xx"),
    (401, r#"{"message":"Unauthorized","error":401}"#, "wrong_client"),
    (400, r#"{"error":"invalid_request","error_description":"Value passed for the token was invalid."}"#, "dead_grant"),
    (400, r#"{"error":{"code":190,"message":"m"}}"#, "dead_grant"),
    (400, r#"{"error":{"code":102,"message":"m"}}"#, "dead_grant"),
    (400, r#"{"error":{"code":4,"message":"m"}}"#, "provider_4xx"),
    (400, r#"{"error":{"code":100,"message":"m"}}"#, "provider_4xx"),
    (400, r#"{"error":{"code":1,"message":"An unknown error occurred"}}"#, "provider_5xx"),
    (400, r#"{"error":{"code":2,"message":"Service temporarily unavailable"}}"#, "provider_5xx"),
    (400, r#"{"error":{"code":1,"message":"Error validating client secret."}}"#, "wrong_client"),
    (400, r#"{"error":{"code":101,"message":"Missing client_id parameter."}}"#, "wrong_client"),
    (
        400,
        r#"{"error":{"code":101,"message":"Error validating application. Invalid application ID."}}"#,
        "wrong_client",
    ),
    (
        400,
        r#"{"error":{"code":190,"message":"Error validating application. Application has been deleted."}}"#,
        "wrong_client",
    ),
    (
        400,
        r#"{"error":{"code":190,"message":"Error validating access token: Session has expired.","error_subcode":463}}"#,
        "dead_grant",
    ),
    (400, r#"{"errors":[{"errorType":"invalid_grant"}]}"#, "dead_grant"),
    (400, r#"{"error":"invalid_scope"}"#, "provider_4xx"),
    (401, r#"{"error":"invalid_client"}"#, "wrong_client"),
    (401, "", "wrong_client"),
    (429, "slow down", "provider_4xx"),
    (500, r#"{"error":"invalid_grant"}"#, "provider_5xx"),
    (502, "<html>", "provider_5xx, perhaps spent"),
    (200, "<html>", "malformed, perhaps spent"),
    (200, "<html><a href=/?a=b&access_token>It works!</a>", "malformed, perhaps spent"),
    (200, "error=bad_refresh_token&error_description=The+token", "dead_grant"),
    (204, "", "malformed, perhaps spent"),
    (200, r#"{"access_token":"a""#, "malformed, perhaps spent"),
    (200, r#"{"access_token":""}"#, "malformed, perhaps spent"),
    (200, r#"{"token_type":"Bearer"}"#, "malformed, perhaps spent"),
    (302, "", "malformed"),
    (200, r#"{"ok":false,"error":"internal_error"}"#, "provider_5xx, perhaps spent"),
    (200, r#"{"ok":false,"error":"fatal_error"}"#, "provider_5xx, perhaps spent"),
    (200, r#"{"ok":false,"error":"service_unavailable"}"#, "provider_5xx"),
    (400, r#"{"error":"temporarily_unavailable"}"#, "provider_5xx"),
];

#[tokio::test]
async fn answers_mean_what_the_providers_mean_by_them() {
    for (status, body, expected) in ANSWERS {
        assert_eq!(meaning(*status, body).await, *expected, "{status} {body}");
    }
}

#[tokio::test]
async fn requests_are_written_as_each_provider_wants_them() {
    let granted = answer(200, r#"{"access_token":"a"}"#);
    let (url, asked) = scripted(&[granted.as_str(); 5]).await;
    let last = || asked.lock().unwrap().last().unwrap().clone();

    let mut with_scope = settings(&url, post());
    (with_scope.scope, with_scope.params) = (Some("a b".into()), vec![("resource".into(), "https://x/".into())]);
    renew(&with_scope).await.unwrap();
    let request = last();
    assert!(request.starts_with("POST /oauth/token HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("accept: application/json\r\n"), "{request}");
    let form = "grant_type=refresh_token&refresh_token=old+refresh&scope=a+b&resource=https%3A%2F%2Fx%2F\
                &client_id=my+client&client_secret=s3cret";
    assert!(request.ends_with(form), "{request}");

    renew(&settings(&url, ClientProof::Basic(vec![Secret::new("s:c")]))).await.unwrap();
    // `my+client:s%3Ac`
    assert!(last().contains("authorization: Basic bXkrY2xpZW50OnMlM0Fj\r\n"), "{}", last());
    assert!(last().ends_with("grant_type=refresh_token&refresh_token=old+refresh"), "{}", last());

    let mut json = settings(&url, ClientProof::Nothing);
    json.body = RefreshBody::Json;
    renew(&json).await.unwrap();
    let body: serde_json::Value = serde_json::from_str(last().split_once("\r\n\r\n").unwrap().1).unwrap();
    let expected = serde_json::json!({
        "grant_type": "refresh_token", "refresh_token": "old refresh", "client_id": "my client",
    });
    assert_eq!(body, expected);

    let mut exchange = settings(&url, post());
    exchange.grant = RefreshGrant::FacebookExchange;
    renew(&exchange).await.unwrap();
    let target = "GET /oauth/token?grant_type=fb_exchange_token&fb_exchange_token=old+refresh&client_id=my+client\
                  &client_secret=s3cret HTTP/1.1\r\n";
    assert!(last().starts_with(target), "{}", last());
    // An endpoint may have a query of its own (RFC 6749 §3.2).
    exchange.url += "?v=1";
    renew(&exchange).await.unwrap();
    assert!(last().starts_with("GET /oauth/token?v=1&grant_type=fb_exchange_token&"), "{}", last());
}

#[tokio::test]
async fn an_assertion_is_for_the_token_endpoint_wherever_renewals_go() {
    let (url, asked) = scripted(&[&answer(200, r#"{"access_token":"a"}"#)]).await;
    let pem = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap().serialize_pem();
    renew(&settings(&url, ClientProof::PrivateKey(Secret::new(pem)))).await.unwrap();
    let request = asked.lock().unwrap().remove(0);
    let sent = |name: &str| {
        let form = request.split_once("\r\n\r\n").unwrap().1;
        form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).unwrap().to_owned()
    };
    assert_eq!(sent("client_assertion_type"), "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer");
    let claims = URL_SAFE_NO_PAD.decode(sent("client_assertion").split('.').nth(1).unwrap()).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["aud"], "https://login.example/token");
    assert_eq!((&claims["iss"], &claims["sub"]), (&"my client".into(), &"my client".into()));
}

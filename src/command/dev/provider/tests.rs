//! The provider over HTTP, as the proxy meets it.

use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

use super::*;

const LIFE: Duration = Duration::from_secs(60);

async fn provider(settings: ProviderSettings) -> Provider {
    Provider::start(Clock::system(), settings).await.unwrap()
}

impl Provider {
    fn get(&self, path: &str) -> RequestBuilder {
        Client::new().get(format!("{}{path}", self.base_url())).header("user-agent", "test")
    }

    async fn refresh_with(&self, form: &str) -> Response {
        let form_type = "application/x-www-form-urlencoded";
        let request = Client::new().post(self.token_url()).header("content-type", form_type);
        request.header("accept", "application/json").body(form.to_owned()).send().await.unwrap()
    }

    /// A refresh with the right client.
    async fn refresh(&self, refresh_token: &str) -> (u16, Value) {
        let ProviderSettings { client_id, client_secret, .. } = self.settings();
        let token = refresh_token.replace('/', "%2F");
        let form = format!(
            "grant_type=refresh_token&client_id={client_id}&client_secret={client_secret}&refresh_token={token}"
        );
        read(self.refresh_with(&form).await).await
    }
}

async fn read(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    (status, serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default())
}

async fn said(request: RequestBuilder) -> (u16, Value) {
    read(request.send().await.unwrap()).await
}

#[tokio::test]
async fn each_dialect_has_tokens_of_its_own_look() {
    let github = provider(ProviderSettings::github()).await.issue("1");
    assert!(github.access_token.starts_with("gho_") && github.access_token.len() == 40);
    let google = provider(ProviderSettings::google(LIFE)).await.issue("1");
    assert!(google.access_token.starts_with("ya29.") && google.refresh_token.unwrap().starts_with("1//0"));
    let bitbucket = provider(ProviderSettings::bitbucket(LIFE)).await.issue("1");
    assert!(bitbucket.access_token.ends_with('=') && bitbucket.expires_in == Some(60));
}

#[tokio::test]
async fn the_api_answers_as_the_tokens_owner() {
    let github = provider(ProviderSettings::github().login("583231", "alice")).await;
    let (alice, other) = (github.issue("583231"), github.issue("x"));
    let (status, user) = said(github.get("/user").bearer_auth(&alice.access_token)).await;
    assert_eq!((status, &user["login"], &user["id"]), (200, &json!("alice"), &json!(583_231)));
    let (_, user) = said(github.get("/user").bearer_auth(&other.access_token)).await;
    assert_eq!((&user["login"], &user["id"]), (&json!("x"), &json!("x")));
    let (_, file) = said(github.get("/repos/a/b/contents/c").bearer_auth(&alice.access_token)).await;
    assert_eq!((&file["full_name"], &file["path"]), (&json!("a/b"), &json!("contents/c")));
    assert_eq!(said(github.get("/nothing").bearer_auth(&alice.access_token)).await.0, 404);
}

#[tokio::test]
async fn nothing_but_one_live_bearer_is_let_in() {
    for settings in [ProviderSettings::github(), ProviderSettings::google(LIFE), ProviderSettings::bitbucket(LIFE)] {
        let provider = provider(settings).await;
        let token = provider.issue("1").access_token;
        let good = || provider.get("/user").bearer_auth(&token);
        assert_eq!(said(good()).await.0, 200);
        for bad in [
            provider.get("/user"),
            provider.get("/user").bearer_auth("eyJhbGciOi"),
            provider.get("/user").header("authorization", format!("token {token}")),
            provider.get(&format!("/user?access_token={token}")),
            good().header("authorization", format!("Bearer {token}")),
        ] {
            let response = bad.send().await.unwrap();
            assert_eq!(response.status(), 401);
            assert!(response.headers().contains_key("www-authenticate"));
            assert!(response.json::<Value>().await.unwrap().is_object());
        }
        provider.kill_access_token(&token);
        assert_eq!(said(good()).await.0, 401);
    }
}

#[tokio::test]
async fn an_expired_token_is_dead() {
    let google = provider(ProviderSettings::google(LIFE)).await;
    let token = google.issue("1").access_token;
    google.shared.clock.advance(LIFE);
    let (status, body) = said(google.get("/user").bearer_auth(&token)).await;
    assert_eq!((status, &body["error"]["status"]), (401, &json!("UNAUTHENTICATED")));
}

#[tokio::test]
async fn github_wants_a_user_agent_and_counts_calls() {
    let github = provider(ProviderSettings::github()).await;
    let token = github.issue("1").access_token;
    let bare = Client::new().get(format!("{}/user", github.base_url())).bearer_auth(&token);
    assert_eq!(bare.send().await.unwrap().status(), 403);
    let counted = github.get("/user").bearer_auth(&token).send().await.unwrap();
    assert_eq!(counted.headers()["x-ratelimit-limit"], "5000");
    assert_eq!(counted.headers()["x-ratelimit-remaining"], "4999");
}

#[tokio::test]
async fn what_is_unchanged_is_not_sent_again() {
    let github = provider(ProviderSettings::github()).await;
    let token = github.issue("1").access_token;
    let first = github.get("/user").bearer_auth(&token).send().await.unwrap();
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    let again = |tag: String| github.get("/user").bearer_auth(&token).header("if-none-match", tag).send();
    let unchanged = again(format!("\"other\", {tag}")).await.unwrap();
    assert_eq!((unchanged.status().as_u16(), unchanged.headers()["etag"].to_str().unwrap()), (304, tag.as_str()));
    assert_eq!(again("\"other\"".to_owned()).await.unwrap().status(), 200);
}

#[tokio::test]
async fn pages_link_to_each_other_at_the_provider_itself() {
    let github = provider(ProviderSettings::github()).await;
    let token = github.issue("1").access_token;
    let page = async |query: &str| {
        let response = github.get(&format!("/user/repos{query}")).bearer_auth(&token).send().await.unwrap();
        response.headers()["link"].to_str().unwrap().to_owned()
    };
    let base = github.base_url();
    assert!(page("").await.starts_with(&format!("<{base}/user/repos?page=2>; rel=\"next\"")));
    assert!(page("?page=3").await.starts_with(&format!("<{base}/user/repos?page=2>; rel=\"prev\"")));
}

#[tokio::test]
async fn an_echo_tells_what_arrived_and_no_header_value() {
    let github = provider(ProviderSettings::github()).await;
    let token = github.issue("1").access_token;
    let request = Client::new().put(format!("{}/echo/a%2Fb?c=%20", github.base_url())).bearer_auth(&token);
    let (_, seen) = said(request.header("user-agent", "test").body("hello")).await;
    assert_eq!((&seen["method"], &seen["path"]), (&json!("PUT"), &json!("/echo/a%2Fb")));
    assert_eq!((&seen["query"], &seen["body_length"]), (&json!("c=%20"), &json!(5)));
    assert!(seen["headers"].as_array().unwrap().contains(&json!("authorization")));
    assert!(!seen.to_string().contains(&token));
}

#[tokio::test]
async fn a_stream_comes_in_pieces_and_any_status_can_be_had() {
    let github = provider(ProviderSettings::github()).await;
    let token = github.issue("1").access_token;
    let mut stream = github.get("/stream?chunks=3&pause_ms=30").bearer_auth(&token).send().await.unwrap();
    let mut chunks = Vec::new();
    while let Some(chunk) = stream.chunk().await.unwrap() {
        chunks.push(String::from_utf8(chunk.to_vec()).unwrap());
    }
    assert_eq!(chunks, ["chunk 1\n", "chunk 2\n", "chunk 3\n"]);
    assert_eq!(said(github.get("/status/418").bearer_auth(&token)).await.0, 418);
    assert_eq!(said(github.get("/status/101").bearer_auth(&token)).await.0, 404);
}

#[tokio::test]
async fn a_kept_refresh_token_renews_again_and_again() {
    let google = provider(ProviderSettings::google(LIFE)).await;
    let issued = google.issue("1");
    let refresh_token = issued.refresh_token.unwrap();
    for _ in 0..2 {
        let (status, body) = google.refresh(&refresh_token).await;
        assert_eq!((status, &body["expires_in"], body.get("refresh_token")), (200, &json!(60), None));
        assert!(google.is_live(body["access_token"].as_str().unwrap()));
    }
    assert_eq!((google.refreshes(), google.reuses()), (2, 0));
    google.revoke_account("1");
    assert_eq!(google.refresh(&refresh_token).await.1["error"], "invalid_grant");
}

#[tokio::test]
async fn a_rotated_refresh_token_that_comes_again_logs_the_user_out() {
    let bitbucket = provider(ProviderSettings::bitbucket(LIFE)).await;
    let old = bitbucket.issue("1").refresh_token.unwrap();
    let (status, renewed) = bitbucket.refresh(&old).await;
    let access_token = renewed["access_token"].as_str().unwrap();
    assert!(status == 200 && bitbucket.is_live(access_token));
    let (status, body) = bitbucket.refresh(&old).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_grant")));
    assert_eq!(bitbucket.reuses(), 1);
    assert!(!bitbucket.is_live(access_token));
    assert_eq!(bitbucket.refresh(renewed["refresh_token"].as_str().unwrap()).await.0, 400);
}

#[tokio::test]
async fn a_lost_answer_leaves_the_rotation_done() {
    let bitbucket = provider(ProviderSettings::bitbucket(LIFE)).await;
    let old = bitbucket.issue("1").refresh_token.unwrap();
    bitbucket.fail(Side::Token, Fault::LoseAnswer.times(1));
    let form = format!(
        "grant_type=refresh_token&client_id=demo-bitbucket-client&client_secret=demo-bitbucket-secret&refresh_token={old}"
    );
    let request = Client::new().post(bitbucket.token_url()).header("content-type", "application/x-www-form-urlencoded");
    assert!(request.body(form).send().await.is_err());
    assert_eq!(bitbucket.refreshes(), 1);
    assert_eq!(bitbucket.refresh(&old).await.0, 400);
}

#[tokio::test]
async fn the_token_endpoint_refuses_in_the_words_of_rfc_6749() {
    let google = provider(ProviderSettings::google(LIFE)).await;
    let token = google.issue("1").refresh_token.unwrap().replace('/', "%2F");
    let client = "client_id=demo-google-client&client_secret=demo-google-secret";
    let cases = [
        (format!("{client}&grant_type=refresh_token&refresh_token=unknown"), 400, "invalid_grant"),
        (format!("{client}&grant_type=refresh_token"), 400, "invalid_request"),
        (format!("{client}&refresh_token={token}"), 400, "invalid_request"),
        (format!("{client}&{client}&grant_type=refresh_token"), 400, "invalid_request"),
        (format!("{client}&grant_type=password"), 400, "unsupported_grant_type"),
        (format!("grant_type=refresh_token&refresh_token={token}"), 401, "invalid_client"),
        (format!("client_id=x&client_secret=x&grant_type=refresh_token&refresh_token={token}"), 401, "invalid_client"),
    ];
    for (form, status, error) in cases {
        let response = google.refresh_with(&form).await;
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers().contains_key("www-authenticate"), status == 401);
        assert_eq!(
            read(response).await,
            (status, json!({ "error": error, "error_description": error_words(error, &form) }))
        );
    }
    let json = Client::new().post(google.token_url()).json(&json!({ "grant_type": "refresh_token" }));
    assert_eq!(said(json).await.0, 400, "a form only");
    assert_eq!(said(google.get("/oauth/token")).await.0, 405);
    assert_eq!(google.refreshes(), 0);
}

/// The description is for people; the test only pins it down where it differs.
fn error_words(error: &str, form: &str) -> &'static str {
    match error {
        "invalid_grant" => "Token has been expired or revoked.",
        "invalid_client" => "The OAuth client was not found.",
        "unsupported_grant_type" => "Only refresh_token is served.",
        _ if form.matches("client_id").count() > 1 => "A form without repeated parameters is expected.",
        _ if form.contains("grant_type") => "refresh_token is missing.",
        _ => "grant_type is missing.",
    }
}

#[tokio::test]
async fn http_basic_is_as_good_as_a_secret_in_the_form_and_both_are_too_much() {
    let google = provider(ProviderSettings::google(LIFE)).await;
    let token = google.issue("1").refresh_token.unwrap().replace('/', "%2F");
    let basic = |form: String| {
        let request =
            Client::new().post(google.token_url()).basic_auth("demo-google-client", Some("demo-google-secret"));
        said(request.header("content-type", "application/x-www-form-urlencoded").body(form))
    };
    let form = format!("grant_type=refresh_token&refresh_token={token}");
    assert_eq!(basic(form.clone()).await.0, 200);
    assert_eq!(basic(format!("{form}&client_id=demo-google-client&client_secret=demo-google-secret")).await.0, 400);
}

#[tokio::test]
async fn github_reports_errors_with_200_and_a_form_unless_json_is_asked_for() {
    let rotating = ProviderSettings::new("github", Dialect::GitHub, Behaviour::Rotates { life: LIFE });
    let github = provider(rotating).await;
    assert_eq!(github.refresh("unknown").await.1["error"], "bad_refresh_token");
    let request = Client::new().post(github.token_url()).header("content-type", "application/x-www-form-urlencoded");
    let answer = request.body("grant_type=refresh_token").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.text().await.unwrap().starts_with("error=incorrect%5Fclient%5Fcredentials&"));
}

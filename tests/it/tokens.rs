//! Which token a call is made with: this user's, at this connection, of this account, and nobody else's.

mod life;

use http::Response;
use hyper::body::Bytes;
use idp_proxy::command::dev::tenant::{Identity, User};
use serde_json::json;

use crate::support::issuer::{self, KID};
use crate::support::rig::{ALICE, provider_token};
use crate::support::{AUDIENCE, Recorded, Rig, Upstream, refused, rig};

const USER: &str = "/proxy/github/user";
const ACCOUNT: &str = "idp-proxy-account";

async fn github() -> (Rig, Upstream) {
    let github = Upstream::replying("hello").await;
    let rig = rig().provider("github", &github).start().await;
    (rig, github)
}

fn github_identity(id: &str, token: &str) -> Identity {
    Identity::new("github", id).access_token(token)
}

#[tokio::test]
async fn whatever_is_in_a_user_id_the_tenant_is_asked_for_exactly_that_user() {
    let (rig, github) = github().await;
    let ids = [
        "auth0|6581a0",
        "samlp|CONN|a/b",
        "oauth2|conn|a?b=c&d",
        "auth0|a#b",
        "auth0|a b",
        "auth0|a+b%20c",
        "waad|é漢🙂",
        "auth0|..",
        "auth0|../../clients",
        "../../|x",
        "auth0|%2e%2e%2fclients",
        "auth0|{}@;,'\"<>\\",
        "auth0|a\tb\u{7f}",
    ];
    for (number, id) in ids.iter().enumerate() {
        let token = format!("tok-{number}");
        rig.add(id, "github", &token);
        let answer = rig.get_as(id, USER).await;
        assert_eq!(answer.status, 200, "{id}: {}", answer.text());
        assert_eq!(github.last_token(), token, "{id}");
    }
    assert_eq!(rig.tenant.users_asked(), ids);
}

#[tokio::test]
async fn users_are_never_taken_for_one_another() {
    let (rig, github) = github().await;
    let ids = [
        "github|1",
        "github|10",
        "github|1 ",
        "github|1|",
        "github||1",
        "github|1/",
        "Github|1",
        "GITHUB|1",
        "github|01",
        "github|1\u{0}",
        "github|\u{e9}",
        "github|e\u{301}",
        "github|1:github",
        "google|1",
    ];
    let expected: Vec<_> = (0..ids.len()).map(|number| format!("tok-{number}")).collect();
    for (id, token) in ids.iter().zip(&expected) {
        rig.add(id, "github", token);
    }
    for round in ["cold", "warm"] {
        for (id, token) in ids.iter().zip(&expected) {
            assert_eq!(rig.get_as(id, USER).await.status, 200, "{round} {id:?}");
            assert_eq!(&github.last_token(), token, "{round} {id:?}");
        }
    }
    assert_eq!(rig.reads(), ids.len() as u64);
}

#[tokio::test]
async fn the_account_is_the_one_at_the_providers_connection_wherever_it_stands() {
    let (github, google) = (Upstream::replying("hub").await, Upstream::replying("goo").await);
    let rig = rig().provider("github", &github).provider("google", &google).start().await;
    let mut elsewhere = Identity::new("corp-github", "1").access_token("tok-of-another-connection");
    "github".clone_into(&mut elsewhere.provider);
    let identities = [
        Identity::new("google", "7").access_token("tok-google"),
        elsewhere,
        Identity::new("github", 583_231).access_token("tok-github"),
    ];
    for first in 0..identities.len() {
        let sub = format!("auth0|{first}");
        let mut user = User::new(&sub);
        user.identities.extend(identities.iter().cycle().skip(first).take(identities.len()).cloned());
        rig.tenant.add_user(user);
        assert_eq!(rig.get_as(&sub, USER).await.text(), "hub");
        assert_eq!(rig.get_as(&sub, "/proxy/google/user").await.text(), "goo");
        assert_eq!((github.last_token(), google.last_token()), ("tok-github".to_owned(), "tok-google".to_owned()));
    }
    assert_eq!(rig.reads(), 3, "one read for all of a user's connections");
}

#[tokio::test]
async fn one_read_serves_every_provider_of_a_user() {
    let upstream = Upstream::replying("hello").await;
    let names = ["github", "google", "slack", "intranet"];
    let rig = names.iter().fold(rig(), |rig, name| rig.provider(name, &upstream)).start().await;
    for name in names {
        assert_eq!(rig.get(&format!("/proxy/{name}/x")).await.status, 200);
        assert_eq!(upstream.last_token(), provider_token(name));
    }
    assert_eq!(rig.reads(), 1);
}

#[tokio::test]
async fn of_several_accounts_the_caller_says_which_and_is_told_the_choices() {
    let (rig, github) = github().await;
    let mut second = Identity::new("github", 222).access_token("tok-222");
    second.profile_data = Some(json!({ "name": "work" }));
    rig.tenant.add_user(User::new("auth0|two").with(github_identity("111", "tok-111")).with(second));
    let bearer = format!("Bearer {}", rig.tenant.token_for("auth0|two"));
    let ask = async |account: &[&str]| {
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend(account.iter().map(|account| (ACCOUNT, *account)));
        rig.send_as_is("GET", USER, &headers, b"").await
    };
    let answer = ask(&[]).await;
    refused(&answer, 409, "ambiguous_account");
    assert_eq!(answer.json()["choices"], json!(["111", "222"]));
    github.saw_nothing();
    for (account, token) in
        [("111", "tok-111"), ("222", "tok-222"), ("github|111", "tok-111"), ("github|222", "tok-222")]
    {
        assert_eq!(ask(&[account]).await.status, 200, "{account}");
        assert_eq!(github.last_token(), token, "{account}");
    }
    for account in ["1", "11", "google|111", "github|", "GITHUB|111", "0111"] {
        let answer = ask(&[account]).await;
        refused(&answer, 403, "not_connected");
        assert!(answer.json()["detail"].to_string().contains("such"), "{account}: {}", answer.text());
    }
    refused(&ask(&["111", "222"]).await, 400, "bad_request");
    refused(&ask(&[""]).await, 400, "bad_request");
    assert_eq!(github.requests().len(), 4);
    assert_eq!(rig.reads(), 1, "which account it is costs no read");
}

#[tokio::test]
async fn the_configuration_may_name_the_account_and_the_caller_another() {
    let github = Upstream::replying("hello").await;
    let lines = "allow = \"all\"\naccount = \"github|222\"";
    let rig = rig().provider_at("github", &github.base_url(), lines).start().await;
    let user = User::new("auth0|two").with(github_identity("111", "tok-111")).with(github_identity("222", "tok-222"));
    rig.tenant.add_user(user);
    assert_eq!(rig.get_as("auth0|two", USER).await.status, 200);
    assert_eq!(github.last_token(), "tok-222");
    let bearer = format!("Bearer {}", rig.tenant.token_for("auth0|two"));
    assert_eq!(rig.send_as_is("GET", USER, &[("authorization", &bearer), (ACCOUNT, "111")], b"").await.status, 200);
    assert_eq!(github.last_token(), "tok-111");
}

#[tokio::test]
async fn what_stands_in_the_way_of_a_token_is_told_apart() {
    let (rig, github) = github().await;
    let mut oauth1 = github_identity("1", "tok");
    oauth1.access_token_secret = Some("secret".to_owned());
    let elsewhere = Identity::new("google", "1").access_token("tok");
    let blocked = User { blocked: Some(true), ..User::new("auth0|blocked").with(github_identity("1", "tok")) };
    let cases = [
        (User::new("auth0|none"), 403, "not_connected"),
        (User::new("auth0|elsewhere").with(elsewhere), 403, "not_connected"),
        (User::new("auth0|absent").with(Identity::new("github", "1")), 403, "reconnect_required"),
        (User::new("auth0|empty").with(github_identity("1", "")), 403, "reconnect_required"),
        (User::new("auth0|oauth1").with(oauth1), 501, "not_implemented"),
        (User::new("auth0|crlf").with(github_identity("1", "tok\r\nx-evil: yes")), 503, "tenant_unavailable"),
        (User::new("auth0|space").with(github_identity("1", "tok tok")), 503, "tenant_unavailable"),
        (User::new("auth0|umlaut").with(github_identity("1", "t\u{f6}k")), 503, "tenant_unavailable"),
        (blocked, 403, "user_blocked"),
    ];
    for (user, status, code) in cases {
        let sub = user.user_id.clone();
        rig.tenant.add_user(user);
        let answer = rig.get_as(&sub, USER).await;
        assert_eq!(answer.code(), code, "{sub}: {}", answer.text());
        refused(&answer, status, code);
        assert_eq!(answer.json()["provider"], "github", "{sub}");
        assert!(!answer.text().contains("evil"), "{sub}");
    }
    refused(&rig.get_as("auth0|nobody", USER).await, 403, "no_user");
    github.saw_nothing();
}

#[tokio::test]
async fn a_refusal_costs_the_tenant_one_read_however_often_the_caller_insists() {
    let (rig, github) = github().await;
    rig.tenant.add_user(User::new("auth0|none"));
    for _ in 0..20 {
        refused(&rig.get_as("auth0|none", USER).await, 403, "not_connected");
        refused(&rig.get_as("auth0|nobody", USER).await, 403, "no_user");
    }
    assert_eq!(rig.reads(), 2);
    github.saw_nothing();
}

#[tokio::test]
async fn the_tenant_is_asked_for_the_fields_that_are_needed_and_no_others() {
    let (rig, github) = github().await;
    let tenant = Upstream::recording(|request: &Recorded| {
        Response::new(Bytes::from(match request.target.as_str() {
            "/.well-known/jwks.json" => json!({ "keys": [issuer::jwk()] }).to_string(),
            "/oauth/token" => json!({ "access_token": "management", "expires_in": 3600 }).to_string(),
            _ => {
                let identity = json!({ "connection": "github", "user_id": 9_007_199_254_740_993_u64, "access_token": "t",
                    "provider": "github", "isSocial": true, "unheard_of": { "of": [1] } });
                json!({ "user_id": ALICE, "identities": [identity], "unheard_of": null }).to_string()
            }
        }))
    });
    let tenant = tenant.await.allow(&["no authorization"]);
    rig.reload_with(rig.tenant.base_url(), &tenant.base_url()).await;
    let exp = rig.clock.now().unix_seconds() + 3600;
    let claims = json!({ "iss": format!("{}/", tenant.base_url()), "sub": ALICE, "aud": AUDIENCE, "exp": exp });
    let token = issuer::sign(&json!({ "alg": "RS256", "kid": KID }).to_string(), claims.to_string().as_bytes());
    // An id that no double can hold is compared digit for digit.
    let headers = [("authorization", format!("Bearer {token}")), (ACCOUNT, "9007199254740993".to_owned())];
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(rig.send_as_is("GET", USER, &headers, b"").await.status, 200);
    assert_eq!(github.last_token(), "t");
    let asked: Vec<_> = tenant.requests().into_iter().filter(|request| request.target.starts_with("/api/")).collect();
    assert_eq!(asked.len(), 1);
    assert_eq!(
        asked[0].target,
        "/api/v2/users/github%7C583231?fields=user_id,identities,blocked,last_login&include_fields=true"
    );
    assert_eq!(asked[0].all("authorization"), "Bearer management");
    let application = rig.tenant.settings();
    let grant = tenant.requests().into_iter().find(|request| request.target == "/oauth/token").unwrap();
    let grant: serde_json::Value = serde_json::from_slice(&grant.body).unwrap();
    let expected = json!({ "grant_type": "client_credentials", "client_id": application.client_id,
        "client_secret": application.client_secret, "audience": rig.tenant.management_audience(),
        "scope": "read:users read:user_idp_tokens" });
    assert_eq!(grant, expected);
}

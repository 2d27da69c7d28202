//! A call that the token may not make: the provider's answer as it is, beside it which scopes it would have taken, and where
//! the user signs in for them.

use std::collections::BTreeMap;

use http::Response;
use hyper::body::Bytes;
use reqwest::Url;

use crate::support::issuer::Issuer;
use crate::support::rig::{ALICE, provider_token};
use crate::support::{Answer, Recorded, Rig, Upstream, rig};

const NEEDED: &str = "idp-proxy-scope-needed";
const CONNECT: &str = "idp-proxy-connect";
const APPLICATION: &str = "client_id = \"spa & có\"\nredirect_uri = \"https://app.example.com/cb?from=auth0&x=%C3%A9\"";

/// An answer by which a provider says that a scope is missing, and what is to be made of it.
#[derive(Clone, Copy)]
struct Dialect {
    provider: &'static str,
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
    /// The scopes that it names.
    needed: Option<&'static str>,
    /// Those that a sign-in asks for.
    asked: Option<&'static str>,
}

const SLACK: Dialect = Dialect {
    provider: "slack",
    status: 200,
    headers: &[],
    body: r#"{"ok":false,"error":"missing_scope","needed":"channels:read,groups:read","provided":"identify"}"#,
    needed: Some("channels:read groups:read"),
    asked: Some("channels:read,groups:read"),
};
const GITHUB: Dialect = Dialect {
    provider: "github",
    status: 404,
    headers: &[("x-oauth-scopes", "gist"), ("x-accepted-oauth-scopes", "admin:org, read:org, repo")],
    body: r#"{"message":"Not Found","documentation_url":"https://docs.github.com/rest"}"#,
    needed: Some("admin:org, read:org, repo"),
    asked: Some("read:org"),
};
const DIALECTS: [Dialect; 10] = [
    SLACK,
    GITHUB,
    Dialect {
        status: 403,
        headers: &[("x-oauth-scopes", ""), ("x-accepted-oauth-scopes", "repo")],
        needed: Some("repo"),
        asked: Some("repo"),
        ..GITHUB
    },
    Dialect {
        provider: "google",
        status: 403,
        headers: &[(
            "www-authenticate",
            "Bearer realm=\"https://accounts.google.com/\", error=\"insufficient_scope\", \
             scope=\"https://mail.google.com/ https://www.googleapis.com/auth/gmail.readonly\"",
        )],
        body: r#"{"error":{"code":403,"status":"PERMISSION_DENIED"}}"#,
        needed: Some("https://mail.google.com/, https://www.googleapis.com/auth/gmail.readonly"),
        asked: Some("https://www.googleapis.com/auth/gmail.readonly"),
    },
    Dialect {
        provider: "gitlab",
        status: 403,
        headers: &[],
        body: r#"{"error":"insufficient_scope","error_description":"The request …","scope":"api read_api"}"#,
        needed: Some("api, read_api"),
        asked: Some("read_api"),
    },
    Dialect {
        provider: "bitbucket",
        status: 403,
        headers: &[],
        body: r#"{"type":"error","error":{"detail":{"required":["repository","webhook"],"granted":["account"]}}}"#,
        needed: Some("repository webhook"),
        asked: Some("repository,webhook"),
    },
    Dialect {
        provider: "dropbox",
        status: 401,
        headers: &[],
        body: r#"{"error_summary":"missing_scope/.","error":{".tag":"missing_scope","required_scope":"files.content.read"}}"#,
        needed: Some("files.content.read"),
        asked: Some("files.content.read"),
    },
    Dialect {
        provider: "atlassian",
        status: 401,
        headers: &[],
        body: r#"{"code":401,"message":"Unauthorized; scope does not match"}"#,
        needed: None,
        asked: None,
    },
    Dialect {
        provider: "microsoft",
        status: 403,
        headers: &[],
        body: r#"{"error":{"code":"Authorization_RequestDenied"}}"#,
        needed: None,
        asked: Some("offline_access"),
    },
    Dialect {
        provider: "reddit",
        status: 403,
        headers: &[(
            "www-authenticate",
            "Bearer realm=\"reddit\", error=\"insufficient_scope\", scope=\"read history\"",
        )],
        body: "",
        needed: Some("read history"),
        asked: Some("read,history"),
    },
];

impl Dialect {
    fn answer(self) -> Response<Bytes> {
        let answer = Response::builder().status(self.status).header("content-type", "application/json; charset=utf-8");
        let answer = self.headers.iter().fold(answer, |answer, (name, value)| answer.header(*name, *value));
        answer.body(Bytes::from_static(self.body.as_bytes())).unwrap()
    }
}

/// A proxy that could renew, in front of an upstream that answers like this; with further tables.
async fn proxy(
    provider: &str,
    answer: impl Fn(&Recorded) -> Response<Bytes> + Send + Sync + 'static,
    lines: &str,
    tables: &[(&'static str, &str)],
) -> (Rig, Upstream) {
    let upstream = Upstream::recording(answer).await.allow(&["no authorization", "content-type"]);
    let base = upstream.base_url();
    let lines = format!(
        "{lines}\nallow = \"all\"\nrotates = false\nclient_id = \"c\"\nclient_secret = \"s\"\ntoken_url = \"{base}/token\""
    );
    let rig = tables.iter().fold(rig(), |rig, (table, lines)| rig.with(table, lines));
    let rig = rig.provider_at(provider, &base, &lines).start().await;
    rig.tenant.with_user(ALICE, |user| user.identity_mut(provider).unwrap().refresh_token = Some("refresh".to_owned()));
    (rig, upstream)
}

/// A sign-in's URL, read by somebody else than whoever wrote it.
fn parameters(url: &str) -> (String, BTreeMap<String, String>) {
    let url = Url::parse(url).unwrap();
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let parameters: BTreeMap<_, _> = pairs.iter().cloned().collect();
    assert_eq!(pairs.len(), parameters.len(), "a parameter twice in {url}");
    assert!(!url.as_str().contains('#'));
    (format!("{}{}", url.origin().ascii_serialization(), url.path()), parameters)
}

/// Asserts that the URL leads to alice's tenant, with these parameters beside those of the application.
#[track_caller]
fn leads_to_sign_in(rig: &Rig, url: Option<&str>, provider: &str, further: &[(&str, &str)]) {
    let (place, found) = parameters(url.expect("a URL"));
    assert_eq!(place, format!("{}authorize", rig.tenant.issuer()));
    let settings = rig.tenant.settings();
    let mut expected: BTreeMap<_, _> = [
        ("response_type", "code"),
        ("client_id", "spa & có"),
        ("redirect_uri", "https://app.example.com/cb?from=auth0&x=%C3%A9"),
        ("audience", &*settings.audience),
        ("scope", "openid profile email"),
        ("connection", provider),
    ]
    .into();
    expected.extend(further.iter().copied());
    let found: BTreeMap<_, _> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(found, expected);
}

fn added(answer: &Answer) -> (Option<&str>, Option<&str>) {
    (answer.header(NEEDED), answer.header(CONNECT))
}

#[tokio::test]
async fn every_provider_is_understood_and_its_answer_stays_what_it_is() {
    for dialect in DIALECTS {
        let name = dialect.provider;
        let (rig, upstream) = proxy(name, move |_| dialect.answer(), "", &[("connect", APPLICATION)]).await;
        for call in 1..=2 {
            let answer = rig.send("POST", &format!("/proxy/{name}/x"), &[], b"body").await;
            assert_eq!((answer.status, answer.text().as_str()), (dialect.status, dialect.body), "{name}");
            for (field, value) in dialect.headers {
                assert_eq!(answer.all(field), *value, "{name}: {field}");
            }
            let status = format!("idp-proxy; received-status={}", dialect.status);
            assert_eq!(answer.all("proxy-status"), status, "{name}");
            assert_eq!(answer.header(NEEDED), dialect.needed, "{name}");
            let mut further = if name == "google" {
                vec![("access_type", "offline"), ("prompt", "consent")]
            } else {
                vec![("prompt", "login")]
            };
            further.extend(dialect.asked.map(|asked| ("connection_scope", asked)));
            leads_to_sign_in(&rig, answer.header(CONNECT), name, &further);
            assert_eq!(upstream.requests().len(), call, "{name}: renewed, or sent again");
        }
        let is_the_same = |token: &String| token.ends_with(&provider_token(name));
        assert!(upstream.tokens().iter().all(is_the_same), "{name}: the token lives");
        assert_eq!(rig.reads(), 1, "{name}: no other token was looked for");
    }
}

#[tokio::test]
async fn without_an_application_there_is_no_url() {
    for dialect in DIALECTS {
        let name = dialect.provider;
        let (rig, _upstream) = proxy(name, move |_| dialect.answer(), "", &[]).await;
        let answer = rig.get(&format!("/proxy/{name}/x")).await;
        assert_eq!(added(&answer), (dialect.needed, None), "{name}");
        assert_eq!((answer.status, answer.text().as_str()), (dialect.status, dialect.body), "{name}");
    }
}

#[tokio::test]
async fn github_says_what_would_do_and_what_the_token_has_and_the_two_are_compared() {
    for (status, accepted, held, is_shortage) in [
        (404, Some("repo"), Some("gist, read:org"), true),
        (404, Some("repo, public_repo"), Some("public_repo"), false),
        (403, Some("user:email"), Some("user:email"), false),
        (403, Some("user"), Some("user:email"), true),
        (403, Some(""), Some(""), false),
        (403, None, Some("repo"), false),
        // A GitHub App's token has permissions.
        (403, Some("repo"), None, false),
        (200, Some("repo"), Some("gist"), false),
        (422, Some("repo"), Some("gist"), false),
    ] {
        let answer = move |_: &Recorded| {
            let mut answer = Response::builder().status(status);
            for (name, value) in [("x-accepted-oauth-scopes", accepted), ("x-oauth-scopes", held)] {
                answer = value.into_iter().fold(answer, |answer, value| answer.header(name, value));
            }
            answer.body(Bytes::new()).unwrap()
        };
        let (rig, _upstream) = proxy("github", answer, "", &[("connect", APPLICATION)]).await;
        let answer = rig.get("/proxy/github/repos/a/b").await;
        let (needed, url) = added(&answer);
        let case = format!("{status} {accepted:?} {held:?}");
        assert_eq!((answer.status, needed), (status, accepted.filter(|_| is_shortage)), "{case}");
        assert_eq!(url.is_some(), is_shortage, "{case}");
    }
}

#[tokio::test]
async fn what_a_provider_says_that_is_no_scope_does_not_get_into_a_header_or_a_url() {
    let token = provider_token("slack");
    let long = "x".repeat(10 * 1024);
    let many = "x,".repeat(500);
    let hostile = [
        "a\r\nset-cookie: pwned=1",
        "a\nidp-proxy-connect: https://evil.example",
        "a \"quoted\"",
        "a>; rel=\"next\", <https://evil.example",
        "a\\",
        "ä",
        "a\u{0}",
        &long,
        &many,
        &token,
        &format!("a {token} b"),
        &format!("a{token}"),
    ];
    for (index, said) in hostile.into_iter().enumerate() {
        for guard in ["guard = \"on\"", "guard = \"off\""] {
            let body = serde_json::json!({ "ok": false, "error": "missing_scope", "needed": said }).to_string();
            let answer = move |_: &Recorded| {
                let answer = Response::builder().header("content-type", "application/json");
                answer.body(Bytes::from(body.clone())).unwrap()
            };
            let (rig, upstream) = proxy("slack", answer, guard, &[("connect", APPLICATION)]).await;
            let answer = rig.get("/proxy/slack/users.info").await;
            assert_eq!(answer.header(NEEDED), None, "{index}");
            leads_to_sign_in(&rig, answer.header(CONNECT), "slack", &[("prompt", "login")]);
            assert_eq!(answer.header("set-cookie"), None);
            let head = format!("{:?}", answer.headers);
            assert!(!head.contains("evil") && !head.contains("pwned") && !head.contains(&token), "{index}: {head}");
            assert_eq!(upstream.requests().len(), 1);
        }
    }
}

#[tokio::test]
async fn scopes_cannot_add_parameters_to_the_url() {
    let body = r#"{"ok":false,"error":"missing_scope","needed":"a&connection=evil,b%26c#d+e"}"#;
    let (rig, _upstream) =
        proxy("slack", move |_| Dialect { body, ..SLACK }.answer(), "", &[("connect", APPLICATION)]).await;
    let answer = rig.get("/proxy/slack/users.info").await;
    let asked = [("prompt", "login"), ("connection_scope", "a&connection=evil,b%26c#d+e")];
    leads_to_sign_in(&rig, answer.header(CONNECT), "slack", &asked);
}

#[tokio::test]
async fn a_provider_does_not_say_where_to_sign_in() {
    let answer = |request: &Recorded| {
        let dialect =
            if request.target.contains("scope") { SLACK } else { Dialect { body: r#"{"ok":true}"#, ..SLACK } };
        let mut answer = dialect.answer();
        for name in [NEEDED, CONNECT, "idp-proxy-anything"] {
            answer.headers_mut().append(name, "https://evil.example".parse().unwrap());
        }
        answer
    };
    let (rig, _upstream) = proxy("slack", answer, "", &[("connect", APPLICATION)]).await;
    assert_eq!(added(&rig.get("/proxy/slack/users.info").await), (None, None));
    let answer = rig.get("/proxy/slack/scope.info").await;
    assert_eq!(answer.all(NEEDED), "channels:read groups:read");
    assert!(!answer.all(CONNECT).contains("evil"), "{}", answer.all(CONNECT));
    assert_eq!(answer.header("idp-proxy-anything"), None);
}

#[tokio::test]
async fn a_page_may_read_what_is_needed() {
    const APP: &str = "https://app.example.com";
    let tables = [("connect", APPLICATION), ("cors", "origins = [\"https://app.example.com\"]")];
    let (rig, _upstream) = proxy("slack", |_| SLACK.answer(), "", &tables).await;
    let answer = rig.get_with("/proxy/slack/users.info", &[("origin", APP)]).await;
    assert_eq!(answer.header("access-control-allow-origin"), Some(APP));
    let exposed = answer.all("access-control-expose-headers");
    for name in [NEEDED, CONNECT] {
        assert!(exposed.split(", ").any(|field| field == name), "{name} is not in {exposed}");
        assert!(answer.header(name).is_some());
    }
}

#[tokio::test]
async fn the_tables_keys_say_more_than_the_preset_and_the_first_issuer_is_where_users_sign_in() {
    let lines = "connect_params = { prompt = \"select_account\", login_hint = \"a b\" }\nconnect_scopes = [\"x:1\"]\n\
                 needed_scopes = { json = \"/provided\" }";
    let upstream = Upstream::recording(|_| SLACK.answer()).await;
    let custom = Issuer::start().await;
    let issuers = format!("issuers = [\"{}\"]", custom.name());
    let rig = rig().with("connect", APPLICATION).with("auth0", &issuers);
    let rig = rig.provider_at("slack", &upstream.base_url(), lines).start().await;
    let answer = rig.get_bearing(&custom.token(ALICE), "/proxy/slack/users.info").await;
    assert_eq!(answer.header(NEEDED), Some("identify"));
    let (place, found) = parameters(answer.header(CONNECT).unwrap());
    assert_eq!(place, format!("{}authorize", custom.name()));
    for (name, value) in [("prompt", "select_account"), ("login_hint", "a b"), ("connection_scope", "x:1,identify")] {
        assert_eq!(found.get(name).map(String::as_str), Some(value), "{found:?}");
    }
}

#[tokio::test]
async fn token_vault_is_not_filled_by_signing_in() {
    use idp_proxy::command::dev::tenant::{Purpose, Vaulted};
    let upstream = Upstream::recording(|_| SLACK.answer()).await;
    let rig = rig().with("connect", APPLICATION);
    let rig = rig.provider_at("slack", &upstream.base_url(), "source = \"token_vault\"").start().await;
    rig.tenant.set_purpose("slack", Purpose::Both);
    rig.tenant.with_user(ALICE, |user| user.vault = vec![Vaulted::new("slack", "1", "tok-of-the-vault")]);
    let answer = rig.get("/proxy/slack/users.info").await;
    assert_eq!(added(&answer), (SLACK.needed, None));
    rig.tenant.with_user(ALICE, |user| user.vault.clear());
    rig.tenant.add_user(idp_proxy::command::dev::tenant::User::new("auth0|new"));
    let refusal = rig.get_as("auth0|new", "/proxy/slack/users.info").await;
    let connect = refusal.json()["connect"].clone();
    assert_eq!((&connect["connection"], &connect["kind"]), (&"slack".into(), &"connected_accounts".into()));
    let flow = &connect["connected_accounts"];
    let issuer = rig.tenant.issuer();
    assert_eq!(flow["url"], format!("{issuer}me/v1/connected-accounts/connect"));
    assert_eq!(flow["complete_url"], format!("{issuer}me/v1/connected-accounts/complete"));
    assert_eq!(
        (&flow["audience"], &flow["scope"]),
        (&format!("{issuer}me/").into(), &"create:me:connected_accounts".into())
    );
    let body =
        serde_json::json!({ "connection": "slack", "redirect_uri": "https://app.example.com/cb?from=auth0&x=%C3%A9" });
    assert_eq!(flow["body"], body);
}

#[tokio::test]
async fn a_caller_whose_own_token_lacks_a_scope_is_led_to_a_login_for_it() {
    let upstream = Upstream::replying("ok").await;
    let rig = rig().provider_at("github", &upstream.base_url(), "require = [\"read:github\"]");
    let rig = rig.with("connect", APPLICATION).start().await;
    let refusal = rig.get("/proxy/github/x").await;
    assert_eq!(refusal.code(), "insufficient_scope");
    let connect = refusal.json()["connect"].clone();
    assert_eq!((&connect["kind"], &connect["scope"]), (&"login".into(), &"read:github".into()));
    let url = Url::parse(connect["url"].as_str().unwrap()).unwrap();
    let asked: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
    assert_eq!(asked["scope"], "openid profile email read:github");
    assert_eq!((asked.get("connection"), asked.get("prompt")), (None, None), "nobody has to see the provider for it");
}

#[tokio::test]
async fn a_refusal_says_what_the_application_has_to_do() {
    use idp_proxy::command::dev::tenant::{Identity, User};
    for tables in [&[("connect", APPLICATION)][..], &[]] {
        let upstream = Upstream::replying("ok").await;
        let rig = tables.iter().fold(rig(), |rig, (table, lines)| rig.with(table, lines));
        let rig = rig.provider_at("microsoft", &upstream.base_url(), "").start().await;
        rig.tenant.add_user(User::new("auth0|none"));
        rig.tenant.add_user(User::new("auth0|empty").with(Identity::new("microsoft", "1")));
        // Whoever has no account there would become another user by signing in with one.
        let refusal = rig.get_as("auth0|none", "/proxy/microsoft/me").await;
        let mut connect = refusal.json()["connect"].clone();
        let url = connect.as_object_mut().unwrap().remove("url");
        assert_eq!(url.is_some(), !tables.is_empty());
        let management = format!("https://{}/api/v2/", rig.tenant.settings().domain);
        let link = serde_json::json!({
            "connection": "microsoft",
            "kind": "link",
            "connection_scope": "offline_access",
            "link": {
                "method": "POST",
                "url": format!("{management}users/{{sub}}/identities"),
                "audience": management,
                "scope": "update:current_user_identities",
                "body": { "link_with": "{id_token of the second sign-in}" },
            },
        });
        assert_eq!((refusal.code().as_str(), &connect), ("not_connected", &link));
        let refusal = rig.get_as("auth0|empty", "/proxy/microsoft/me").await;
        let mut connect = refusal.json()["connect"].clone();
        let url = connect.as_object_mut().unwrap().remove("url");
        let login =
            serde_json::json!({ "connection": "microsoft", "kind": "login", "connection_scope": "offline_access" });
        assert_eq!((refusal.code().as_str(), &connect), ("reconnect_required", &login));
        assert_eq!(url.is_some(), !tables.is_empty());
        if let Some(url) = url {
            let asked = [("prompt", "login"), ("connection_scope", "offline_access")];
            leads_to_sign_in(&rig, url.as_str(), "microsoft", &asked);
        }
    }
}

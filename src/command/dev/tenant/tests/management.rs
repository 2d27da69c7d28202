//! The Management API beyond the one user: lists, changes, linked accounts, connections.

use super::*;
use crate::command::dev::provider::{Provider, ProviderSettings};

const ALICE: &str = "github%7C583231";
const BOB: &str = "google-oauth2|42";

/// A tenant with alice, bob, who has one account, and three connections.
async fn staffed() -> Tenant {
    let tenant = tenant().await;
    tenant.add_user(User::new(BOB).named("Bob").with(Identity::new("google-oauth2", "42").access_token("ya29.bob")));
    let google = ConnectionOptions { client_id: "own".to_owned(), ..ConnectionOptions::new("google-oauth2") };
    tenant.set_connection("google-oauth2", google);
    tenant.set_connection("github", ConnectionOptions::new("github"));
    tenant.set_connection("acme", ConnectionOptions::new("oauth2"));
    tenant
}

impl Tenant {
    async fn managed(&self, scope: &str, method: &str, path: &str, body: Value) -> Said {
        let request = Client::new().request(method.parse().unwrap(), self.url(&format!("/api/v2/{path}")));
        let request = request.bearer_auth(self.management_token(scope));
        said(if body.is_null() { request } else { request.json(&body) }).await
    }

    async fn read(&self, scope: &str, path: &str) -> Said {
        self.managed(scope, "GET", path, Value::Null).await
    }

    async fn linked(&self, user: &str, body: Value) -> Said {
        self.managed("update:users", "POST", &format!("users/{user}/identities"), body).await
    }
}

fn names(list: &Value, name: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|record| record[name].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn every_operation_has_its_scope() {
    let tenant = staffed().await;
    let users = "read:users,read:user_idp_tokens";
    let link = "update:users,update:current_user_identities";
    let update = "update:users,update:users_app_metadata,update:current_user_metadata";
    let cases = [
        ("GET", "users", users),
        ("GET", "users-by-email?email=a", users),
        ("PATCH", "users/github%7C583231", update),
        ("POST", "users/github%7C583231/identities", link),
        ("DELETE", "users/github%7C583231/identities/google-oauth2/1111", link),
        ("GET", "connections", "read:connections"),
        ("GET", "connections/con_x", "read:connections"),
    ];
    for (method, path, expected) in cases {
        let body = if method == "GET" { Value::Null } else { json!({}) };
        let message = format!("Insufficient scope, expected any of: {expected}");
        let refused = json!({
            "statusCode": 403, "error": "Forbidden", "message": message, "errorCode": "insufficient_scope",
        });
        assert_eq!(tenant.managed("read:logs", method, path, body).await, (403, refused), "{method} {path}");
    }
    for (method, path) in [("POST", "users"), ("DELETE", "connections"), ("GET", "logs"), ("GET", "")] {
        assert_eq!(tenant.managed("update:users", method, path, Value::Null).await.0, 404, "{method} {path}");
    }
}

#[tokio::test]
async fn users_are_listed_by_the_page_and_found_by_address() {
    let tenant = staffed().await;
    let (status, users) = tenant.read("read:users", "users").await;
    assert_eq!((status, names(&users, "user_id")), (200, vec!["github|583231".to_owned(), BOB.to_owned()]));
    let (_, page) = tenant.read("read:users", "users?per_page=1&page=1&include_totals=true&fields=name").await;
    assert_eq!(page, json!({ "start": 1, "limit": 1, "length": 1, "total": 2, "users": [{ "name": "Bob" }] }));
    let (_, found) = tenant.read("read:user_idp_tokens", "users-by-email?email=bob%40example.com").await;
    assert_eq!(
        (names(&found, "name"), &found[0]["identities"][0]["access_token"]),
        (vec!["Bob".to_owned()], &json!("ya29.bob"))
    );
    for query in ["users?per_page=101", "users?page=x", "users?q=name%3Abob", "users?include_totals=1"] {
        let (status, body) = tenant.read("read:users", query).await;
        assert_eq!((status, &body["errorCode"]), (400, &json!("invalid_query_string")), "{query}");
    }
}

#[tokio::test]
async fn a_user_can_be_blocked() {
    let tenant = staffed().await;
    let path = format!("users/{ALICE}");
    let update = async |body: Value| tenant.managed("update:users", "PATCH", &path, body).await;
    let (status, user) = update(json!({ "blocked": true, "name": "A" })).await;
    assert_eq!((status, &user["blocked"], &user["name"]), (200, &json!(true), &json!("A")));
    assert_eq!(user["identities"][0].get("access_token"), None);
    assert_eq!(tenant.user("github|583231").unwrap().blocked, Some(true));
    for body in [json!({ "name": "B", "blocked": "yes" }), json!({ "name": 1 }), json!({ "user_id": "x" }), json!([])] {
        let (status, refused) = update(body.clone()).await;
        assert_eq!((status, &refused["errorCode"]), (400, &json!("invalid_body")), "{body}");
    }
    assert_eq!(tenant.user("github|583231").unwrap().name, "A", "all of a change or nothing");
    assert_eq!(tenant.managed("update:users", "PATCH", "users/x", json!({ "blocked": true })).await.0, 404);
}

#[tokio::test]
async fn a_linked_account_is_the_users_and_the_other_user_is_gone() {
    let tenant = staffed().await;
    let (status, identities) = tenant.linked(ALICE, json!({ "provider": "google-oauth2", "user_id": BOB })).await;
    assert_eq!((status, identities.as_array().unwrap().len()), (201, 3));
    assert_eq!((&identities[2]["user_id"], &identities[2]["profileData"]["name"]), (&json!("42"), &json!("Bob")));
    assert_eq!(identities[2].get("access_token"), None);
    assert_eq!(tenant.user(BOB), None);
    assert_eq!(tenant.user("github|583231").unwrap().identities[2].access_token.as_deref(), Some("ya29.bob"));

    let unlink = async |account: &str| {
        tenant.managed("update:users", "DELETE", &format!("users/{ALICE}/identities/{account}"), Value::Null).await
    };
    let (status, refused) = unlink("github/583231").await;
    assert_eq!((status, &refused["message"]), (400, &json!("Main identity cannot be removed.")));
    assert_eq!(unlink("github/1").await.0, 400);
    let (status, identities) = unlink("google-oauth2/42").await;
    assert_eq!((status, identities.as_array().unwrap().len()), (200, 2));
    let alone = tenant.user(BOB).unwrap();
    assert_eq!((alone.name.as_str(), alone.identities[0].access_token.as_deref()), ("Bob", Some("ya29.bob")));
}

#[tokio::test]
async fn an_id_token_of_the_account_links_it_too() {
    let tenant = staffed().await;
    for token in [tenant.token_for(BOB), tenant.token(BOB).audience("other").sign(), "x".to_owned()] {
        let (status, body) = tenant.linked(ALICE, json!({ "link_with": token })).await;
        assert_eq!((status, &body["errorCode"]), (400, &json!("invalid_body")));
    }
    assert_eq!(tenant.linked(ALICE, json!({ "link_with": tenant.id_token(BOB) })).await.0, 201);
    assert_eq!(tenant.user(BOB), None);
}

#[tokio::test]
async fn what_cannot_be_linked_is_refused() {
    let tenant = staffed().await;
    let account = |provider: &str, id: Value| json!({ "provider": provider, "user_id": id });
    let cases = [
        (ALICE, account("github", json!(583_231)), 400, "Main identity and the new one are the same."),
        (ALICE, account("google-oauth2", json!("1111")), 409, "Specified identity already linked to a user."),
        ("google-oauth2%7C42", account("google-oauth2", json!("1111")), 409, "Specified identity already linked"),
        (ALICE, account("google-oauth2", json!("7")), 400, "The account to be linked does not exist."),
        ("github%7C7", account("google-oauth2", json!("42")), 404, "The user does not exist."),
        (ALICE, json!({}), 400, "Payload validation error"),
        (ALICE, json!({ "provider": "github", "user_id": "1", "link_with": "x" }), 400, "Payload validation error"),
        (
            ALICE,
            json!({ "provider": "github", "user_id": "1", "more": 1 }),
            400,
            "Additional properties not allowed: more",
        ),
    ];
    for (user, body, status, words) in cases {
        let (answered, refused) = tenant.linked(user, body.clone()).await;
        assert_eq!(answered, status, "{body}: {refused}");
        assert!(refused["message"].as_str().unwrap().contains(words), "{body}: {refused}");
    }
    assert!(tenant.user(BOB).is_some());
}

#[tokio::test]
async fn a_connection_tells_how_it_is_set_up() {
    let tenant = staffed().await;
    let scope = "read:connections";
    let (status, all) = tenant.read(scope, "connections").await;
    assert_eq!(
        (status, names(&all, "name")),
        (200, vec!["acme".to_owned(), "github".to_owned(), "google-oauth2".to_owned()])
    );
    let (_, found) = tenant.read(scope, "connections?name=acme&fields=name,strategy,options&include_fields=true").await;
    let options = json!({ "client_id": "", "client_secret": "", "scope": [] });
    assert_eq!(found, json!([{ "name": "acme", "strategy": "oauth2", "options": options }]));
    assert_eq!(tenant.read(scope, "connections?name=nope").await, (200, json!([])));
    let (_, found) = tenant.read(scope, "connections?strategy=github&strategy=oauth2").await;
    assert_eq!(names(&found, "name"), ["acme", "github"]);

    tenant.set_purpose("google-oauth2", Purpose::ConnectedAccounts);
    let google = Provider::start(Clock::system(), ProviderSettings::google(Duration::from_secs(60))).await.unwrap();
    tenant.put_behind("google-oauth2", &google);
    let path = format!("connections/{}", all[2]["id"].as_str().unwrap());
    let (status, one) = tenant.read(scope, &path).await;
    assert_eq!((status, &one["options"]["client_id"]), (200, &json!("demo-google-client")));
    assert_eq!(one["options"]["offline_access"], true);
    assert_eq!((&one["authentication"]["active"], &one["connected_accounts"]["active"]), (&json!(false), &json!(true)));
    let (status, none) = tenant.read(scope, "connections/con_none").await;
    assert_eq!((status, &none["errorCode"]), (404, &json!("inexistent_connection")));
}

#[tokio::test]
async fn a_long_list_of_connections_has_checkpoints() {
    let tenant = staffed().await;
    let (mut from, mut seen) = (String::new(), Vec::new());
    for _ in 0..4 {
        let (_, part) = tenant.read("read:connections", &format!("connections?take=2{from}")).await;
        seen.extend(names(&part["connections"], "name"));
        let Some(next) = part["next"].as_str() else { break };
        from = format!("&from={next}");
    }
    assert_eq!(seen, ["acme", "github", "google-oauth2"]);
}

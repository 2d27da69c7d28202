//! Slack's clients: errors come with status 200, and a token that has expired is replaced before the client hears of it.

use super::*;
use crate::support::durable::KEY;
use crate::support::node::Node;
use crate::support::python::Python;
use crate::support::rig::ALICE;
use crate::support::{Rig, child, rig};

const CLIENT: &str = "client_id = \"id\"\nclient_secret = \"shh\"";

/// Slack, which takes the second token alone.
fn slack(request: &Recorded) -> Response<Bytes> {
    let refused = |error: &str| answer(200, &json!({ "ok": false, "error": error }));
    match request.all("authorization").as_str() {
        "Bearer xoxe.xoxb-two" => {}
        "Bearer xoxe.xoxb-one" => return refused("token_expired"),
        _ => return refused("invalid_auth"),
    }
    let channels = |names: &[&str], cursor: &str| {
        let names: Vec<_> = names.iter().map(|name| json!({ "name": name })).collect();
        answer(200, &json!({ "ok": true, "channels": names, "response_metadata": { "next_cursor": cursor } }))
    };
    match (request.target.as_str(), String::from_utf8_lossy(&request.body).as_ref()) {
        ("/api/auth.test", "") => answer(200, &json!({ "ok": true, "user": "alice" })),
        ("/api/conversations.list", "limit=2") => channels(&["general", "random"], "bmV4dA=="),
        ("/api/conversations.list", "limit=2&cursor=bmV4dA%3D%3D") => channels(&["tools"], ""),
        ("/api/conversations.history", "channel=C1") => {
            let scopes =
                json!({ "ok": false, "error": "missing_scope", "needed": "channels:history", "provided": "chat" });
            answer(200, &scopes)
        }
        _ => refused("unknown_method"),
    }
}

/// Slack's token endpoint, at which a refresh token is good once.
fn login(request: &Recorded) -> Response<Bytes> {
    let form = String::from_utf8_lossy(&request.body).into_owned();
    if request.target != "/api/oauth.v2.access" || !form.split('&').any(|field| field == "refresh_token=xoxe-1-one") {
        return answer(200, &json!({ "ok": false, "error": "invalid_refresh_token" }));
    }
    let granted = json!({
        "ok": true,
        "access_token": "xoxe.xoxb-two",
        "refresh_token": "xoxe-1-two",
        "expires_in": 43200,
        "token_type": "bot",
    });
    answer(200, &granted)
}

/// Slack behind a proxy whose tenant has the first token, and Slack's token endpoint.
async fn stage() -> (Rig, Upstream, Upstream) {
    let slack = Upstream::recording(slack).await.allow(&OF_CLIENTS);
    let login = Upstream::recording(login).await.allow(&["no authorization"]);
    let lines = format!("{CLIENT}\ntoken_url = \"{}/api/oauth.v2.access\"", login.base_url());
    let store = format!("url = \"sqlite:{}\"\nkeys = [\"{KEY}\"]", child::folder().join("slack.db").display());
    let rig = rig().provider_at("slack", &format!("{}/api", slack.base_url()), &lines).with("store", &store);
    let rig = rig.start().await;
    rig.tenant.with_user(ALICE, |user| {
        let account = user.identity_mut("slack").unwrap();
        account.access_token = Some("xoxe.xoxb-one".to_owned());
        account.refresh_token = Some("xoxe-1-one".to_owned());
    });
    (rig, slack, login)
}

/// A client that told this heard nothing of the first token's end, but of the scope that both lack.
fn went_on(told: &Value, slack: &Upstream, login: &Upstream) {
    let history = &told["history"];
    assert_eq!((&told["user"], &told["channels"]), (&json!("alice"), &json!(["general", "random", "tools"])), "{told}");
    assert_eq!((&history["ok"], &history["error"]), (&json!(false), &json!("missing_scope")), "{history}");
    assert_eq!(history["needed"], "channels:history", "{history}");

    let expected = [
        "POST /api/auth.test",
        "POST /api/auth.test",
        "POST /api/conversations.list",
        "POST /api/conversations.list",
        "POST /api/conversations.history",
    ];
    assert_eq!(asked(slack), expected);
    assert_eq!(slack.tokens()[..2], ["xoxe.xoxb-one", "xoxe.xoxb-two"]);
    assert_eq!(asked(login), ["POST /api/oauth.v2.access"], "the token was renewed once");
}

#[tokio::test]
async fn slacks_client_does_not_notice_that_its_token_had_expired() {
    let (rig, slack, login) = stage().await;
    went_on(&Node::snippet("slack", &rig).run().await, &slack, &login);
}

#[tokio::test]
async fn nor_does_slacks_client_in_python() {
    let (rig, slack, login) = stage().await;
    went_on(&Python::snippet("slack", &rig).run().await, &slack, &login);
}

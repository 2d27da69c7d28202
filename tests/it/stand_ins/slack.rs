//! Slack, emulated: methods are called by POST and by GET, and errors come with status 200.

use idp_proxy::command::dev::tenant::Identity;
use serde_json::json;

use super::emulator::Pages;
use super::{Emulator, USERS, post, signed_in, subject};
use crate::support::{client, rig};

const PAGES: Pages = Pages {
    consent: "/oauth/v2/authorize/callback",
    token: "/api/oauth.v2.access",
    scope: "scope=chat:write&user_scope=chat:write,users.profile:read",
};

#[tokio::test]
async fn emulated_slack_takes_every_call_for_its_callers_own() {
    let slack = Emulator::start("slack", PAGES).await;
    let rig = rig().provider_at("slack", &format!("{}/api", slack.url), "allow = \"all\"").start().await;
    let members =
        client::send(slack.address(), "POST", "/api/users.list", &[("authorization", "Bearer any")], b"").await.json();
    let id = |user: &str| {
        let member = members["members"].as_array().unwrap().iter().find(|member| member["name"] == user);
        member.unwrap_or_else(|| panic!("{user} is not in {members}"))["id"].as_str().unwrap().to_owned()
    };
    for user in USERS {
        let tokens = slack.sign_in(&format!("user_id={}", id(user))).await;
        let token = tokens["authed_user"]["access_token"].as_str().unwrap_or_else(|| panic!("{tokens}"));
        signed_in(&rig, user, Identity::new("slack", user).access_token(token));
    }
    for user in USERS {
        let tested = post(&rig, user, "/proxy/slack/auth.test", &json!({})).await.json();
        assert_eq!((&tested["ok"], &tested["user_id"]), (&json!(true), &json!(id(user))), "{tested}");
        let profile = rig.get_as(&subject(user), "/proxy/slack/users.profile.get").await.json();
        assert_eq!(profile["profile"]["display_name"], user, "{profile}");
        let message = json!({ "channel": "general", "text": format!("{user} says ✓") });
        let posted = post(&rig, user, "/proxy/slack/chat.postMessage", &message).await.json();
        assert_eq!(posted["message"]["user"], id(user), "{posted}");
        assert_eq!(posted["message"]["text"], message["text"]);
        let message = json!({ "channel": "nowhere", "text": "?" });
        let refused = post(&rig, user, "/proxy/slack/chat.postMessage", &message).await;
        assert_eq!((refused.status, &refused.json()["error"]), (200, &json!("channel_not_found")));
    }
}

//! Google: one token endpoint, and a host for each API.

use super::{Facts, INVALID_GRANT, Next, PLAIN, Pages, RENEWAL, Renewal, Rotates, Said};

const CHALLENGE: (&str, &str) =
    ("www-authenticate", "Bearer realm=\"https://accounts.google.com/\", error=\"invalid_token\"");

const GOOGLE: Facts = Facts {
    connection: Some("google-oauth2"),
    dead: &[
        Said::with(
            401,
            &[CHALLENGE],
            r#"{"error":{"code":401,"status":"UNAUTHENTICATED","message":"Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential."}}"#,
        ),
        Said::with(
            401,
            &[CHALLENGE],
            r#"{"error":{"errors":[{"domain":"global","reason":"authError","message":"Invalid Credentials","locationType":"header","location":"Authorization"}],"code":401,"message":"Invalid Credentials"}}"#,
        ),
    ],
    scope: &[Said::with(
        403,
        &[(
            "www-authenticate",
            "Bearer realm=\"https://accounts.google.com/\", error=\"insufficient_scope\", scope=\"https://www.googleapis.com/auth/drive\"",
        )],
        r#"{"error":{"code":403,"message":"Request had insufficient authentication scopes.","errors":[{"message":"Insufficient Permission","domain":"global","reason":"insufficientPermissions"}],"status":"PERMISSION_DENIED","details":[{"reason":"ACCESS_TOKEN_SCOPE_INSUFFICIENT"}]}}"#,
    )],
    life: Some(3599),
    renewal: Some(Renewal {
        url: "https://oauth2.googleapis.com/token",
        rotates: Rotates::Never,
        answer: r#"{"access_token":"{access}","expires_in":3599,"scope":"openid","token_type":"Bearer"}"#,
        dead: &[
            Said::json(400, r#"{"error":"invalid_grant","error_description":"Token has been expired or revoked."}"#),
            INVALID_GRANT,
        ],
        ..RENEWAL
    }),
    ..PLAIN
};

/// One of the hosts. Pages are followed by a token that is no URL.
const fn api(preset: &'static str, base: &'static str, call: &'static str, pages: Pages) -> Facts {
    Facts { preset, base, call: ("GET", call), pages: Some(pages), ..GOOGLE }
}

const fn pages(at: &'static str, next: &'static str, second: &'static str) -> Pages {
    Pages { at, body: r#"{"items":[1],"nextPageToken":"n2"}"#, next: Next::Cursor("/nextPageToken", next), second }
}

pub fn all() -> Vec<Facts> {
    let chat = pages("/v1/spaces", "/v1/spaces?pageToken=", "/v1/spaces?pageToken=n2");
    let connections = "/v1/people/me/connections?personFields=names&pageToken=n2";
    vec![
        api(
            "google",
            "https://www.googleapis.com",
            "/drive/v3/about?fields=user",
            pages("/drive/v3/files?pageSize=1", "/drive/v3/files?pageToken=", "/drive/v3/files?pageToken=n2"),
        ),
        api(
            "gmail",
            "https://gmail.googleapis.com",
            "/gmail/v1/users/me/profile",
            pages(
                "/gmail/v1/users/me/messages?labelIds=INBOX&labelIds=UNREAD",
                "/gmail/v1/users/me/messages?labelIds=INBOX&labelIds=UNREAD&pageToken=",
                "/gmail/v1/users/me/messages?labelIds=INBOX&labelIds=UNREAD&pageToken=n2",
            ),
        ),
        api(
            "google-people",
            "https://people.googleapis.com",
            "/v1/people/me?personFields=names",
            pages(
                "/v1/people/me/connections?personFields=names",
                "/v1/people/me/connections?personFields=names&pageToken=",
                connections,
            ),
        ),
        Facts {
            pages: None,
            ..api("google-sheets", "https://sheets.googleapis.com", "/v4/spreadsheets/1/values/A1:B2", chat)
        },
        Facts { pages: None, ..api("google-docs", "https://docs.googleapis.com", "/v1/documents/1", chat) },
        api(
            "youtube",
            "https://youtube.googleapis.com",
            "/youtube/v3/channels?part=snippet&mine=true",
            pages(
                "/youtube/v3/subscriptions?part=id",
                "/youtube/v3/subscriptions?part=id&pageToken=",
                "/youtube/v3/subscriptions?part=id&pageToken=n2",
            ),
        ),
        api(
            "google-tasks",
            "https://tasks.googleapis.com",
            "/tasks/v1/users/@me/lists/1",
            pages(
                "/tasks/v1/users/@me/lists",
                "/tasks/v1/users/@me/lists?pageToken=",
                "/tasks/v1/users/@me/lists?pageToken=n2",
            ),
        ),
        api("google-chat", "https://chat.googleapis.com", "/v1/spaces/1", chat),
        api(
            "google-storage",
            "https://storage.googleapis.com",
            "/storage/v1/b/bucket",
            pages("/storage/v1/b/bucket/o", "/storage/v1/b/bucket/o?pageToken=", "/storage/v1/b/bucket/o?pageToken=n2"),
        ),
    ]
}

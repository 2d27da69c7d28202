//! Where people meet: Facebook, LinkedIn, X, Reddit, Discord, Spotify, Strava.

use super::{Client, Facts, Grant, Next, PLAIN, Pages, RENEWAL, Renewal, Rotates, Said};

const EXCHANGE_REFUSED: Said = Said::json(
    400,
    r#"{"error":{"message":"Error validating access token: Session has expired.","type":"OAuthException","code":190,"error_subcode":463,"fbtrace_id":"A"}}"#,
);

/// The code tells, and not the status. There is no refresh token.
const FACEBOOK: Facts = Facts {
    preset: "facebook",
    connection: Some("facebook"),
    base: "https://graph.facebook.com",
    call: ("GET", "/v25.0/me?fields=id,name"),
    dead: &[
        EXCHANGE_REFUSED,
        Said::json(
            400,
            r#"{"error":{"message":"Error validating access token: The user has not authorized application 1.","type":"OAuthException","code":190,"error_subcode":458,"fbtrace_id":"A"}}"#,
        ),
        Said::json(
            400,
            r#"{"error":{"message":"The session has been invalidated because the user changed the password.","type":"OAuthException","code":190,"error_subcode":460,"fbtrace_id":"A"}}"#,
        ),
        Said::json(
            401,
            r#"{"error":{"message":"Malformed access token","type":"OAuthException","code":190,"fbtrace_id":"A"}}"#,
        ),
        Said::json(400, r#"{"error":{"message":"Session key invalid.","type":"OAuthException","code":102}}"#),
    ],
    scope: &[
        Said::json(
            403,
            r#"{"error":{"message":"(#10) This endpoint requires the 'pages_read_engagement' permission.","type":"OAuthException","code":10,"fbtrace_id":"A"}}"#,
        ),
        Said::json(
            400,
            r#"{"error":{"message":"(#200) Requires publish_actions.","type":"OAuthException","code":200}}"#,
        ),
    ],
    life: Some(5_184_000),
    renewal: Some(Renewal {
        url: "https://graph.facebook.com/oauth/access_token",
        grant: Grant::Exchange,
        rotates: Rotates::Never,
        answer: r#"{"access_token":"{access}","token_type":"bearer","expires_in":5183944}"#,
        dead: &[EXCHANGE_REFUSED],
        ..RENEWAL
    }),
    pages: Some(Pages {
        at: "/v25.0/me/feed?limit=1",
        body: r#"{"data":[{"id":"1"}],"paging":{"cursors":{"after":"A2"},"previous":"https:\/\/graph.facebook.com\/v25.0\/me\/feed?limit=1&access_token={token}&before=A1","next":"{origin}\/v25.0\/me\/feed?access_token={token}&appsecret_proof=ab12&limit=1&after=A2"}}"#,
        next: Next::Url("/paging/next"),
        second: "/v25.0/me/feed?limit=1&after=A2",
    }),
    denied: &["/oauth/access_token", "/v25.0/oauth/access_token", "/debug_token", "/v25.0/debug_token"],
    ..PLAIN
};

const LINKEDIN: Facts = Facts {
    preset: "linkedin",
    connection: Some("linkedin"),
    base: "https://api.linkedin.com",
    needs: &[("x-restli-protocol-version", "2.0.0")],
    call: ("GET", "/rest/me"),
    dead: &[
        Said::json(
            401,
            r#"{"serviceErrorCode":65601,"code":"REVOKED_ACCESS_TOKEN","message":"The token used in the request has been revoked by the user","status":401}"#,
        ),
        Said::json(
            401,
            r#"{"serviceErrorCode":65602,"code":"EXPIRED_ACCESS_TOKEN","message":"The token used in the request has expired","status":401}"#,
        ),
    ],
    scope: &[Said::json(
        403,
        r#"{"serviceErrorCode":100,"message":"Not enough permissions to access: GET /me","status":403,"code":"ACCESS_DENIED"}"#,
    )],
    life: Some(5_184_000),
    renewal: Some(Renewal {
        url: "https://www.linkedin.com/oauth/v2/accessToken",
        // It comes again, with less time left.
        rotates: Rotates::Never,
        answer: r#"{"access_token":"{access}","expires_in":5184000,"refresh_token_expires_in":31536000,"scope":"r_basicprofile"}"#,
        ..RENEWAL
    }),
    pages: Some(Pages {
        at: "/rest/posts?q=author&count=1",
        body: r#"{"elements":[1],"paging":{"start":0,"count":1,"links":[{"rel":"next","href":"/rest/posts?q=author&count=1&start=1"}]}}"#,
        next: Next::Path("/paging/links/0/href"),
        second: "/rest/posts?q=author&count=1&start=1",
    }),
    ..PLAIN
};

const X: Facts = Facts {
    preset: "x",
    connection: Some("twitter"),
    base: "https://api.x.com",
    call: ("GET", "/2/users/me"),
    // Uncertain.
    dead: &[Said::json(401, r#"{"title":"Unauthorized","type":"about:blank","status":401,"detail":"Unauthorized"}"#)],
    scope: &[Said::json(403, r#"{"title":"Forbidden","type":"about:blank","status":403,"detail":"Forbidden"}"#)],
    life: Some(7200),
    renewal: Some(Renewal {
        url: "https://api.x.com/2/oauth2/token",
        client: Client::Basic,
        answer: r#"{"token_type":"bearer","expires_in":7200,"access_token":"{access}","scope":"users.read offline.access","refresh_token":"{refresh}"}"#,
        dead: &[Said::json(
            400,
            r#"{"error":"invalid_request","error_description":"Value passed for the token was invalid."}"#,
        )],
        ..RENEWAL
    }),
    pages: Some(Pages {
        at: "/2/users/1/tweets?max_results=5",
        body: r#"{"data":[1],"meta":{"result_count":1,"next_token":"n2"}}"#,
        next: Next::Cursor("/meta/next_token", "/2/users/1/tweets?max_results=5&pagination_token="),
        second: "/2/users/1/tweets?max_results=5&pagination_token=n2",
    }),
    denied: &["/2/oauth2/token", "/2/oauth2/revoke", "/oauth2/token", "/oauth/access_token"],
    ..PLAIN
};

const REDDIT: Facts = Facts {
    preset: "reddit",
    connection: Some("reddit"),
    base: "https://oauth.reddit.com",
    token: ("authorization", "bearer "),
    needs: &[("user-agent", "server:")],
    lacks: Said::json(429, r#"{"message":"Too Many Requests","error":429}"#),
    call: ("GET", "/api/v1/me"),
    dead: &[Said::with(
        401,
        &[("www-authenticate", "Bearer realm=\"reddit\", error=\"invalid_token\"")],
        r#"{"message":"Unauthorized","error":401}"#,
    )],
    scope: &[Said::with(
        403,
        &[("www-authenticate", "Bearer realm=\"reddit\", error=\"insufficient_scope\"")],
        r#"{"message":"Forbidden","error":403}"#,
    )],
    life: Some(86400),
    renewal: Some(Renewal {
        url: "https://www.reddit.com/api/v1/access_token",
        client: Client::Basic,
        answer: r#"{"access_token":"{access}","token_type":"bearer","expires_in":86400,"refresh_token":"{refresh}","scope":"identity"}"#,
        dead: &[Said::json(400, r#"{"message":"Bad Request","error":400}"#)],
        ..RENEWAL
    }),
    pages: Some(Pages {
        at: "/user/me/saved?limit=1",
        body: r#"{"kind":"Listing","data":{"after":"t3_2","children":[]}}"#,
        next: Next::Cursor("/data/after", "/user/me/saved?limit=1&after="),
        second: "/user/me/saved?limit=1&after=t3_2",
    }),
    ..PLAIN
};

const DISCORD: Facts = Facts {
    preset: "discord",
    connection: Some("discord"),
    base: "https://discord.com/api",
    needs: &[("user-agent", "DiscordBot (")],
    call: ("GET", "/v10/users/@me"),
    // Uncertain.
    dead: &[Said::json(401, r#"{"message":"401: Unauthorized","code":0}"#)],
    scope: &[Said::json(403, r#"{"message":"Missing Access","code":50001}"#)],
    life: Some(604_800),
    renewal: Some(Renewal {
        url: "https://discord.com/api/oauth2/token",
        client: Client::Basic,
        answer: r#"{"token_type":"Bearer","access_token":"{access}","expires_in":604800,"refresh_token":"{refresh}","scope":"identify"}"#,
        ..RENEWAL
    }),
    pages: Some(Pages {
        at: "/v10/users/@me/guilds?limit=1",
        body: r#"[{"id":"81384788765712384"}]"#,
        next: Next::Cursor("/0/id", "/v10/users/@me/guilds?limit=1&after="),
        second: "/api/v10/users/@me/guilds?limit=1&after=81384788765712384",
    }),
    denied: &["/oauth2/token", "/oauth2/token/revoke", "/v10/oauth2/token", "/v10/oauth2/token/revoke"],
    ..PLAIN
};

const SPOTIFY: Facts = Facts {
    preset: "spotify",
    connection: Some("spotify"),
    base: "https://api.spotify.com",
    call: ("GET", "/v1/me"),
    dead: &[
        Said::json(401, r#"{"error":{"status":401,"message":"The access token expired"}}"#),
        Said::json(401, r#"{"error":{"status":401,"message":"Invalid access token"}}"#),
    ],
    scope: &[Said::json(403, r#"{"error":{"status":403,"message":"Insufficient client scope"}}"#)],
    life: Some(3600),
    renewal: Some(Renewal {
        url: "https://accounts.spotify.com/api/token",
        client: Client::Basic,
        // Clients keep the old one if none comes.
        rotates: Rotates::NotSeen,
        answer: r#"{"access_token":"{access}","token_type":"Bearer","scope":"user-read-private","expires_in":3600}"#,
        dead: &[Said::json(400, r#"{"error":"invalid_grant","error_description":"Refresh token revoked"}"#)],
        ..RENEWAL
    }),
    pages: Some(Pages {
        at: "/v1/me/playlists?limit=1",
        body: r#"{"href":"{origin}/v1/me/playlists?offset=0&limit=1","items":[],"next":"{origin}/v1/me/playlists?offset=1&limit=1","previous":null}"#,
        next: Next::Url("/next"),
        second: "/v1/me/playlists?offset=1&limit=1",
    }),
    ..PLAIN
};

const STRAVA: Facts = Facts {
    preset: "strava",
    connection: Some("strava"),
    base: "https://www.strava.com/api/v3",
    call: ("GET", "/athlete"),
    dead: &[Said::json(
        401,
        r#"{"message":"Authorization Error","errors":[{"resource":"Athlete","field":"access_token","code":"invalid"}]}"#,
    )],
    // By the same status.
    scope: &[
        Said::json(
            401,
            r#"{"message":"Authorization Error","errors":[{"resource":"AccessToken","field":"activity:read_permission","code":"missing"}]}"#,
        ),
        Said::json(
            403,
            r#"{"message":"Forbidden","errors":[{"resource":"AccessToken","field":"activity:write_permission","code":"missing"}]}"#,
        ),
    ],
    life: Some(21600),
    renewal: Some(Renewal {
        url: "https://www.strava.com/api/v3/oauth/token",
        answer: r#"{"token_type":"Bearer","access_token":"{access}","expires_at":1900000000,"expires_in":21600,"refresh_token":"{refresh}"}"#,
        dead: &[Said::json(
            400,
            r#"{"message":"Bad Request","errors":[{"resource":"RefreshToken","field":"refresh_token","code":"invalid"}]}"#,
        )],
        ..RENEWAL
    }),
    // Pages are counted by the client.
    pages: None,
    denied: &["/oauth/token", "/oauth/deauthorize"],
    ..PLAIN
};

pub fn all() -> Vec<Facts> {
    vec![FACEBOOK, LINKEDIN, X, REDDIT, DISCORD, SPOTIFY, STRAVA]
}

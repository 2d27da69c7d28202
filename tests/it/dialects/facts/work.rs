//! Where people work: Slack, Notion, Zoom, HubSpot, Salesforce, Box, Dropbox, Shopify, Stripe.

use super::{Client, Facts, Form, INVALID_GRANT, Next, PLAIN, Pages, RENEWAL, Renewal, Rotates, Said};

/// Errors come with 200.
const SLACK: Facts = Facts {
    preset: "slack",
    connection: Some("slack"),
    base: "https://slack.com/api",
    call: ("GET", "/users.info?user=U1"),
    dead: &[
        Said::json(200, r#"{"ok":false,"error":"token_expired"}"#),
        Said::json(200, r#"{"ok":false,"error":"token_revoked"}"#),
        Said::json(200, r#"{"ok":false,"error":"invalid_auth"}"#),
        Said::json(200, r#"{"ok":false,"error":"account_inactive"}"#),
    ],
    scope: &[Said::with(
        200,
        &[("x-oauth-scopes", "users:read"), ("x-accepted-oauth-scopes", "channels:read")],
        r#"{"ok":false,"error":"missing_scope","needed":"channels:read","provided":"users:read"}"#,
    )],
    life: Some(43200),
    renewal: Some(Renewal {
        url: "https://slack.com/api/oauth.v2.access",
        answer: r#"{"ok":true,"access_token":"{access}","expires_in":43200,"refresh_token":"{refresh}","token_type":"bot","scope":"users:read"}"#,
        dead: &[
            Said::json(200, r#"{"ok":false,"error":"invalid_refresh_token"}"#),
            Said::json(400, r#"{"ok":false,"error":"invalid_grant"}"#),
        ],
        ..RENEWAL
    }),
    pages: Some(Pages {
        at: "/conversations.list?limit=1",
        body: r#"{"ok":true,"channels":[],"response_metadata":{"next_cursor":"dGVhbTpD"}}"#,
        next: Next::Cursor("/response_metadata/next_cursor", "/conversations.list?limit=1&cursor="),
        second: "/api/conversations.list?limit=1&cursor=dGVhbTpD",
    }),
    denied: &["/oauth.access", "/oauth.v2.access", "/oauth.v2.exchange", "/openid.connect.token", "/auth.revoke"],
    ..PLAIN
};

const NOTION: Facts = Facts {
    preset: "notion",
    connection: Some("notion"),
    base: "https://api.notion.com",
    needs: &[("notion-version", "2025-09-03")],
    lacks: Said::json(
        400,
        r#"{"object":"error","status":400,"code":"missing_version","message":"Notion-Version header should be defined."}"#,
    ),
    call: ("GET", "/v1/users/me"),
    dead: &[Said::json(
        401,
        r#"{"object":"error","status":401,"code":"unauthorized","message":"API token is invalid."}"#,
    )],
    scope: &[Said::json(
        403,
        r#"{"object":"error","status":403,"code":"restricted_resource","message":"Insufficient permissions for this endpoint."}"#,
    )],
    renewal: Some(Renewal {
        url: "https://api.notion.com/v1/oauth/token",
        client: Client::Basic,
        form: Form::Json,
        answer: r#"{"access_token":"{access}","refresh_token":"{refresh}","token_type":"bearer","workspace_id":"w","bot_id":"b"}"#,
        ..RENEWAL
    }),
    pages: Some(Pages {
        at: "/v1/users?page_size=1",
        body: r#"{"object":"list","results":[],"next_cursor":"c2","has_more":true}"#,
        next: Next::Cursor("/next_cursor", "/v1/users?page_size=1&start_cursor="),
        second: "/v1/users?page_size=1&start_cursor=c2",
    }),
    denied: &["/v1/oauth/token", "/v1/oauth/revoke", "/v1/oauth/introspect"],
    ..PLAIN
};

const ZOOM: Facts = Facts {
    preset: "zoom",
    connection: Some("zoom"),
    base: "https://api.zoom.us/v2",
    call: ("GET", "/users/me"),
    dead: &[
        Said::json(401, r#"{"code":124,"message":"Access token has expired."}"#),
        Said::json(401, r#"{"code":124,"message":"Invalid access token."}"#),
    ],
    scope: &[Said::json(
        400,
        r#"{"code":4711,"message":"Invalid access token, does not contain scopes:[user:read]."}"#,
    )],
    life: Some(3600),
    renewal: Some(Renewal {
        url: "https://zoom.us/oauth/token",
        client: Client::Basic,
        answer: r#"{"access_token":"{access}","token_type":"bearer","refresh_token":"{refresh}","expires_in":3599,"scope":"user:read"}"#,
        // The second has been seen in earlier years.
        dead: &[
            Said::json(400, r#"{"reason":"Invalid Token!","error":"invalid_grant"}"#),
            Said::json(400, r#"{"reason":"Invalid Token!","error":"invalid_request"}"#),
        ],
        ..RENEWAL
    }),
    pages: Some(Pages {
        at: "/users/me/meetings?page_size=1",
        body: r#"{"page_size":1,"next_page_token":"n2","meetings":[]}"#,
        next: Next::Cursor("/next_page_token", "/users/me/meetings?page_size=1&next_page_token="),
        second: "/v2/users/me/meetings?page_size=1&next_page_token=n2",
    }),
    ..PLAIN
};

const HUBSPOT: Facts = Facts {
    preset: "hubspot",
    connection: Some("hubspot"),
    base: "https://api.hubapi.com",
    call: ("GET", "/crm/v3/objects/contacts/1"),
    dead: &[Said::json(
        401,
        r#"{"status":"error","message":"The OAuth token used to make this call expired 12 second(s) ago.","correlationId":"1","category":"EXPIRED_AUTHENTICATION"}"#,
    )],
    scope: &[Said::json(
        403,
        r#"{"status":"error","message":"This app hasn't been granted all required scopes to make this call.","correlationId":"1","category":"MISSING_SCOPES"}"#,
    )],
    life: Some(1800),
    renewal: Some(Renewal {
        url: "https://api.hubapi.com/oauth/v1/token",
        rotates: Rotates::Never,
        answer: r#"{"token_type":"bearer","refresh_token":"{refresh}","access_token":"{access}","expires_in":1800}"#,
        dead: &[
            Said::json(
                400,
                r#"{"status":"BAD_REFRESH_TOKEN","message":"missing or invalid refresh token","correlationId":"1"}"#,
            ),
            // With a code of RFC 6749 beside it, which tells less.
            Said::json(
                400,
                r#"{"status":"BAD_REFRESH_TOKEN","message":"missing or invalid refresh token","error":"invalid_request","correlationId":"1"}"#,
            ),
        ],
        ..RENEWAL
    }),
    pages: Some(Pages {
        at: "/crm/v3/objects/contacts?limit=1",
        body: r#"{"results":[],"paging":{"next":{"after":"2","link":"{origin}/crm/v3/objects/contacts?limit=1&after=2"}}}"#,
        next: Next::Url("/paging/next/link"),
        second: "/crm/v3/objects/contacts?limit=1&after=2",
    }),
    denied: &["/oauth/v1/token", "/oauth/v1/access-tokens/x", "/oauth/v1/refresh-tokens/x"],
    ..PLAIN
};

/// Errors are lists; the answer of a renewal tells no life.
const SALESFORCE: Facts = Facts {
    preset: "salesforce",
    connection: Some("salesforce"),
    base: "https://acme.my.salesforce.com",
    call: ("GET", "/services/data/v60.0/limits"),
    dead: &[Said::json(401, r#"[{"message":"Session expired or invalid","errorCode":"INVALID_SESSION_ID"}]"#)],
    // By the same status and code.
    scope: &[
        Said::json(
            401,
            r#"[{"message":"This session is not valid for use with the REST API","errorCode":"INVALID_SESSION_ID"}]"#,
        ),
        Said::json(401, r#"[{"message":"Connected app is not attached to Agent","errorCode":"INVALID_SESSION_ID"}]"#),
    ],
    renewal: Some(Renewal {
        url: "https://login.salesforce.com/services/oauth2/token",
        // Policy of the organisation: mostly not.
        rotates: Rotates::NotSeen,
        answer: r#"{"access_token":"{access}","signature":"x","scope":"refresh_token api","instance_url":"https://acme.my.salesforce.com","id":"https://login.salesforce.com/id/1/2","token_type":"Bearer","issued_at":"1700000000000"}"#,
        dead: &[Said::json(400, r#"{"error":"invalid_grant","error_description":"expired access/refresh token"}"#)],
        ..RENEWAL
    }),
    pages: Some(Pages {
        at: "/services/data/v60.0/query?q=SELECT+Id+FROM+Contact",
        body: r#"{"totalSize":2,"done":false,"nextRecordsUrl":"/services/data/v60.0/query/01g-2000","records":[]}"#,
        next: Next::Path("/nextRecordsUrl"),
        second: "/services/data/v60.0/query/01g-2000",
    }),
    denied: &["/services/oauth2/token", "/services/oauth2/revoke"],
    ..PLAIN
};

/// It says nothing but the status, and a header (uncertain).
const BOX: Facts = Facts {
    preset: "box",
    connection: Some("box"),
    base: "https://api.box.com",
    call: ("GET", "/2.0/users/me"),
    dead: &[Said::with(
        401,
        &[(
            "www-authenticate",
            "Bearer realm=\"Service\", error=\"invalid_token\", error_description=\"The access token provided is invalid.\"",
        )],
        "",
    )],
    scope: &[Said::with(
        403,
        &[("www-authenticate", "Bearer realm=\"Service\", error=\"insufficient_scope\"")],
        r#"{"type":"error","code":"insufficient_scope","status":403}"#,
    )],
    life: Some(3600),
    renewal: Some(Renewal {
        url: "https://api.box.com/oauth2/token",
        answer: r#"{"access_token":"{access}","expires_in":3600,"restricted_to":[],"refresh_token":"{refresh}","token_type":"bearer"}"#,
        dead: &[Said::json(400, r#"{"error":"invalid_grant","error_description":"Refresh token has expired"}"#)],
        ..RENEWAL
    }),
    pages: Some(Pages {
        at: "/2.0/folders/0/items?usemarker=true&limit=1",
        body: r#"{"entries":[],"limit":1,"next_marker":"m2"}"#,
        next: Next::Cursor("/next_marker", "/2.0/folders/0/items?usemarker=true&limit=1&marker="),
        second: "/2.0/folders/0/items?usemarker=true&limit=1&marker=m2",
    }),
    denied: &["/oauth2/token", "/oauth2/revoke"],
    ..PLAIN
};

/// Everything is a `POST`, and every refusal of a token 401.
const DROPBOX: Facts = Facts {
    preset: "dropbox",
    connection: Some("dropbox"),
    base: "https://api.dropboxapi.com",
    call: ("POST", "/2/users/get_current_account"),
    dead: &[
        Said::json(401, r#"{"error_summary":"expired_access_token/...","error":{".tag":"expired_access_token"}}"#),
        Said::json(401, r#"{"error_summary":"invalid_access_token/...","error":{".tag":"invalid_access_token"}}"#),
    ],
    scope: &[Said::json(
        401,
        r#"{"error_summary":"missing_scope/...","error":{".tag":"missing_scope","required_scope":"files.metadata.read"}}"#,
    )],
    life: Some(14400),
    renewal: Some(Renewal {
        url: "https://api.dropboxapi.com/oauth2/token",
        rotates: Rotates::Never,
        answer: r#"{"access_token":"{access}","token_type":"bearer","expires_in":14400}"#,
        dead: &[Said::json(
            400,
            r#"{"error":"invalid_grant","error_description":"refresh token is invalid or revoked"}"#,
        )],
        ..RENEWAL
    }),
    pages: Some(Pages {
        at: "/2/files/list_folder",
        body: r#"{"entries":[],"cursor":"c2","has_more":true}"#,
        next: Next::Posted("/cursor", "/2/files/list_folder/continue"),
        second: "/2/files/list_folder/continue",
    }),
    denied: &["/oauth2/token", "/2/auth/token/revoke", "/2/auth/token/from_oauth1"],
    ..PLAIN
};

/// The token has a header of its own, and `Authorization` must not be there.
const SHOPIFY: Facts = Facts {
    preset: "shopify",
    connection: Some("shopify"),
    // With tokens that expire; the older ones live for ever.
    customer: "token_url = \"ORIGIN/admin/oauth/access_token\"",
    base: "https://acme.myshopify.com",
    token: ("x-shopify-access-token", ""),
    call: ("GET", "/admin/api/2025-10/shop.json"),
    dead: &[Said::json(
        401,
        r#"{"errors":"[API] Invalid API key or access token (unrecognized login or wrong password)"}"#,
    )],
    scope: &[Said::json(403, r#"{"errors":"[API] This action requires merchant approval for read_products scope."}"#)],
    life: Some(3600),
    renewal: Some(Renewal {
        url: "https://acme.myshopify.com/admin/oauth/access_token",
        answer: r#"{"access_token":"{access}","scope":"read_products","expires_in":3600,"refresh_token":"{refresh}","refresh_token_expires_in":7776000}"#,
        // Uncertain: its form is not known.
        dead: &[INVALID_GRANT],
        ..RENEWAL
    }),
    pages: Some(Pages {
        at: "/admin/api/2025-10/products.json?limit=1",
        body: r#"{"products":[]}"#,
        next: Next::Link("<{origin}/admin/api/2025-10/products.json?limit=1&page_info=p2>; rel=\"next\""),
        second: "/admin/api/2025-10/products.json?limit=1&page_info=p2",
    }),
    denied: &["/admin/oauth/access_token", "/admin/oauth/authorize"],
    ..PLAIN
};

const STRIPE: Facts = Facts {
    preset: "stripe",
    connection: Some("stripe"),
    base: "https://api.stripe.com",
    call: ("GET", "/v1/account"),
    // Uncertain.
    dead: &[
        Said::json(
            401,
            r#"{"error":{"type":"invalid_request_error","message":"Invalid API Key provided: sk_live_****"}}"#,
        ),
        Said::json(
            401,
            r#"{"error":{"type":"invalid_request_error","code":"api_key_expired","message":"Expired API Key provided"}}"#,
        ),
    ],
    scope: &[Said::json(
        403,
        r#"{"error":{"type":"invalid_request_error","code":"more_permissions_required_for_application","message":"The provided key does not have the required permissions for this endpoint."}}"#,
    )],
    renewal: Some(Renewal {
        url: "https://connect.stripe.com/oauth/token",
        // As Connect has always taken it. Its newer examples bring the key as the user of Basic, without a password.
        client: Client::Post,
        answer: r#"{"access_token":"{access}","livemode":true,"refresh_token":"{refresh}","scope":"read_write","stripe_user_id":"acct_1","token_type":"bearer"}"#,
        dead: &[Said::json(
            400,
            r#"{"error":"invalid_grant","error_description":"Refresh token does not exist: rt_****"}"#,
        )],
        ..RENEWAL
    }),
    pages: Some(Pages {
        at: "/v1/customers?limit=1&expand%5B0%5D=data.sources",
        body: r#"{"object":"list","url":"/v1/customers","has_more":true,"data":[{"id":"cus_1"}]}"#,
        next: Next::Cursor("/data/0/id", "/v1/customers?limit=1&expand%5B0%5D=data.sources&starting_after="),
        second: "/v1/customers?limit=1&expand%5B0%5D=data.sources&starting_after=cus_1",
    }),
    denied: &["/v1/oauth/token"],
    ..PLAIN
};

pub fn all() -> Vec<Facts> {
    vec![SLACK, NOTION, ZOOM, HUBSPOT, SALESFORCE, BOX, DROPBOX, SHOPIFY, STRIPE]
}

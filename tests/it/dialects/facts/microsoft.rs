//! Microsoft: Graph in all its clouds, and SharePoint.

use super::{Facts, Next, PLAIN, Pages, RENEWAL, Renewal, Rotates, Said};

const EXPIRED: Said = Said::json(
    401,
    r#"{"error":{"code":"InvalidAuthenticationToken","message":"Lifetime validation failed, the token is expired.","innerError":{"date":"2026-11-20T10:00:00","request-id":"1"}}}"#,
);

const GRAPH: Facts = Facts {
    call: ("GET", "/v1.0/me?$select=id,displayName"),
    dead: &[
        EXPIRED,
        Said::json(
            401,
            r#"{"error":{"code":"InvalidAuthenticationToken","message":"Access token has expired or is not yet valid."}}"#,
        ),
        Said::json(401, r#"{"error":{"code":"unauthenticated","message":"The caller is not authenticated."}}"#),
    ],
    scope: &[
        Said::json(
            403,
            r#"{"error":{"code":"Authorization_RequestDenied","message":"Insufficient privileges to complete the operation."}}"#,
        ),
        Said::json(403, r#"{"error":{"code":"accessDenied","message":"Access denied"}}"#),
        // A claims challenge asks for another sign-in.
        Said::with(
            401,
            &[(
                "www-authenticate",
                "Bearer realm=\"\", authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\", error=\"insufficient_claims\", claims=\"eyB9\"",
            )],
            r#"{"error":{"code":"InvalidAuthenticationToken","message":"Continuous access evaluation resulted in challenge."}}"#,
        ),
    ],
    life: Some(3600),
    pages: Some(Pages {
        at: "/v1.0/me/messages?$top=1",
        body: r#"{"@odata.context":"{origin}/v1.0/$metadata#users","@odata.nextLink":"{origin}/v1.0/me/messages?$top=1&$skiptoken=s2","value":[{"@microsoft.graph.downloadUrl":"https://acme.sharepoint.com/x?tempauth=1"}]}"#,
        next: Next::Url("/@odata.nextLink"),
        second: "/v1.0/me/messages?$top=1&$skiptoken=s2",
    }),
    ..PLAIN
};

/// A new refresh token comes each time, and the old one goes on working.
const RENEWED: Renewal = Renewal {
    rotates: Rotates::KeepsOld,
    answer: r#"{"token_type":"Bearer","scope":"User.Read","expires_in":3600,"ext_expires_in":3600,"access_token":"{access}","refresh_token":"{refresh}"}"#,
    dead: &[
        Said::json(
            400,
            r#"{"error":"invalid_grant","error_description":"AADSTS700082: The refresh token has expired due to inactivity.","error_codes":[700082]}"#,
        ),
        Said::json(
            400,
            r#"{"error":"interaction_required","error_description":"AADSTS50076: Due to a configuration change made by your administrator, you must use multi-factor authentication.","error_codes":[50076],"suberror":"basic_action"}"#,
        ),
    ],
    ..RENEWAL
};

/// A cloud: where Graph is, and where its tokens come from.
const fn cloud(preset: &'static str, connection: Option<&'static str>, base: &'static str, url: &'static str) -> Facts {
    Facts { preset, connection, base, renewal: Some(Renewal { url, ..RENEWED }), ..GRAPH }
}

const GLOBAL: (&str, &str) =
    ("https://graph.microsoft.com", "https://login.microsoftonline.com/common/oauth2/v2.0/token");
const US: &str = "https://login.microsoftonline.us/common/oauth2/v2.0/token";

/// The token's audience is the customer's host, and the scope says so.
const SHAREPOINT: Facts = Facts {
    preset: "sharepoint",
    connection: Some("sharepoint"),
    customer: "scope = \"https://acme.sharepoint.com/.default offline_access\"",
    base: "https://acme.sharepoint.com",
    // Undecorated traffic is throttled first.
    needs: &[("user-agent", "NONISV|")],
    lacks: Said::with(429, &[("retry-after", "10")], ""),
    call: ("GET", "/sites/x/_api/web"),
    dead: &[
        // Since February 2026 the body may be empty, or an empty object.
        Said::with(
            401,
            &[
                (
                    "www-authenticate",
                    "Bearer realm=\"1\",client_id=\"00000003-0000-0ff1-ce00-000000000000\",trusted_issuers=\"x\"",
                ),
                ("x-ms-diagnostics", "3000003;reason=\"Invalid audience Uri\";category=\"invalid_client\""),
            ],
            "",
        ),
        Said::with(401, &[("www-authenticate", "Bearer realm=\"1\"")], "{}"),
    ],
    scope: &[Said::json(
        403,
        r#"{"error":{"code":"-2147024891, System.UnauthorizedAccessException","message":"Access denied."}}"#,
    )],
    renewal: Some(Renewal {
        url: GLOBAL.1,
        needs: &[("scope", "https://acme.sharepoint.com/.default offline_access")],
        ..RENEWED
    }),
    pages: Some(Pages {
        at: "/sites/x/_api/web/lists?$top=1",
        body: r#"{"value":[1],"odata.nextLink":"{origin}/sites/x/_api/web/lists?$skiptoken=Paged%3dTRUE"}"#,
        next: Next::Url("/odata.nextLink"),
        second: "/sites/x/_api/web/lists?$skiptoken=Paged%3dTRUE",
    }),
    ..GRAPH
};

pub fn all() -> Vec<Facts> {
    vec![
        cloud("microsoft", Some("waad"), GLOBAL.0, GLOBAL.1),
        // The same by its other name.
        cloud("azure-ad", Some("waad"), GLOBAL.0, GLOBAL.1),
        cloud(
            "microsoft-account",
            Some("windowslive"),
            GLOBAL.0,
            "https://login.microsoftonline.com/consumers/oauth2/v2.0/token",
        ),
        cloud("microsoft-us-gov", None, "https://graph.microsoft.us", US),
        cloud("microsoft-us-dod", None, "https://dod-graph.microsoft.us", US),
        cloud(
            "microsoft-china",
            None,
            "https://microsoftgraph.chinacloudapi.cn",
            "https://login.chinacloudapi.cn/common/oauth2/v2.0/token",
        ),
        SHAREPOINT,
    ]
}

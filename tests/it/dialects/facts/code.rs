//! Where code and its drawings live: GitHub, GitLab, Bitbucket, Atlassian, Figma.

use super::{Client, Facts, Form, INVALID_GRANT, Next, PLAIN, Pages, RENEWAL, Renewal, Rotates, Said};

const BAD_CREDENTIALS: Said = Said::json(
    401,
    r#"{"message":"Bad credentials","documentation_url":"https://docs.github.com/rest","status":"401"}"#,
);
const SSO: Said = Said::with(
    403,
    &[("x-github-sso", "required; url=https://github.com/orgs/acme/sso?authorization_request=A")],
    r#"{"message":"Resource protected by organization SAML enforcement."}"#,
);

/// An OAuth App: its tokens end when they are taken back.
const GITHUB: Facts = Facts {
    preset: "github",
    connection: Some("github"),
    base: "https://api.github.com",
    needs: &[("user-agent", "")],
    lacks: Said::with(
        403,
        &[("content-type", "application/octet-stream")],
        "Request forbidden by administrative rules. Please make sure your request has a User-Agent header.",
    ),
    call: ("GET", "/user"),
    dead: &[BAD_CREDENTIALS],
    scope: &[
        SSO,
        Said::with(
            404,
            &[("x-oauth-scopes", "read:user"), ("x-accepted-oauth-scopes", "repo")],
            r#"{"message":"Not Found","documentation_url":"https://docs.github.com/rest"}"#,
        ),
    ],
    pages: Some(Pages {
        at: "/repos/octocat/hello-world/issues?per_page=3",
        body: r#"[{"url":"{origin}/repos/octocat/hello-world/issues/1","labels_url":"{origin}/repos/octocat/hello-world/issues/1/labels{/name}","html_url":"https://github.com/octocat/hello-world/issues/1"}]"#,
        // By number, and not by the name that was asked for.
        next: Next::Link(
            "<{origin}/repositories/1000/issues?per_page=3&page=2>; rel=\"next\", <{origin}/repositories/1000/issues?per_page=3&page=5>; rel=\"last\"",
        ),
        second: "/repositories/1000/issues?per_page=3&page=2",
    }),
    ..PLAIN
};

const UPLOADS: Facts = Facts {
    preset: "github-uploads",
    customer: "allow = [\"POST /repos/*/*/releases/*/assets\"]",
    base: "https://uploads.github.com",
    call: ("POST", "/repos/octocat/hello-world/releases/1/assets?name=a.zip"),
    pages: None,
    scope: &[SSO],
    ..GITHUB
};

/// A GitHub App, which has permissions in place of scopes.
const GITHUB_APP: Facts = Facts {
    preset: "github-app",
    scope: &[
        Said::with(
            403,
            &[("x-accepted-github-permissions", "issues=write")],
            r#"{"message":"Resource not accessible by integration","status":"403"}"#,
        ),
        SSO,
    ],
    life: Some(28800),
    renewal: Some(Renewal {
        url: "https://github.com/login/oauth/access_token",
        rotates: Rotates::SpendsAll,
        answer: r#"{"access_token":"{access}","expires_in":28800,"refresh_token":"{refresh}","refresh_token_expires_in":15811200,"scope":"","token_type":"bearer"}"#,
        // Errors come with 200.
        dead: &[Said::json(
            200,
            r#"{"error":"bad_refresh_token","error_description":"The refresh token passed is incorrect or expired.","error_uri":"https://docs.github.com"}"#,
        )],
        ..RENEWAL
    }),
    ..GITHUB
};

const GITLAB: Facts = Facts {
    preset: "gitlab",
    connection: Some("gitlab"),
    base: "https://gitlab.com",
    call: ("GET", "/api/v4/projects/group%2Fsub%2Fproj"),
    dead: &[
        Said::with(
            401,
            &[("www-authenticate", "Bearer realm=\"Protected by OAuth 2.0\", error=\"invalid_token\"")],
            r#"{"error":"invalid_token","error_description":"Token is expired. You can either do re-authorization or token refresh."}"#,
        ),
        Said::json(401, r#"{"message":"401 Unauthorized"}"#),
    ],
    scope: &[Said::json(
        403,
        r#"{"error":"insufficient_scope","error_description":"The request requires higher privileges than provided by the access token.","scope":"api"}"#,
    )],
    life: Some(7200),
    renewal: Some(Renewal {
        url: "https://gitlab.com/oauth/token",
        rotates: Rotates::SpendsAll,
        answer: r#"{"access_token":"{access}","token_type":"Bearer","expires_in":7200,"refresh_token":"{refresh}","scope":"api","created_at":1700000000}"#,
        dead: &[Said::json(
            400,
            r#"{"error":"invalid_grant","error_description":"The provided authorization grant is invalid, expired, revoked, does not match the redirection URI used in the authorization request, or was issued to another client."}"#,
        )],
        ..RENEWAL
    }),
    pages: Some(Pages {
        at: "/api/v4/projects?per_page=1",
        body: r#"[{"id":1,"web_url":"https://gitlab.com/group/proj"}]"#,
        next: Next::Link("<{origin}/api/v4/projects?page=2&per_page=1>; rel=\"next\""),
        second: "/api/v4/projects?page=2&per_page=1",
    }),
    denied: &["/oauth/token", "/oauth/revoke"],
    ..PLAIN
};

const BITBUCKET: Facts = Facts {
    preset: "bitbucket",
    connection: Some("bitbucket"),
    base: "https://api.bitbucket.org/2.0",
    call: ("GET", "/user"),
    dead: &[
        Said::json(
            401,
            r#"{"type":"error","error":{"message":"Access token expired. Use your refresh token to obtain a new access token."}}"#,
        ),
        Said::json(
            401,
            r#"{"type":"error","error":{"message":"Token is invalid or not supported for this endpoint."}}"#,
        ),
    ],
    scope: &[Said::json(
        403,
        r#"{"type":"error","error":{"message":"Your credentials lack one or more required privilege scopes.","detail":{"granted":["account"],"required":["repository"]}}}"#,
    )],
    life: Some(7200),
    renewal: Some(Renewal {
        url: "https://bitbucket.org/site/oauth2/access_token",
        client: Client::Basic,
        answer: r#"{"access_token":"{access}","scope":"account","token_type":"bearer","expires_in":7200,"state":"refresh_token","refresh_token":"{refresh}"}"#,
        ..RENEWAL
    }),
    pages: Some(Pages {
        at: "/repositories/acme?pagelen=1",
        body: r#"{"pagelen":1,"values":[{"links":{"self":{"href":"{origin}/2.0/repositories/acme/a"},"html":{"href":"https://bitbucket.org/acme/a"}}}],"next":"{origin}/2.0/repositories/acme?pagelen=1&page=2"}"#,
        next: Next::Url("/next"),
        second: "/2.0/repositories/acme?pagelen=1&page=2",
    }),
    ..PLAIN
};

const ATLASSIAN: Facts = Facts {
    preset: "atlassian",
    connection: Some("atlassian"),
    base: "https://api.atlassian.com",
    // It lists sites, and no tokens, whatever it is called.
    call: ("GET", "/oauth/token/accessible-resources"),
    dead: &[Said::json(401, r#"{"code":401,"message":"Unauthorized"}"#)],
    // By the same status.
    scope: &[Said::json(401, r#"{"code":401,"message":"Unauthorized; scope does not match"}"#)],
    life: Some(3600),
    renewal: Some(Renewal {
        url: "https://auth.atlassian.com/oauth/token",
        form: Form::Json,
        answer: r#"{"access_token":"{access}","refresh_token":"{refresh}","expires_in":3600,"token_type":"Bearer","scope":"read:jira-work offline_access"}"#,
        dead: &[Said::json(
            403,
            r#"{"error":"invalid_grant","error_description":"Unknown or invalid refresh token."}"#,
        )],
        ..RENEWAL
    }),
    pages: Some(Pages {
        at: "/ex/jira/1f2e/rest/api/3/search/jql?jql=a",
        // A site's own URL stays what it is.
        body: r#"{"issues":[{"self":"https://acme.atlassian.net/rest/api/3/issue/1"}],"nextPageToken":"n2"}"#,
        next: Next::Cursor("/nextPageToken", "/ex/jira/1f2e/rest/api/3/search/jql?jql=a&nextPageToken="),
        second: "/ex/jira/1f2e/rest/api/3/search/jql?jql=a&nextPageToken=n2",
    }),
    ..PLAIN
};

const FIGMA: Facts = Facts {
    preset: "figma",
    connection: Some("figma"),
    base: "https://api.figma.com",
    call: ("GET", "/v1/me"),
    // 403, as for everything else that may not be.
    dead: &[
        Said::json(403, r#"{"status":403,"err":"Token expired"}"#),
        Said::json(403, r#"{"status":403,"err":"Invalid token"}"#),
    ],
    scope: &[
        Said::json(403, r#"{"status":403,"err":"Invalid scope(s): files:read. This endpoint requires another scope"}"#),
        Said::json(403, r#"{"status":403,"err":"Not allowed"}"#),
    ],
    life: Some(7_776_000),
    renewal: Some(Renewal {
        url: "https://api.figma.com/v1/oauth/refresh",
        client: Client::Basic,
        rotates: Rotates::Never,
        answer: r#"{"access_token":"{access}","token_type":"bearer","expires_in":7776000}"#,
        // Uncertain: its form is not known.
        dead: &[INVALID_GRANT],
        ..RENEWAL
    }),
    pages: Some(Pages {
        at: "/v1/files/k/versions",
        body: r#"{"versions":[],"pagination":{"next_page":"{origin}/v1/files/k/versions?before=1"}}"#,
        next: Next::Url("/pagination/next_page"),
        second: "/v1/files/k/versions?before=1",
    }),
    denied: &["/v1/oauth/token", "/v1/oauth/refresh"],
    ..PLAIN
};

pub fn all() -> Vec<Facts> {
    vec![GITHUB, UPLOADS, GITHUB_APP, GITLAB, BITBUCKET, ATLASSIAN, FIGMA]
}

//! The console over plain sockets: who gets in, and who is kept out. `browser/console.rs` looks at it with a browser.

use std::time::Duration;

use crate::support::{Answer, Rig, Upstream, client, rig};

mod command;
mod feed;
mod trial;

/// A browser that has come in by a link.
struct Visit<'rig> {
    rig: &'rig Rig,
    cookie: String,
}

impl<'rig> Visit<'rig> {
    async fn begin(rig: &'rig Rig) -> Self {
        let entered = rig.admin(&code_of(&rig.server.console_link().unwrap())).await;
        assert_eq!(entered.status, 303, "{}", entered.text());
        Self { rig, cookie: cookie_of(&entered) }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    async fn post(&self, path: &str, body: &str) -> Answer {
        let origin = format!("http://{}", self.rig.server.admin());
        self.send("POST", path, &[("origin", &origin), ("content-type", "application/json")], body).await
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut all = vec![("cookie", self.cookie.as_str())];
        all.extend_from_slice(headers);
        client::send(&self.rig.server.admin().to_string(), method, path, &all, body.as_bytes()).await
    }
}

/// The path and code of a link.
fn code_of(link: &str) -> String {
    link[link.find("/admin/").unwrap()..].to_owned()
}

/// The cookie that an answer sets, as a browser sends it back.
fn cookie_of(answer: &Answer) -> String {
    answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

async fn rig_at(github: &Upstream) -> Rig {
    rig().provider("github", github).start().await
}

/// What there is, with the status that it is there with for a visitor.
const PAGES: [(&str, u16); 5] = [
    ("/admin/", 200),
    ("/admin/state.json", 200),
    ("/admin/samples.json", 200),
    ("/admin/console.js", 200),
    ("/admin/nothing", 404),
];

#[tokio::test]
async fn a_link_opens_the_console_once_and_leaves_nothing_in_the_address_bar() {
    let github = Upstream::replying("ok").await;
    let rig = rig_at(&github).await;
    let link = rig.server.console_link().unwrap();
    let address = rig.server.admin().to_string();
    assert!(link.starts_with(&format!("http://{address}/admin/?code=")), "{link}");
    // 56 bytes: when, which, and the proof.
    assert_eq!(link.split("code=").nth(1).unwrap().len(), 75);

    let entered = rig.admin(&code_of(&link)).await;
    assert_eq!((entered.status, entered.header("location")), (303, Some("/admin/")));
    let cookie = entered.header("set-cookie").unwrap();
    let port = rig.server.admin().port();
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    assert!(pair.starts_with(&format!("__Host-idp-proxy-console-{port}=")), "{cookie}");
    assert_eq!(attributes, "Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=43200");
    let visit = Visit { rig: &rig, cookie: cookie_of(&entered) };
    for (path, status) in PAGES {
        assert_eq!(visit.get(path).await.status, status, "{path}");
    }

    let again = rig.admin(&code_of(&link)).await;
    assert_eq!((again.status, again.header("set-cookie")), (403, None));
    assert!(again.text().contains("this link has been used"), "{}", again.text());
    let other = rig.server.console_link().unwrap();
    assert_eq!(rig.admin(&code_of(&other)).await.status, 303, "a second link is a second way in");
    assert_eq!(visit.get("/admin/").await.status, 200, "and does not end the first session");
}

#[tokio::test]
async fn without_a_session_there_is_a_page_that_says_how_to_get_one_and_nothing_else() {
    let github = Upstream::replying("ok").await;
    let rig = rig_at(&github).await;
    let closed = rig.admin("/admin/").await;
    assert_eq!((closed.status, closed.header("content-type")), (401, Some("text/html; charset=utf-8")));
    assert!(closed.text().contains("idp-proxy console"), "{}", closed.text());
    assert_eq!(rig.admin("/admin").await.header("location"), Some("/admin/"));
    for path in ["/admin/state.json", "/admin/samples.json", "/admin/log", "/admin/try", "/admin/leave"] {
        assert_eq!(rig.admin(path).await.status, 401, "{path}");
    }
    let stranger = Visit { rig: &rig, cookie: "__Host-idp-proxy-console=x; a=b".to_owned() };
    assert_eq!(stranger.get("/admin/state.json").await.status, 401);
    assert_eq!(stranger.post("/admin/try", "{}").await.status, 401);
    for code in ["?code=", "?code=x", "?", "?code=AAAA%00", "?x=1"] {
        assert_eq!(rig.admin(&format!("/admin/{code}")).await.status, 403, "{code}");
    }
}

#[tokio::test]
async fn a_link_is_good_for_ten_minutes_and_a_session_for_twelve_hours() {
    let github = Upstream::replying("ok").await;
    let rig = rig_at(&github).await;
    let (early, late) = (rig.server.console_link().unwrap(), rig.server.console_link().unwrap());
    rig.clock.advance(Duration::from_secs(590));
    let entered = rig.admin(&code_of(&early)).await;
    assert_eq!(entered.status, 303);
    rig.clock.advance(Duration::from_secs(20));
    let refused = rig.admin(&code_of(&late)).await;
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("more than ten minutes old"), "{}", refused.text());

    let visit = Visit { rig: &rig, cookie: cookie_of(&entered) };
    rig.clock.advance(Duration::from_secs(12 * 3600 - 60));
    assert_eq!(visit.get("/admin/state.json").await.status, 200);
    rig.clock.advance(Duration::from_secs(60));
    assert_eq!(visit.get("/admin/state.json").await.status, 401);
}

#[tokio::test]
async fn what_is_fetched_in_advance_does_not_use_a_link_up() {
    let github = Upstream::replying("ok").await;
    let rig = rig_at(&github).await;
    let link = code_of(&rig.server.console_link().unwrap());
    let nobody = Visit { rig: &rig, cookie: String::new() };
    let early = nobody.send("GET", &link, &[("sec-purpose", "prefetch;prerender")], "").await;
    assert_eq!((early.status, early.header("set-cookie")), (403, None));
    assert_eq!(nobody.send("HEAD", &link, &[], "").await.header("set-cookie"), None);
    assert_eq!(nobody.get(&link).await.status, 303);
}

#[tokio::test]
async fn signing_out_ends_the_session() {
    let github = Upstream::replying("ok").await;
    let rig = rig_at(&github).await;
    let (visit, other) = (Visit::begin(&rig).await, Visit::begin(&rig).await);
    let left = visit.post("/admin/leave", "").await;
    assert!(left.header("set-cookie").unwrap().ends_with("Max-Age=0"), "{left:?}");
    assert_eq!(visit.get("/admin/state.json").await.status, 401);
    assert_eq!(other.get("/admin/state.json").await.status, 200);
}

/// Each is one header in the place of those that a browser sends for our own page.
#[tokio::test]
async fn another_site_another_name_and_another_port_are_refused_whatever_cookie_they_bring() {
    let github = Upstream::replying("ok").await;
    let rig = rig_at(&github).await;
    let visit = Visit::begin(&rig).await;
    let (address, port) = (rig.server.admin().to_string(), rig.server.admin().port());
    let link = code_of(&rig.server.console_link().unwrap());
    let foreign_reads = [
        ("host", "evil.example".to_owned()),
        ("host", format!("evil.example:{port}")),
        ("host", format!("{}:{}", rig.server.admin().ip(), port ^ 1)),
        ("sec-fetch-site", "cross-site".to_owned()),
        ("sec-fetch-site", "same-site".to_owned()),
        ("origin", "https://evil.example".to_owned()),
        ("origin", format!("http://127.0.0.1:{}", port ^ 1)),
    ];
    for (name, value) in &foreign_reads {
        for path in PAGES.map(|(path, _)| path).into_iter().chain([link.as_str(), "/admin", "/admin/log"]) {
            let answer = visit.send("GET", path, &[(name, value)], "").await;
            assert_eq!((answer.status, answer.header("set-cookie")), (403, None), "{name}: {value} at {path}");
            assert!(answer.text().starts_with("The console "), "{}", answer.text());
        }
    }
    let (ours, json) = (format!("http://{address}"), ("content-type", "application/json"));
    let foreign_writes: [&[(&str, &str)]; 5] = [
        &[json],
        &[json, ("sec-fetch-site", "same-origin")],
        &[json, ("origin", "null")],
        &[json, ("origin", "https://evil.example")],
        &[json, ("origin", &ours), ("sec-fetch-site", "same-site")],
    ];
    for headers in foreign_writes {
        for path in ["/admin/try", "/admin/leave"] {
            assert_eq!(visit.send("POST", path, headers, "{}").await.status, 403, "{headers:?} at {path}");
        }
    }
    github.saw_nothing();
    assert_eq!(visit.get("/admin/state.json").await.status, 200, "the session is still open");
    assert_eq!(rig.admin(&link).await.status, 303, "and the link unused");
    let by_name = visit.send("GET", "/admin/state.json", &[("host", &format!("localhost:{port}"))], "").await;
    assert_eq!(by_name.status, 200);
}

#[tokio::test]
async fn every_answer_says_that_nothing_foreign_runs_in_it_frames_it_or_keeps_it() {
    let github = Upstream::replying("ok").await;
    let rig = rig_at(&github).await;
    let visit = Visit::begin(&rig).await;
    let mut answers = vec![rig.admin("/admin/").await, visit.post("/admin/try", "x").await];
    for (path, _) in PAGES {
        answers.push(visit.get(path).await);
    }
    answers.push(visit.send("GET", "/admin/", &[("host", "evil.example")], "").await);
    for answer in answers {
        let policy = answer.header("content-security-policy").unwrap();
        for rule in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.split("; ").any(|known| known == rule), "{rule} is not in {policy}");
        }
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{name}");
        }
    }
}

#[tokio::test]
async fn health_and_metrics_are_answered_under_any_name_as_probes_ask_for_them() {
    let github = Upstream::replying("ok").await;
    let rig = rig_at(&github).await;
    let probe = Visit { rig: &rig, cookie: String::new() };
    for path in ["/healthz", "/readyz", "/metrics"] {
        let headers = [("host", "proxy-7f9c.pods.example"), ("sec-fetch-site", "cross-site")];
        assert_eq!(probe.send("GET", path, &headers, "").await.status, 200, "{path}");
    }
    // The callers' listener has no console.
    assert_eq!(rig.send_as_is("GET", "/admin/", &[], b"").await.status, 404);
}

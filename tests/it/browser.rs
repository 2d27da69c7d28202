//! What a real browser makes of it: pages that use the proxy, in Debian's Chromium.

use serde_json::json;

use crate::support::{Upstream, browser, rig};

mod console;

#[tokio::test]
async fn a_page_of_a_listed_origin_reads_answers_and_a_page_of_another_reads_none() {
    // One server at two names.
    let app = browser::page().await;
    let [listed, other] = ["app", "evil"].map(|name| app.base_url().replace("127.0.0.1", &format!("{name}.localhost")));
    let github = Upstream::replying("ok").await.allow(&browser::HEADERS);
    let rig = rig().with("cors", &format!("origins = [\"{listed}\"]")).provider("github", &github).start().await;
    let url = format!("http://{}/proxy/github/user", rig.address());
    let input = json!({ "origins": [listed, other], "url": url, "token": rig.token() });

    let told = browser::run("origins", &input).await;
    let read = json!({ "status": 200, "proxyStatus": "idp-proxy; received-status=200", "text": "ok" });
    assert_eq!(told["seen"], json!({ listed.as_str(): read, other.as_str(): "TypeError: Failed to fetch" }));
    // The header that carries the token has to be asked for, and who may not use the proxy is told so then.
    assert_eq!(told["asked"], json!([format!("GET {url}"), format!("GET {url}")]));
    assert_eq!(github.requests().len(), 1);
}

//! Redirects and links to what only looks like the provider: they stay what they are, and nobody here goes there.

use http::Response;
use hyper::body::Bytes;

use crate::support::{Recorded, Upstream, rig};

/// `HOST` is the provider's, `PORT` its port. None of these is at the provider.
const LOOK_ALIKES: [&str; 18] = [
    "http://HOST:PORT.evil.example/a",
    "http://HOST.evil.example:PORT/a",
    "http://HOST:PORT@evil.example/a",
    "http://HOST:PORT:@evil.example/a",
    "http://me:secret@HOST:PORT/a",
    "http://HOST:PORT%2eevil.example/a",
    "http://HOST:PORT\\@evil.example/a",
    "http://HOST:PORT0/a",
    "http://HOST:0PORT/a",
    "http://HOST/a",
    "http://HOST.:PORT/a",
    "http://xHOST:PORT/a",
    "https://HOST:PORT/a",
    "http:HOST:PORT/a",
    "//evil.example/http://HOST:PORT/a",
    "http://evil.example/?http://HOST:PORT/a",
    "http://evil.example#http://HOST:PORT/",
    "HTTP://EVIL.example/a",
];

/// What is, however it is spelt.
const OWN: [&str; 3] = ["http://HOST:PORT/a", "HTTP://HOST:PORT/a", "http://LOCALHOST:PORT/a"];

fn filled(url: &str, upstream: &Upstream) -> String {
    let base = upstream.base_url();
    url.replace("HOST", "localhost")
        .replace("LOCALlocalhost", "LOCALHOST")
        .replace("PORT", base.rsplit(':').next().unwrap())
}

#[tokio::test]
async fn a_look_alike_stays_what_it_is_and_is_not_followed() {
    // Sends back what it is asked to, as a redirect, a link and a body.
    let upstream = Upstream::recording(|request: &Recorded| {
        let url = request.all("x-url");
        let answer = Response::builder().status(302).header("content-type", "application/json");
        let answer = answer.header("location", &url).header("link", format!("<{url}>; rel=\"next\""));
        answer.body(Bytes::from(serde_json::json!({ "url": url }).to_string())).unwrap()
    })
    .await
    .allow(&["x-url"]);
    let base = filled("http://HOST:PORT", &upstream);
    let rig = rig().provider_at("github", &base, "rewrite = \"json\"").start().await;
    for (number, url) in LOOK_ALIKES.iter().chain(&OWN).enumerate() {
        let (url, is_own) = (filled(url, &upstream), OWN.contains(url));
        let answer = rig.get_with("/proxy/github/x", &[("x-url", &url)]).await;
        let expected = if is_own { format!("http://{}/proxy/github/a", rig.address()) } else { url };
        assert_eq!((answer.status, answer.header("location")), (302, Some(expected.as_str())));
        assert_eq!(answer.header("link"), Some(format!("<{expected}>; rel=\"next\"").as_str()));
        assert_eq!(answer.json()["url"], expected);
        assert_eq!(upstream.requests().len(), number + 1, "{expected} was followed");
    }
}

//! What becomes of an answer's head, and whether its body is edited.

use std::collections::BTreeMap;
use std::path::Path;

use hyper::http::Response;

use super::*;

const TOKEN: &[u8] = b"gho_16C7e42F292c6912E7";

/// The ways back of a file.
fn ways_back() -> HashMap<String, WayBack> {
    let text = r#"
[auth0]
domain = "acme.eu.auth0.com"
audience = "a"
client_id = "c"
client_secret = "s"
[providers.github]
guard = "off"
[providers.plain]
connection = "github"
base_url = "https://uploads.github.com"
guard = "off"
[providers.guarded]
connection = "github"
base_url = "https://guarded.github.com"
[providers.secrets]
connection = "github"
base_url = "https://secrets.github.com"
guard = "off"
secret_params = ["access_token"]
[providers.fields]
connection = "github"
base_url = "https://fields.github.com"
guard = "off"
secret_fields = ["access_token"]
"#;
    let config = Config::parse(text, Path::new("proxy.toml"), &BTreeMap::<&str, &str>::new()).unwrap();
    WayBack::of_each(&config, "https://proxy.example.com", &Metrics::default())
}

const NAMES: [&str; 7] =
    ["content-length", "accept-ranges", "content-digest", "repr-digest", "digest", "content-md5", "etag"];

/// Which of [`NAMES`] an answer keeps and whether its body is edited, for one with these headers beside them.
fn edited(provider: &str, method: Method, status: u16, headers: &[(&str, &str)]) -> (Vec<String>, bool) {
    let builder = NAMES.iter().fold(Response::builder().status(status), |builder, name| builder.header(*name, "7"));
    let builder = headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value));
    let mut head = builder.body(()).unwrap().into_parts().0;
    let edit = ways_back()[provider].edit((Door::Prefix, &method), TOKEN, &mut head);
    let names = head.headers.keys().map(|name| name.as_str().to_owned());
    (names.filter(|name| !matches!(&**name, "content-type" | "cache-control")).collect(), edit.is_some())
}

fn all() -> Vec<String> {
    NAMES.map(str::to_owned).into()
}

const JSON: (&str, &str) = ("content-type", "application/json");
const GZIP: (&str, &str) = ("content-encoding", "gzip");

#[test]
fn a_head_fits_the_body_that_is_edited() {
    let etag = vec!["etag".to_owned()];
    assert_eq!(edited("github", Method::GET, 200, &[JSON]), (etag.clone(), true));
    assert_eq!(edited("github", Method::PATCH, 404, &[JSON]), (etag.clone(), true));
    assert_eq!(edited("github", Method::GET, 200, &[JSON, GZIP]), (etag.clone(), true), "its coding is taken off");
    assert_eq!(edited("github", Method::HEAD, 200, &[JSON, GZIP]), (etag.clone(), false), "or would have been");
    for status in [204, 205, 304] {
        assert_eq!(edited("github", Method::GET, status, &[JSON]), (etag.clone(), false), "{status}");
    }
    // It updates the headers of an answer that the client has.
    assert_eq!(edited("github", Method::GET, 304, &[]), (etag.clone(), false));
    assert_eq!(edited("secrets", Method::GET, 200, &[("content-type", "text/plain"), GZIP]), (etag, true));
    // What is masked keeps its length.
    let lengths = ["content-length", "accept-ranges", "etag"].map(str::to_owned);
    assert_eq!(edited("fields", Method::GET, 200, &[JSON]), (lengths.into(), true));
}

#[test]
fn what_is_not_edited_stays_as_it_is() {
    assert_eq!(edited("github", Method::GET, 200, &[("content-type", "text/html")]), (all(), false));
    assert_eq!(edited("github", Method::GET, 200, &[]), (all(), false));
    assert_eq!(edited("github", Method::GET, 206, &[JSON]), (all(), false), "a piece");
    assert_eq!(edited("github", Method::GET, 304, &[("content-type", "image/png")]), (all(), false));
    assert_eq!(edited("plain", Method::GET, 200, &[JSON]), (all(), false));
    let coded = [all(), vec!["content-encoding".to_owned()]].concat();
    assert_eq!(edited("plain", Method::GET, 200, &[JSON, GZIP]), (coded.clone(), false));
    assert_eq!(edited("github", Method::GET, 200, &[JSON, ("content-encoding", "gzip, br")]), (coded.clone(), false));
    assert_eq!(edited("secrets", Method::GET, 200, &[JSON, ("content-encoding", "exi")]), (coded, false));
    assert_eq!(edited("secrets", Method::GET, 200, &[("content-type", "image/png")]), (all(), false));
    assert_eq!(edited("guarded", Method::GET, 200, &[JSON]), (all(), true), "it is looked through");
}

#[test]
fn a_provider_that_wants_nothing_changed_keeps_its_links_and_not_its_secrets() {
    let fixed = ("cache-control", "private, no-transform");
    assert_eq!(edited("github", Method::GET, 200, &[JSON, fixed]), (all(), false));
    assert_eq!(edited("secrets", Method::GET, 200, &[JSON, fixed]), (vec!["etag".to_owned()], true));
}

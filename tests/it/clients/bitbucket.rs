//! Bitbucket's client: pages are followed by the URL in the body.

use super::*;
use crate::support::node::Node;
use crate::support::rig;

fn bitbucket(request: &Recorded) -> Option<Response<Bytes>> {
    let base = format!("{}/2.0", own(request));
    let page = |slugs: &[&str], next: Option<&str>| {
        let values =
            Value::from_iter(slugs.iter().map(|slug| json!({ "slug": slug, "links": { "self": { "href": base } } })));
        let mut page = json!({ "pagelen": 2, "values": values });
        page["next"] = next.map(|next| json!(format!("{base}{next}"))).unwrap_or_default();
        if page["next"].is_null() {
            page.as_object_mut().unwrap().remove("next");
        }
        ok(&page)
    };
    match (request.method.as_str(), request.target.strip_prefix("/2.0")?) {
        ("GET", "/repositories/team?pagelen=2") => page(&["a", "b"], Some("/repositories/team?pagelen=2&page=2")),
        ("GET", "/repositories/team?pagelen=2&page=2") => {
            page(&["c", "d"], Some("/repositories/team?pagelen=2&page=3"))
        }
        ("GET", "/repositories/team?pagelen=2&page=3") => page(&["e"], None),
        ("GET", "/repositories/team/tools/src/feature%2Fx/dir%2Fa%20b.md") => {
            let file = Response::builder().header(CONTENT_TYPE, "text/plain");
            Some(file.body(Bytes::from_static(b"# a b\n")).unwrap())
        }
        _ => None,
    }
}

#[tokio::test]
async fn bitbuckets_client_pages_by_the_body_and_keeps_its_encoded_slashes() {
    let bitbucket = provider("bitbucket", bitbucket).await;
    let rig = rig().provider_at("bitbucket", &format!("{}/2.0", bitbucket.base_url()), "").start().await;
    let told = Node::snippet("bitbucket", &rig).run().await;
    assert_eq!(told, json!({ "slugs": ["a", "b", "c", "d", "e"], "file": "# a b\n" }));
    let expected = [
        "GET /2.0/repositories/team?pagelen=2",
        "GET /2.0/repositories/team?pagelen=2&page=2",
        "GET /2.0/repositories/team?pagelen=2&page=3",
        "GET /2.0/repositories/team/tools/src/feature%2Fx/dir%2Fa%20b.md",
    ];
    assert_eq!(asked(&bitbucket), expected);
}

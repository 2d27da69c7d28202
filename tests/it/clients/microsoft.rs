//! Graph's client, which sends a token over `https` alone.

use super::*;
use crate::support::https::Authority;
use crate::support::node::Node;
use crate::support::{child, rig};

fn graph(request: &Recorded) -> Option<Response<Bytes>> {
    let own = own(request);
    let page = |subjects: &[&str], next: Option<&str>| {
        let values = Value::from_iter(subjects.iter().map(|subject| json!({ "subject": subject })));
        let mut page =
            json!({ "@odata.context": format!("{own}/v1.0/$metadata#users('a')/messages"), "value": values });
        if let Some(next) = next {
            page["@odata.nextLink"] = json!(format!("{own}/v1.0{next}"));
        }
        ok(&page)
    };
    match (request.method.as_str(), request.target.as_str()) {
        ("GET", "/v1.0/me/messages?$top=2") => page(&["a", "b"], Some("/me/messages?$top=2&$skip=2")),
        ("GET", "/v1.0/me/messages?$top=2&$skip=2") => page(&["c", "d"], Some("/me/messages?$top=2&$skip=4")),
        ("GET", "/v1.0/me/messages?$top=2&$skip=4") => page(&["e"], None),
        ("GET", "/v1.0/me/messages?$select=id,subject&$filter=startswith(subject,%27a%20b%27)") => {
            page(&["a b c"], None)
        }
        ("GET", "/beta/me/drive/root:/dir%20one/file.txt") => ok(&json!({ "name": "file.txt" })),
        _ => None,
    }
}

#[tokio::test]
async fn graphs_client_pages_through_the_proxy_over_tls() {
    let graph = provider("microsoft", graph).await;
    let (authority, folder) = (Authority::new(), child::folder());
    authority.certificate("127.0.0.1").put(&folder);
    let [cert, key] = ["cert.pem", "key.pem"].map(|file| folder.join(file).display().to_string());
    let tls = format!("tls = {{ cert = \"{cert}\", key = \"{key}\" }}");
    let rig = rig().provider_at("microsoft", &graph.base_url(), "").with("server", &tls).start().await;

    let seen_at = format!("https://{}", rig.address());
    let told = Node::snippet_at("graph", &rig, &seen_at).trusting(&authority.file()).run().await;
    let next = format!("{seen_at}/proxy/microsoft/v1.0/me/messages?$top=2&$skip=2");
    let expected = json!({ "subjects": ["a", "b", "c", "d", "e"], "found": 1, "file": "file.txt", "next": next });
    assert_eq!(told, expected);
    let expected = [
        "GET /v1.0/me/messages?$top=2",
        "GET /v1.0/me/messages?$top=2&$skip=2",
        "GET /v1.0/me/messages?$top=2&$skip=4",
        "GET /v1.0/me/messages?$select=id,subject&$filter=startswith(subject,%27a%20b%27)",
        "GET /beta/me/drive/root:/dir%20one/file.txt",
    ];
    assert_eq!(asked(&graph), expected);
}

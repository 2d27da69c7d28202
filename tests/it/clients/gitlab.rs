//! Gitbeaker: projects and files are named by their paths, each in one segment.

use super::*;
use crate::support::node::Node;
use crate::support::rig;

const PROJECT: &str = "/api/v4/projects/group%2Fsub%2Fproject";

fn gitlab(request: &Recorded) -> Option<Response<Bytes>> {
    let own = own(request);
    let path = request.target.strip_prefix(PROJECT).filter(|_| request.method == "GET")?;
    let issues = |numbers: &[u64], link: &str| {
        let issues = Value::from_iter(numbers.iter().map(|number| json!({ "iid": number })));
        Some(with(answer(200, &issues), "link", link))
    };
    let link =
        |page: &str, rel: &str| format!("<{own}/api/v4/projects/42/issues?page={page}&per_page=2>; rel=\"{rel}\"");
    match path {
        "" => ok(&json!({ "path_with_namespace": "group/sub/project" })),
        "/repository/files/dir%2Fone.md?ref=feature%2Fx" => ok(&json!({ "file_path": "dir/one.md" })),
        "/issues?per_page=2" => issues(&[1, 2], &link("2", "next")),
        "/issues?per_page=2&page=2" | "/issues?page=2&per_page=2" => issues(&[3], &link("1", "prev")),
        _ => None,
    }
}

#[tokio::test]
async fn gitbeakers_names_keep_their_encoded_slashes() {
    let gitlab = provider("gitlab", gitlab).await;
    let rig = rig().provider_at("gitlab", &gitlab.base_url(), "").start().await;
    let told = Node::snippet("gitlab", &rig).run().await;
    assert_eq!(told, json!({ "project": "group/sub/project", "file": "dir/one.md", "issues": [1, 2, 3] }));
    let expected =
        ["", "/repository/files/dir%2Fone.md?ref=feature%2Fx", "/issues?per_page=2", "/issues?page=2&per_page=2"];
    assert_eq!(asked(&gitlab), expected.map(|path| format!("GET {PROJECT}{path}")));
    // Of the link it reads the number of the page alone; others follow it.
    let page = rig.get(&format!("/proxy/gitlab{PROJECT}/issues?per_page=2")).await;
    let next =
        format!("<http://{}/proxy/gitlab/api/v4/projects/42/issues?page=2&per_page=2>; rel=\"next\"", rig.address());
    assert_eq!(page.header("link"), Some(next.as_str()));
}

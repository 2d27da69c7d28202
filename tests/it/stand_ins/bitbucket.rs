//! Bitbucket as its public description has it: Prism answers what is valid, and says what is wrong with the rest.

use idp_proxy::command::dev::tenant::Identity;
use serde_json::json;

use super::{folder, node, post, signed_in, subject};
use crate::support::{Answer, Child, Rig, client, rig};

/// Prism, and a proxy before it.
struct Stage {
    rig: Rig,
    prism: String,
    _process: Child,
}

impl Stage {
    async fn start() -> Self {
        let description = folder().join("descriptions/bitbucket.org.json");
        assert!(description.exists(), "Bitbucket's description is missing; tests/run fetches it");
        let program = folder().join("node_modules/@stoplight/prism-cli/dist/index.js");
        let (program, description) = (program.to_str().unwrap(), description.to_str().unwrap());
        let process = node(&[program, "mock", "--port", "0", description]);
        let line = process.printed("Prism is listening on ").await;
        let prism = line.split("http://").last().unwrap().trim().to_owned();
        let rig = rig().provider_at("bitbucket", &format!("http://{prism}"), "allow = \"all\"").start().await;
        signed_in(&rig, "alice", Identity::new("bitbucket", "alice").access_token("alices-token"));
        Self { rig, prism, _process: process }
    }

    /// Alice's answer by the proxy.
    async fn get(&self, path: &str) -> Answer {
        self.rig.get_as(&subject("alice"), &format!("/proxy/bitbucket{path}")).await
    }

    /// Prism's own answer.
    async fn direct(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        client::send(&self.prism, "GET", path, headers, b"").await
    }
}

#[tokio::test]
async fn calls_are_valid_by_bitbuckets_description_if_they_were_and_answers_come_as_they_are() {
    let stage = Stage::start().await;
    assert_eq!(stage.direct("/user", &[]).await.status, 401, "a bearer is asked for");
    for (path, status) in [
        ("/user", 200),
        ("/repositories/acme", 200),
        ("/repositories/acme?role=owner&q=name~%22a%20b%22", 200),
        ("/repositories/acme?role=nonsense", 422),
        ("/repositories/acme/tool/refs/branches/feature%2Fone", 200),
        ("/repositories/acme/tool/refs/branches/feature/one", 404),
        ("/nothing", 404),
    ] {
        let direct = stage.direct(path, &[("authorization", "Bearer any")]).await;
        let answer = stage.get(path).await;
        assert_eq!((direct.status, answer.status), (status, status), "{path}: {}", answer.text());
        assert_eq!(answer.json(), direct.json(), "{path}");
        // The second has its complaints about its own examples, a line of nearly two thousand bytes.
        for name in ["content-type", "sl-violations"] {
            assert_eq!(answer.header(name), direct.header(name), "{path}");
        }
    }
    let issues = "/proxy/bitbucket/repositories/acme/tool/issues";
    let made = post(&stage.rig, "alice", issues, &json!({ "type": "issue", "title": "ünïcode" })).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let refused = post(&stage.rig, "alice", issues, &json!({ "type": "issue", "title": 1 })).await;
    assert_eq!((refused.status, refused.code()), (422, String::new()));
    assert_eq!(refused.json()["validation"][0]["location"], json!(["body", "title"]), "{}", refused.text());
}

//! A new configuration is put in force while the proxy runs: by SIGHUP or by itself, without losing a request, a token or
//! the old configuration when the new one has faults.

use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use idp_proxy::command::dev::tenant::Endpoint;

use crate::support::child::{Signal, eventually};
use crate::support::slow::{Begun, Slow};
use crate::support::{Child, Rig, Upstream, rig};

/// Writes the file and has it read now; waits until the log says what came of it.
async fn reload(child: &Child, config: &str, outcome: &str) {
    std::fs::write(child.folder.join("proxy.toml"), config).unwrap();
    hang_up(child, outcome).await;
}

/// Waits for one more line with `outcome`.
async fn hang_up(child: &Child, outcome: &str) {
    let count = child.log().matches(outcome).count();
    child.signal(Signal::HUP);
    let said = eventually(|| (child.log().matches(outcome).count() > count).then_some(())).await;
    assert!(said.is_some(), "no further `{outcome}` in\n{}", child.log());
}

const DONE: &str = "\"configuration reloaded\"";
const REFUSED: &str = "the old one stays in force";

async fn statuses(child: &Child, rig: &Rig, calls: &[(&str, &str)]) -> Vec<u16> {
    let mut statuses = Vec::new();
    for (method, path) in calls {
        statuses.push(child.send(rig.token(), method, path, &[]).await.status);
    }
    statuses
}

#[tokio::test]
async fn sighup_brings_a_new_provider_a_changed_rule_and_the_end_of_a_provider() {
    let upstream = Upstream::replying("hello").await;
    let rig = rig()
        .provider_at("github", &upstream.base_url(), "")
        .provider_at("google", &upstream.base_url(), "")
        .start()
        .await;
    let child = Child::serve(&rig.toml, &[]).await.ready().await;
    let calls = [
        ("GET", "/proxy/github/a"),
        ("POST", "/proxy/github/a"),
        ("GET", "/proxy/google/a"),
        ("GET", "/proxy/extra/a"),
    ];
    assert_eq!(statuses(&child, &rig, &calls).await, [200, 403, 200, 404]);

    let google = rig.toml.find("[providers.google]").unwrap();
    let extra = format!(
        "allow = \"all\"\n[providers.extra]\nconnection = \"github\"\nbase_url = \"{}\"\n",
        upstream.base_url()
    );
    reload(&child, &(rig.toml[..google].to_owned() + &extra), DONE).await;
    assert_eq!(statuses(&child, &rig, &calls).await, [200, 200, 404, 200]);

    reload(&child, &rig.toml, DONE).await;
    assert_eq!(statuses(&child, &rig, &calls).await, [200, 403, 200, 404]);
}

#[tokio::test]
async fn a_changed_file_is_noticed_however_it_is_replaced() {
    let upstream = Upstream::replying("hello").await;
    let rig = rig().provider_at("github", &upstream.base_url(), "").start().await;
    let child = Child::serve(&rig.toml, &[]).await.ready().await;
    let file = child.folder.join("proxy.toml");
    let written = |rules: &str| rig.toml.replace("[providers.github]", &format!("[providers.github]\nallow = {rules}"));
    let is_allowed = async |method: &str| child.send(rig.token(), method, "/proxy/github/a", &[]).await.status == 200;

    // In place.
    std::fs::write(&file, written("[\"POST /**\"]")).unwrap();
    reloads(&child, 1).await;
    assert!(is_allowed("POST").await);
    // An editor's way.
    std::fs::write(child.folder.join("new"), written("[\"PUT /**\"]")).unwrap();
    std::fs::rename(child.folder.join("new"), &file).unwrap();
    reloads(&child, 2).await;
    assert!(is_allowed("PUT").await && !is_allowed("POST").await);
    // A Kubernetes mount's way: the file is a link through a link to a folder, and that link is swapped.
    for (folder, rules) in [("one", "[\"PATCH /**\"]"), ("two", "[\"DELETE /**\"]")] {
        std::fs::create_dir(child.folder.join(folder)).unwrap();
        std::fs::write(child.folder.join(folder).join("proxy.toml"), written(rules)).unwrap();
    }
    symlink("one", child.folder.join("data")).unwrap();
    symlink("data/proxy.toml", child.folder.join("link")).unwrap();
    std::fs::rename(child.folder.join("link"), &file).unwrap();
    reloads(&child, 3).await;
    assert!(is_allowed("PATCH").await && !is_allowed("PUT").await);
    symlink("two", child.folder.join("data.new")).unwrap();
    std::fs::rename(child.folder.join("data.new"), child.folder.join("data")).unwrap();
    reloads(&child, 4).await;
    assert!(is_allowed("DELETE").await && !is_allowed("PATCH").await);
}

/// Waits until that many reloads are done.
async fn reloads(child: &Child, count: usize) {
    let done = eventually(|| (child.log().matches(DONE).count() >= count).then_some(())).await;
    assert!(done.is_some(), "no reload {count}\n{}", child.log());
}

#[tokio::test]
async fn a_faulty_file_changes_nothing_and_the_log_has_the_fault() {
    let upstream = Upstream::replying("hello").await;
    let rig = rig().provider("github", &upstream).start().await;
    let child = Child::serve(&rig.toml, &[]).await.ready().await;
    let faulty = [
        (rig.toml.replace("[providers.github]", "[providers.github]\nalow = []"), "alow"),
        (rig.toml.replace("[server]", "[server"), "proxy.toml:1:"),
        (String::new(), "[auth0]"),
    ];
    for (index, (config, fault)) in faulty.iter().enumerate() {
        reload(&child, config, REFUSED).await;
        let log = child.log();
        let line = log.lines().rfind(|line| line.contains(REFUSED)).unwrap();
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["faults"].as_str().unwrap().contains(fault), "{line}");
        assert_eq!(line["level"], "ERROR");
        assert_eq!(child.get(rig.token(), "/proxy/github/a").await.status, 200);
        let counted = format!("idp_proxy_config_reloads_total{{outcome=\"faulty\"}} {}", index + 1);
        let metrics = child.admin("/metrics").await.text();
        assert!(metrics.contains(&counted), "{counted} is not in\n{metrics}");
    }
    std::fs::remove_file(child.folder.join("proxy.toml")).unwrap();
    hang_up(&child, REFUSED).await;
    assert_eq!(child.get(rig.token(), "/proxy/github/a").await.status, 200);
    reload(&child, &rig.toml, DONE).await;
}

#[tokio::test]
async fn keys_that_need_a_restart_are_named_and_keep_their_values() {
    let upstream = Upstream::replying("hello").await;
    let rig = rig().provider("github", &upstream).start().await;
    let child = Child::serve(&rig.toml, &[]).await.ready().await;
    let server = "[server]\nworkers = 3\nname = \"other\"\nlisten = \"127.0.0.1:1\"\nadmin_listen = \"127.0.0.1:2\"\n";
    let config = rig.toml.replace("[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n", server);
    let limits = "[limits]\nconnections = 7\nrequest_head_bytes = 9000\nrequest_head_timeout = \"1s\"\n\
                  keep_alive = \"1s\"\ndrain = \"1s\"\nidle_timeout = \"9m\"\n[telemetry]\nlog_format = \"text\"\n";
    reload(&child, &(config + limits), DONE).await;
    let line: serde_json::Value = serde_json::from_str(&child.logged(DONE).await).unwrap();
    for key in [
        "server.listen",
        "server.admin_listen",
        "server.workers",
        "server.name",
        "limits.connections",
        "limits.request_head_bytes",
        "limits.request_head_timeout",
        "limits.keep_alive",
        "limits.idle_timeout",
        "limits.drain",
        "telemetry.log_format",
    ] {
        assert!(line["needs_restart"].as_str().unwrap().contains(key), "{key} is not named in {line}");
    }
    // It goes on where it was, and names nothing when all is as it was.
    assert_eq!(child.get(rig.token(), "/proxy/github/a").await.status, 200);
    reload(&child, &rig.toml, DONE).await;
    let log = child.log();
    let line: serde_json::Value = serde_json::from_str(log.lines().rfind(|line| line.contains(DONE)).unwrap()).unwrap();
    assert_eq!(line["needs_restart"], "", "{line}");
}

#[tokio::test]
async fn a_running_answer_keeps_its_configuration() {
    let slow = Slow::start().await;
    let other = Upstream::replying("other").await;
    let rig = rig().provider("github", &slow.upstream).provider("google", &other).start().await;
    let child = Child::serve(&rig.toml, &[]).await.ready().await;
    let begun = Begun::get(&child.proxy, rig.token(), "/proxy/github/a").await;
    let github = rig.toml.find("[providers.github]").unwrap();
    let google = rig.toml.find("[providers.google]").unwrap();
    reload(&child, &(rig.toml[..github].to_owned() + &rig.toml[google..]), DONE).await;
    assert_eq!(child.get(rig.token(), "/proxy/github/a").await.status, 404);
    slow.finish();
    assert_eq!(begun.rest().await, "world");
}

#[tokio::test]
async fn no_request_is_lost_while_reload_follows_reload() {
    let upstream = Upstream::replying("hello").await;
    let rig = Arc::new(rig().provider("github", &upstream).start().await);
    let child = Arc::new(Child::serve(&rig.toml, &[]).await.ready().await);
    let over = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (rig, child, over) = (Arc::clone(&rig), Arc::clone(&child), Arc::clone(&over));
            tokio::spawn(async move {
                let mut served = 0;
                while !over.load(Ordering::Relaxed) {
                    let answer = child.get(rig.token(), "/proxy/github/a").await;
                    assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
                    served += 1;
                }
                served
            })
        })
        .collect();
    for round in 0..10 {
        // Every second file means another tenant to the proxy, so that everything is made anew.
        let recheck = format!("[auth0]\nrecheck = \"{}m\"", 5 + round % 2);
        reload(&child, &rig.toml.replace("[auth0]", &recheck), DONE).await;
    }
    over.store(true, Ordering::Relaxed);
    for caller in callers {
        assert!(caller.await.unwrap() > 0);
    }
}

#[tokio::test]
async fn tokens_that_are_held_stay_held() {
    let upstream = Upstream::replying("hello").await;
    let rig = rig().provider("github", &upstream).start().await;
    let child = Child::serve(&rig.toml, &[]).await.ready().await;
    assert_eq!(child.get(rig.token(), "/proxy/github/a").await.status, 200);
    assert_eq!(rig.tenant.calls(Endpoint::Users), 1);
    let changed =
        rig.toml.replace("[providers.github]", "[cors]\norigins = [\"https://a.example\"]\n[providers.github]");
    // Not even if the way to the tenant is another one.
    let changed = changed.replace("[auth0]\n", "[auth0]\ntenant_concurrency = 3\n");
    assert!(changed.contains("tenant_concurrency"));
    let changed = changed + "\n[limits]\nfirst_byte_timeout = \"7s\"\ntoken_wait = \"9s\"\n";
    reload(&child, &changed, DONE).await;
    assert_eq!(child.get(rig.token(), "/proxy/github/a").await.status, 200);
    assert_eq!(rig.tenant.calls(Endpoint::Users), 1, "the reload dropped what was held");
    assert!(child.admin("/metrics").await.text().contains("idp_proxy_tokens_held 1\n"));
}

#[tokio::test]
async fn a_secret_in_a_file_is_read_again_when_the_file_changes() {
    let upstream = Upstream::replying("hello").await;
    let rig = rig().provider("github", &upstream).start().await;
    let secret = rig.tenant.settings().client_secret;
    let config = rig.toml.replace(&format!("client_secret = \"{secret}\""), "client_secret = { file = \"secret\" }");
    assert!(config.contains("file"));
    let folder = crate::support::child::folder();
    std::fs::write(folder.join("proxy.toml"), config).unwrap();
    std::fs::write(folder.join("secret"), "yesterdays\n").unwrap();
    let child = Child::spawn_in(crate::support::child::idp_proxy(&["serve"]), folder).listening().await.ready().await;
    let refused = child.get(rig.token(), "/proxy/github/a").await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "tenant_misconfigured"));

    std::fs::write(child.folder.join("secret"), secret + "\n").unwrap();
    reloads(&child, 1).await;
    assert_eq!(child.get(rig.token(), "/proxy/github/a").await.text(), "hello");
}

#[tokio::test]
async fn a_file_that_was_missing_is_waited_for_by_the_proxy_itself() {
    let upstream = Upstream::replying("hello").await;
    let rig = rig().provider("github", &upstream).start().await;
    let secret = rig.tenant.settings().client_secret;
    let child = Child::serve(&rig.toml, &[]).await.ready().await;
    let config = rig.toml.replace(&format!("client_secret = \"{secret}\""), "client_secret = { file = \"secret\" }");
    reload(&child, &config, REFUSED).await;
    std::fs::write(child.folder.join("secret"), secret).unwrap();
    reloads(&child, 1).await;
    assert_eq!(child.get(rig.token(), "/proxy/github/a").await.text(), "hello");
}

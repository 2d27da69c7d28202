//! Every command of README.md works as it stands, and every piece of configuration in it is one.

use std::path::PathBuf;
use std::process::Command;

use idp_proxy::config::Config;

use crate::support::Child;
use crate::support::child::{BINARY, folder, idp_proxy};
use crate::support::https::Authority;
use crate::support::readme::blocks;
use crate::support::rig::ALICE;
use crate::support::shell::{Ran, Shell, approve};

/// What a fragment is read with.
const BASE: &str = "[auth0]\ndomain = \"acme.eu.auth0.com\"\naudience = \"https://proxy.example.com\"\nclient_id = \"id\"\n\
                    client_secret = \"hunter2\"\n";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_piece_of_configuration_has_no_faults() {
    let env = std::collections::BTreeMap::from([
        ("AUTH0_CLIENT_SECRET", "hunter2"),
        ("AUTH0_VAULT_SECRET", "hunter2"),
        ("BITBUCKET_CLIENT_SECRET", "hunter2"),
        ("MICROSOFT_CLIENT_SECRET", "hunter2"),
        ("FACEBOOK_APP_SECRET", "hunter2"),
        ("IDP_PROXY_STORE_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
    ]);
    let folder = folder();
    Authority::new().certificate("proxy.example.com").put(&folder);
    let mut count = 0;
    for block in blocks().iter().filter(|block| block.kind.starts_with("toml")) {
        let text = match block.kind.as_str() {
            "toml" => block.text.clone(),
            // Without a provider there is nothing to configure.
            "toml fragment" if !block.text.contains("[providers.") => {
                format!("{BASE}{}\n[providers.github]\n", block.text)
            }
            "toml fragment" => format!("{BASE}{}", block.text),
            other => panic!("README.md:{}: `{other}` is neither `toml` nor `toml fragment`", block.line),
        };
        if let Err(faults) = Config::parse(&text, &folder.join("README.md"), &env) {
            panic!("README.md:{}:\n{faults}", block.line);
        }
        count += 1;
    }
    let _ = std::fs::remove_dir_all(folder);
    assert!(count > 0, "README.md shows no configuration");
}

#[test]
fn every_clients_snippet_is_run() {
    for (language, folder, ending) in [("js", "", "js"), ("python", "python/", "py")] {
        let snippets = blocks().into_iter().filter(|block| block.kind.split(' ').next() == Some(language));
        let names: Vec<_> = snippets.map(|block| block.kind.trim_start_matches(language).trim().to_owned()).collect();
        for name in &names {
            let calls = root().join(format!("tests/clients/{folder}{name}.{ending}"));
            assert!(
                calls.exists(),
                "README.md shows a client as `{language} {name}`, and {} is not there",
                calls.display()
            );
        }
        assert!(!names.is_empty(), "README.md shows no client in {language}");
    }
}

/// A line as the shell is to run it here. `cargo run` is the binary that is already built; nothing else is replaced.
fn as_run(command: &str) -> String {
    let binary = format!("'{BINARY}'");
    match command.strip_prefix("cargo run --release").or_else(|| command.strip_prefix("cargo run")) {
        Some(rest) => binary + rest.trim_start().strip_prefix("--").unwrap_or(rest),
        None => command.replacen("idp-proxy ", &format!("{binary} "), usize::from(command.starts_with("idp-proxy "))),
    }
}

/// What a fresh checkout holds that a command may need, in a folder of its own.
fn checkout() -> PathBuf {
    let folder = folder();
    std::fs::copy(root().join("proxy.toml"), folder.join("proxy.toml")).unwrap();
    folder
}

/// The world that a block is about, which README.md has running in another terminal, and a person who logs in to it.
struct Stage {
    dev: Child,
    shell: Shell,
}

impl Stage {
    async fn set() -> Self {
        let dev = Child::spawn(idp_proxy(&["dev", "--listen", "127.0.0.1:0"])).listening().await.ready().await;
        let shell = Shell::at(&format!("http://{}", dev.proxy));
        Self { dev, shell }
    }

    /// A line there, in the words of README.md.
    async fn run(&self, command: &str) -> Ran {
        let mut line = self.shell.with_environment(Command::new("sh"));
        line.args(["-c", &as_run(command).replace("127.0.0.1:8080", &self.dev.proxy)]);
        let child = Child::spawn(line);
        if command == "idp-proxy login" {
            approve(&child, ALICE).await;
        }
        self.shell.end(child).await
    }
}

#[tokio::test]
async fn every_command_works_as_it_stands() {
    let mut count = 0;
    for block in blocks().iter().filter(|block| block.kind.starts_with("console")) {
        assert_eq!(block.kind, "console", "README.md:{}", block.line);
        let stage = if block.text.contains("idp-proxy login") { Some(Stage::set().await) } else { None };
        let folder = checkout();
        // Killed when the block is through.
        let mut running = Vec::new();
        for command in block.text.lines().filter_map(|line| line.strip_prefix("$ ")) {
            count += 1;
            if let Some(stage) = &stage {
                let ran = stage.run(command).await;
                assert_eq!(ran.code, Some(0), "README.md:{}: {command}\n{}{}", block.line, ran.out, ran.err);
                assert!(!ran.out.contains("request_id"), "README.md:{}: {command}\n{}", block.line, ran.out);
                continue;
            }
            let in_background = command.strip_suffix('&').map(str::trim_end);
            let script = as_run(in_background.unwrap_or(command));
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("set -e; {}{script}", if in_background.is_some() { "exec " } else { "" })]);
            shell.env("AUTH0_CLIENT_SECRET", "hunter2");
            // A child of its own removes its folder at the end, so it gets one below the checkout's.
            if in_background.is_some() {
                running.push(Child::spawn_in(shell, checkout()).listening().await.ready().await);
                continue;
            }
            let output = tokio::task::spawn_blocking({
                let folder = folder.clone();
                move || shell.current_dir(folder).output().unwrap()
            });
            let output = output.await.unwrap();
            let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            assert!(output.status.success(), "README.md:{}: {command}\n{}{}", block.line, told[0], told[1]);
        }
        drop(running);
        let _ = std::fs::remove_dir_all(folder);
    }
    assert!(count > 0, "README.md shows no command");
}

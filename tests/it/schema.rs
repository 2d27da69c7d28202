//! `idp-proxy schema` and the configuration's reader are of one mind, as npm's ajv judges; and editors take the schema, as
//! taplo does, which they check TOML by.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use idp_proxy::config::{Config, known_keys, presets};
use serde_json::{Map, Value, json};

use crate::support::child::{folder, idp_proxy};
use crate::support::readme::blocks;

const BASE: &str = "[auth0]\ndomain = \"acme.eu.auth0.com\"\naudience = \"https://proxy.example.com\"\nclient_id = \"id\"\n\
                    client_secret = \"hunter2\"\n[providers.github]\n";

fn tools() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schema");
    assert!(folder.join("node_modules/ajv").exists(), "npm's ajv is missing; tests/run installs it");
    folder
}

fn schema() -> Vec<u8> {
    let output = idp_proxy(&["schema"]).output().unwrap();
    assert!(output.status.success());
    output.stdout
}

fn of_toml(text: &str) -> Value {
    toml::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// What ajv finds wrong with each document.
fn judged(documents: &BTreeMap<String, Value>) -> BTreeMap<String, Vec<String>> {
    let schema: Value = serde_json::from_slice(&schema()).unwrap();
    let documents: Vec<_> = documents.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    let mut node = Command::new("node");
    node.arg("judge.js").current_dir(tools()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut node = node.spawn().unwrap();
    let question = json!({ "schema": schema, "documents": documents }).to_string();
    node.stdin.take().unwrap().write_all(question.as_bytes()).unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success(), "the schema is none");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn what_is_shown_anywhere_is_taken() {
    let shipped = include_str!("../../proxy.toml");
    let mut documents = BTreeMap::from([
        ("proxy.toml".to_owned(), of_toml(shipped)),
        ("proxy.toml with every key".to_owned(), of_toml(&uncommented(shipped))),
    ]);
    for block in blocks().iter().filter(|block| block.kind.starts_with("toml")) {
        let mut text = block.text.clone();
        if block.kind.ends_with("fragment") {
            let table = if text.starts_with("# in [auth0]") { "" } else { "[providers.other]\n" };
            text = format!("{}{table}{text}", BASE.replace("[providers.github]\n", ""));
        }
        documents.insert(format!("README.md:{}", block.line), of_toml(&text));
    }
    for preset in presets() {
        let mut document = of_toml(BASE);
        document["providers"][preset.name] = of_toml(preset.text);
        documents.insert(format!("the preset {}", preset.name), document);
    }
    assert!(documents.len() > 30);
    for (name, faults) in judged(&documents) {
        assert!(faults.is_empty(), "{name}: {faults:?}");
    }
}

/// The file with all its keys in force, but for the one that excludes another.
fn uncommented(text: &str) -> String {
    let line = |line: &str| {
        let key = line.strip_prefix("# ").filter(|key| !key.starts_with("private_key"));
        let is_key = |key: &&str| {
            let name = key.split_once(" = ").map(|(name, _)| name);
            key.starts_with("[providers.")
                || name.is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
        };
        format!("{}\n", key.filter(is_key).unwrap_or(line))
    };
    text.lines().map(line).collect()
}

/// One of each type.
const VALUES: [&str; 8] =
    ["\"text\"", "7", "1.5", "true", "[]", "[\"GET /text\"]", "{}", "{ env = \"SECRET\", unknown = 7 }"];

/// Whether the reader takes `value` for `key`: `None` where it depends on more than its type.
fn is_taken(key: &str, value: &str) -> Option<bool> {
    let (table, name) = key.rsplit_once('.').unwrap();
    let text = format!("[{table}]\n{name} = {value}\n");
    let env = BTreeMap::from([("SECRET", "hunter2")]);
    let faults = Config::parse(&text, Path::new("proxy.toml"), &env).unwrap_err().to_json();
    let own: Vec<Value> = faults
        .as_array()
        .unwrap()
        .iter()
        .filter(|fault| fault["line"] == 2 && fault["key"].as_str().unwrap().starts_with(key))
        .map(|fault| fault["code"].clone())
        .collect();
    if own.iter().any(|code| code == "wrong_type") {
        return Some(false);
    }
    own.is_empty().then_some(true)
}

#[test]
fn reader_and_schema_take_the_same_types() {
    let (mut documents, mut expected) = (BTreeMap::new(), BTreeMap::new());
    for key in known_keys() {
        let key = key.replace("NAME", "github");
        for value in VALUES {
            let Some(is_taken) = is_taken(&key, value) else { continue };
            let mut document = of_toml(BASE);
            let (tables, name) = key.rsplit_once('.').unwrap();
            let mut table = &mut document;
            for part in tables.split('.') {
                table = table.as_object_mut().unwrap().entry(part).or_insert_with(|| Value::Object(Map::new()));
            }
            if name == "private_key" {
                table.as_object_mut().unwrap().remove("client_secret");
            }
            table[name] = of_toml(&format!("value = {value}"))["value"].clone();
            let case = format!("{key} = {value}");
            documents.insert(case.clone(), document);
            expected.insert(case, is_taken);
        }
    }
    let taken = expected.values().filter(|is_taken| **is_taken).count();
    assert!(expected.len() > 350 && taken > 40, "{taken} of {}", expected.len());
    let found: BTreeMap<_, _> =
        judged(&documents).into_iter().map(|(case, faults)| (case, faults.is_empty())).collect();
    let differ: Vec<_> = expected.iter().filter(|(case, is_taken)| found[*case] != **is_taken).collect();
    assert!(differ.is_empty(), "the reader says, and the schema does not: {differ:#?}");
}

#[test]
fn what_is_unknown_missing_or_too_much_is_not_taken() {
    let broken = [
        BASE.replace("domain", "domian"),
        BASE.replace("audience = \"https://proxy.example.com\"\n", ""),
        BASE.replace("client_secret", "# client_secret"),
        BASE.replace("[auth0]", "[auth0]\nprivate_key = \"key\""),
        BASE.replace("[providers.github]", "[providers]"),
        BASE.replace("[providers.github]", "[providers.GitHub]"),
        format!("{BASE}alow = \"read\"\n"),
        format!("{BASE}expired_when = [{{ status = 401 }}]\n"),
        format!("{BASE}[srever]\n"),
    ];
    let documents: BTreeMap<_, _> = broken.iter().map(|text| (text.clone(), of_toml(text))).collect();
    for (text, faults) in judged(&documents) {
        assert!(!faults.is_empty(), "{text}");
    }
}

#[test]
fn an_editor_finds_the_schema_by_the_first_line() {
    let folder = folder();
    std::fs::write(folder.join("proxy.schema.json"), schema()).unwrap();
    let lint = |text: &str| {
        std::fs::write(folder.join("proxy.toml"), text).unwrap();
        let taplo = tools().join("node_modules/.bin/taplo");
        let output = Command::new(taplo).args(["lint", "proxy.toml"]).current_dir(&folder).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let text = include_str!("../../proxy.toml");
    let (is_fine, told) = lint(text);
    assert!(is_fine, "{told}");
    let (is_fine, told) = lint(&text.replace("[limits]", "[limits]\ndrian = \"5s\""));
    assert!(!is_fine && told.contains("'drian' was unexpected"), "{told}");
    let _ = std::fs::remove_dir_all(folder);
}

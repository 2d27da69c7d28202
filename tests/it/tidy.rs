//! Rules about the source that no compiler checks. `src/lib.rs` says why each is there.

use std::fs;
use std::path::{Path, PathBuf};

use idp_proxy::error::Code;

/// What knows no room.
const LEAVES: [&str; 17] = [
    "activity",
    "assertion",
    "auth0",
    "body",
    "bounded",
    "clock",
    "config",
    "connect",
    "frontend",
    "gather",
    "parameters",
    "percent",
    "random",
    "secret",
    "store",
    "telemetry",
    "tls",
];

/// The rooms in the order in which a request visits them. `error` stands behind those whose failures it knows; `proxy` and
/// `server` see them all, and `command` starts it all. Each may import what stands before it, and leaves.
const ROOMS: [&str; 13] = [
    "request", "cors", "caller", "provider", "token", "headers", "upstream", "answer", "error", "problem", "proxy",
    "server", "command",
];

/// The only places that may look at a secret's characters.
const EXPOSING: [&str; 29] = [
    "src/auth0/client.rs",
    "src/auth0/management.rs",
    "src/auth0/mod.rs",
    "src/auth0/probe.rs",
    "src/auth0/vault.rs",
    "src/caller/bearer.rs",
    "src/caller/mod.rs",
    "src/command/explain/caller.rs",
    "src/command/login/loopback.rs",
    "src/command/session/file.rs",
    "src/command/session/granted.rs",
    "src/command/session/tenant.rs",
    "src/command/token.rs",
    "src/config/secret_source.rs",
    "src/config/store.rs",
    "src/headers.rs",
    "src/provider/proof.rs",
    "src/proxy/exchange.rs",
    "src/server/admin/console/link.rs",
    "src/server/admin/console/trial.rs",
    "src/store/postgres.rs",
    "src/store/seal.rs",
    "src/tls.rs",
    "src/token/client.rs",
    "src/token/endpoint.rs",
    "src/token/grant.rs",
    "src/token/grant/stored.rs",
    "src/token/record.rs",
    "src/token/revoke.rs",
];

const LINES_MAX: usize = 500;
const DEPENDENCIES_MAX: usize = 25;

struct Source {
    /// From the package's folder on.
    path: String,
    text: String,
}

impl Source {
    /// The text up to its unit tests, which stand at the end.
    fn production(&self) -> &str {
        let end = self.text.find("\n#[cfg(test)]").unwrap_or(self.text.len());
        &self.text[..end]
    }

    /// The room or leaf it belongs to.
    fn module(&self) -> &str {
        let inside = self.path.trim_start_matches("src/");
        inside.split('/').next().unwrap().trim_end_matches(".rs")
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files below a folder of the package, with one of these endings.
fn files(folder: &str, endings: &[&str]) -> Vec<Source> {
    let (mut found, mut folders) = (Vec::new(), vec![root().join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let ending = path.extension().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if endings.contains(&ending.as_str()) {
                let text = read(&path);
                found.push(Source { path: path.strip_prefix(root()).unwrap().display().to_string(), text });
            }
        }
    }
    assert!(!found.is_empty(), "nothing in {folder}");
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// The sources of the binary and of its tests.
fn everything() -> Vec<Source> {
    let mut all = files("src", &["rs"]);
    all.extend(files("tests", &["rs"]));
    all
}

/// Line by line, what is code: comments do not count.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// The modules named by `crate::NAME` in a line; `use crate::{a, b::c}` is not our style and refused.
fn named_modules(line: &str) -> impl Iterator<Item = &str> {
    let is_name = |character: char| character.is_alphanumeric() || character == '_';
    line.split("crate::").skip(1).map(move |rest| rest.split(|character| !is_name(character)).next().unwrap())
}

fn none(violations: &[String], rule: &str) {
    assert!(violations.is_empty(), "{rule}:\n{}", violations.join("\n"));
}

#[test]
fn a_room_imports_only_rooms_visited_before_it_and_a_leaf_imports_none() {
    let mut violations = Vec::new();
    let place = |module: &str| ROOMS.iter().position(|room| *room == module);
    for source in files("src", &["rs"]) {
        let module = source.module();
        if matches!(module, "lib" | "main") {
            continue;
        }
        let own = place(module);
        if own.is_none() && !LEAVES.contains(&module) {
            violations.push(format!("{}: `{module}` is neither in ROOMS nor in LEAVES", source.path));
        }
        for (number, line) in code_lines(source.production()) {
            for other in named_modules(line).filter(|other| *other != module) {
                let is_allowed = LEAVES.contains(&other) || matches!((place(other), own), (Some(a), Some(b)) if a < b);
                if !is_allowed {
                    violations.push(format!("{}:{number}: `{module}` imports `{other}`", source.path));
                }
            }
        }
    }
    none(&violations, "imports against the order of ROOMS");
}

#[test]
fn the_map_in_lib_rs_names_every_module() {
    let lib = read(&root().join("src/lib.rs"));
    let (map, modules) = lib.split_once("\nmod ").unwrap();
    for name in LEAVES.iter().chain(&ROOMS) {
        assert!(map.contains(&format!("`{name}`")), "the map in src/lib.rs does not name {name}");
        assert!(modules.contains(&format!("{name};")), "src/lib.rs declares no {name}");
    }
}

#[test]
fn every_file_says_first_what_it_is_and_stays_short() {
    let mut violations = Vec::new();
    for source in everything() {
        if !source.text.starts_with("//! ") {
            violations.push(format!("{} does not open with //!", source.path));
        }
        let count = source.text.lines().count();
        if count > LINES_MAX {
            violations.push(format!("{} has {count} lines; {LINES_MAX} is the limit", source.path));
        }
    }
    none(&violations, "files");
}

#[test]
fn nothing_is_left_for_later_or_printed_past_the_log() {
    let mut violations = Vec::new();
    // In two pieces, so that this file does not find itself.
    let later = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    for source in everything() {
        for (number, line) in source.text.lines().enumerate() {
            if line
                .split(|character: char| !character.is_alphanumeric() && character != '-')
                .any(|word| later.contains(&word))
            {
                violations.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    for source in files("src", &["rs"]) {
        for (number, line) in code_lines(source.production()) {
            if ["println!", "eprintln!", "print!(", "eprint!(", "dbg!("].iter().any(|word| line.contains(word)) {
                violations.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    none(&violations, "left for later, or printed");
}

#[test]
fn secrets_are_looked_at_in_few_places() {
    let sources = files("src", &["rs"]);
    let exposes = |source: &&Source| {
        !source.path.ends_with("/tests.rs")
            && !source.path.contains("/tests/")
            && code_lines(source.production()).any(|(_, line)| line.contains(".expose()"))
    };
    let found: Vec<_> = sources.iter().filter(exposes).map(|source| source.path.as_str()).collect();
    assert_eq!(found, EXPOSING, "the files with .expose(): left what is, right what is listed");
}

#[test]
fn only_config_reads_the_environment_and_only_clock_asks_for_the_time() {
    let mut violations = Vec::new();
    for source in files("src", &["rs"]) {
        for (number, line) in code_lines(source.production()) {
            let asks = |words: &[&str]| words.iter().any(|word| line.contains(word));
            let reads_env = asks(&["env::var", "env::vars"]) && source.module() != "config";
            let asks_time = asks(&["SystemTime::now", "Instant::now"]) && source.module() != "clock";
            if reads_env || asks_time {
                violations.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    none(&violations, "outside their one place");
}

#[test]
fn direct_dependencies_are_few() {
    let manifest: toml::Table = read(&root().join("Cargo.toml")).parse().unwrap();
    let count = manifest["dependencies"].as_table().unwrap().len();
    assert!(count <= DEPENDENCIES_MAX, "{count} direct dependencies; {DEPENDENCIES_MAX} is the limit");
}

#[test]
fn nothing_depends_on_a_developers_machine_or_a_registry_by_name() {
    let mut sources = everything();
    for name in ["Cargo.toml", "proxy.toml", "README.md", "tests/run", ".ci/run"] {
        if let Ok(text) = fs::read_to_string(root().join(name)) {
            sources.push(Source { path: name.to_owned(), text });
        }
    }
    // In pieces, so that this file does not find itself.
    let machine = [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/Us", "ers/")];
    let registry = [
        concat!("crates", ".io"),
        concat!("registry", ".npmjs"),
        concat!("registry", " = \""),
        concat!("py", "pi.org"),
    ];
    let mut violations = Vec::new();
    for source in sources {
        for (number, line) in source.text.lines().enumerate() {
            if machine.iter().chain(&registry).any(|word| line.contains(word)) {
                violations.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    none(&violations, "names of a machine or a registry");
}

#[test]
fn the_readmes_table_of_errors_is_that_of_the_code() {
    let mut expected =
        "| status | code | fault | what happened | what to do |\n| --- | --- | --- | --- | --- |\n".to_owned();
    for code in Code::ALL {
        let row = code.row();
        let (status, fault) = (row.status.as_u16(), row.fault.name());
        expected += &format!("| {status} | `{}` | {fault} | {} | {} |\n", row.code, row.title, row.cure);
    }
    let readme = read(&root().join("README.md"));
    assert!(readme.contains(&expected), "README.md should have this table:\n\n{expected}");
}

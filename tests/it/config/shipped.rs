//! The example that is shipped says what the code does; `check` says what is wrong with a file.

use std::path::Path;

use idp_proxy::command::check;
use idp_proxy::config::known_keys;

use super::{MINIMAL, config, env, folder, with_auth0};

/// The shipped example, and the number and text of each of its lines that shows a default.
fn shipped() -> (String, Vec<(usize, String)>) {
    let text = std::fs::read_to_string("proxy.toml").unwrap();
    let defaults = text.lines().enumerate().filter_map(|(index, line)| {
        let key = line.strip_prefix("# ")?;
        let (name, _) = key.split_once(" = ")?;
        let is_key = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        (is_key && !line.contains("e.g.")).then(|| (index, key.to_owned()))
    });
    let defaults: Vec<_> = defaults.collect();
    (text, defaults)
}

#[test]
fn the_shipped_file_has_no_faults() {
    config(&shipped().0);
}

#[test]
fn a_commented_key_of_the_shipped_file_shows_its_default() {
    let (text, defaults) = shipped();
    let expected = config(&text);
    assert!(defaults.len() > 25, "{defaults:?}");
    let uncommented = |shown: &[(usize, String)]| {
        let mut lines: Vec<&str> = text.lines().collect();
        for (index, key) in shown {
            lines[*index] = key;
        }
        config(&lines.join("\n"))
    };
    for default in &defaults {
        assert_eq!(uncommented(std::slice::from_ref(default)), expected, "{}", default.1);
    }
    assert_eq!(uncommented(&defaults), expected);
}

#[test]
fn every_key_stands_in_the_shipped_file() {
    let (text, _) = shipped();
    let mut table = String::new();
    let mut shown = Vec::new();
    for line in text.lines() {
        let line = line.trim_start_matches("# ");
        if let Some(header) = line.strip_prefix('[').and_then(|header| header.strip_suffix(']')) {
            table = if header.starts_with("providers.") { "providers.NAME".to_owned() } else { header.to_owned() };
        } else if let Some((key, _)) = line.split_once(" = ") {
            shown.push(format!("{table}.{key}"));
        }
    }
    let missing: Vec<String> = known_keys().into_iter().filter(|key| !shown.contains(key)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(known_keys().contains(&"providers.NAME.base_url".to_owned()));
    assert_eq!(known_keys().len(), 6 + 11 + 2 + 41 + 1 + 2 + 1 + 13 + 3);
}

fn checked(path: &Path, json: bool) -> (u8, String) {
    let mut out = Vec::new();
    let code = check::run(path, json, &env(), &mut out, false);
    (code.code(), String::from_utf8(out).unwrap())
}

#[test]
fn check_says_that_there_is_nothing_to_say() {
    let path = folder("check").join("fine.toml");
    std::fs::write(&path, format!("{MINIMAL}\n[providers.google]\n")).unwrap();
    let praise = format!("{}: no faults. 2 providers: github, google\n", path.display());
    assert_eq!(checked(&path, false), (0, praise));
    assert_eq!(checked(&path, true), (0, "[]\n".to_owned()));
}

#[test]
fn check_tells_people_and_programs_the_same_faults() {
    let path = folder("check").join("faulty.toml");
    std::fs::write(&path, with_auth0("", "recheck = 10")).unwrap();
    let (code, shown) = checked(&path, false);
    assert_eq!(code, 2);
    let headline = format!("{}:3:11: error: `recheck` must be a string, not an integer\n", path.display());
    assert!(shown.starts_with(&headline), "{shown}");
    let (code, json) = checked(&path, true);
    assert_eq!(code, 2);
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&json).unwrap(),
        serde_json::json!([{
            "file": path.display().to_string(), "line": 3, "column": 11, "code": "wrong_type",
            "key": "auth0.recheck", "message": "`recheck` must be a string, not an integer",
            "hint": "such as \"250ms\", \"10s\", \"5m\" or \"1h\"",
        }])
    );
}

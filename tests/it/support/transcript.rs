//! Sessions at a shell, as they are written down in `tests/it/transcripts`: what stands behind a `$` is run, and must say
//! what stands below it, to the letter. What is said instead is written to `target/tmp/transcripts`, to be read, and copied if
//! it is meant.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::child::{BINARY, folder};

/// Runs the session `name` in a folder of its own, which is called `FOLDER` in it.
pub fn check(name: &str, env: &[(&str, &str)]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/transcripts/{name}.txt"));
    let written = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let folder = folder();
    let mut found = String::new();
    let commands = written.lines().filter(|line| line.starts_with("$ "));
    let mut count = 0;
    for line in commands {
        found.push_str(&format!("{line}\n{}", said(&line[2..], &folder, env)));
        count += 1;
    }
    assert!(count > 0, "{} has no command", path.display());
    let _ = std::fs::remove_dir_all(folder);
    if written == found {
        return;
    }
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("transcripts");
    std::fs::create_dir_all(&place).unwrap();
    std::fs::write(place.join(format!("{name}.txt")), &found).unwrap();
    let differs = written.lines().zip(found.lines()).find(|(one, other)| one != other);
    panic!("{} is not what is said now; {}: {differs:?}", path.display(), place.display());
}

/// Both streams of a command, and its exit code where it is not 0.
fn said(command: &str, folder: &Path, env: &[(&str, &str)]) -> String {
    let binaries = PathBuf::from(BINARY).parent().unwrap().display().to_string();
    let path = format!("{binaries}:/usr/local/bin:/usr/bin:/bin");
    let mut shell = Command::new("bash");
    shell.args(["-c", &format!("exec 2>&1; {command}")]).current_dir(folder);
    // As on a machine where nothing is set.
    shell.env_clear().env("PATH", path).env("HOME", folder).envs(env.iter().copied());
    let output = shell.output().unwrap();
    let mut said = String::from_utf8(output.stdout).unwrap().replace(&folder.display().to_string(), "FOLDER");
    if !said.is_empty() && !said.ends_with('\n') {
        said.push('\n');
    }
    if let Some(code) = output.status.code().filter(|code| *code != 0) {
        said.push_str(&format!("[exit {code}]\n"));
    }
    said
}

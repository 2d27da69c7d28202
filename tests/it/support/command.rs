//! A command of the real binary run to its end, and what it printed, made comparable.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a command came to.
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Runs `command` with this on its stdin.
pub async fn run(mut command: Command, input: &str) -> Ran {
    let input = input.to_owned();
    let run = move || {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

impl Ran {
    /// What it printed on stdout as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.out, self.err))
    }
}

/// `text` with `<time>` for every time, and each of `names` for what varies.
pub fn masked(text: &str, names: &[(&str, &str)]) -> String {
    let mut text = text.to_owned();
    for (varying, name) in names {
        text = text.replace(varying, name);
    }
    let is_time = |at: usize| {
        let time = "dddd-dd-ddTdd:dd:dd.dddZ";
        text.as_bytes().get(at..at + time.len()).is_some_and(|bytes| {
            let fits = |(byte, shape): (&u8, u8)| if shape == b'd' { byte.is_ascii_digit() } else { *byte == shape };
            bytes.iter().zip(time.bytes()).all(fits)
        })
    };
    let mut shown = String::new();
    let mut rest = text.char_indices();
    while let Some((at, character)) = rest.next() {
        if is_time(at) {
            shown += "<time>";
            rest.nth("dddd-dd-ddTdd:dd:dd.ddd".len() - 1);
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Writes a file of this user's alone.
pub fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

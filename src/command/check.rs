//! `idp-proxy check`: the configuration's faults, all of them.

use std::io::{self, Write};
use std::path::Path;

use super::Exit;
use crate::config::{Config, Env, Faults};

/// Checks the configuration file at `path` and writes to `out` what is wrong with it: for people, or with `json` as
/// a list of `{file, line, column, code, key, message, hint}`, which is empty when nothing is.
/// [`Exit::Misused`] stands for faults, [`Exit::Failed`] for an `out` that does not take the answer.
pub fn run(path: &Path, json: bool, env: &dyn Env, out: &mut dyn Write, color: bool) -> Exit {
    let checked = Config::load(path, env);
    let code = if checked.is_ok() { Exit::Done } else { Exit::Misused };
    let written = match (&checked, json) {
        (Ok(_), true) => writeln!(out, "[]"),
        (Ok(config), false) => praise(path, config, out),
        (Err(faults), true) => writeln!(out, "{:#}", faults.to_json()),
        (Err(faults), false) => blame(faults, out, color),
    };
    if written.and_then(|()| out.flush()).is_err() { Exit::Failed } else { code }
}

fn praise(path: &Path, config: &Config, out: &mut dyn Write) -> io::Result<()> {
    let names: Vec<&str> = config.providers.keys().map(String::as_str).collect();
    let count = match names.len() {
        1 => "1 provider".to_owned(),
        several => format!("{several} providers"),
    };
    writeln!(out, "{}: no faults. {count}: {}", path.display(), names.join(", "))
}

fn blame(faults: &Faults, out: &mut dyn Write, color: bool) -> io::Result<()> {
    out.write_all(faults.render(color).as_bytes())
}

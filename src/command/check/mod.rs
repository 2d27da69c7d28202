//! `idp-proxy check`: the configuration's faults, all of them; with `--online` those of the tenant and the providers too.

use std::io::{self, Write};
use std::path::Path;

use super::{Exit, complain, process};
use crate::clock::Clock;
use crate::config::{Config, Env, Faults};

mod online;

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

/// The same, and then whether the tenant and the providers are as the file says: [`Exit::Misused`] stands for something
/// that has to be mended there, [`Exit::OutOfReach`] for somebody who gave no answer.
pub fn run_online(path: &Path, json: bool, env: &dyn Env, clock: Clock, (out, color): (&mut dyn Write, bool)) -> Exit {
    process::harden();
    let Ok(config) = Config::load(path, env) else { return run(path, json, env, out, color) };
    // It has just been read.
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let probed = process::runtime(0)
        .and_then(|runtime| runtime.block_on(online::run(config, (path, &text), clock, (json, color), out)));
    probed.unwrap_or_else(|error| complain(&error))
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

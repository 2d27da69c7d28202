//! `idp-proxy providers`: the catalogue, and each preset as it stands.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use super::{Exit, complain};
use crate::config::{Preset, nearest, presets};

/// What stands where each customer has a name or a host of their own.
const YOURS: &str = "(yours)";

/// Writes the preset `name`, or a line for each there is; with `json` its keys, or a list of
/// `{name, connection, base_url, renewed, rotates}`.
pub(super) fn run(name: Option<&str>, json: bool, out: &mut dyn Write) -> Exit {
    let written = match name.map(find).transpose() {
        Ok(Some(preset)) if json => as_json(preset).and_then(|keys| writeln!(out, "{keys:#}")),
        Ok(Some(preset)) => out.write_all(preset.text.as_bytes()),
        Ok(None) if json => writeln!(out, "{:#}", presets().map(row_as_json).collect::<Value>()),
        Ok(None) => out.write_all(table().as_bytes()),
        Err(error) => Err(error),
    };
    match written.and_then(|()| out.flush()) {
        Ok(()) => Exit::Done,
        Err(error) => complain(&error),
    }
}

fn find(name: &str) -> io::Result<Preset> {
    presets().find(|preset| preset.name == name).ok_or_else(|| {
        let near = nearest(name, presets().map(|preset| preset.name));
        let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        let message = format!("there is no preset `{}`{near} (`idp-proxy providers` lists them)", name.escape_debug());
        io::Error::new(io::ErrorKind::InvalidInput, message)
    })
}

fn as_json(preset: Preset) -> io::Result<Value> {
    toml::from_str::<Map<String, Value>>(preset.text).map(Value::Object).map_err(io::Error::other)
}

fn row_as_json(preset: Preset) -> Value {
    json!({
        "name": preset.name,
        "connection": preset.connection(),
        "base_url": preset.base_url(),
        "renewed": preset.rotates().is_some(),
        "rotates": preset.rotates(),
    })
}

fn row(preset: Preset) -> [String; 5] {
    let yours = |known: Option<String>| known.unwrap_or_else(|| YOURS.to_owned());
    let (renewed, rotates) = match preset.rotates() {
        Some(true) => ("yes", "yes"),
        Some(false) => ("yes", "no"),
        None => ("no", "-"),
    };
    let name = preset.name.to_owned();
    [name, yours(preset.connection()), yours(preset.base_url()), renewed.to_owned(), rotates.to_owned()]
}

/// The rows below their headings, in columns.
fn table() -> String {
    let headings = ["NAME", "CONNECTION", "BASE URL", "RENEWED", "ROTATES"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(headings).chain(presets().map(row)).collect();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..5).map(width).collect();
    let line = |row: &[String; 5]| {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

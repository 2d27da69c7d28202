//! The names that stand on a command line and that only configuration or the catalogue know.

use std::path::Path;

use toml::de::DeTable;

use super::words::Word;
use crate::config::presets;

/// The names for the place that help calls `place`; none where any text may stand.
pub(super) fn known(place: &str) -> Vec<Word> {
    match place {
        "PRESET" => of_presets(),
        "PROVIDER" => of_file(Path::new("proxy.toml")).unwrap_or_else(of_presets),
        _ => Vec::new(),
    }
}

fn of_presets() -> Vec<Word> {
    presets().map(|preset| Word::new(preset.name, preset.base_url().unwrap_or_default())).collect()
}

/// Those of a file that may be half written: whoever asks is typing.
fn of_file(path: &Path) -> Option<Vec<Word>> {
    let text = std::fs::read_to_string(path).ok()?;
    let (tree, _) = DeTable::parse_recoverable(&text);
    let providers = tree.get_ref().get("providers")?.get_ref().as_table()?;
    Some(providers.keys().map(|name| Word::new(name.get_ref().clone(), String::new())).collect())
}

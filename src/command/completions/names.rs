//! The names that stand on a command line and that only configuration or the catalogue know.

use std::path::Path;

use toml::de::DeTable;

use super::words::Word;
use crate::config::{is_provider_name, presets};

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

/// Those of a file that may be half written: whoever asks is typing. It may be anybody's, too, and a shell is handed what
/// is found, so no key that could not name a provider is offered.
fn of_file(path: &Path) -> Option<Vec<Word>> {
    let text = std::fs::read_to_string(path).ok()?;
    let (tree, _) = DeTable::parse_recoverable(&text);
    let providers = tree.get_ref().get("providers")?.get_ref().as_table()?;
    let names = providers.keys().map(|name| name.get_ref()).filter(|name| is_provider_name(name));
    Some(names.map(|name| Word::new(name.clone(), String::new())).collect())
}

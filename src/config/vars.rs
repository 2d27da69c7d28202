//! `vars`: what differs from customer to customer in a provider's addresses, where `{name}` stands for it. It is filled in
//! here, from configuration alone, before anything is made of an address.

use std::collections::BTreeMap;

use super::fault::Code;
use super::reader::Table;
use super::value::{Invalid, Item};

/// The keys whose texts may have `{name}` in them.
const FILLED: [&str; 5] = ["base_url", "token_url", "refresh_url", "audience", "scope"];
/// Stands for what is missing or faulty, which has been told: an address is no worse for it.
const TOLD: &str = "told";

/// What stands for what.
pub(super) struct Vars(BTreeMap<String, String>);

/// Where a name is used.
struct Use<'t> {
    key: &'static str,
    text: &'t str,
    is_inherited: bool,
}

impl Vars {
    /// Reads `vars`, name by name on top of those of the preset. A name that is used and has no value is a fault, and so is
    /// a value that is not used.
    pub(super) fn read(table: &mut Table<'_, '_>) -> Self {
        let preset = table.of_preset("vars").and_then(|value| value.as_table());
        let text = |value: &toml::Spanned<toml::de::DeValue<'_>>| value.get_ref().as_str().map(str::to_owned);
        let known = preset.into_iter().flatten();
        let mut values: BTreeMap<_, _> =
            known.filter_map(|(name, value)| Some((name.get_ref().clone().into_owned(), text(value)?))).collect();
        let uses = uses(table);
        if let Some(item) = table.item("vars").filter(|item| !item.is_inherited) {
            for (name, value) in table.check(&item, Item::entries).unwrap_or_default() {
                let read = table.check(&value, |value| {
                    if !uses.contains_key(name) {
                        return Err(unused(uses.keys()));
                    }
                    plain(value.as_text()?)
                });
                values.insert(name.to_owned(), read.unwrap_or_else(|| TOLD.to_owned()));
            }
        }
        for (name, used) in uses {
            if !values.contains_key(name) {
                table.missing(&format!("vars.{name}"), Some(used.hint(name)));
                values.insert(name.to_owned(), TOLD.to_owned());
            }
        }
        Self(values)
    }

    /// The text with values in the place of names.
    pub(super) fn fill(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }
}

impl Use<'_> {
    fn hint(&self, name: &str) -> String {
        let Self { key, text, is_inherited } = self;
        // What the user has written is not shown.
        let what = if *is_inherited { format!("is {text}") } else { format!("has {{{name}}} in it") };
        format!("`{key}` {what}: say vars = {{ {name} = \"…\" }}, or all of `{key}`")
    }
}

/// Every name that is used, and where first.
fn uses<'r>(table: &Table<'r, '_>) -> BTreeMap<&'r str, Use<'r>> {
    let mut uses = BTreeMap::new();
    for key in FILLED {
        let Some((text, is_inherited)) = table.peek(key) else { continue };
        let names = text.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name));
        for name in names.filter(|name| is_name(name)) {
            uses.entry(name).or_insert(Use { key, text, is_inherited });
        }
    }
    uses
}

fn is_name(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    text.starts_with(|first: char| first.is_ascii_lowercase()) && text.bytes().all(is_part)
}

fn unused<'n>(names: impl Iterator<Item = &'n &'n str>) -> Invalid {
    let names: Vec<String> = names.map(|name| format!("{{{name}}}")).collect();
    let hint = if names.is_empty() {
        "there is no {name} in any".to_owned()
    } else {
        format!("there is {}", names.join(", "))
    };
    Invalid { code: Code::UnknownKey, message: "is in none of the provider's addresses".to_owned(), hint: Some(hint) }
}

/// A part of an address that cannot lead anywhere else: host labels with dots between them.
fn plain(text: &str) -> Result<String, Invalid> {
    let is_label = |label: &str| {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(is_part)
    };
    if text.split('.').all(is_label) {
        return Ok(text.to_owned());
    }
    Err(Invalid::value("must be letters, digits and hyphens, with single dots between"))
}

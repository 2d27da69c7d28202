//! Where a key stands in the file, for who finds out about its value later than the file is read.

use toml::de::{DeTable, DeValue};

use super::fault::position;

/// Line and column, from 1, of `key` (such as `providers.google.client_id`) in a file with this text. A key that is not
/// there has the place of the table it belongs to, if that is there.
#[must_use]
pub fn position_of(text: &str, key: &str) -> Option<(usize, usize)> {
    let (tree, _) = DeTable::parse_recoverable(text);
    let (mut table, mut found) = (Some(tree.get_ref()), None);
    for part in key.split('.') {
        let Some((name, value)) = table.and_then(|table| table.get_key_value(part)) else { break };
        found = Some(name.span().start);
        table = match value.get_ref() {
            DeValue::Table(table) => Some(table),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => None,
        };
    }
    found.map(|offset| position(text, offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_own_place_or_that_of_its_table() {
        let text = "[auth0]\ndomain = \"d\"\nvault = { client_id = \"c\" }\n[providers.google]\n";
        assert_eq!(position_of(text, "auth0.domain"), Some((2, 1)));
        assert_eq!(position_of(text, "auth0.vault.client_id"), Some((3, 11)));
        assert_eq!(position_of(text, "auth0.issuers"), Some((1, 2)));
        assert_eq!(position_of(text, "providers.google.client_id"), Some((4, 12)));
        assert_eq!(position_of(text, "store.url"), None);
    }
}

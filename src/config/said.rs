//! What a table says under one key, and where: for keys that several tables must agree on.

use std::ops::Range;

/// One key that is there, in the file or by a preset.
#[derive(Clone)]
pub(super) struct Said<T> {
    /// `None` when it is faulty, which has been told: it stands there all the same.
    pub(super) value: Option<T>,
    /// Whether a preset says it and not the table.
    pub(super) is_inherited: bool,
    pub(super) place: Place,
}

/// Where a key stands.
#[derive(Clone)]
pub(super) struct Place {
    /// The name of its table, such as `providers.google`.
    pub(super) table: String,
    pub(super) key: &'static str,
    /// The value, or the header that brought the preset in.
    pub(super) span: Option<Range<usize>>,
}

/// What the tables say together: the first that says it itself, or else the first whose preset does. `clash` is told of
/// each that says something else itself.
pub(super) fn agreed<'s, T: Clone + PartialEq + 's>(
    said: impl Iterator<Item = &'s Said<T>>,
    mut clash: impl FnMut(&Place, &Place),
) -> Option<Said<T>> {
    let mut agreed: Option<&Said<T>> = None;
    for said in said {
        match agreed {
            Some(first) if !first.is_inherited && !said.is_inherited => {
                // Nothing is known of a faulty one.
                if matches!((&first.value, &said.value), (Some(one), Some(other)) if one != other) {
                    clash(&said.place, &first.place);
                }
            }
            // A preset's word goes neither before a table's own nor before that of an earlier preset.
            Some(first) if said.is_inherited || !first.is_inherited => {}
            Some(_) | None => agreed = Some(said),
        }
    }
    agreed.cloned()
}

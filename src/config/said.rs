//! What a table says under one key, and where: for keys on which several tables have to agree.

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
    pub(super) header: Option<Range<usize>>,
    pub(super) key: &'static str,
    /// The value, or the header that brought the preset in.
    pub(super) span: Option<Range<usize>>,
}

/// Where it is said, if it is.
pub(super) fn place<T>(said: &Option<Said<T>>) -> Option<&Place> {
    said.as_ref().map(|said| &said.place)
}

/// What is said, if it is and has no fault.
pub(super) fn value<T: Clone>(said: &Option<Said<T>>) -> Option<T> {
    said.as_ref()?.value.clone()
}

/// What is said, or `default` where nothing is; `None` if it is faulty.
pub(super) fn value_or<T: Clone>(said: &Option<Said<T>>, default: T) -> Option<T> {
    said.as_ref().map_or(Some(default), |said| said.value.clone())
}

/// What several tables say together: what the first says that has the key itself, or else the first preset. `clash` is
/// told of each that says something else itself, and of the first.
pub(super) fn agreed<'s, T: Clone + PartialEq + 's>(
    all: impl Iterator<Item = &'s Said<T>>,
    mut clash: impl FnMut(&Place, &Place),
) -> Option<Said<T>> {
    let mut agreed: Option<&Said<T>> = None;
    for said in all {
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

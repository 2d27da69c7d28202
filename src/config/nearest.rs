//! The nearest of several words to one that was probably misspelt.

/// A longer word is not worth measuring: the distance takes time in proportion to the product of both lengths.
const LENGTH_MAX: usize = 64;

/// The one of `known` that `word` was probably meant to be, by the measure rustc uses for misspelt names.
pub fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let word = Some(word).filter(|word| word.len() <= LENGTH_MAX)?.to_lowercase();
    let within = word.chars().count().max(3) / 3;
    let distances = known.map(|key| (distance(&word, key), key));
    distances.filter(|(distance, _)| *distance <= within).min_by_key(|(distance, _)| *distance).map(|(_, key)| key)
}

/// How many characters are to be added, left out, replaced or swapped with their neighbour to make `b` of `a` (optimal
/// string alignment).
pub(super) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    // Row by row of the table of distances between the beginnings of both: the row before last, the last, and a new one.
    let mut above: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut before_a = None;
    for (row, a) in a.chars().enumerate() {
        let mut new = vec![row + 1];
        let mut left = row + 1;
        let mut before_b = None;
        for (column, &b) in b.iter().enumerate() {
            let cell = |row: &[usize], column: Option<usize>| {
                column.and_then(|at| row.get(at)).copied().unwrap_or(usize::MAX - 1)
            };
            let replaced = cell(&last, Some(column)) + usize::from(a != b);
            let mut least = replaced.min(left + 1).min(cell(&last, Some(column + 1)) + 1);
            if before_a == Some(b) && before_b == Some(a) {
                least = least.min(cell(&above, column.checked_sub(1)) + 1);
            }
            new.push(least);
            (left, before_b) = (least, Some(b));
        }
        (above, last, before_a) = (last, new, Some(a));
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_named_only_when_it_is_near() {
        let known = ["listen", "public_url", "admin_listen"];
        let nearest = |word| nearest(word, known.into_iter());
        assert_eq!(nearest("lisen"), Some("listen"));
        assert_eq!(nearest("publicUrl"), Some("public_url"));
        assert_eq!(nearest("admin-listen"), Some("admin_listen"));
        assert_eq!(nearest("port"), None);
        assert_eq!(nearest(""), None);
        assert_eq!(nearest(&"l".repeat(LENGTH_MAX + 1)), None);
    }

    #[test]
    fn a_swap_of_neighbours_is_one_step_as_is_a_character_more_less_or_another() {
        let cases = [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("github", "githbu", 1), ("github", "gihub", 1)];
        for (a, b, steps) in
            cases.into_iter().chain([("kitten", "sitting", 3), ("ab", "ba", 1), ("müller", "muller", 1)])
        {
            assert_eq!((distance(a, b), distance(b, a)), (steps, steps), "{a} {b}");
        }
    }
}

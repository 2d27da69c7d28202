//! Rules of `allow` and `deny`: which methods, which paths.

use std::fmt;

use hyper::http::Method;

/// A parsed rule such as `GET /repos/*/*/issues`.
///
/// - The methods are one or several (`GET,HEAD`), or `*` for any. `GET` includes `HEAD`. A rule that is a path alone
///   is about any method.
/// - `*` stands for exactly one segment; within a segment (`/v*/me`) for any number of its characters, none included.
/// - `**` stands for any number of segments, none included.
///
/// Empty segments do not count, in a rule or in a path: `/a/` and `//a` are `/a`. A `deny` rule could otherwise be
/// walked round at every provider that collapses slashes. Letter case counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// `None` is any method.
    methods: Option<Vec<Method>>,
    segments: Vec<Box<str>>,
}

/// Why a text is no [`Rule`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// There is no path, or it is relative.
    #[error("must have a path that starts with `/`")]
    NoPath,
    /// There is more than methods and a path.
    #[error("must be methods and a path with one space between them")]
    TooManyParts,
    /// A method is not an upper-case word. Methods are case-sensitive (RFC 9110 §9.1), so `get` would never match.
    #[error("must name its methods in upper case, separated by commas alone")]
    Method,
    /// `**` stands beside other characters.
    #[error("must have `**` as a whole segment only")]
    PartialDoubleStar,
    /// `.` or `..`, which no request that is matched can contain.
    #[error("must not contain `.` or `..` segments")]
    DotSegment,
    /// `%`, `?`, `#`, a backslash or a control character, with which the rule would silently never match.
    #[error("must be a decoded path: no `%`, `?`, `#`, backslash or control character")]
    Character,
}

impl Rule {
    /// Reads a rule.
    ///
    /// # Errors
    ///
    /// When the text is not `METHODS /path` or `/path`, or could never match.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let (methods, path) = match text.split_once(' ') {
            _ if text.starts_with('/') => (None, text),
            Some((methods, path)) => (parse_methods(methods)?, path),
            None => return Err(RuleError::NoPath),
        };
        if !path.starts_with('/') {
            return Err(RuleError::NoPath);
        }
        let segments = segments(path).map(parse_segment).collect::<Result<_, _>>()?;
        Ok(Self { methods, segments })
    }

    /// Whether this rule is about a request with this method and this path. The path starts with `/` and is already
    /// percent-decoded.
    #[must_use]
    pub fn matches(&self, method: &Method, path: &str) -> bool {
        self.names(method)
            && fits(&self.segments, segments(path), |part| &**part == "**", |part, segment| fits_one(part, segment))
    }

    /// Whether it tells methods apart.
    #[must_use]
    pub fn is_about_methods(&self) -> bool {
        self.methods.is_some()
    }

    fn names(&self, method: &Method) -> bool {
        let Some(methods) = &self.methods else { return true };
        methods.contains(method) || (method == Method::HEAD && methods.contains(&Method::GET))
    }
}

/// The rule in its plainest spelling.
impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.methods {
            None => formatter.write_str("*")?,
            Some(methods) => {
                for (index, method) in methods.iter().enumerate() {
                    write!(formatter, "{}{method}", if index == 0 { "" } else { "," })?;
                }
            }
        }
        formatter.write_str(" ")?;
        if self.segments.is_empty() {
            return formatter.write_str("/");
        }
        self.segments.iter().try_for_each(|segment| write!(formatter, "/{segment}"))
    }
}

fn parse_methods(text: &str) -> Result<Option<Vec<Method>>, RuleError> {
    if text == "*" {
        return Ok(None);
    }
    let method = |word: &str| {
        let upper = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
        Method::from_bytes(word.as_bytes()).ok().filter(|_| upper).ok_or(RuleError::Method)
    };
    text.split(',').map(method).collect::<Result<_, _>>().map(Some)
}

fn parse_segment(segment: &str) -> Result<Box<str>, RuleError> {
    if segment.contains(' ') {
        return Err(RuleError::TooManyParts);
    }
    if segment.contains(|character: char| matches!(character, '%' | '?' | '#' | '\\') || character.is_control()) {
        return Err(RuleError::Character);
    }
    if matches!(segment, "." | "..") {
        return Err(RuleError::DotSegment);
    }
    if segment.contains("**") && segment != "**" {
        return Err(RuleError::PartialDoubleStar);
    }
    Ok(segment.into())
}

fn segments(path: &str) -> impl Iterator<Item = &str> + Clone {
    path.split('/').filter(|segment| !segment.is_empty())
}

fn fits_one(pattern: &str, segment: &str) -> bool {
    fits(pattern.as_bytes(), segment.bytes(), |byte| *byte == b'*', |byte, other| *byte == other)
}

/// Whether `items` fit `pattern`, in which what `is_star` says stands for any number of items. It never needs to go
/// back beyond the last star, because whatever an earlier one could take instead, the last one can take as well; so
/// the work is at most the product of the two lengths.
fn fits<P, I>(
    mut pattern: &[P],
    mut items: I,
    is_star: impl Fn(&P) -> bool,
    is_fit: impl Fn(&P, I::Item) -> bool,
) -> bool
where
    I: Iterator<Item: Copy> + Clone,
{
    let mut last_star: Option<(&[P], I)> = None;
    loop {
        let mut ahead = items.clone();
        match (pattern.split_first(), ahead.next()) {
            (Some((first, rest)), _) if is_star(first) => {
                pattern = rest;
                last_star = Some((rest, items.clone()));
                continue;
            }
            (Some((first, rest)), Some(item)) if is_fit(first, item) => {
                pattern = rest;
                items = ahead;
                continue;
            }
            (None, None) => return true,
            _ => {}
        }
        // No fit here: the last star takes one item more.
        let Some((after_star, taken)) = last_star.as_mut() else { return false };
        if taken.next().is_none() {
            return false;
        }
        pattern = after_star;
        items = taken.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(rule: &str, method: &str, path: &str) -> bool {
        Rule::parse(rule).unwrap().matches(&method.parse().unwrap(), path)
    }

    #[test]
    fn paths_match_segment_by_segment() {
        let table = [
            ("* /", "/", true),
            ("* /", "/a", false),
            ("* /a", "/a", true),
            ("* /a", "/a/", true),
            ("* /a/", "/a", true),
            ("* /a", "/A", false),
            ("* /a", "/a/b", false),
            ("* /a", "//a", true),
            ("* /*", "/", false),
            ("* /*", "/a", true),
            ("* /*", "/a/b", false),
            ("* /repos/*/*/issues", "/repos/o/r/issues", true),
            ("* /repos/*/*/issues", "/repos/o/issues", false),
            ("* /repos/*/*/issues", "/repos/o/r/issues/1", false),
            ("* /**", "/", true),
            ("* /**", "/a/b/c", true),
            ("* /a/**", "/a", true),
            ("* /a/**", "/ab", false),
            ("* /**/z", "/z", true),
            ("* /**/z", "/a/z/b/z", true),
            ("* /**/z", "/a/z/b", false),
            ("* /a/**/b/**/c", "/a/x/b/b/y/c", true),
            ("* /a/**/b/**/c", "/a/x/y/c", false),
            ("* /v*/me", "/v21.0/me", true),
            ("* /v*/me", "/v/me", true),
            ("* /v*/me", "/w21.0/me", false),
            ("* /v*/me", "/v21/0/me", false),
            ("* /*.json", "/a.json", true),
            ("* /*a*b*c", "/xaybzc", true),
            ("* /*a*b*c", "/xaybz", false),
            ("* /é*", "/éa", true),
        ];
        for (rule, path, expected) in table {
            assert_eq!(matches(rule, "GET", path), expected, "{rule} on {path}");
        }
    }

    #[test]
    fn get_includes_head_and_nothing_else_does() {
        let table = [
            ("GET /x", "GET", true),
            ("GET /x", "HEAD", true),
            ("GET /x", "POST", false),
            ("HEAD /x", "GET", false),
            ("POST /x", "HEAD", false),
            ("GET,POST /x", "POST", true),
            ("GET,POST /x", "HEAD", true),
            ("M-SEARCH /x", "M-SEARCH", true),
            ("* /x", "PATCH", true),
            ("/x", "PATCH", true),
        ];
        for (rule, method, expected) in table {
            assert_eq!(matches(rule, method, "/x"), expected, "{rule} on {method}");
        }
    }

    #[test]
    fn what_could_never_match_is_no_rule() {
        let table = [
            ("", RuleError::NoPath),
            ("read", RuleError::NoPath),
            ("GET", RuleError::NoPath),
            ("GET repos", RuleError::NoPath),
            ("GET  /x", RuleError::NoPath),
            (" /x", RuleError::Method),
            ("get /x", RuleError::Method),
            ("GET, HEAD /x", RuleError::Method),
            ("GET,,HEAD /x", RuleError::Method),
            ("GET /x y", RuleError::TooManyParts),
            ("GET /a**", RuleError::PartialDoubleStar),
            ("GET /***", RuleError::PartialDoubleStar),
            ("GET /a/../b", RuleError::DotSegment),
            ("GET /a%2Fb", RuleError::Character),
            ("GET /a?b", RuleError::Character),
            ("GET /a\\b", RuleError::Character),
            ("GET /a\tb", RuleError::Character),
        ];
        for (text, expected) in table {
            match Rule::parse(text) {
                Err(error) => assert_eq!(error, expected, "{text:?}"),
                Ok(rule) => panic!("{text:?} was read as {rule}"),
            }
        }
    }

    #[test]
    fn many_stars_are_no_trap() {
        let rule = format!("* /{}", "*a".repeat(60));
        assert!(!matches(&rule, "GET", &format!("/{}b", "a".repeat(20_000))));
        let rule = format!("* /{}", "**/a/".repeat(60));
        assert!(!matches(&rule, "GET", &format!("{}/b", "/a".repeat(20_000))));
    }

    proptest! {
        #[test]
        fn two_stars_match_everything(path in "/\\PC*") {
            prop_assert!(matches("* /**", "GET", &path));
        }

        #[test]
        fn a_literal_path_matches_itself(path in "(/[a-zA-Z0-9_~-]{1,8}){0,6}") {
            let rule = format!("* /{path}");
            prop_assert!(matches(&rule, "GET", &path));
        }

        #[test]
        fn a_rule_reads_its_own_spelling(text in "(GET|GET,POST|\\*) (/(\\*\\*|\\*|[a-z*]{1,5})){1,5}") {
            if let Ok(rule) = Rule::parse(&text) {
                prop_assert_eq!(Rule::parse(&rule.to_string()), Ok(rule));
            }
        }
    }
}

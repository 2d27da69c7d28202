//! What is wrong with a configuration file, for people and for programs.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::renderer::{DEFAULT_EMPHASIS_STYLE, DEFAULT_ERROR_STYLE, DEFAULT_HELP_STYLE, Style};
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::{Value, json};

use super::mask::mask;

/// The kind of a fault, under a name that programs may rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// `syntax`: not TOML.
    Syntax,
    /// `unknown_key`: a key or table that nothing reads.
    UnknownKey,
    /// `missing_key`: a key or table that has no default and is not there.
    MissingKey,
    /// `wrong_type`: a string where a number belongs, and the like.
    WrongType,
    /// `bad_value`: the right type, but not a value that can be meant.
    BadValue,
    /// `conflict`: two values that cannot stand together.
    Conflict,
    /// `secret_unavailable`: a secret that is empty, or that its variable or file does not give.
    SecretUnavailable,
    /// `unreadable`: the file itself cannot be read.
    Unreadable,
}

impl Code {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::UnknownKey => "unknown_key",
            Self::MissingKey => "missing_key",
            Self::WrongType => "wrong_type",
            Self::BadValue => "bad_value",
            Self::Conflict => "conflict",
            Self::SecretUnavailable => "secret_unavailable",
            Self::Unreadable => "unreadable",
        }
    }
}

/// One fault. Neither its message nor its hint quotes a value of the file, so they cannot give a secret away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line, from 1; `None` when the fault is that of the whole file.
    pub line: Option<usize>,
    /// The column in characters, from 1; `None` together with `line`.
    pub column: Option<usize>,
    /// What kind of fault it is.
    pub code: Code,
    /// The full path of the key, such as `auth0.issuers[1]`; `None` where no key can be told.
    pub key: Option<String>,
    /// What is wrong, without a full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The bytes of the file it is about; `None` together with `line`.
    pub span: Option<Range<usize>>,
    /// The bytes of the file that it cannot stand beside. The message ends with their place.
    pub beside: Option<Range<usize>>,
}

impl Fault {
    /// A fault of the whole file. [`Faults::new`] finds line and column for those that are given a span.
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            line: None,
            column: None,
            code,
            key: None,
            message: message.into(),
            hint: None,
            span: None,
            beside: None,
        }
    }

    /// The same fault, about `key`.
    pub(super) fn about(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The same fault, at `span`.
    pub(super) fn at(mut self, span: Option<Range<usize>>) -> Self {
        self.span = span;
        self
    }

    /// The same fault, of what cannot stand beside `span`.
    pub(super) fn beside(mut self, span: Option<Range<usize>>) -> Self {
        self.beside = span;
        self
    }

    /// The same fault, with a hint if there is one.
    pub(super) fn help(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }
}

/// Every fault of one file, in the order of the file, and never none.
#[derive(Clone, Debug)]
pub struct Faults {
    path: PathBuf,
    /// The file with its secrets masked; the text as written is not kept.
    source: String,
    list: Vec<Fault>,
    files: Vec<PathBuf>,
}

impl Faults {
    pub(super) fn new(path: &Path, text: &str, mut list: Vec<Fault>) -> Self {
        for fault in &mut list {
            if let Some(span) = &fault.span {
                let (line, column) = position(text, span.start);
                fault.line = Some(line);
                fault.column = Some(column);
            }
            if let Some(beside) = &fault.beside {
                let (line, _) = position(text, beside.start);
                fault.message.push_str(&format!(" ({}:{line})", path.display()));
            }
        }
        list.sort_by_key(|fault| fault.span.as_ref().map(|span| (span.start, span.end)));
        Self { path: path.to_owned(), source: mask(text), list, files: vec![path.to_owned()] }
    }

    /// The same faults, of a configuration that names these files as well.
    pub(super) fn naming(mut self, files: Vec<PathBuf>) -> Self {
        self.files.extend(files);
        self
    }

    /// The files that were read, or should have been: a change of one may mend the faults.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The faults.
    #[must_use]
    pub fn as_slice(&self) -> &[Fault] {
        &self.list
    }

    /// The faults for people: for each the place, the message, a picture of the line and the hint.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let rendered: Vec<String> = self.list.iter().map(|fault| self.render_one(fault, color)).collect();
        rendered.join("\n")
    }

    /// The faults for programs: a list of `{file, line, column, code, key, message, hint}`, `null` where there is
    /// nothing to say.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let file = self.path.display().to_string();
        let row = |fault: &Fault| {
            json!({
                "file": file,
                "line": fault.line,
                "column": fault.column,
                "code": fault.code.as_str(),
                "key": fault.key,
                "message": fault.message,
                "hint": fault.hint,
            })
        };
        self.list.iter().map(row).collect()
    }

    fn render_one(&self, fault: &Fault, color: bool) -> String {
        let paint = |style: Style, text: &str| if color { format!("{style}{text}{style:#}") } else { text.to_owned() };
        let place = match (fault.line, fault.column) {
            (Some(line), Some(column)) => format!("{}:{line}:{column}", self.path.display()),
            _ => self.path.display().to_string(),
        };
        let error = paint(DEFAULT_ERROR_STYLE, "error");
        let message = paint(DEFAULT_EMPHASIS_STYLE, &fault.message);
        let mut rendered = format!("{place}: {error}: {message}\n");
        if let Some(span) = &fault.span {
            rendered.push_str(&self.picture(span, fault.beside.as_ref(), color));
            rendered.push('\n');
        }
        if let Some(hint) = &fault.hint {
            rendered.push_str(&format!("{}: {hint}\n", paint(DEFAULT_HELP_STYLE, "help")));
        }
        rendered
    }

    /// The lines on which `span` and `beside` begin, with their parts on these lines underlined.
    fn picture(&self, span: &Range<usize>, beside: Option<&Range<usize>>, color: bool) -> String {
        let annotation = |kind: AnnotationKind, span: &Range<usize>| kind.span(self.on_one_line(span));
        let snippet = Snippet::source(&self.source)
            .annotation(annotation(AnnotationKind::Primary, span))
            .annotations(beside.map(|beside| annotation(AnnotationKind::Context, beside)));
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[Group::with_level(Level::ERROR).element(snippet)])
    }

    /// The part of `span` that is on its first line.
    fn on_one_line(&self, span: &Range<usize>) -> Range<usize> {
        let start = floor(&self.source, span.start);
        let line_end = self.source.get(start..).and_then(|rest| rest.find('\n')).map(|length| start + length);
        start..floor(&self.source, span.end).min(line_end.unwrap_or(self.source.len())).max(start)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.render(false))
    }
}

impl std::error::Error for Faults {}

/// Line and column, both from 1, of the byte at `offset`. What stands after the last line belongs to its end: a file
/// that ends in a newline has no further line that an editor could go to.
pub(super) fn position(text: &str, offset: usize) -> (usize, usize) {
    let mut offset = floor(text, offset);
    if offset > 0 && offset == text.len() && text.ends_with('\n') {
        offset -= 1;
    }
    let before = text.get(..offset).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before.get(line_start..).unwrap_or_default().chars().count();
    (before.matches('\n').count() + 1, column + 1)
}

/// The nearest character boundary at or before `offset`.
fn floor(text: &str, offset: usize) -> usize {
    let offset = offset.min(text.len());
    (0..=offset).rev().find(|boundary| text.is_char_boundary(*boundary)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[server]\nlisten = \"nowhere\"\n";

    fn faults(list: Vec<Fault>) -> Faults {
        Faults::new(Path::new("etc/proxy.toml"), TEXT, list)
    }

    #[test]
    fn a_fault_is_shown_with_its_line_and_its_hint() {
        let fault = Fault::new(Code::BadValue, "`listen` must be an address")
            .about("server.listen")
            .at(Some(18..27))
            .help(Some("such as 127.0.0.1:8080".to_owned()));
        assert_eq!(
            faults(vec![fault]).to_string(),
            "etc/proxy.toml:2:10: error: `listen` must be an address\n  \
               |\n\
             2 | listen = \"nowhere\"\n  \
               |          ^^^^^^^^^\n\
             help: such as 127.0.0.1:8080\n"
        );
    }

    #[test]
    fn a_fault_of_the_whole_file_is_shown_without_a_line() {
        let fault = Fault::new(Code::Unreadable, "cannot be read");
        assert_eq!(faults(vec![fault]).to_string(), "etc/proxy.toml: error: cannot be read\n");
    }

    #[test]
    fn faults_stand_in_the_order_of_the_file() {
        let later = Fault::new(Code::BadValue, "later").at(Some(18..27));
        let earlier = Fault::new(Code::UnknownKey, "earlier").at(Some(1..7));
        let shown = faults(vec![later, earlier]).to_string();
        assert!(shown.find("earlier").unwrap() < shown.find("later").unwrap(), "{shown}");
    }

    #[test]
    fn colour_comes_only_when_asked_for() {
        let fault = Fault::new(Code::BadValue, "wrong").at(Some(18..27));
        let faults = faults(vec![fault]);
        assert!(faults.render(true).contains('\u{1b}'));
        assert!(!faults.render(false).contains('\u{1b}'));
    }

    #[test]
    fn programs_get_a_list() {
        let fault = Fault::new(Code::BadValue, "wrong").about("server.listen").at(Some(18..27));
        assert_eq!(
            faults(vec![fault]).to_json(),
            json!([{
                "file": "etc/proxy.toml", "line": 2, "column": 10, "code": "bad_value", "key": "server.listen",
                "message": "wrong", "hint": null,
            }])
        );
    }

    #[test]
    fn columns_count_characters() {
        assert_eq!(position("é = ü\n", "é = ".len()), (1, 5));
    }

    #[test]
    fn the_end_of_the_file_is_the_end_of_its_last_line() {
        assert_eq!(position("a\nbc\n", 5), (2, 3));
        assert_eq!(position("a\nbc", 4), (2, 3));
        assert_eq!(position("", 0), (1, 1));
    }
}

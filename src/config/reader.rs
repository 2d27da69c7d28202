//! A typed reader over the parsed file. It notes every fault and reads on, so that all of them are told at once.
//!
//! A key is known because some code asks for it: there is no list of keys beside the code that reads them.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::env::Env;
use super::fault::{Code, Fault};
use super::nearest::nearest;
use super::said::{Place, Said};
use super::syntax::SyntaxFault;
use super::value::{Invalid, Item};

/// What is found out while a file is read.
pub(super) struct Reader<'a> {
    /// The file, with broken lines blanked out.
    text: &'a str,
    pub(super) env: &'a dyn Env,
    /// The folder of the file, where relative paths start.
    pub(super) folder: &'a Path,
    pub(super) faults: Vec<Fault>,
    /// The files that secrets were read from, whether that worked or not: a change of one is a reason to read again.
    pub(super) files: Vec<PathBuf>,
    /// Every key that was asked for, in full.
    pub(super) known: BTreeSet<String>,
    /// Where the file is not TOML.
    broken: Vec<usize>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str, folder: &'a Path, env: &'a dyn Env, syntax: Vec<SyntaxFault>) -> Self {
        let broken = syntax.iter().map(|fault| fault.span.start).collect();
        let fault = |fault: SyntaxFault| Fault::new(Code::Syntax, fault.message).at(Some(fault.span));
        let faults = syntax.into_iter().map(fault).collect();
        Self { text, env, folder, faults, files: Vec::new(), known: BTreeSet::new(), broken }
    }

    /// The table that is the whole file.
    pub(super) fn root<'r>(&'r mut self, tree: &'r DeTable<'r>) -> Table<'r, 'a> {
        Table {
            reader: self,
            name: String::new(),
            span: None,
            own: Some(tree),
            preset: None,
            asked: Vec::new(),
            is_quiet: false,
        }
    }

    /// Notes that `key` is missing in the table `name` whose header is at `header`.
    pub(super) fn missing(&mut self, name: &str, header: Option<&Range<usize>>, key: &str, hint: Option<String>) {
        if self.is_broken(header) {
            return;
        }
        let fault = Fault::new(Code::MissingKey, format!("missing key `{key}` in [{name}]"));
        self.faults.push(fault.about(format!("{name}.{key}")).at(header.cloned()).help(hint));
    }

    fn report(&mut self, item: &Item<'_>, invalid: Invalid) {
        let message = format!("`{}` {}", item.name, invalid.message);
        let fault = Fault::new(invalid.code, message).about(&item.key).at(item.span.clone()).help(invalid.hint);
        self.faults.push(fault);
    }

    /// Whether something that is not TOML stands in the table whose header is at `header`, or anywhere in the file.
    /// What seems to be missing may then be there, unread.
    pub(super) fn is_broken(&self, header: Option<&Range<usize>>) -> bool {
        let Some(header) = header else { return !self.broken.is_empty() };
        let after = self.text.get(header.end..).unwrap_or_default();
        let length = after.match_indices('\n').find_map(|(newline, _)| {
            let line = after.get(newline + 1..)?;
            line.trim_start_matches([' ', '\t']).starts_with('[').then_some(newline)
        });
        let section = header.start..=header.end + length.unwrap_or(after.len());
        self.broken.iter().any(|offset| section.contains(offset))
    }
}

/// One table of the file, there or not: an absent table is one without keys.
pub(super) struct Table<'r, 'a> {
    pub(super) reader: &'r mut Reader<'a>,
    /// The full name; empty for the file itself.
    name: String,
    /// The header.
    span: Option<Range<usize>>,
    own: Option<&'r DeTable<'r>>,
    /// Where the keys that are not in the file are looked up.
    preset: Option<&'r DeTable<'r>>,
    asked: Vec<&'static str>,
    /// Whether a fault was told already for which this table's missing keys are no news.
    is_quiet: bool,
}

impl<'r, 'a> Table<'r, 'a> {
    /// The table `key` in this one.
    pub(super) fn table(&mut self, key: &'static str) -> Table<'_, 'a> {
        self.ask(key);
        self.entry(key)
    }

    /// The table `key` in this one. If it is not there, that is a fault, and `hint` says what belongs into it.
    pub(super) fn required_table(&mut self, key: &'static str, hint: &str) -> Table<'_, 'a> {
        if !self.has(key) && !self.reader.is_broken(None) {
            let fault = Fault::new(Code::MissingKey, format!("the table [{key}] is missing"));
            self.reader.faults.push(fault.about(key).help(Some(hint.to_owned())));
        }
        let is_quiet = !self.has(key);
        let mut table = self.table(key);
        table.is_quiet |= is_quiet;
        table
    }

    /// The table of any name in this one.
    pub(super) fn entry(&mut self, key: &str) -> Table<'_, 'a> {
        let name = self.path(key);
        let value = self.own.and_then(|own| own.get(key));
        let own = value.and_then(|value| value.get_ref().as_table());
        let wrong = value.filter(|_| own.is_none());
        if let Some(value) = wrong {
            let message = format!("[{name}] must be a table");
            self.reader.faults.push(Fault::new(Code::WrongType, message).about(&name).at(Some(value.span())));
        }
        Table {
            reader: &mut *self.reader,
            name,
            span: value.map(Spanned::span),
            own,
            preset: None,
            asked: Vec::new(),
            is_quiet: wrong.is_some(),
        }
    }

    /// The same table, with `preset` for every key that is not in the file.
    pub(super) fn with_preset(mut self, preset: Option<&'r DeTable<'r>>) -> Self {
        self.preset = preset;
        self
    }

    /// The table that `item`, a value of this one, is. If it is none, that is a fault.
    pub(super) fn part<'t>(&'t mut self, item: &Item<'t>) -> Option<Table<'t, 'a>> {
        let table = self.check(item, |item| item.value.as_table().ok_or_else(|| item.wrong_type("a table")))?;
        // A preset's own places are not places in the file.
        let (own, preset) = if item.is_inherited { (None, Some(table)) } else { (Some(table), None) };
        Some(Table {
            reader: &mut *self.reader,
            name: item.key.clone(),
            span: item.span.clone(),
            own,
            preset,
            asked: Vec::new(),
            is_quiet: false,
        })
    }

    /// Where the table's header is.
    pub(super) fn header(&self) -> Option<Range<usize>> {
        self.span.clone()
    }

    /// Whether something stands in the table, or may stand there unread.
    pub(super) fn is_meant(&self) -> bool {
        self.is_quiet || self.own.is_some_and(|own| !own.is_empty()) || self.reader.is_broken(None)
    }

    /// Whether something else stands in the table's place, which has been told.
    pub(super) fn is_no_table(&self) -> bool {
        self.is_quiet
    }

    /// The names of everything in the table, and where they stand, in the order of the file.
    pub(super) fn names(&self) -> Vec<(String, Range<usize>)> {
        let keys = self.own.into_iter().flat_map(DeTable::keys);
        let mut names: Vec<_> = keys.map(|key| (key.get_ref().clone().into_owned(), key.span())).collect();
        names.sort_by_key(|(_, span)| span.start);
        names
    }

    /// Whether the table has `key`, in the file or from its preset.
    pub(super) fn has(&self, key: &str) -> bool {
        [self.own, self.preset].into_iter().flatten().any(|table| table.contains_key(key))
    }

    /// Whether the file itself says something about `key`.
    pub(super) fn says(&self, key: &str) -> bool {
        self.own.is_some_and(|table| table.contains_key(key))
    }

    /// The text of `key` ahead of whoever reads it, and whether it is the preset's; `None` if it is no text.
    pub(super) fn peek(&self, key: &str) -> Option<(&'r str, bool)> {
        let own = self.own.and_then(|own| own.get(key));
        let value = own.or_else(|| self.preset.and_then(|preset| preset.get(key)))?;
        Some((value.get_ref().as_str()?, own.is_none()))
    }

    /// What the preset says under `key`, whatever the file says.
    pub(super) fn of_preset(&self, key: &str) -> Option<&'r DeValue<'r>> {
        self.preset.and_then(|preset| preset.get(key)).map(Spanned::get_ref)
    }

    /// The value of `key` as it stands. Every look at a key comes through here and makes it a known one.
    pub(super) fn item(&mut self, key: &'static str) -> Option<Item<'r>> {
        self.ask(key);
        let key_path = self.path(key);
        self.reader.known.insert(key_path.clone());
        let own = self.own.and_then(|own| own.get(key));
        let value = own.or_else(|| self.preset.and_then(|preset| preset.get(key)))?;
        Some(Item {
            key: key_path,
            name: key.to_owned(),
            span: own.map(Spanned::span).or_else(|| self.span.clone()),
            is_inherited: own.is_none(),
            value: value.get_ref(),
        })
    }

    /// What `read` makes of `key`, and where it stands; `None` when it is absent.
    pub(super) fn said<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Self, &'static str) -> Option<T>,
    ) -> Option<Said<T>> {
        let Item { span, is_inherited, .. } = self.item(key)?;
        let place = Place { table: self.name.clone(), header: self.span.clone(), key, span };
        Some(Said { value: read(self, key), is_inherited, place })
    }

    /// What `parse` makes of `key`; `None` when it is absent or faulty.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&Item<'_>) -> Result<T, Invalid>,
    ) -> Option<T> {
        let item = self.item(key)?;
        self.check(&item, parse)
    }

    /// What `parse` makes of `key`, or `default`.
    pub(super) fn or<T>(
        &mut self,
        key: &'static str,
        default: T,
        parse: impl FnOnce(&Item<'_>) -> Result<T, Invalid>,
    ) -> T {
        self.optional(key, parse).unwrap_or(default)
    }

    /// What `parse` makes of `key`, whose absence is a fault.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&Item<'_>) -> Result<T, Invalid>,
    ) -> Option<T> {
        if !self.has(key) {
            self.missing(key, None);
        }
        self.optional(key, parse)
    }

    /// What `parse` makes of each element of the list `key`; `None` when it is absent. An element that stands there
    /// twice is a fault, for one of the two was meant to be something else.
    pub(super) fn list<T: PartialEq>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&Item<'_>) -> Result<T, Invalid>,
    ) -> Option<Vec<T>> {
        let list = self.item(key)?;
        let elements = self.check(&list, Item::elements)?;
        let mut read: Vec<T> = Vec::with_capacity(elements.len());
        for element in &elements {
            let Some(value) = self.check(element, &parse) else { continue };
            if read.contains(&value) {
                self.reader.report(element, Invalid::conflict("stands in the list twice"));
            } else {
                read.push(value);
            }
        }
        Some(read)
    }

    /// What `parse` makes of `item`, or a fault at its place.
    pub(super) fn check<'i, T>(
        &mut self,
        item: &Item<'i>,
        parse: impl FnOnce(&Item<'i>) -> Result<T, Invalid>,
    ) -> Option<T> {
        parse(item).map_err(|invalid| self.reader.report(item, invalid)).ok()
    }

    /// Notes a fault of `key`, at its value or, if it has none in the file, at the table's header.
    pub(super) fn fault(&mut self, key: &'static str, invalid: Invalid) {
        let span = self.own.and_then(|own| own.get(key)).map(Spanned::span).or_else(|| self.span.clone());
        let fault = Fault::new(invalid.code, format!("`{key}` {}", invalid.message)).about(self.path(key));
        self.reader.faults.push(fault.at(span).help(invalid.hint));
    }

    /// Notes that `key` is missing, at the table's header.
    pub(super) fn missing(&mut self, key: &str, hint: Option<String>) {
        if !self.is_quiet {
            self.reader.missing(&self.name, self.span.as_ref(), key, hint);
        }
    }

    /// Notes that the table, which is there to hold some `thing`, holds none.
    pub(super) fn has_nothing(&mut self, thing: &str, hint: String) {
        if !self.is_quiet && !self.reader.is_broken(None) {
            let fault = Fault::new(Code::MissingKey, format!("[{}] has no {thing}", self.name)).about(&self.name);
            self.reader.faults.push(fault.at(self.span.clone()).help(Some(hint)));
        }
    }

    /// Ends the reading of the table: what was not asked for by now is unknown.
    pub(super) fn refuse_rest(self) {
        for (key, value) in self.own.into_iter().flatten() {
            if !self.asked.contains(&&**key.get_ref()) {
                let fault = self.unknown(key.get_ref(), value.get_ref().is_table());
                self.reader.faults.push(fault.about(self.path(key.get_ref())).at(Some(key.span())));
            }
        }
    }

    fn unknown(&self, key: &str, is_table: bool) -> Fault {
        let is_root = self.name.is_empty();
        let quoted = |key: &str| if is_root { format!("[{key}]") } else { format!("`{key}`") };
        let mut message = match (is_root, is_table) {
            (true, true) => format!("unknown table [{}]", key.escape_debug()),
            (true, false) => format!("unknown key `{}`", key.escape_debug()),
            (false, _) => format!("unknown key `{}` in [{}]", key.escape_debug(), self.name),
        };
        if let Some(near) = nearest(key, self.asked.iter().copied()) {
            message.push_str(&format!("; did you mean {}?", quoted(near)));
        }
        let known: Vec<String> = self.asked.iter().map(|key| quoted(key)).collect();
        let kind = if is_root { "tables" } else { "keys" };
        Fault::new(Code::UnknownKey, message).help(Some(format!("known {kind}: {}", known.join(", "))))
    }

    fn ask(&mut self, key: &'static str) {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
    }

    fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{}", self.name, key.escape_debug()) }
    }
}

//! Walks a parsed file against the table of keys and reports everything that is wrong at once.

use std::ops::Range;

use agentkernel_types::ErrorKind;
use toml::{Spanned, de::DeTable, de::DeValue};

use crate::{
    file::{SourceFile, Trust},
    image_keys::is_registry,
    keys::{Form, Key, Scope, TABLES, Table, keys_of},
    layer::{FileDraft, Layer, RegistryDraft, Values},
    network,
    problem::Problem,
    shape::expected,
    unknown::{unknown_key, unknown_table},
    unsupported::{unsupported_key, unsupported_table},
    wrong::Fault,
};

/// More entries than anybody writes by hand; each costs a look at the file system.
const MAX_FILES: usize = 1000;

/// The layer holds what could be read; it must not be used if a problem was pushed.
pub(crate) fn check(file: SourceFile, trust: Trust, problems: &mut Vec<Problem>) -> Layer {
    let before = problems.len();
    let mut walk = Walk {
        file: &file,
        trust,
        values: Values::default(),
        problems: &mut *problems,
        at_key: Vec::new(),
    };
    match DeTable::parse(&file.text) {
        Ok(document) => walk.document(document.get_ref()),
        Err(error) => {
            let span = error.span().unwrap_or(0..0);
            walk.problems.push(Problem::invalid(
                &file,
                span,
                format!("not valid TOML: {}", error.message()),
            ));
        }
    }
    let layer = Layer {
        values: walk.values,
        file,
        trust,
    };
    if problems.len() == before {
        network::contradictions(&layer, problems);
    }
    layer
}

struct Walk<'a> {
    file: &'a SourceFile,
    trust: Trust,
    values: Values,
    problems: &'a mut Vec<Problem>,
    /// The keys of the table at hand that were seen under any of their names.
    at_key: Vec<&'static str>,
}

type Name<'a> = Spanned<std::borrow::Cow<'a, str>>;

impl Walk<'_> {
    fn document(&mut self, document: &DeTable<'_>) {
        let mut entries: Vec<_> = document.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        for (name, value) in entries {
            let word = name.get_ref().as_ref();
            if let Some(table) = TABLES.iter().find(|table| table.name == word) {
                self.table(table, name, value);
            } else if unsupported_table(word).is_some() {
                self.refuse(
                    name.span(),
                    ErrorKind::Unsupported,
                    format!("not supported yet: [{word}]"),
                );
            } else {
                self.problems.push(unknown_table(self.file, name.span(), word));
            }
        }
    }

    fn table(&mut self, table: &'static Table, name: &Name<'_>, value: &Spanned<DeValue<'_>>) {
        if let Some(reason) = misplaced(self.trust, scope_of(table.name)) {
            self.refuse_misplaced(name.span(), &format!("[{}]", table.name), reason);
        } else {
            match table.form {
                Form::Single => {
                    // An empty one says something as well: everything as usual.
                    if table.name == "build" {
                        self.values.build.get_or_insert_default();
                    }
                    self.keys(table.name, name, value);
                }
                Form::List(required) => self.entries(table.name, required, name, value),
                Form::Named => self.named(table.name, name, value),
            }
        }
    }

    fn named(&mut self, table: &'static str, name: &Name<'_>, value: &Spanned<DeValue<'_>>) {
        let DeValue::Table(entries) = value.get_ref() else {
            let error = expected("tables", value.get_ref());
            let problem = Problem::invalid(self.file, name.span(), format!("`{table}`: {error}"));
            self.problems
                .push(problem.help(format!("write `[{table}.\"HOST\"]`")));
            return;
        };
        if entries.len() > MAX_FILES {
            let title = format!("`{table}` has more than {MAX_FILES} entries");
            return self.refuse(name.span(), ErrorKind::InvalidSpec, title);
        }
        let mut entries: Vec<_> = entries.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        for (entry, value) in entries {
            let host = entry.get_ref().as_ref();
            if !is_registry(host) {
                let title = format!("`{table}`: {host:?} is no registry: write HOST or HOST:PORT");
                self.refuse(entry.span(), ErrorKind::InvalidSpec, title);
                continue;
            }
            self.values.registries.push(RegistryDraft {
                host: host.to_ascii_lowercase(),
                span: entry.span(),
                insecure: false,
                ca: None,
                mirrors: Vec::new(),
            });
            self.keys_within(table, entry.span(), value);
        }
    }

    fn entries(
        &mut self,
        table: &'static str,
        required: &[&'static str],
        name: &Name<'_>,
        value: &Spanned<DeValue<'_>>,
    ) {
        let DeValue::Array(array) = value.get_ref() else {
            let error = expected("a list of tables", value.get_ref());
            let problem = Problem::invalid(self.file, name.span(), format!("`{table}`: {error}"));
            self.problems
                .push(problem.help(format!("write `[[{table}]]` instead of `[{table}]`")));
            return;
        };
        if array.len() > MAX_FILES {
            self.refuse(
                name.span(),
                ErrorKind::InvalidSpec,
                format!("`{table}` has more than {MAX_FILES} entries"),
            );
            return;
        }
        for entry in array.iter() {
            self.values.files.push(FileDraft::default());
            let before = self.problems.len();
            self.keys_within(table, entry.span(), entry);
            if self.problems.len() == before {
                self.require(table, required, entry.span());
            }
        }
    }

    fn require(&mut self, table: &str, required: &[&'static str], span: Range<usize>) {
        for required in required {
            if !self.at_key.contains(required) {
                self.refuse(
                    span.clone(),
                    ErrorKind::InvalidSpec,
                    format!("this `[[{table}]]` has no `{required}`"),
                );
            }
        }
    }

    fn keys(&mut self, table: &str, name: &Name<'_>, value: &Spanned<DeValue<'_>>) {
        self.keys_within(table, name.span(), value);
    }

    fn keys_within(&mut self, table: &str, span: Range<usize>, value: &Spanned<DeValue<'_>>) {
        self.at_key.clear();
        let DeValue::Table(content) = value.get_ref() else {
            let error = expected("a table", value.get_ref());
            self.refuse(span, ErrorKind::InvalidSpec, format!("`{table}`: {error}"));
            return;
        };
        let mut entries: Vec<_> = content.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        for (name, value) in entries {
            self.key(table, name, value);
        }
    }

    fn key(&mut self, table: &str, name: &Name<'_>, value: &Spanned<DeValue<'_>>) {
        let word = name.get_ref().as_ref();
        if let Some(key) = keys_of(table).find(|key| key.name == word || key.alias == Some(word)) {
            self.known_key(key, word, name, value);
        } else if let Some(entry) = unsupported_key(table, word) {
            self.refuse_unsupported(table, word, name.span(), entry.reason);
        } else {
            self.problems
                .push(unknown_key(self.file, name.span(), table, word));
        }
    }

    fn known_key(&mut self, key: &'static Key, word: &str, name: &Name<'_>, value: &Spanned<DeValue<'_>>) {
        let path = format!("{}.{word}", key.table);
        if let Some(reason) = misplaced(self.trust, key.scope) {
            if !asks_for_nothing(value.get_ref()) {
                self.refuse_misplaced(name.span(), &format!("`{path}`"), reason);
            }
        } else if self.at_key.contains(&key.name) {
            let other = if word == key.name {
                key.alias.unwrap_or(key.name)
            } else {
                key.name
            };
            self.refuse(
                name.span(),
                ErrorKind::InvalidSpec,
                format!("`{path}` is another name for `{other}`, which is set as well"),
            );
        } else {
            self.at_key.push(key.name);
            if let Err(wrong) = (key.read)(&mut self.values, value.get_ref(), value.span()) {
                for fault in wrong.0 {
                    self.fault(&path, value.span(), fault);
                }
            }
        }
    }

    fn fault(&mut self, path: &str, value: Range<usize>, fault: Fault) {
        let Fault { error, span, help } = fault;
        let kind = match error.0.contains("not supported yet") {
            true => ErrorKind::Unsupported,
            false => ErrorKind::InvalidSpec,
        };
        let title = format!("`{path}`: {error}");
        let problem = Problem::new(kind, self.file, span.unwrap_or(value), title);
        self.problems.push(match help {
            Some(help) => problem.help(help),
            None => problem,
        });
    }

    fn refuse_unsupported(&mut self, table: &str, key: &str, span: Range<usize>, reason: &str) {
        let title = format!("`[{table}] {key}`: {reason}");
        let problem = Problem::new(ErrorKind::Unsupported, self.file, span, title);
        self.problems.push(problem.help("remove it"));
    }

    fn refuse_misplaced(&mut self, span: Range<usize>, what: &str, reason: &str) {
        let problem = Problem::new(ErrorKind::Denied, self.file, span, format!("{what} {reason}"));
        self.problems.push(match (what, self.trust) {
            ("[defaults]", Trust::Found | Trust::Named) => problem.help(
                "a repository cannot choose how strong its own walls are: pass `--backend` or `--isolation`",
            ),
            ("`network.dns`", Trust::Found | Trust::Named) => problem.help(
                "a repository could redirect every name: pass `--dns`, or set it in your own configuration file",
            ),
            _ => problem,
        });
    }

    fn refuse(&mut self, span: Range<usize>, kind: ErrorKind, title: String) {
        self.problems.push(Problem::new(kind, self.file, span, title));
    }
}

/// Why something of this scope may not stand in this file.
fn misplaced(trust: Trust, scope: Scope) -> Option<&'static str> {
    match (trust, scope) {
        (Trust::User, Scope::Project) => Some("belongs in a project's file, not in the user's"),
        (Trust::Found | Trust::Named, Scope::User) => {
            Some("belongs in the user's own file, not in a project's")
        }
        _ => None,
    }
}

/// The scope that all keys of a table share.
fn scope_of(table: &str) -> Scope {
    let mut scopes = keys_of(table).map(|key| key.scope);
    let first = scopes.next().unwrap_or(Scope::Both);
    if scopes.all(|scope| scope == first) {
        first
    } else {
        Scope::Both
    }
}

fn asks_for_nothing(value: &DeValue<'_>) -> bool {
    match value {
        DeValue::Array(array) => array.is_empty(),
        DeValue::Table(table) => table.is_empty(),
        DeValue::Boolean(value) => !value,
        _ => false,
    }
}

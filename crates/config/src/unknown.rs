//! Names that are no key: what was probably meant.

use std::ops::Range;

use crate::{
    file::SourceFile,
    keys::{Key, TABLES, all_keys, keys_of},
    problem::Problem,
    shape::nearest,
    unsupported::UNSUPPORTED,
};

pub(crate) fn unknown_table(file: &SourceFile, span: Range<usize>, word: &str) -> Problem {
    let tables = TABLES.iter().map(|table| table.name);
    let help = if let Some(near) = nearest(word, tables.clone()) {
        did_you_mean(near)
    } else if let Some(key) = find(word) {
        belongs_to(word, key)
    } else {
        format!("the tables are {}", tables.collect::<Vec<_>>().join(", "))
    };
    Problem::invalid(file, span, format!("unknown key `{word}`")).help(help)
}

pub(crate) fn unknown_key(file: &SourceFile, span: Range<usize>, table: &str, word: &str) -> Problem {
    let refused = UNSUPPORTED
        .iter()
        .filter(|entry| entry.table == table)
        .filter_map(|entry| entry.key);
    let own = keys_of(table).flat_map(|key| std::iter::once(key.name).chain(key.alias));
    let help = if let Some(key) = find(word) {
        belongs_to(word, key)
    } else if let Some(near) = nearest(word, own.clone().chain(refused)) {
        did_you_mean(near)
    } else if let Some(key) = nearest(word, all_keys().map(|key| key.name)).and_then(find) {
        format!("did you mean `{}` of [{}]?", key.name, key.table)
    } else {
        format!("the keys of [{table}] are {}", own.collect::<Vec<_>>().join(", "))
    };
    Problem::invalid(file, span, format!("unknown key `{table}.{word}`")).help(help)
}

fn find(name: &str) -> Option<&'static Key> {
    all_keys().find(|key| key.name == name || key.alias == Some(name))
}

fn did_you_mean(near: &str) -> String {
    format!("did you mean `{near}`?")
}

fn belongs_to(word: &str, key: &Key) -> String {
    format!("`{word}` is a key of [{}]", key.table)
}

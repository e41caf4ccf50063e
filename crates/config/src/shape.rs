//! The kinds of value that keys take: how each is read, and how the schema and the reference say it.

use std::collections::BTreeMap;

use agentkernel_types::{Cpus, ParseError, TimeSpan};
use serde_json::{Value as Json, json};
use toml::de::DeValue;

/// The runtimes that `[sandbox] runtime` may name. Detection knows an image for each.
pub const RUNTIMES: &[&str] = &[
    "base",
    "node",
    "bun",
    "deno",
    "python",
    "rust",
    "go",
    "ruby",
    "java",
    "kotlin",
    "dotnet",
    "c",
    "php",
    "elixir",
    "terraform",
    "lua",
    "shell",
];

/// The agents that `[agent] preferred` may name.
pub const AGENTS: &[&str] = &[
    "claude", "codex", "gemini", "copilot", "opencode", "amp", "pi", "hermes", "symphony",
];

pub(crate) const PROFILES: &[&str] = &["permissive", "moderate", "restrictive"];
pub(crate) const GRADES: &[&str] = &["remote", "container", "user-kernel", "wasm+vm", "vm"];

#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// A string of this pattern; the second text describes it.
    Text(&'static str, &'static str),
    Choice(&'static [&'static str]),
    Boolean,
    Integer {
        min: u64,
        max: u64,
    },
    /// An integer or a fraction.
    Cpus,
    TimeSpan,
    /// Strings of this pattern; the second text describes the list.
    List(&'static str, &'static str),
    /// Strings by names.
    Map,
}

impl Shape {
    pub fn schema(self) -> Json {
        match self {
            Self::Text(pattern, _) => json!({ "type": "string", "pattern": pattern }),
            Self::Choice(words) => json!({ "type": "string", "enum": words }),
            Self::Boolean => json!({ "type": "boolean" }),
            Self::Integer { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
            Self::Cpus => json!({ "type": "number", "minimum": 0.01, "maximum": 1024 }),
            Self::TimeSpan => json!({ "oneOf": [
                { "type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)?$" },
                { "type": "integer", "minimum": 1, "maximum": 31_536_000 },
            ] }),
            Self::List(pattern, _) => {
                json!({ "type": "array", "items": { "type": "string", "pattern": pattern } })
            }
            Self::Map => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        }
    }

    /// For people, in the reference.
    pub fn describe(self) -> String {
        match self {
            Self::Text(_, description) | Self::List(_, description) => description.to_owned(),
            Self::Map => "table of strings".to_owned(),
            Self::Choice(words) => words
                .iter()
                .map(|word| format!("`{word}`"))
                .collect::<Vec<_>>()
                .join(", "),
            Self::Boolean => "`true` or `false`".to_owned(),
            Self::Integer { min, max } => format!("integer, {min} to {max}"),
            Self::Cpus => "number, 0.01 to 1024".to_owned(),
            Self::TimeSpan => "string with `ms`, `s`, `m`, `h` or `d`, or integer seconds".to_owned(),
        }
    }
}

fn found(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

pub(crate) fn expected(what: &str, value: &DeValue<'_>) -> ParseError {
    ParseError::new(format!("expected {what}, found {}", found(value)))
}

pub(crate) fn text<'a>(value: &'a DeValue<'_>) -> Result<&'a str, ParseError> {
    match value {
        DeValue::String(text) => Ok(text),
        other => Err(expected("a string", other)),
    }
}

pub(crate) fn list(value: &DeValue<'_>) -> Result<Vec<String>, ParseError> {
    match value {
        DeValue::Array(array) => array
            .iter()
            .map(|entry| text(entry.get_ref()).map(str::to_owned))
            .collect(),
        other => Err(expected("a list of strings", other)),
    }
}

pub(crate) fn map(value: &DeValue<'_>) -> Result<BTreeMap<String, String>, ParseError> {
    let DeValue::Table(table) = value else {
        return Err(expected("a table of strings", value));
    };
    let pairs = table.iter().map(|(name, value)| {
        let name = name.get_ref().to_string();
        Ok((name, text(value.get_ref())?.to_owned()))
    });
    pairs.collect()
}

pub(crate) fn boolean(value: &DeValue<'_>) -> Result<bool, ParseError> {
    match value {
        DeValue::Boolean(value) => Ok(*value),
        other => Err(expected("true or false", other)),
    }
}

pub(crate) fn integer(value: &DeValue<'_>, min: u64, max: u64) -> Result<u64, ParseError> {
    let DeValue::Integer(number) = value else {
        return Err(expected("an integer", value));
    };
    u64::from_str_radix(number.as_str(), number.radix())
        .ok()
        .filter(|number| (min..=max).contains(number))
        .ok_or_else(|| ParseError::new(format!("{number} is out of range: use {min} to {max}")))
}

pub(crate) fn choice(value: &DeValue<'_>, words: &[&str]) -> Result<String, ParseError> {
    let text = text(value)?;
    if words.contains(&text) {
        return Ok(text.to_owned());
    }
    let nearest = nearest(text, words.iter().copied())
        .map_or_else(String::new, |word| format!("did you mean {word:?}? "));
    Err(ParseError::new(format!(
        "unknown value {text:?}: {nearest}use one of {}",
        words.join(", ")
    )))
}

pub(crate) fn cpus(value: &DeValue<'_>) -> Result<Cpus, ParseError> {
    match value {
        DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse(),
        DeValue::Float(number) => number.as_str().parse(),
        other => Err(expected("a number", other)),
    }
}

pub(crate) fn time_span(value: &DeValue<'_>) -> Result<TimeSpan, ParseError> {
    match value {
        DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse(),
        DeValue::String(text) => text.parse(),
        other => Err(expected("a time span such as \"30s\"", other)),
    }
}

/// File permissions as `chmod` takes them. Only a string: the integer 644 would not be what it seems.
pub(crate) fn mode(value: &DeValue<'_>) -> Result<u32, ParseError> {
    let DeValue::String(text) = value else {
        return Err(expected("a string of octal digits such as \"0644\"", value));
    };
    let digits = (3..=4).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    // No set-user-id, set-group-id or sticky bit: nothing in a sandbox needs one.
    let mode = u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| digits && *mode <= 0o777);
    mode.ok_or_else(|| {
        ParseError::new(format!(
            "invalid mode {text:?}: use octal digits from \"0000\" to \"0777\""
        ))
    })
}

/// The candidate that was probably meant. Long texts are not compared: the distance is quadratic.
pub(crate) fn nearest<'a>(text: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if text.len() > 64 {
        return None;
    }
    let text = text.to_lowercase().replace('-', "_");
    let distance = |candidate: &str| strsim::damerau_levenshtein(&text, &candidate.replace('-', "_"));
    candidates
        .map(|candidate| (distance(candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

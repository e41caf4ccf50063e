//! What a check is, and how its outcome is written.

use std::fmt::Write;

use crate::facts::Facts;

/// What came of one attempt, with what was seen.
#[derive(Debug)]
pub enum Outcome {
    /// Refused, or there is nothing to be had.
    Blocked(String),
    /// It worked, or went further than it may.
    Leaked(String),
    /// The profile grants it, or the attempt has no object here.
    Skipped(String),
}

pub struct Check {
    pub class: &'static str,
    pub name: String,
    pub run: Box<dyn Fn(&Facts) -> Outcome>,
}

impl Check {
    pub fn new(
        class: &'static str,
        name: impl Into<String>,
        run: impl Fn(&Facts) -> Outcome + 'static,
    ) -> Self {
        Self {
            class,
            name: name.into(),
            run: Box::new(run),
        }
    }
}

pub fn blocked(detail: impl ToString) -> Outcome {
    Outcome::Blocked(detail.to_string())
}

pub fn leaked(detail: impl ToString) -> Outcome {
    Outcome::Leaked(detail.to_string())
}

pub fn skipped(detail: impl ToString) -> Outcome {
    Outcome::Skipped(detail.to_string())
}

/// Blocked if it holds, else leaked, with the same detail.
pub fn holds(condition: bool, detail: impl ToString) -> Outcome {
    if condition {
        blocked(detail)
    } else {
        leaked(detail)
    }
}

pub fn line(check: &Check, outcome: &Outcome) -> String {
    let (word, detail) = match outcome {
        Outcome::Blocked(detail) => ("blocked", detail),
        Outcome::Leaked(detail) => ("leaked", detail),
        Outcome::Skipped(detail) => ("skipped", detail),
    };
    format!(
        r#"{{"class":{},"name":{},"outcome":"{word}","detail":{}}}"#,
        quoted(check.class),
        quoted(&check.name),
        quoted(detail)
    )
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            character if character.is_control() => {
                write!(quoted, "\\u{:04x}", u32::from(character)).expect("a string takes everything");
            }
            character => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

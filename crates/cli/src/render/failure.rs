//! An error, for people (`error:`, `caused by:`, `hint:`) and for programs.

use std::{error::Error as _, fmt::Write as _};

use agentkernel_types::ErrorKind;
use serde_json::{Value, json};

use super::{SCHEMA_VERSION, safe};
use crate::failure::Failure;

pub fn text(failure: &Failure) -> String {
    let (message, hint) = match failure {
        Failure::OutputClosed => return String::new(),
        Failure::Usage(error) => return error.render().to_string(),
        Failure::Settings { text, hint, .. } => (text.clone(), hint.as_deref()),
        Failure::Error(error) => (safe(error.message()), error.hint_text()),
    };
    let mut text = format!("error: {message}\n");
    for cause in causes(failure) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  caused by: {cause}");
    }
    if let Some(hint) = hint {
        let _ = writeln!(text, "  hint: {}", safe(hint));
    }
    text
}

/// One line.
pub fn json(failure: &Failure) -> String {
    let error = match failure {
        Failure::OutputClosed => return String::new(),
        Failure::Usage(error) if !error.use_stderr() => return error.render().to_string(),
        Failure::Usage(error) => object(ErrorKind::InvalidSpec, usage_message(error), None, None),
        Failure::Settings { kind, text, hint } => object(*kind, text.clone(), hint.as_deref(), None),
        Failure::Error(error) => object(
            error.kind(),
            error.message().to_owned(),
            error.hint_text(),
            error.field(),
        ),
    };
    let mut document = json!({ "schema_version": SCHEMA_VERSION, "error": error });
    let causes = causes(failure);
    if !causes.is_empty() {
        document["error"]["causes"] = causes.into();
    }
    format!("{document}\n")
}

fn object(kind: ErrorKind, message: String, hint: Option<&str>, field: Option<&str>) -> Value {
    json!({ "code": kind.as_str(), "message": message, "hint": hint, "field": field })
}

/// clap's first paragraph, without its `error: `.
fn usage_message(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let first = text.split("\n\n").next().unwrap_or(&text);
    first.trim().trim_start_matches("error: ").to_owned()
}

fn causes(failure: &Failure) -> Vec<String> {
    let Failure::Error(error) = failure else {
        return Vec::new();
    };
    let mut causes = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        causes.push(safe(&error.to_string()));
        cause = error.source();
    }
    causes
}

#[cfg(test)]
mod tests {
    use agentkernel_control::Error;

    use super::*;

    fn refused() -> Failure {
        Error::unsupported("create", "resources.disk", "native cannot limit \x1b[1mdisk")
            .hint("leave --disk out")
            .because(std::io::Error::other("no quota"))
            .into()
    }

    #[test]
    fn people_get_the_error_its_cause_and_one_hint() {
        assert_eq!(
            text(&refused()),
            "error: native cannot limit \\x1b[1mdisk\n  caused by: no quota\n  hint: leave --disk out\n"
        );
    }

    #[test]
    fn programs_get_one_object_on_one_line() {
        let text = json(&refused());
        assert_eq!(text.matches('\n').count(), 1);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["schema_version"], 1);
        assert_eq!(value["error"]["code"], "unsupported");
        assert_eq!(value["error"]["field"], "resources.disk");
        assert_eq!(value["error"]["hint"], "leave --disk out");
        assert_eq!(value["error"]["causes"][0], "no quota");
    }

    #[test]
    fn a_wrong_flag_is_an_error_for_programs_too() {
        let error = crate::command()
            .try_get_matches_from(["agentkernel", "list", "--bogus"])
            .unwrap_err();
        let value: Value = serde_json::from_str(&json(&Failure::Usage(error))).unwrap();
        assert_eq!(value["error"]["code"], "invalid_spec");
        assert!(
            value["error"]["message"]
                .as_str()
                .unwrap()
                .starts_with("unexpected argument '--bogus'")
        );
    }

    #[test]
    fn a_closed_output_has_nothing_to_say() {
        assert_eq!(text(&Failure::OutputClosed), "");
        assert_eq!(json(&Failure::OutputClosed), "");
    }
}

//! What to write and what to pass, so that a refused wish of a project is granted.

use std::fmt::Display;

use agentkernel_types::{NetworkMode, NetworkRule, PublishedPort};

use super::{draft::entries, own::Own, project::Judge};
use crate::{layer::At, problem::display};

/// More flags than that are not put in one line.
const MAX_SHOWN: usize = 5;

impl Judge<'_> {
    /// The flags that let the project have this rule.
    pub(super) fn flags_for_rule(&self, rule: &NetworkRule) -> String {
        // Where the mode alone gives the project its other rules, one such flag would take them away.
        match self.own.mode.value() > NetworkMode::Allowlist {
            true => flags(
                "--allow RULE",
                "rule",
                entries(&self.project.values.network.allow),
            ),
            false => format!("`--allow {rule}`"),
        }
    }

    /// The lines of the user's file that let every project have this rule.
    pub(super) fn lines_for_rule(&self, rule: &NetworkRule) -> String {
        let file = self.file();
        let draft = self.user.map(|user| &user.values.network);
        if draft.is_some_and(|draft| draft.allow.is_some()) {
            return format!("add \"{rule}\" to `allow` under [network] in {file}");
        }
        let written = draft.and_then(|draft| draft.mode.as_ref()).map(|mode| mode.value);
        // A list without a mode would close what the profile leaves open.
        let mode = match (written, self.rest.mode.value()) {
            (None, mode) if mode > NetworkMode::Allowlist => format!("`mode = \"{mode}\"` and "),
            (Some(NetworkMode::None), _) => "`mode = \"allowlist\"` and ".to_owned(),
            _ => String::new(),
        };
        format!("write {mode}`allow = [\"{rule}\"]` under [network] in {file}")
    }

    /// The flags stand in place of the project's ports, so they name all of them.
    pub(super) fn flags_for_port(&self) -> String {
        flags(
            "--publish PORT",
            "port",
            entries(&self.project.values.network.ports),
        )
    }

    pub(super) fn lines_for_port(&self, port: &PublishedPort) -> String {
        let file = self.file();
        match self.user.is_some_and(|user| user.values.network.ports.is_some()) {
            true => format!("add \"{port}\" to `ports` under [network] in {file}"),
            false => format!("write `ports = [\"{port}\"]` under [network] in {file}"),
        }
    }

    pub(super) fn file(&self) -> String {
        self.user_file
            .map_or_else(|| "your own configuration file".to_owned(), display)
    }
}

/// One flag for each entry of a list. The form is the flag and the word for what it takes.
fn flags<T: Display>(form: &str, what: &str, list: &[At<T>]) -> String {
    if list.len() > MAX_SHOWN {
        return format!("`{form}` for each {what} of the list");
    }
    let flag = form.split(' ').next().unwrap_or(form);
    let all: Vec<String> = list
        .iter()
        .map(|entry| format!("{flag} {}", entry.value))
        .collect();
    format!("`{}`", all.join(" "))
}

/// What the user allows, in a few words.
pub(super) fn allowed(own: &Own) -> String {
    let rules: Vec<String> = own.allow.iter().map(|rule| rule.value.to_string()).collect();
    let origin = super::idle::shown(&own.mode);
    match (own.mode.value(), rules.len()) {
        (NetworkMode::None, _) | (NetworkMode::Allowlist, 0) => format!("you allow nothing ({origin})"),
        (NetworkMode::Allowlist, 1..=MAX_SHOWN) => format!("you allow {} ({origin})", rules.join(", ")),
        (NetworkMode::Allowlist, count) => {
            format!("you allow {count} rules, and it is in none of them ({origin})")
        }
        (mode, _) => format!("you allow the mode {mode} ({origin})"),
    }
}

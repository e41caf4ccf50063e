//! What to write and what to pass, so that a refused wish of a project is granted.

use agentkernel_types::{NetworkMode, NetworkRule};

use super::{own::Own, project::Judge};
use crate::problem::display;

/// More flags than that are not put in one line.
const MAX_SHOWN: usize = 5;

impl Judge<'_> {
    /// The flags that let the project have this rule.
    pub(super) fn flags_for(&self, rule: &NetworkRule) -> String {
        let wishes = super::draft::entries(&self.project.values.network.allow);
        // Where the mode alone gives the project its other rules, the flag would take them away.
        let by_mode = self.own.mode.value() > NetworkMode::Allowlist;
        if !by_mode || wishes.len() == 1 {
            return format!("`--allow {rule}`");
        }
        if wishes.len() > MAX_SHOWN {
            return "`--allow RULE` for each rule of the list".to_owned();
        }
        let all: Vec<String> = wishes
            .iter()
            .map(|wish| format!("--allow {}", wish.value))
            .collect();
        format!("`{}`", all.join(" "))
    }

    /// The lines of the user's file that let every project have this rule.
    pub(super) fn lines_for(&self, rule: &NetworkRule) -> String {
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

    pub(super) fn file(&self) -> String {
        self.user_file
            .map_or_else(|| "your own configuration file".to_owned(), display)
    }
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

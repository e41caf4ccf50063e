//! What would be accepted and have no effect in a mode: each is refused by name.

use std::ops::Range;

use agentkernel_types::NetworkMode;

use super::{
    draft::entries,
    mode::{Mode, Wish},
};
use crate::{
    Origin, Overrides, Resolved, error::ConfigError, layer::Layer, problem::Problem, tighten::source,
};

#[derive(Clone, Copy, Debug)]
pub(crate) enum List {
    Allow,
    Deny,
    Ports,
    NameServers,
}

/// Why a list has no effect, and the strictest mode in which it has one.
struct Idle {
    why: &'static str,
    instead: NetworkMode,
}

impl List {
    const fn idle(self, mode: NetworkMode) -> Option<Idle> {
        use NetworkMode::{Allowlist, Host, None as NoNetwork, Open, Public};
        let (why, instead) = match (self, mode) {
            (Self::Allow, NoNetwork) => ("nothing is reached without a network", Allowlist),
            (Self::Ports, NoNetwork) => ("a sandbox without a network has no ports", Allowlist),
            (Self::NameServers, NoNetwork) => ("no name is looked up without a network", Allowlist),
            (Self::Allow, Host) => ("no policy is applied to this machine's own network", Allowlist),
            (Self::Deny, Host) => ("no policy is applied to this machine's own network", Open),
            (Self::Ports, Host) => (
                "a sandbox that shares this machine's network has no ports of its own",
                Open,
            ),
            (Self::NameServers, Host) => ("this machine's own network has its own name servers", Open),
            (Self::Deny, NoNetwork) | (_, Allowlist | Public | Open) => return Option::None,
        };
        Some(Idle { why, instead })
    }

    pub const fn has_effect(self, mode: NetworkMode) -> bool {
        self.idle(mode).is_none()
    }

    const fn key(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Ports => "ports",
            Self::NameServers => "dns",
        }
    }

    const fn flag(self) -> &'static str {
        match self {
            Self::Allow => "--allow",
            Self::Deny => "--deny",
            Self::Ports => "--publish",
            Self::NameServers => "--dns",
        }
    }

    /// Where it stands in a file and is not empty. Name servers are for whatever mode a command asks for.
    fn span(self, layer: &Layer) -> Option<&Range<usize>> {
        let draft = &layer.values.network;
        let (empty, span) = match self {
            Self::Allow => (
                entries(&draft.allow).is_empty(),
                draft.allow.as_ref().map(|list| &list.span),
            ),
            Self::Deny => (
                entries(&draft.deny).is_empty(),
                draft.deny.as_ref().map(|list| &list.span),
            ),
            Self::Ports => (
                entries(&draft.ports).is_empty(),
                draft.ports.as_ref().map(|list| &list.span),
            ),
            Self::NameServers => return None,
        };
        span.filter(|_| !empty)
    }

    fn is_in(self, flags: &Overrides) -> bool {
        !match self {
            Self::Allow => flags.allow.is_empty(),
            Self::Deny => flags.deny.is_empty(),
            Self::Ports => flags.ports.is_empty(),
            Self::NameServers => flags.name_servers.is_empty(),
        }
    }
}

const LISTS: [List; 4] = [List::Allow, List::Deny, List::Ports, List::NameServers];

/// What one file says against itself.
pub(crate) fn contradictions(layer: &Layer, problems: &mut Vec<Problem>) {
    let draft = &layer.values.network;
    if let (Some(mode), Some(granted)) = (&draft.mode, &draft.granted)
        && granted.value == (mode.value == NetworkMode::None)
    {
        let title = format!(
            "`network.mode = \"{}\"` and `security.network = {}` contradict each other",
            mode.value, granted.value
        );
        let problem = Problem::invalid(&layer.file, mode.span.clone(), title);
        let line = layer.file.line_of_span(&granted.span);
        problems.push(
            problem
                .label(format!("`security.network` is in line {line}"))
                .help("leave `security.network` out: the mode says all of it"),
        );
        return;
    }
    let Some((Wish::Exactly(mode), _)) = draft.wish() else {
        return;
    };
    for list in LISTS {
        if let (Some(idle), Some(span)) = (list.idle(mode), list.span(layer)) {
            let problem = without_effect(list, layer, span, mode, &idle);
            let instead = idle.instead;
            problems.push(match draft.mode {
                Some(_) => problem.help(format!("leave it out, or write `mode = \"{instead}\"`")),
                None => problem.help(format!(
                    "leave it out, or write `mode = \"{instead}\"` in place of `network = {}`",
                    mode != NetworkMode::None
                )),
            });
        }
    }
}

/// What a file says against a mode that a weaker source decided.
pub(crate) fn refuse_idle(list: List, layer: &Layer, mode: &Mode, problems: &mut Vec<Problem>) {
    let value = mode.value();
    if let (Some(idle), Some(span)) = (list.idle(value), list.span(layer)) {
        problems.push(
            without_effect(list, layer, span, value, &idle)
                .label(format!("the mode is {value} ({})", shown(mode)))
                .help(format!("leave it out, or pass `--network {}`", idle.instead)),
        );
    }
}

fn without_effect(list: List, layer: &Layer, span: &Range<usize>, mode: NetworkMode, idle: &Idle) -> Problem {
    let (key, why) = (list.key(), idle.why);
    let title = format!("`network.{key}` has no effect in the network mode {mode}: {why}");
    Problem::invalid(&layer.file, span.clone(), title)
}

/// What the flags say against the mode in force.
pub(crate) fn refuse_idle_flags(flags: &Overrides, resolved: &Resolved) -> Result<(), ConfigError> {
    let mode = resolved.network.value.mode;
    for list in LISTS.into_iter().filter(|list| list.is_in(flags)) {
        let Some(Idle { why, instead }) = list.idle(mode) else {
            continue;
        };
        let flag = list.flag();
        let place = match flags.network {
            Some(_) => format!("with `--network {mode}`"),
            None => format!("in the network mode {mode} ({})", resolved.network_origin()),
        };
        let error = ConfigError::invalid(format!("`{flag}` has no effect {place}: {why}"));
        return Err(error.with_hint(format!("leave {flag} out, or pass --network {instead}")));
    }
    Ok(())
}

/// Where the mode came from, for people.
pub(crate) fn shown(mode: &Mode) -> String {
    match mode.origin() {
        Origin::Profile => format!("by the profile {}", mode.profile.value),
        other => source(&other),
    }
}

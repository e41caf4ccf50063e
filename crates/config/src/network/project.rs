//! The judge of a project's network: it takes away from what the user's own sources allow, and adds nothing.

use std::path::Path;

use agentkernel_policy::{NetworkLayer, tighten_network};
use agentkernel_types::{ErrorKind, NetworkMode, NetworkRule, Profile, PublishedPort};

use super::{
    draft::entries,
    idle::shown,
    mode::{Mode, Wish},
    own::{Own, listed},
    remedy::allowed,
};
use crate::{
    Overrides, Setting,
    layer::{At, Layer},
    problem::Problem,
    tighten::Loosening,
};

/// Ports below are those of the services that machines are known for.
const FIRST_FREE_PORT: u16 = 1024;

pub(crate) struct Judge<'a> {
    pub project: &'a Layer,
    pub user: Option<&'a Layer>,
    /// Where the user could allow it.
    pub user_file: Option<&'a Path>,
    /// What the defaults and the user's file give.
    pub rest: &'a Own,
    /// And with the environment and the flags: the most that there can be.
    pub own: &'a Own,
    pub flags: &'a Overrides,
    pub environment: &'a Overrides,
}

impl Judge<'_> {
    /// A stronger source has said the mode: the project's word about it counts for nothing.
    pub fn mode_is_decided(&self) -> bool {
        self.flags.network.is_some() || self.environment.network.is_some() || !self.flags.allow.is_empty()
    }

    fn profile_is_decided(&self) -> bool {
        self.flags.profile.is_some() || self.environment.profile.is_some()
    }

    /// The mode that the project asks for, if it is no looser than the user's. The profile of a file is what
    /// holds where the file says no mode itself.
    pub fn mode(&self) -> Option<Mode> {
        let wish = self.project.values.network.wish();
        let profile = self.profile();
        if self.mode_is_decided() || (profile.is_none() && !matches!(wish, Some((Wish::Exactly(_), _)))) {
            return None;
        }
        let mut wanted = Mode::of(profile.unwrap_or_else(|| self.own.mode.profile.clone()));
        if let Some((wish, span)) = wish {
            wanted.say(wish, self.project.origin(span));
        }
        Some(wanted).filter(|wanted| wanted.value() <= self.own.mode.value())
    }

    /// The project's, if it is no looser than the user's and nobody stronger has said one.
    fn profile(&self) -> Option<Setting<Profile>> {
        let wanted = self.project.values.profile.as_ref()?;
        // The profiles are declared from the loosest to the strictest.
        let fits = wanted.value as u8 >= self.rest.mode.profile.value as u8;
        (fits && !self.profile_is_decided())
            .then(|| Setting::new(wanted.value, self.project.origin(&wanted.span)))
    }

    pub fn refuse_mode(&self, problems: &mut Vec<Problem>) {
        if self.mode_is_decided() || self.profile_is_decided() {
            return;
        }
        let own = self.own.mode.value();
        let draft = &self.project.values.network;
        // With rules, an allowlist is what they say as well, and each of them is refused by itself.
        let by_rules = |mode| mode == NetworkMode::Allowlist && !entries(&draft.allow).is_empty();
        let wanted = draft.mode.as_ref().filter(|wanted| wanted.value > own);
        if let Some(wanted) = wanted.filter(|wanted| !by_rules(wanted.value)) {
            let mode = wanted.value;
            let loosening = Loosening {
                key: "network.mode",
                span: &wanted.span,
                what: format!("{mode} allows more than {own}"),
                yours: format!("for you it is {own} ({})", shown(&self.own.mode)),
                flag: format!("--network {mode}"),
                line: format!("mode = \"{mode}\""),
            };
            problems.push(loosening.problem(self.project, self.user_file));
        }
        let granted = draft.granted.as_ref().filter(|granted| granted.value);
        if let (Some(granted), None, NetworkMode::None) = (granted, &draft.mode, own) {
            problems.push(self.refuse_grant(granted));
        }
    }

    fn refuse_grant(&self, granted: &At<bool>) -> Problem {
        let says_mode = |user: &Layer| user.values.network.mode.is_some();
        let line = match self.user.is_some_and(says_mode) {
            true => "mode = \"public\"",
            false => "network = true",
        };
        let table = match line {
            "network = true" => "security",
            _ => "network",
        };
        let title = "a project file may only tighten, and `security.network` loosens: it would let the sandbox reach \
                     the network";
        Problem::new(ErrorKind::Denied, &self.project.file, granted.span.clone(), title)
            .label(format!("for you it is false ({})", shown(&self.own.mode)))
            .help("to allow it this time: pass `--network public`")
            .help(format!(
                "to allow it always: write `{line}` under [{table}] in {}",
                self.file()
            ))
    }

    /// Those of the project's rules that the user's own sources allow as well. None: it has no list.
    pub fn allow(&self, problems: &mut Vec<Problem>) -> Option<Vec<Setting<NetworkRule>>> {
        let list = self.project.values.network.allow.as_ref()?;
        let layer = NetworkLayer {
            mode: None,
            allow: Some(list.value.iter().map(|rule| rule.value.clone()).collect()),
            deny: Vec::new(),
        };
        let permitted = tighten_network(&self.own.policy(), &layer).policy.allow;
        if !self.rules_are_decided() {
            let refused = list.value.iter().filter(|rule| !permitted.contains(&rule.value));
            problems.extend(refused.map(|rule| self.refuse_rule(rule)));
        }
        let mut rules = listed(self.project, &self.project.values.network.allow);
        rules.retain(|rule| permitted.contains(&rule.value));
        Some(rules)
    }

    /// The command line has said the mode and the list, so it is the whole word; or there is no network at all,
    /// and a stronger source wants it so.
    fn rules_are_decided(&self) -> bool {
        let whole = self.flags.network.is_some() && !self.flags.allow.is_empty();
        let none = self.own.mode.value() == NetworkMode::None
            && (self.mode_is_decided() || self.profile_is_decided());
        whole || none
    }

    fn refuse_rule(&self, rule: &At<NetworkRule>) -> Problem {
        let wanted = &rule.value;
        let title = format!(
            "a project file may only tighten, and `network.allow` loosens: {wanted} is more than you allow"
        );
        let problem = Problem::new(ErrorKind::Denied, &self.project.file, rule.span.clone(), title)
            .label(allowed(self.own));
        let flags = self.flags_for_rule(wanted);
        match self.flags.allow.is_empty() {
            true => problem
                .help(format!("to allow it this time: pass {flags}"))
                .help(format!("to allow it always: {}", self.lines_for_rule(wanted))),
            false => problem
                .help(format!("to allow it this time: pass {flags} as well"))
                .help("to run without the project's rules: pass `--network allowlist` as well"),
        }
    }

    /// The project's ports, if nobody stronger has said some. None: it has no list.
    pub fn ports(&self, problems: &mut Vec<Problem>) -> Option<Vec<Setting<PublishedPort>>> {
        let draft = &self.project.values.network;
        if draft.ports.is_none() || !self.flags.ports.is_empty() {
            return None;
        }
        let own: &[At<PublishedPort>] = self.user.map_or(&[], |user| entries(&user.values.network.ports));
        for port in entries(&draft.ports) {
            let allowed = own.iter().any(|own| own.value == port.value);
            if let Some(why) = exposure(&port.value).filter(|_| !allowed) {
                problems.push(self.refuse_port(port, why));
            }
        }
        Some(listed(self.project, &draft.ports))
    }

    fn refuse_port(&self, port: &At<PublishedPort>, why: &str) -> Problem {
        let title = format!("a project file may only tighten, and `network.ports` loosens: {why}");
        let (flags, lines) = (self.flags_for_port(), self.lines_for_port(&port.value));
        Problem::new(ErrorKind::Denied, &self.project.file, port.span.clone(), title)
            .label(format!(
                "a project may publish on the loopback, from port {FIRST_FREE_PORT} on"
            ))
            .help(format!("to allow it this time: pass {flags}"))
            .help(format!("to allow it always: {lines}"))
    }
}

/// What a port would do that a repository must not.
fn exposure(port: &PublishedPort) -> Option<&'static str> {
    let fixed = port.host.port() != 0;
    // An address of version 4 that is mapped into version 6 is none here: it is not bound alike everywhere.
    if !port.host.ip().is_loopback() {
        Some("it would open a service to other machines")
    } else if fixed && port.host.port() < FIRST_FREE_PORT {
        Some("it would take a port that this machine's own services use")
    } else {
        None
    }
}

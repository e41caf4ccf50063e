//! The judge of project files: a repository may take away from what its user allows, never add.

use std::{ops::Range, path::Path};

use agentkernel_types::ErrorKind;

use crate::{
    Origin, Overrides, Setting,
    grants::Grant,
    layer::Layer,
    limits::Limit,
    problem::{Problem, display},
    walls::{Walls, flag_of},
};

pub(crate) struct Judge<'a> {
    pub project: &'a Layer,
    /// Where the user could allow it.
    pub user_file: Option<&'a Path>,
    /// What the defaults and the user's file give.
    pub allowed: Walls,
    pub flags: &'a Overrides,
    /// A flag or a variable has set the profile, and with it all that the profile governs.
    pub profile_decided: bool,
}

impl Judge<'_> {
    /// Adds what tightens to the walls, and a problem for each thing that would loosen. What a flag
    /// or a variable decides is no problem: the project's word then counts for nothing.
    pub fn add(&self, walls: &mut Walls, problems: &mut Vec<Problem>) {
        self.profile(walls, problems);
        for grant in Grant::ALL {
            self.grant(grant, walls, problems);
        }
        for limit in Limit::ALL {
            self.limit(limit, walls, problems);
        }
    }

    fn profile(&self, walls: &mut Walls, problems: &mut Vec<Problem>) {
        let Some(wanted) = &self.project.values.profile else {
            return;
        };
        let allowed = &self.allowed.profile;
        // The profiles are declared from the loosest to the strictest.
        if wanted.value as u8 >= allowed.value as u8 {
            walls.set_profile(wanted.value, self.project.origin(&wanted.span));
        } else if !self.profile_decided {
            let loosening = Loosening {
                key: "security.profile",
                span: &wanted.span,
                what: format!("{} allows more than {}", wanted.value, allowed.value),
                yours: source_of("is", &allowed.value.to_string(), &allowed.origin),
                flag: format!("--profile {}", wanted.value),
                line: format!("profile = \"{}\"", wanted.value),
            };
            problems.push(loosening.problem(self.project, self.user_file));
        }
    }

    fn grant(&self, grant: Grant, walls: &mut Walls, problems: &mut Vec<Problem>) {
        let Some(wanted) = self.project.values.grant(grant) else {
            return;
        };
        let allowed: &Setting<bool> = self.allowed.grant(grant);
        if !grant.is_looser(wanted.value, allowed.value) {
            walls.set_grant(grant, wanted.value, self.project.origin(&wanted.span));
        } else if !self.profile_decided && flag_of(self.flags, grant).is_none() {
            let origin = match &allowed.origin {
                Origin::Profile => format!("by the profile {}", self.allowed.profile.value),
                other => source(other),
            };
            let loosening = Loosening {
                key: &format!("security.{}", grant.key()),
                span: &wanted.span,
                what: format!("it would {}", grant.loosening()),
                yours: format!("for you it is {} ({origin})", allowed.value),
                flag: grant.loosening_flag().to_owned(),
                line: format!("{} = {}", grant.key(), wanted.value),
            };
            problems.push(loosening.problem(self.project, self.user_file));
        }
    }

    fn limit(&self, limit: Limit, walls: &mut Walls, problems: &mut Vec<Problem>) {
        let Some(span) = self.project.values.limit(limit) else {
            return;
        };
        let (wanted, allowed) = (&self.project.values.resources, &self.allowed.resources);
        let higher = limit
            .measure(allowed)
            .is_some_and(|most| limit.measure(wanted) > Some(most));
        if !higher {
            walls.set_limit(limit, wanted, self.project.origin(span));
        } else if limit.measure(&self.flags.resources).is_none() {
            let shown = |text: Option<String>| text.expect("a limit that was compared is set");
            let most = shown(limit.show_in_file(allowed));
            let origin = self
                .allowed
                .resource_origins
                .of(limit)
                .map_or_else(String::new, source);
            let loosening = Loosening {
                key: &format!("resources.{}", limit.key()),
                span,
                what: format!("{} is more than {most}", shown(limit.show_in_file(wanted))),
                yours: format!("your limit is {most} ({origin})"),
                flag: format!("{} {}", limit.flag(), shown(limit.show(wanted))),
                line: format!("{} = {}", limit.key(), shown(limit.show_in_file(wanted))),
            };
            problems.push(loosening.problem(self.project, self.user_file));
        }
    }
}

/// A wish of a project to loosen.
pub(crate) struct Loosening<'a> {
    pub key: &'a str,
    pub span: &'a Range<usize>,
    pub what: String,
    pub yours: String,
    /// The whole flag that allows it.
    pub flag: String,
    /// The line of the user's file that allows it.
    pub line: String,
}

impl Loosening<'_> {
    pub fn problem(self, project: &Layer, user_file: Option<&Path>) -> Problem {
        let Self {
            key,
            span,
            what,
            yours,
            flag,
            line,
        } = self;
        let table = key.split('.').next().unwrap_or(key);
        let file = user_file.map_or_else(|| "your own configuration file".to_owned(), display);
        let title = format!("a project file may only tighten, and `{key}` loosens: {what}");
        Problem::new(ErrorKind::Denied, &project.file, span.clone(), title)
            .label(yours)
            .help(format!("to allow it this time: pass `{flag}`"))
            .help(format!(
                "to allow it always: write `{line}` under [{table}] in {file}"
            ))
    }
}

fn source_of(verb: &str, value: &str, origin: &Origin) -> String {
    format!("for you it {verb} {value} ({})", source(origin))
}

pub(crate) fn source(origin: &Origin) -> String {
    match origin {
        Origin::Default => "by default".to_owned(),
        other => other.to_string(),
    }
}

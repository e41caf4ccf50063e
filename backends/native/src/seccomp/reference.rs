//! The list for people: `docs/reference/seccomp.md`.

use std::fmt::Write as _;

use super::{Decision, Rule, Verdict, explain};

/// Markdown, of the architecture that this is compiled for.
pub fn reference() -> String {
    let rules = explain();
    let mut text = String::from(
        "# System calls inside a native sandbox\n\n\
         Generated from the filter's own table on x86-64. A call that is not listed does not exist inside (`ENOSYS`): it is\n\
         newer than the list, and programs take their older way. Entering by the 32-bit gate kills the process, x32 calls get\n\
         `EPERM`. The arguments behind it: [design 0003](../design/0003-seccomp-allow-list.md).\n\n",
    );
    text += "## Allowed under a condition\n\n| call | allowed | else | why |\n|---|---|---|---|\n";
    for rule in &rules {
        if let Decision::Check(arguments) = rule.decision {
            let else_ = errors(
                arguments
                    .clauses
                    .iter()
                    .map(|clause| clause.then)
                    .chain([arguments.otherwise]),
            );
            let _ = writeln!(
                text,
                "| {} | {} | {else_} | {} |",
                rule.name, arguments.summary, rule.reason
            );
        }
    }
    text += "\n## Refused\n\n| calls | error | why |\n|---|---|---|\n";
    for (reason, group) in by_reason(&rules, |verdict| verdict != Verdict::Allow) {
        let error = errors(group.iter().filter_map(always));
        let _ = writeln!(text, "| {} | {error} | {reason} |", names(&group));
    }
    text += "\n## Allowed\n\n| calls | for |\n|---|---|\n";
    for (reason, group) in by_reason(&rules, |verdict| verdict == Verdict::Allow) {
        let _ = writeln!(text, "| {} | {reason} |", names(&group));
    }
    text
}

fn always(rule: &Rule) -> Option<Verdict> {
    match rule.decision {
        Decision::Always(verdict) => Some(verdict),
        Decision::Check(_) => None,
    }
}

/// Groups in the order of their first call, calls in the order of their names.
fn by_reason(rules: &[Rule], wanted: fn(Verdict) -> bool) -> Vec<(&'static str, Vec<Rule>)> {
    let mut groups: Vec<(&'static str, Vec<Rule>)> = Vec::new();
    for rule in rules.iter().filter(|rule| always(rule).is_some_and(wanted)) {
        match groups.iter_mut().find(|(reason, _)| *reason == rule.reason) {
            Some((_, group)) => group.push(*rule),
            None => groups.push((rule.reason, vec![*rule])),
        }
    }
    groups
        .iter_mut()
        .for_each(|(_, group)| group.sort_by_key(|rule| rule.name));
    groups
}

fn names(group: &[Rule]) -> String {
    group.iter().map(|rule| rule.name).collect::<Vec<_>>().join(" ")
}

fn errors(verdicts: impl Iterator<Item = Verdict>) -> String {
    let mut names: Vec<&str> = verdicts.filter_map(error_name).collect();
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

fn error_name(verdict: Verdict) -> Option<&'static str> {
    match verdict {
        Verdict::Allow => None,
        Verdict::Refuse(libc::EPERM) => Some("EPERM"),
        Verdict::Refuse(libc::ENOSYS) => Some("ENOSYS"),
        Verdict::Refuse(libc::EAFNOSUPPORT) => Some("EAFNOSUPPORT"),
        Verdict::Refuse(libc::EPROTONOSUPPORT) => Some("EPROTONOSUPPORT"),
        Verdict::Refuse(libc::ENOPROTOOPT) => Some("ENOPROTOOPT"),
        Verdict::Refuse(libc::EOPNOTSUPP) => Some("EOPNOTSUPP"),
        Verdict::Refuse(_) => Some("another error"),
    }
}

//! A decision and its explanation.

use super::rules::Entry;

/// What was decided, by which rule, why, and what would change it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verdict {
    pub allowed: bool,
    /// The rule that decided, as it is written (`deny *.example.org`), or the wall that did (`mode allowlist`,
    /// `cloud metadata`, `range 10.0.0.0/8`, `pinned names`, `request`).
    pub rule: String,
    /// One sentence: lower case, no full stop.
    pub reason: String,
    /// The command that would allow it; `None` where it is allowed or nothing can allow it.
    pub remedy: Option<String>,
}

impl Verdict {
    pub(super) fn allowed(rule: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            allowed: true,
            rule: rule.into(),
            reason: reason.into(),
            remedy: None,
        }
    }

    pub(super) fn denied(rule: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            allowed: false,
            rule: rule.into(),
            reason: reason.into(),
            remedy: None,
        }
    }

    pub(super) fn allowed_by(entry: &Entry, what: &str) -> Self {
        Self::allowed(&*entry.text, format!("a rule of the policy allows {what}"))
    }

    /// A denial wins over every allowance: there is no command but to take the rule back.
    pub(super) fn denied_by(entry: &Entry, what: &str) -> Self {
        Self::denied(
            &*entry.text,
            format!("a rule of the policy denies {what}, and a denial wins over every allowance"),
        )
    }

    #[must_use]
    pub(super) fn with_remedy(self, remedy: String) -> Self {
        Self {
            remedy: Some(remedy),
            ..self
        }
    }

    /// A connection or a request that is refused for its own form, whatever the policy says.
    pub fn refused(reason: impl Into<String>) -> Self {
        Self::denied("request", reason)
    }
}

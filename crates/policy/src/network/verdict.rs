//! A decision and its explanation.

/// What was decided, by which rule, why, and what would change it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verdict {
    pub allowed: bool,
    /// The rule that decided, as it is written (`deny *.example.org`), or the wall that did (`mode allowlist`,
    /// `cloud metadata`, `range 10.0.0.0/8`).
    pub rule: String,
    /// One sentence: lower case, no full stop.
    pub reason: String,
    /// The command that would allow it; `None` where it is allowed or nothing can allow it.
    pub remedy: Option<String>,
}

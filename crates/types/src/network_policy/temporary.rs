//! Rules that end by themselves.

use serde::{Deserialize, Serialize};

use super::{NetworkMode, NetworkPolicy, NetworkRule};

/// A rule with an end.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemporaryRule {
    pub effect: Effect,
    pub rule: NetworkRule,
    /// Milliseconds since 1970, UTC. From then on the rule is not there.
    pub until_ms: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    Allow,
    Deny,
}

/// What holds for one sandbox: its policy, and rules on top that end by themselves.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct TimedPolicy {
    #[serde(flatten)]
    pub policy: NetworkPolicy,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub temporary: Vec<TemporaryRule>,
    /// Counts the changes; a sandbox begins with 1.
    #[serde(default = "first_version")]
    pub version: u64,
}

const fn first_version() -> u64 {
    1
}

impl TimedPolicy {
    /// What is in force at a moment.
    pub fn at(&self, now_ms: u64) -> NetworkPolicy {
        let mut policy = self.policy.clone();
        for temporary in self.temporary.iter().filter(|rule| rule.until_ms > now_ms) {
            let rules = match temporary.effect {
                Effect::Allow => &mut policy.allow,
                Effect::Deny => &mut policy.deny,
            };
            if !rules.contains(&temporary.rule) {
                rules.push(temporary.rule.clone());
            }
        }
        policy
    }

    /// When [`Self::at`] gives something else for the first time.
    pub fn next_change(&self, now_ms: u64) -> Option<u64> {
        let ends = self.temporary.iter().map(|rule| rule.until_ms);
        ends.filter(|end| *end > now_ms).min()
    }
}

impl From<NetworkMode> for TimedPolicy {
    /// A mode without rules.
    fn from(mode: NetworkMode) -> Self {
        NetworkPolicy::of(mode).into()
    }
}

impl From<NetworkPolicy> for TimedPolicy {
    fn from(policy: NetworkPolicy) -> Self {
        Self {
            policy,
            temporary: Vec::new(),
            version: first_version(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_ends_at_its_time_and_not_before() {
        let rule: NetworkRule = "example.org:443".parse().expect("valid");
        let mut timed = TimedPolicy::from(NetworkPolicy::of(NetworkMode::Allowlist));
        timed.temporary.push(TemporaryRule {
            effect: Effect::Allow,
            rule: rule.clone(),
            until_ms: 1000,
        });
        assert_eq!(timed.at(999).allow, [rule]);
        assert_eq!(timed.at(1000).allow, []);
        assert_eq!(
            (timed.next_change(999), timed.next_change(1000)),
            (Some(1000), None)
        );
    }

    #[test]
    fn it_is_written_as_one_flat_table_and_read_again() {
        let text = r#"{"mode":"public","deny":["example.org"],"version":3}"#;
        let timed: TimedPolicy = serde_json::from_str(text).expect("valid");
        assert_eq!((timed.policy.mode, timed.version), (NetworkMode::Public, 3));
        let written = serde_json::to_string(&timed).expect("plain data");
        assert_eq!(
            serde_json::from_str::<TimedPolicy>(&written).expect("valid"),
            timed
        );
    }
}

//! The limits that a profile sets by itself.

use agentkernel_types::{Profile, Resources};

/// A bound on processes in every profile, which stops a fork bomb and is far above what builds need. Nothing else: how
/// much memory and time a job needs only its user knows.
pub fn default_limits(profile: Profile) -> Resources {
    let pids = match profile {
        Profile::Permissive | Profile::Moderate => 4096,
        Profile::Restrictive => 512,
    };
    Resources {
        pids: Some(pids),
        ..Resources::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_profile_limits_processes_and_nothing_else() {
        for (profile, pids) in [
            (Profile::Permissive, 4096),
            (Profile::Moderate, 4096),
            (Profile::Restrictive, 512),
        ] {
            let expected = Resources {
                pids: Some(pids),
                ..Resources::default()
            };
            assert_eq!(default_limits(profile), expected, "{profile}");
        }
    }
}

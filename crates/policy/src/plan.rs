//! What follows from a profile and from what was asked beyond it.

use agentkernel_types::{NetworkMode, Profile, ProfileGrants, Resources, RootAccess};

/// Wishes that differ from the profile. Whoever gathers them has judged who may loosen what.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Overrides {
    pub network: Option<bool>,
    pub mount_cwd: Option<bool>,
    pub mount_home: Option<bool>,
    pub pass_env: Option<bool>,
    pub read_only: Option<bool>,
}

impl Overrides {
    pub fn apply(self, profile: Profile) -> ProfileGrants {
        let grants = profile.grants();
        ProfileGrants {
            network: self.network.unwrap_or(grants.network),
            mount_cwd: self.mount_cwd.unwrap_or(grants.mount_cwd),
            mount_home: self.mount_home.unwrap_or(grants.mount_home),
            pass_env: self.pass_env.unwrap_or(grants.pass_env),
            read_only: self.read_only.unwrap_or(grants.read_only),
        }
    }
}

/// A value and the reason for it, for people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Decision<T> {
    pub value: T,
    pub why: String,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    pub network: Decision<NetworkMode>,
    pub root: Decision<RootAccess>,
    pub resources: Resources,
}

/// `grants` has all overrides applied; `network` is a mode that was asked for by its own name.
pub fn plan(profile: Profile, grants: ProfileGrants, network: Option<NetworkMode>, asked: Resources) -> Plan {
    let usual = profile.grants();
    let source = |differs| match differs {
        true => "asked for".to_owned(),
        false => format!("profile {profile}"),
    };
    let granted = if grants.network {
        NetworkMode::Host
    } else {
        NetworkMode::None
    };
    let network = match network {
        Some(mode) => Decision {
            value: mode,
            why: "asked for".to_owned(),
        },
        None => Decision {
            value: granted,
            why: source(grants.network != usual.network),
        },
    };
    let root = Decision {
        value: if grants.read_only {
            RootAccess::ReadOnly
        } else {
            RootAccess::Writable
        },
        why: source(grants.read_only != usual.read_only),
    };
    let defaults = default_limits(profile);
    let resources = Resources {
        pids: asked.pids.or(defaults.pids),
        ..asked
    };
    Plan {
        network,
        root,
        resources,
    }
}

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

    const WISHES: [Option<bool>; 3] = [None, Some(false), Some(true)];

    #[test]
    fn each_override_of_each_profile_changes_its_own_grant_and_no_other() {
        for profile in Profile::ALL {
            let usual = profile.grants();
            for wish in WISHES {
                let none = Overrides::default();
                let or = |usual| wish.unwrap_or(usual);
                let table = [
                    (
                        Overrides {
                            network: wish,
                            ..none
                        },
                        ProfileGrants {
                            network: or(usual.network),
                            ..usual
                        },
                    ),
                    (
                        Overrides {
                            mount_cwd: wish,
                            ..none
                        },
                        ProfileGrants {
                            mount_cwd: or(usual.mount_cwd),
                            ..usual
                        },
                    ),
                    (
                        Overrides {
                            mount_home: wish,
                            ..none
                        },
                        ProfileGrants {
                            mount_home: or(usual.mount_home),
                            ..usual
                        },
                    ),
                    (
                        Overrides {
                            pass_env: wish,
                            ..none
                        },
                        ProfileGrants {
                            pass_env: or(usual.pass_env),
                            ..usual
                        },
                    ),
                    (
                        Overrides {
                            read_only: wish,
                            ..none
                        },
                        ProfileGrants {
                            read_only: or(usual.read_only),
                            ..usual
                        },
                    ),
                ];
                for (overrides, expected) in table {
                    assert_eq!(overrides.apply(profile), expected, "{profile} with {overrides:?}");
                }
            }
        }
    }

    #[test]
    fn the_plan_of_each_profile_is_the_documented_one() {
        use {
            NetworkMode::{Host, None as NoNetwork},
            RootAccess::{ReadOnly, Writable},
        };
        let table = [
            (Profile::Permissive, Host, Writable, 4096),
            (Profile::Moderate, Host, Writable, 4096),
            (Profile::Restrictive, NoNetwork, ReadOnly, 512),
        ];
        for (profile, network, root, pids) in table {
            let plan = plan(profile, profile.grants(), None, Resources::default());
            assert_eq!(
                (plan.network.value, plan.root.value),
                (network, root),
                "{profile}"
            );
            assert_eq!(
                plan.resources,
                Resources {
                    pids: Some(pids),
                    ..Resources::default()
                },
                "{profile}"
            );
            assert_eq!(plan.network.why, format!("profile {profile}"));
        }
    }

    #[test]
    fn each_wish_decides_over_each_profile() {
        for profile in Profile::ALL {
            for (network, read_only) in WISHES.into_iter().flat_map(|one| WISHES.map(|two| (one, two))) {
                let grants = Overrides {
                    network,
                    read_only,
                    ..Overrides::default()
                }
                .apply(profile);
                let made = plan(profile, grants, None, Resources::default());
                assert_eq!(made.network.value == NetworkMode::Host, grants.network);
                assert_eq!(made.root.value == RootAccess::ReadOnly, grants.read_only);
                let asked = grants.network != profile.grants().network;
                assert_eq!(made.network.why == "asked for", asked, "{profile} {network:?}");
                for mode in [NetworkMode::None, NetworkMode::Host] {
                    let named = plan(profile, grants, Some(mode), Resources::default());
                    assert_eq!(
                        named.network,
                        Decision {
                            value: mode,
                            why: "asked for".to_owned()
                        }
                    );
                }
            }
        }
    }

    #[test]
    fn limits_that_were_asked_for_are_kept_as_they_are() {
        let asked = Resources {
            pids: Some(9),
            memory: "64m".parse().ok(),
            ..Resources::default()
        };
        for profile in Profile::ALL {
            assert_eq!(plan(profile, profile.grants(), None, asked).resources, asked);
        }
    }
}

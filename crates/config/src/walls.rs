//! The profile, the grants and the limits, laid source by source. The network has walls of its own.
//!
//! A profile fills in the grants that nobody named. A stronger source's profile takes back what
//! weaker sources granted; it does not lift what they denied by name: that takes the key itself.

use agentkernel_types::{Profile, Resources};

use crate::{Origin, Overrides, ResourceOrigins, Setting, grants::Grant, layer::Layer, limits::Limit};

/// The profile, the grants and the limits as far as they are laid.
#[derive(Clone)]
pub(crate) struct Walls {
    pub profile: Setting<Profile>,
    pub grants: [Setting<bool>; 4],
    pub resources: Resources,
    pub resource_origins: ResourceOrigins,
}

impl Default for Walls {
    fn default() -> Self {
        let profile = Profile::default();
        let grants = Grant::ALL.map(|grant| Setting::new(grant.of(&profile.grants()), Origin::Profile));
        let (resources, resource_origins) = Default::default();
        Self {
            profile: Setting::new(profile, Origin::Default),
            grants,
            resources,
            resource_origins,
        }
    }
}

impl Walls {
    pub fn grant(&self, grant: Grant) -> &Setting<bool> {
        &self.grants[grant as usize]
    }

    pub fn set_grant(&mut self, grant: Grant, value: bool, origin: Origin) {
        self.grants[grant as usize] = Setting::new(value, origin);
    }

    pub fn set_profile(&mut self, profile: Profile, origin: Origin) {
        for grant in Grant::ALL {
            let now = self.grant(grant);
            let named = now.origin != Origin::Profile;
            let given = grant.of(&profile.grants());
            if !named || grant.is_looser(now.value, given) {
                self.set_grant(grant, given, Origin::Profile);
            }
        }
        self.profile = Setting::new(profile, origin);
    }

    pub fn set_limit(&mut self, limit: Limit, from: &Resources, origin: Origin) {
        limit.copy(from, &mut self.resources);
        self.resource_origins.set(limit, origin);
    }

    /// All that a file says, unjudged.
    pub fn add(&mut self, layer: &Layer) {
        if let Some(profile) = &layer.values.profile {
            self.set_profile(profile.value, layer.origin(&profile.span));
        }
        for grant in Grant::ALL {
            if let Some(given) = layer.values.grant(grant) {
                self.set_grant(grant, given.value, layer.origin(&given.span));
            }
        }
        for limit in Limit::ALL {
            if let Some(span) = layer.values.limit(limit) {
                self.set_limit(limit, &layer.values.resources, layer.origin(span));
            }
        }
    }

    pub fn add_flags(&mut self, flags: &Overrides) {
        if let Some(profile) = flags.profile {
            self.set_profile(profile, Origin::Flag("--profile"));
        }
        for grant in Grant::ALL {
            if let Some(value) = flag_of(flags, grant) {
                self.set_grant(grant, value, Origin::Flag(grant.flag()));
            }
        }
        for limit in Limit::ALL {
            if limit.measure(&flags.resources).is_some() {
                self.set_limit(limit, &flags.resources, Origin::Flag(limit.flag()));
            }
        }
    }
}

pub(crate) fn flag_of(flags: &Overrides, grant: Grant) -> Option<bool> {
    match grant {
        Grant::MountCwd => flags.mount_cwd,
        Grant::MountHome => flags.mount_home,
        Grant::PassEnv => flags.pass_env,
        Grant::ReadOnly => flags.read_only,
    }
}

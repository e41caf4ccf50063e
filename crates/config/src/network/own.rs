//! What the user's own sources say: defaults, their file, the environment, the flags. No project is in it.

use agentkernel_types::{NetworkMode, NetworkPolicy, NetworkRule};

use super::{
    draft::{Listed, entries},
    mode::{Mode, Wish},
};
use crate::{
    Origin, Overrides, Setting,
    environment::{NETWORK, PROFILE},
    layer::Layer,
};

#[derive(Clone, Debug, Default)]
pub(crate) struct Own {
    pub mode: Mode,
    pub allow: Vec<Setting<NetworkRule>>,
    pub deny: Vec<Setting<NetworkRule>>,
}

impl Own {
    pub fn add_file(&mut self, user: &Layer) {
        let draft = &user.values.network;
        if let Some(profile) = &user.values.profile {
            self.mode.set_profile(profile.value, user.origin(&profile.span));
        }
        if let Some((wish, span)) = draft.wish() {
            self.mode.say(wish, user.origin(span));
        }
        extend(&mut self.allow, listed(user, &draft.allow));
        extend(&mut self.deny, listed(user, &draft.deny));
    }

    pub fn add_environment(&mut self, environment: &Overrides) {
        if let Some(profile) = environment.profile {
            self.mode.set_profile(profile, Origin::Environment(PROFILE));
        }
        if let Some(mode) = environment.network {
            self.mode.say(Wish::Exactly(mode), Origin::Environment(NETWORK));
        }
    }

    pub fn add_flags(&mut self, flags: &Overrides) {
        if let Some(profile) = flags.profile {
            self.mode.set_profile(profile, Origin::Flag("--profile"));
        }
        if let Some(mode) = flags.network {
            self.mode.say(Wish::Exactly(mode), Origin::Flag("--network"));
        } else if !flags.allow.is_empty() {
            let wish = Wish::Exactly(NetworkMode::Allowlist);
            self.mode.say(wish, Origin::Flag("--allow"));
        }
        extend(&mut self.allow, flagged(&flags.allow, "--allow"));
        extend(&mut self.deny, flagged(&flags.deny, "--deny"));
    }

    pub fn policy(&self) -> NetworkPolicy {
        NetworkPolicy {
            mode: self.mode.value(),
            allow: values(&self.allow),
            deny: values(&self.deny),
        }
    }
}

pub(crate) fn listed<T: Clone>(layer: &Layer, list: &Option<Listed<T>>) -> Vec<Setting<T>> {
    let entries = entries(list).iter();
    entries
        .map(|entry| Setting::new(entry.value.clone(), layer.origin(&entry.span)))
        .collect()
}

pub(crate) fn flagged<T: Clone>(list: &[T], flag: &'static str) -> Vec<Setting<T>> {
    let entries = list.iter().cloned();
    entries
        .map(|entry| Setting::new(entry, Origin::Flag(flag)))
        .collect()
}

pub(crate) fn values<T: Clone>(list: &[Setting<T>]) -> Vec<T> {
    list.iter().map(|entry| entry.value.clone()).collect()
}

/// A rule counts once, with the place where it was said first.
pub(crate) fn extend<T: PartialEq>(list: &mut Vec<Setting<T>>, more: impl IntoIterator<Item = Setting<T>>) {
    for entry in more {
        if !list.iter().any(|known| known.value == entry.value) {
            list.push(entry);
        }
    }
}

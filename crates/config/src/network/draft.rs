//! What one file says about the network, as written.

use std::ops::Range;

use agentkernel_types::{NameServer, NetworkMode, NetworkRule, PublishedPort};

use super::mode::Wish;
use crate::layer::At;

/// A list and each of its entries with their places.
pub(crate) type Listed<T> = At<Vec<At<T>>>;

#[derive(Debug, Default)]
pub(crate) struct NetworkDraft {
    /// `[security] network`.
    pub granted: Option<At<bool>>,
    pub mode: Option<At<NetworkMode>>,
    pub allow: Option<Listed<NetworkRule>>,
    pub deny: Option<Listed<NetworkRule>>,
    pub ports: Option<Listed<PublishedPort>>,
    pub name_servers: Option<Listed<NameServer>>,
}

impl NetworkDraft {
    /// What the file says about the mode, and where. A list of what is allowed says that the rest is not:
    /// one that allowed everything else as well would be a trap.
    pub fn wish(&self) -> Option<(Wish, &Range<usize>)> {
        if let Some(mode) = &self.mode {
            return Some((Wish::Exactly(mode.value), &mode.span));
        }
        if let Some(granted) = self.granted.as_ref().filter(|granted| !granted.value) {
            return Some((Wish::Exactly(NetworkMode::None), &granted.span));
        }
        if let Some(allow) = &self.allow {
            return Some((Wish::Exactly(NetworkMode::Allowlist), &allow.span));
        }
        let granted = self.granted.as_ref()?;
        Some((Wish::Granted, &granted.span))
    }
}

/// The entries of a list that may be absent.
pub(crate) fn entries<T>(list: &Option<Listed<T>>) -> &[At<T>] {
    list.as_ref().map_or(&[], |list| &list.value)
}

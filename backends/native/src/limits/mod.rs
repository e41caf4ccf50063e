//! Limits of a whole sandbox through control groups, version 2 or 1, whichever this host really offers.
//!
//! A limit that was asked for is enforced or refused by name. Where none was asked for, nothing here is
//! called: looking alone reads two files.

mod counters;
mod found;
mod group;
mod hierarchy;
mod offer;
mod settings;
#[cfg(test)]
mod tests;

use agentkernel_types::Resources;

pub(crate) use self::offer::counts_per_namespace;
pub use self::{
    counters::Usage,
    found::{Found, leftovers, sweep},
    group::Group,
    offer::{Limits, PidsBy},
};

/// What every group of ours is called, followed by the sandbox's id.
const PREFIX: &str = "agentkernel-";

/// Whether these limits may need a group.
pub(crate) fn any(resources: &Resources) -> bool {
    resources.memory.is_some()
        || resources.cpus.is_some()
        || (resources.pids.is_some() && !counts_per_namespace())
}

//! Which folder is to be made in which hierarchy, and what is written there. Pure.

use std::path::PathBuf;

use agentkernel_backend::Result;
use agentkernel_types::Resources;

use super::{Limits, PidsBy};

/// Quota periods of the cpu controllers, in microseconds.
const PERIOD_US: u64 = 100_000;
/// The least quota that the kernel takes, in microseconds.
const LEAST_QUOTA_US: u64 = 1_000;

/// One group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct PlannedGroup {
    pub parent: PathBuf,
    pub version_two: bool,
    /// In this order: version 1 wants the limit of memory before the one of memory and swap.
    pub settings: Vec<Setting>,
}

/// A file of a controller and what is written to it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Setting {
    pub file: &'static str,
    pub value: String,
    /// Kernels without accounting of swap do not have the file, and then there is nothing to limit.
    pub may_be_absent: bool,
}

fn setting(file: &'static str, value: impl ToString) -> Setting {
    Setting {
        file,
        value: value.to_string(),
        may_be_absent: false,
    }
}

fn setting_if_there(file: &'static str, value: impl ToString) -> Setting {
    Setting {
        may_be_absent: true,
        ..setting(file, value)
    }
}

/// What one limit needs, for either version.
struct Need {
    controller: &'static str,
    v2: Vec<Setting>,
    v1: Vec<Setting>,
    v1_parent: Option<PathBuf>,
}

/// At most one group of version 2; of version 1 one for each controller that version 2 does not offer.
/// Empty if no limit that was asked for needs a group.
pub(super) fn plan(limits: &Limits, resources: &Resources) -> Result<Vec<PlannedGroup>> {
    let (first, second): (Vec<Need>, Vec<Need>) = needs(limits, resources)?
        .into_iter()
        .partition(|need| limits.v2_has(need.controller));
    let mut groups: Vec<PlannedGroup> = Vec::new();
    let controllers: Vec<&str> = first.iter().map(|need| need.controller).collect();
    if let Some(parent) = limits.v2_parent(&controllers).filter(|_| !first.is_empty()) {
        groups.push(PlannedGroup {
            parent: parent.to_owned(),
            version_two: true,
            settings: first.into_iter().flat_map(|need| need.v2).collect(),
        });
    }
    for need in second {
        let Some(parent) = need.v1_parent else { continue };
        // Controllers that are mounted together share the group.
        match groups
            .iter_mut()
            .find(|group| !group.version_two && group.parent == parent)
        {
            Some(group) => group.settings.extend(need.v1),
            None => groups.push(PlannedGroup {
                parent,
                version_two: false,
                settings: need.v1,
            }),
        }
    }
    Ok(groups)
}

fn needs(limits: &Limits, resources: &Resources) -> Result<Vec<Need>> {
    let mut needs = Vec::new();
    if let Some(memory) = resources.memory {
        limits.memory()?;
        let bytes = memory.bytes();
        needs.push(Need {
            controller: "memory",
            // Without this, what the limit takes away would go on in the swap.
            v2: vec![
                setting("memory.max", bytes),
                setting_if_there("memory.swap.max", 0),
            ],
            v1: vec![
                setting("memory.limit_in_bytes", bytes),
                setting_if_there("memory.memsw.limit_in_bytes", bytes),
                setting_if_there("memory.swappiness", 0),
            ],
            v1_parent: limits.v1_memory.clone(),
        });
    }
    if let Some(cpus) = resources.cpus {
        limits.cpus()?;
        let quota = (u64::from(cpus.millis()) * PERIOD_US / 1000).max(LEAST_QUOTA_US);
        needs.push(Need {
            controller: "cpu",
            v2: vec![setting("cpu.max", format!("{quota} {PERIOD_US}"))],
            v1: vec![
                setting("cpu.cfs_period_us", PERIOD_US),
                setting("cpu.cfs_quota_us", quota),
            ],
            v1_parent: limits.v1_cpu.clone(),
        });
    }
    if let Some(pids) = resources.pids
        && limits.pids()? == PidsBy::Group
    {
        let settings = vec![setting("pids.max", pids)];
        needs.push(Need {
            controller: "pids",
            v2: settings.clone(),
            v1: settings,
            v1_parent: limits.v1_pids.clone(),
        });
    }
    Ok(needs)
}

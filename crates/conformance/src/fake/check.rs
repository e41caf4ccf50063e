//! What a set of capabilities covers of a specification.

use agentkernel_backend::{Capabilities, Error, Result};
use agentkernel_types::{ImageRef, Lifetime, RootAccess, SandboxSpec};

pub(super) fn check(has: &Capabilities, spec: &SandboxSpec) -> Result<()> {
    let kept = spec.lifetime == Lifetime::Kept;
    let disk = if kept { has.limit_disk_kept } else { has.limit_disk };
    let image = match spec.image {
        ImageRef::Host => has.host_image,
        ImageRef::Registry(_) => has.registry_images != agentkernel_types::RegistryImages::None,
    };
    let wishes = [
        ("lifetime", kept, has.kept),
        ("image", true, image),
        ("root", spec.root == RootAccess::ReadOnly, has.read_only_root),
        ("network", true, has.networks.contains(&spec.network.policy.mode)),
        ("mounts", !spec.mounts.is_empty(), has.mounts),
        ("user", spec.user.is_some(), has.user),
        ("resources.cpus", spec.resources.cpus.is_some(), has.limit_cpus),
        (
            "resources.memory",
            spec.resources.memory.is_some(),
            has.limit_memory,
        ),
        ("resources.pids", spec.resources.pids.is_some(), has.limit_pids),
        ("resources.disk", spec.resources.disk.is_some(), disk),
    ];
    match wishes.into_iter().find(|(_, wanted, had)| *wanted && !had) {
        None => Ok(()),
        Some((field, ..)) => Err(Error::unsupported(
            "create",
            field,
            format!("the fake backend does not declare {field}"),
        )),
    }
}

//! The plane between real kernels: a sandbox's namespace with the device, and a small internet in another one. All
//! of it over both attachments.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed; one that cannot be made here says so"
)]

mod rootless;
mod tun;
mod veth;
mod world;

/// The world, or a test that ends here, saying why, where network namespaces or the TUN are refused.
macro_rules! world_or_return {
    ($policy:expr) => {
        match crate::world::world($policy, super::ATTACHMENT) {
            Some(world) => world,
            None => return,
        }
    };
}
use world_or_return;

//! The plane between real kernels: a sandbox's namespace with the device, and a small internet in another one.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod edits;
mod exfiltration;
mod lookups;
mod published;
mod relay;
mod world;

/// The world, or a test that ends here where network namespaces or the TUN are refused.
macro_rules! world_or_return {
    ($policy:expr) => {
        match crate::world::world($policy) {
            Some(world) => world,
            None => return,
        }
    };
}
use world_or_return;

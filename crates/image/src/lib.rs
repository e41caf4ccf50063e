//! OCI images: their names, their configuration, a store of unpacked layers, and archives.
//!
//! Everything that comes in is hostile until it is unpacked: names stay beneath the layer's folder at every step,
//! sizes and counts are bounded, digests are compared. No network here (`agentkernel-pull`), no async runtime:
//! callers block a thread of their own.
//!
//! This crate must not know backends, and must not run anything out of an image.

mod account;
pub mod archive;
mod config;
pub mod engines;
mod failure;
mod image;
pub mod manifest;
mod reference;
mod store;
pub mod unpack;

pub use account::ImageUser;
pub use agentkernel_backend::{Error, Result};
pub use config::{ImageConfig, ParsedConfig, host_architecture};
pub use image::{Account, Accounts, Image, Layer, Owners, Source};
pub use reference::Reference;
pub use store::{Damaged, Inspected, Lease, Listed, Listing, Removed, Store, Writer};

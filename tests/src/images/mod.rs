//! Images that the tests make themselves: no byte comes from a registry of the world.
//!
//! [`Layer`] writes an archive entry by entry, also those that no honest program writes; [`Image`] puts layers and
//! a configuration together; [`archive`] writes it as the files that `docker save` and `skopeo` know; [`debian`]
//! makes root file systems of real languages out of the distribution's packages.

pub mod archive;
mod blob;
pub mod debian;
pub(crate) mod image;
mod layer;

pub use blob::{Blob, Body, Compression, digest};
pub use image::{Image, Manifest, index};
pub use layer::{Entry, Layer};

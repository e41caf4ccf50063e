//! Fetches images from registries into the store.
//!
//! Every byte is compared with its digest before it is used; an interrupted download goes on where it stopped; one
//! process at a time downloads a layer, others wait and share. This crate must not decide which image is wanted.
//!
//! What a registry sends is hostile: every answer is bounded before it is kept, and credentials go to nobody but the
//! host that they belong to.

mod credentials;
mod failure;
mod layer;
mod manifest;
mod progress;
mod puller;
mod registry;
mod retry;
mod secret;
mod settings;

pub use failure::{REASON, is_unreachable};
pub use progress::Progress;
pub use puller::{Pull, Puller};
pub use settings::{Patience, Registries, RegistrySettings};

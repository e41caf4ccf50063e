//! Durable records of kept sandboxes, as files: what exists, who owns it, and what a crash has left.
//!
//! One folder a sandbox holds its record, the lock that says who owns it now, and its workspace.
//! There is no database and no daemon: `exec` finds its record with one read, and a process that is
//! killed at any instant leaves either a complete sandbox or something that [`Store::debris`] finds.
//! See `docs/design/0002-records-are-files.md`.
//!
//! This crate must not know backends, and must not decide what may be removed for reasons other than
//! ownership and phase.

mod claim;
mod debris;
mod error;
mod file;
mod folder;
mod lock;
mod paths;
mod record;
mod reserve;
mod store;
mod tree;

pub use claim::Claim;
pub use debris::{Debris, DebrisKind};
pub use error::{Error, Result};
pub use folder::{make_private_folder, make_runtime_folder};
pub use paths::Paths;
pub use record::{Phase, Record, SCHEMA_VERSION};
pub use store::{Entry, Step, Store};
pub use tree::delete_tree;

//! The settings of one invocation: flags, environment, `agentkernel.toml`, the user's file, defaults.
//!
//! [`resolve`] reads the two files, lays the sources over each other and says of every value where it
//! came from. A project file comes with a repository that may be hostile, so it may only tighten what
//! the user allows: whatever would loosen is refused with the place and the two ways to allow it.
//!
//! Everything that the files may contain is one table of data (`keys`): reading, the JSON schema and
//! `docs/reference/config.md` all come from it. Nothing here prints, runs or contacts anything, and no
//! key is ever accepted and then ignored.

mod check;
mod discover;
mod environment;
mod error;
mod file;
mod grants;
mod image_keys;
mod images;
mod inject;
mod keys;
mod layer;
mod limits;
mod merge;
mod network;
mod origin;
mod problem;
mod reference;
mod resolved;
mod rows;
mod schema;
mod shape;
mod sources;
mod tighten;
mod unknown;
mod unsupported;
mod walls;
mod wrong;

pub use environment::{VARIABLES, Variable};
pub use error::ConfigError;
pub use grants::GrantOrigins;
pub use images::{BuildSettings, ImageSettings, RegistrySettings};
pub use inject::FileEntry;
pub use limits::ResourceOrigins;
pub use network::NetworkOrigins;
pub use origin::{Origin, Setting};
pub use reference::reference;
pub use resolved::{Resolved, resolve};
pub use rows::rows;
pub use schema::json_schema;
pub use shape::{AGENTS, RUNTIMES};
pub use sources::{Overrides, ProjectFile, Sources};

/// The name of a project's file.
pub const PROJECT_FILE: &str = "agentkernel.toml";

/// The largest file that is read: 1 MiB.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

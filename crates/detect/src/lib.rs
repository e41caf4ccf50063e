//! From a command and a project to an image that really holds the tools.
//!
//! [`detect`] asks its sources in a fixed order: the command, the runtime of `agentkernel.toml`, the
//! project's files, its Procfile, the default. All facts about images, commands and files are data
//! (`images`, `tools`, `evidence`, `pins`), and `docs/concepts/detection.md` is made from them.
//!
//! Pure over the [`Project`] that the caller gives; only [`FolderProject`] reads a disk. A project is
//! not trusted: nothing that it says gets into an image reference but digits and dots that were checked.

mod command;
mod detect;
mod evidence;
mod folder;
mod images;
mod page;
mod pins;
mod procfile;
mod runtime;
mod tools;
mod version;

pub use detect::{Detection, Request, Source, detect};
pub use folder::FolderProject;
pub use page::page;
pub use runtime::Runtime;

/// The part of a project that detection may see.
pub trait Project {
    /// The names of the files in the project's folder, without any path.
    fn names(&self) -> &[String];

    /// The text of one of them. None if it is not there, not text or larger than 64 KiB.
    fn read(&self, name: &str) -> Option<String>;
}

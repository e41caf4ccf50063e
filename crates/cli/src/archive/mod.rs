//! Files and folders of this machine to a tar stream, and a tar stream to files and folders.
//!
//! Both walk by descriptors and never follow a symbolic link below the path that the user named: what a
//! sandbox can write to (a mounted folder) or says (an archive) must not lead anywhere else.

mod pack;
mod unpack;

pub use pack::pack;
pub use unpack::{Place, unpack};

#[cfg(test)]
mod tests;

//! `[network]`: what a sandbox reaches, and what reaches it.
//!
//! The user's own sources are laid over each other first (`own`): that is the most that may be reached. Then the
//! project takes away from it (`project`). So a repository never adds to what its user allows, whether that was said
//! in a file, in the environment or on the command line.
//!
//! What a rule means is the policy's knowledge. Here is only who says what, and in which order.

mod draft;
mod idle;
mod keys;
mod lay;
mod mode;
mod own;
mod project;
mod remedy;

pub(crate) use draft::NetworkDraft;
pub(crate) use idle::{contradictions, refuse_idle_flags};
pub(crate) use keys::KEYS;
pub(crate) use lay::{Laid, Voices, lay};

use crate::Origin;

/// Where each entry of the lists came from, in the order of the lists.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NetworkOrigins {
    pub allow: Vec<Origin>,
    pub deny: Vec<Origin>,
    pub ports: Vec<Origin>,
    pub name_servers: Vec<Origin>,
}

//! The plain data that every layer speaks: names, specs, limits, exits.
//!
//! No I/O and no runtime. Parse, don't check: a value of one of these types is valid, because its
//! constructor refuses everything else. Every parse error is a sentence that names the value.

mod capabilities;
mod command;
mod digest;
mod error;
mod exit;
mod image;
mod image_event;
mod isolation;
mod mount;
mod name;
mod name_server;
mod network_event;
mod network_policy;
mod path;
mod profile;
mod published_port;
mod pull_policy;
mod resources;
mod spec;
mod units;
mod user;

pub use capabilities::{Capabilities, RegistryImages};
pub use command::{Command, EnvVar, ExecId, ExecSpec, Signal, StdinMode, TerminalSize};
pub use digest::Digest;
pub use error::{ErrorKind, ParseError};
pub use exit::{Exit, ExitCause, ExitStatus};
pub use image::ImageRef;
pub use image_event::{ImageEvent, LayerState};
pub use isolation::Isolation;
pub use mount::Mount;
pub use name::{BackendName, SandboxId, SandboxName};
pub use name_server::NameServer;
pub use network_event::{Attempt, Denial, Direction, Flow, NetworkEvent, NetworkEventKind};
pub use network_policy::{
    DomainName, Effect, IpNetwork, NetworkMode, NetworkPolicy, NetworkRule, PortRange, Ports, PresetName,
    Protocol, Target, TemporaryRule, TimedPolicy,
};
pub use path::GuestPath;
pub use profile::{Profile, ProfileGrants};
pub use published_port::PublishedPort;
pub use pull_policy::PullPolicy;
pub use resources::Resources;
pub use spec::{Lifetime, RootAccess, SandboxSpec};
pub use units::{ByteSize, Cpus, TimeSpan};
pub use user::UserSpec;

//! `attach`.

use agentkernel_types::{GuestPath, SandboxName};
use clap::Args;

use super::{EnvironmentArgs, TerminalArgs};

/// bash if the sandbox has it, else sh.
#[derive(Args, Debug)]
pub struct AttachArgs {
    #[command(flatten)]
    pub environment: EnvironmentArgs,
    /// The working directory in the sandbox
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<GuestPath>,
    #[command(flatten)]
    pub terminal: TerminalArgs,
    /// The sandbox
    pub name: SandboxName,
}

//! `exec`.

use std::ffi::OsString;

use agentkernel_types::{GuestPath, SandboxName, TimeSpan};
use clap::Args;

use super::{EnvironmentArgs, TerminalArgs};

#[derive(Args, Debug)]
pub struct ExecArgs {
    #[command(flatten)]
    pub environment: EnvironmentArgs,
    /// The working directory in the sandbox
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<GuestPath>,
    /// Let the command go on alone, and print the id under which its output is kept
    #[arg(short, long, conflicts_with_all = ["interactive", "tty", "timeout"])]
    pub detach: bool,
    /// Connect stdin: what is done anyway, unless the command is detached
    #[arg(short, long)]
    pub interactive: bool,
    #[command(flatten)]
    pub terminal: TerminalArgs,
    /// End the command after this long, as in 30s; the exit code is then 124
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<TimeSpan>,
    /// Print one JSON event a line on stdout instead of the command's own output
    #[arg(long)]
    pub json: bool,
    /// The sandbox
    pub name: SandboxName,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

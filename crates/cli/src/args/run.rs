//! `run`.

use std::ffi::OsString;

use agentkernel_types::SandboxName;
use clap::Args;

use super::{EnvironmentArgs, IsolationArgs, PullArgs};

/// Everything after the first word that is not a flag belongs to the command, exactly as it is written.
#[derive(Args, Debug)]
#[command(
    after_help = "Short letters: -c is the configuration file, so the processors are -C; -t forces a terminal \
                        and -T forbids it; -p publishes a port, so the profile has no letter."
)]
pub struct RunArgs {
    #[command(flatten)]
    pub isolation: IsolationArgs,
    #[command(flatten)]
    pub environment: EnvironmentArgs,
    #[command(flatten)]
    pub terminal: TerminalArgs,
    /// Give the sandbox this name; it stays afterwards, as with --keep
    #[arg(long, value_name = "NAME")]
    pub name: Option<SandboxName>,
    /// Keep the sandbox afterwards
    #[arg(short, long)]
    pub keep: bool,
    /// Print what would be chosen, and why, and make nothing
    #[arg(long)]
    pub explain: bool,
    /// Print one JSON event a line on stdout instead of the command's own output
    #[arg(long)]
    pub json: bool,
    /// No notices on stderr
    #[arg(short, long)]
    pub quiet: bool,
    #[command(flatten)]
    pub pull: PullArgs,
    /// Run this instead of the image's entrypoint ("" for none)
    #[arg(long, value_name = "COMMAND")]
    pub entrypoint: Option<String>,
    /// Build the image that the [build] table of agentkernel.toml describes, and use it
    #[arg(long, conflicts_with = "image")]
    pub build: bool,
    /// The command and its arguments [default: what the image runs]
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// A pseudo-terminal is made when stdin and stdout are terminals.
#[derive(Args, Debug, Default)]
pub struct TerminalArgs {
    /// Give the command a terminal, even if stdin or stdout is none
    #[arg(short = 't', long = "tty", conflicts_with = "no_tty")]
    pub tty: bool,
    /// Give the command no terminal
    #[arg(short = 'T', long = "no-tty")]
    pub no_tty: bool,
}

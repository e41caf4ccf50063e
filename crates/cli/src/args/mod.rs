//! The command line as data. Nothing here looks at files, asks the engine or prints.
//!
//! Each verb is one struct in one file. The short form (`agentkernel run`) and the full form
//! (`agentkernel sandbox run`) share it, so they cannot differ.

mod attach;
mod config;
mod copy;
mod create;
mod env_file;
mod environment;
mod exec;
mod fast;
mod image;
mod installation;
mod isolation;
mod names;
mod network;
mod run;

use clap::{Parser, Subcommand};

pub use attach::AttachArgs;
pub use config::{ConfigArgs, ConfigCommand, ConfigShowArgs};
pub use copy::{CopyArgs, CopyEnd};
pub use create::CreateArgs;
pub use env_file::EnvFileError;
pub use environment::EnvironmentArgs;
pub use exec::ExecArgs;
pub use image::{
    ImageArgs, ImageBuildArgs, ImageCommand, ImageExportArgs, ImageImportArgs, ImageInspectArgs,
    ImageListArgs, ImageLoadArgs, ImageLockArgs, ImagePruneArgs, ImagePullArgs, ImageRemoveArgs, PullArgs,
};
pub use installation::{CompletionsArgs, DoctorArgs, GcArgs, SetupArgs, VersionArgs};
pub use isolation::IsolationArgs;
pub use names::{
    ExecKillArgs, ExecListArgs, InspectArgs, ListArgs, LogsArgs, RemoveArgs, RestartArgs, StartArgs,
    StatsArgs, StopArgs,
};
pub use network::{PolicyArgs, PolicyCommand, PolicyRulesArgs, PortArgs, PortCommand, WhyArgs};
pub use run::{RunArgs, TerminalArgs};

/// Runs AI coding agents, and any untrusted command, in isolated sandboxes.
#[derive(Debug, Parser)]
#[command(
    name = "agentkernel",
    version,
    disable_help_subcommand = true,
    color = clap::ColorChoice::Never,
    max_term_width = 100,
    after_help = "Exit codes: the command's own; 128+N when signal N ended it; 124 timeout; 125 agentkernel \
                  itself failed, or was called wrongly; 126 not executable; 127 not found."
)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: TopCommand,
}

#[derive(Debug, Subcommand)]
pub enum TopCommand {
    #[command(flatten)]
    Verb(Verb),
    /// The full form of each sandbox command
    #[command(subcommand, visible_alias = "sb")]
    Sandbox(Verb),
    /// Fetch, import, build and remove images
    #[command(visible_alias = "images")]
    Image(ImageArgs),
    /// Show the settings in force, or their schema
    Config(ConfigArgs),
    /// Get this machine ready, or check whether it is
    Setup(SetupArgs),
    /// Probe every backend and say what is usable, why, and what would help
    Doctor(DoctorArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Print the version
    Version(VersionArgs),
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run one command in a fresh sandbox
    Run(RunArgs),
    /// Make a sandbox that stays, and start it
    Create(CreateArgs),
    /// Start a stopped sandbox
    Start(StartArgs),
    /// Stop a sandbox; its files stay
    Stop(StopArgs),
    /// Stop a sandbox and start it again
    Restart(RestartArgs),
    /// Run a command in a kept sandbox, which is started if it is stopped
    Exec(ExecArgs),
    /// Open a shell in a kept sandbox
    #[command(visible_alias = "shell")]
    Attach(AttachArgs),
    /// List the kept sandboxes
    #[command(visible_aliases = ["ls", "ps"])]
    List(ListArgs),
    /// Show everything about a sandbox, as JSON
    #[command(visible_alias = "info")]
    Inspect(InspectArgs),
    /// Show the output of a detached command
    #[command(alias = "exec-logs")]
    Logs(LogsArgs),
    /// List the detached commands of a sandbox
    ExecList(ExecListArgs),
    /// End a detached command
    ExecKill(ExecKillArgs),
    /// Copy files into a sandbox or out of it
    Cp(CopyArgs),
    /// Remove sandboxes and their files
    #[command(visible_alias = "rm")]
    Remove(RemoveArgs),
    /// Show what a running sandbox uses
    Stats(StatsArgs),
    /// Show or change what a sandbox may reach
    Policy(PolicyArgs),
    /// Say what a sandbox's policy has refused, why, and what would allow it
    Why(WhyArgs),
    /// Open ports of this machine that lead into a sandbox
    Port(PortArgs),
    /// Remove whatever belongs to no sandbox any more
    Gc(GcArgs),
}

impl TopCommand {
    /// Whether errors are wanted as JSON, too.
    pub fn wants_json(&self) -> bool {
        match self {
            Self::Verb(verb) | Self::Sandbox(verb) => verb.wants_json(),
            Self::Config(ConfigArgs {
                command: ConfigCommand::Show(args),
            }) => args.json,
            Self::Image(args) => args.command.wants_json(),
            Self::Setup(args) => args.json,
            Self::Doctor(args) => args.json,
            Self::Version(args) => args.json,
            Self::Config(_) | Self::Completions(_) => false,
        }
    }
}

impl Verb {
    fn wants_json(&self) -> bool {
        match self {
            Self::Run(args) => args.json,
            Self::Create(args) => args.json,
            Self::Start(args) => args.json,
            Self::Stop(args) => args.json,
            Self::Restart(args) => args.json,
            Self::Exec(args) => args.json,
            Self::List(args) => args.json,
            Self::Inspect(args) => args.json,
            Self::ExecList(args) => args.json,
            Self::Remove(args) => args.json,
            Self::Stats(args) => args.json,
            Self::Policy(args) => args.command.wants_json(),
            Self::Why(args) => args.json,
            Self::Port(args) => args.command.wants_json(),
            Self::Gc(args) => args.json,
            Self::Attach(_) | Self::Logs(_) | Self::ExecKill(_) | Self::Cp(_) => false,
        }
    }
}

#[cfg(test)]
mod tests;

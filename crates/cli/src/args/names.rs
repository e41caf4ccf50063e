//! The verbs that take the name of a sandbox and little else.

use agentkernel_types::{ExecId, SandboxName, TimeSpan};
use clap::Args;

#[derive(Args, Debug)]
pub struct StartArgs {
    /// The sandbox
    pub name: SandboxName,
    /// Print the sandbox as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct StopArgs {
    /// The sandbox
    pub name: SandboxName,
    /// How long its commands have to end by themselves
    #[arg(short, long, default_value = "10s")]
    pub time: TimeSpan,
    /// Print the sandbox as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct RestartArgs {
    /// The sandbox
    pub name: SandboxName,
    /// How long its commands have to end by themselves
    #[arg(short, long, default_value = "10s")]
    pub time: TimeSpan,
    /// Print the sandbox as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct RemoveArgs {
    /// Also running ones, and no error for those that do not exist
    #[arg(short, long)]
    pub force: bool,
    /// Print what was removed as JSON
    #[arg(long)]
    pub json: bool,
    /// The sandboxes
    #[arg(required = true)]
    pub names: Vec<SandboxName>,
}

#[derive(Args, Debug)]
pub struct ListArgs {
    /// Only the names
    #[arg(short, long, conflicts_with = "json")]
    pub quiet: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct InspectArgs {
    /// The sandbox
    pub name: SandboxName,
    /// What is done anyway: the answer is JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct LogsArgs {
    /// The sandbox
    pub name: SandboxName,
    /// The detached command [default: the latest one]
    #[arg(value_name = "EXEC_ID")]
    pub id: Option<ExecId>,
    /// Go on until the command ends
    #[arg(short, long)]
    pub follow: bool,
    /// Only its stderr, on stdout [default: each stream on the one of its name]
    #[arg(long)]
    pub stderr: bool,
}

#[derive(Args, Debug)]
pub struct ExecListArgs {
    /// The sandbox
    pub name: SandboxName,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct ExecKillArgs {
    /// The sandbox
    pub name: SandboxName,
    /// The detached command
    #[arg(value_name = "EXEC_ID")]
    pub id: ExecId,
}

#[derive(Args, Debug)]
pub struct StatsArgs {
    /// The sandbox
    pub name: SandboxName,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

//! `create`.

use std::path::PathBuf;

use agentkernel_types::SandboxName;
use clap::Args;

use super::{EnvironmentArgs, IsolationArgs, PullArgs};

#[derive(Args, Debug)]
pub struct CreateArgs {
    /// The name [default: the project file's, or one that is made up]
    pub name: Option<SandboxName>,
    /// The project folder [default: the current one]
    #[arg(short, long)]
    pub dir: Option<PathBuf>,
    #[command(flatten)]
    pub isolation: IsolationArgs,
    #[command(flatten)]
    pub environment: EnvironmentArgs,
    #[command(flatten)]
    pub pull: PullArgs,
    /// Print what was made as JSON
    #[arg(long)]
    pub json: bool,
    /// No notices on stderr
    #[arg(short, long)]
    pub quiet: bool,
}

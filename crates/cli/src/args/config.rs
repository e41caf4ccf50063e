//! `config`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Args, Debug)]
pub struct ConfigArgs {
    #[command(subcommand)]
    pub command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the settings in force here
    Show(ConfigShowArgs),
    /// Print the JSON schema of agentkernel.toml
    Schema,
}

#[derive(Args, Debug)]
pub struct ConfigShowArgs {
    /// Say of each setting where it comes from
    #[arg(long)]
    pub origin: bool,
    /// The project's configuration file [default: the nearest agentkernel.toml]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

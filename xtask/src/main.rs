//! The chores of this repository, as `cargo xtask CHORE`: rules that no compiler checks, and generated pages.

mod pages;
mod tidy;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The chores of this repository")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Check layers, backend names, file lengths, prints, reasons and documents.
    Tidy,
    /// Write the manual pages of every command into target/man.
    Man,
    /// Write the completion scripts of every shell into target/completions.
    Completions,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let root = workspace_root();
    match arguments.chore {
        Chore::Tidy => tidy::run(&root),
        Chore::Man => pages::write_manual(&root.join("target/man")).map(|()| ExitCode::SUCCESS),
        Chore::Completions => {
            pages::write_completions(&root.join("target/completions")).map(|()| ExitCode::SUCCESS)
        }
    }
}

/// The folder above this package: `cargo xtask` works from anywhere in the repository.
fn workspace_root() -> PathBuf {
    let package = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| "xtask".into()));
    package.parent().map_or_else(|| PathBuf::from("."), PathBuf::from)
}

//! Manual pages and completion scripts, generated from the command line's own definition.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use clap::ValueEnum;
use clap_complete::Shell;

/// One page a command: `agentkernel.1`, `agentkernel-run.1` and so on.
pub fn write_manual(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    clap_mangen::generate_to(agentkernel_cli::command(), folder)
        .with_context(|| format!("cannot write the manual into {}", folder.display()))?;
    announce(folder)
}

pub fn write_completions(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for shell in Shell::value_variants() {
        clap_complete::generate_to(*shell, &mut agentkernel_cli::command(), "agentkernel", folder)
            .with_context(|| format!("cannot write the completions for {shell}"))?;
    }
    announce(folder)
}

#[expect(clippy::print_stdout, reason = "a chore reports to its terminal")]
fn announce(folder: &Path) -> Result<()> {
    let count = fs::read_dir(folder)?.count();
    println!("{count} files in {}", folder.display());
    Ok(())
}

//! The `agentkernel` binary: everything is in the library, so that tests and xtask can reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(agentkernel_cli::run(std::env::args_os().collect()))
}

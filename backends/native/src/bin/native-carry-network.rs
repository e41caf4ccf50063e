//! The program that carries the network of a kept sandbox, for the tests of this crate.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(agentkernel_native::carry_network())
}

//! Tries to get out of the sandbox that it runs in, and prints one line of JSON for each attempt.
//!
//! `agentkernel-escape KEY=VALUE...`; the keys are those of [`Facts`]. It must run nowhere but in a sandbox: it
//! wants `AGENTKERNEL_ESCAPE=inside` in its environment. Even so, no attempt harms a host if it succeeds: the
//! arguments are such that the kernel, were it to look at them, would find nothing to do.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

mod attempt;
mod calls;
mod capabilities;
mod control;
mod devices;
mod facts;
mod files;
mod kernel;
mod leaks;
mod mounts;
mod namespaces;
mod resources;
mod runtime;
mod sockets;
mod terminals;

use std::process::ExitCode;

use attempt::{Outcome, Probe};
use facts::Facts;

fn main() -> ExitCode {
    if std::env::var("AGENTKERNEL_ESCAPE").as_deref() != Ok("inside") {
        println!("{{\"error\": \"this program runs inside a sandbox only\"}}");
        return ExitCode::FAILURE;
    }
    let facts = Facts::from_arguments(std::env::args().skip(1));
    let probes: Vec<Probe> = [
        devices::probes,
        mounts::probes,
        namespaces::probes,
        capabilities::probes,
        calls::probes,
        sockets::probes,
        kernel::probes,
        leaks::probes,
        control::probes,
        terminals::probes,
        runtime::probes,
        files::probes,
        // Last: it uses up what there is.
        resources::probes,
    ]
    .iter()
    .flat_map(|probes| probes(&facts))
    .collect();
    for probe in &probes {
        let (outcome, detail) = match attempt::in_child(probe) {
            Outcome::Blocked(detail) => ("blocked", detail),
            Outcome::Leaked(detail) => ("leaked", detail),
            Outcome::Skipped(detail) => ("skipped", detail),
        };
        let line = serde_json::json!({
            "class": probe.class, "name": probe.name, "outcome": outcome, "detail": detail,
        });
        println!("{line}");
    }
    ExitCode::SUCCESS
}
